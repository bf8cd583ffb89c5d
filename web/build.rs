//! Builds the page with npm into `$OUT_DIR/dist`, where `src/lib.rs` embeds it from.
//!
//! `SENSOCTO_WEB=skip` puts a placeholder there instead, for builds that do not look at the page.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the page is made of. Naming the folders keeps `node_modules` and test results out of it.
const SOURCES: [&str; 8] = [
    "build.rs",
    "index.html",
    "package.json",
    "package-lock.json",
    "public",
    "src",
    "svelte.config.js",
    "vite.config.ts",
];

const PLACEHOLDER: &str = "<!doctype html><title>Sensocto</title><p>This build was made with \
                           SENSOCTO_WEB=skip and carries no page.</p>\n";

fn main() {
    println!("cargo::rerun-if-env-changed=SENSOCTO_WEB");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let dist = out.join("dist");
    if env::var_os("SENSOCTO_WEB").is_some_and(|value| value == "skip") {
        // A page from an earlier build would look like this build's.
        let _ = fs::remove_dir_all(&dist);
        fs::create_dir_all(&dist).expect("OUT_DIR is ours to write");
        fs::write(dist.join("index.html"), PLACEHOLDER).expect("OUT_DIR is ours to write");
        return;
    }
    install(&out.join("installed"));
    let vite = Path::new("node_modules").join("vite").join("bin").join("vite.js");
    run(Command::new("node")
        .arg(vite)
        .arg("build")
        .arg("--emptyOutDir")
        .arg("--outDir")
        .arg(&dist));
}

/// `npm ci` takes seconds, so it runs only when the lock file is another than the one installed.
fn install(stamp: &Path) {
    let lock = fs::read_to_string("package-lock.json").expect("package-lock.json is committed");
    let installed = Path::new("node_modules/vite").exists();
    if installed && fs::read_to_string(stamp).is_ok_and(|stamped| stamped == lock) {
        return;
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run(Command::new(npm).args(["ci", "--no-audit", "--no-fund"]));
    fs::write(stamp, lock).expect("OUT_DIR is ours to write");
}

/// Runs to the end, or stops the build with everything the command said.
fn run(command: &mut Command) {
    let shown = format!("{command:?}");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!(
            "\n\nThe page is built with node (20 or newer) and npm, and `{shown}` could not be \
             started: {error}.\nInstall node, or build without the page: SENSOCTO_WEB=skip cargo \
             build\n\n"
        ),
    };
    assert!(
        output.status.success(),
        "\n\n{shown} failed in web/ ({}):\n{}{}\n",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
