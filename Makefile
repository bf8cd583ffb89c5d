# Two commands. Both do all their own set-up; both are thin over cargo and npm.

# Where cargo puts what it builds.
target := $(or $(CARGO_TARGET_DIR),target)

# Tests that make things panic on purpose: see docs/isolation.md.
faults := tests/faults,server/faults

.PHONY: run test chromium

run:
	cargo run --release --locked

test: chromium
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --features $(faults) -- --deny warnings
	cargo test --locked --workspace --features $(faults)
	npm --prefix web run check
	npm --prefix web test
	SENSOCTO_BIN=$(abspath $(target))/debug/sensocto npm --prefix web run e2e
	SENSOCTO_BIN=$(abspath $(target))/debug/sensocto npm --prefix web run clients

# The browser tests need a Chromium. Debian's package, if there is none.
chromium:
	@command -v chromium >/dev/null || { \
	  sudo=$$(command -v sudo || true); [ "$$(id -u)" = 0 ] && sudo=; \
	  $$sudo apt-get update -qq && $$sudo apt-get install -y -qq chromium; }
