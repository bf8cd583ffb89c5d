//! The store: what is kept, exactly, and within which bounds.

use components::ledger::Reason;
use components::load::LoadLevel;
use components::viewer::Quality;
use engine::{EngineConfig, Settings};
use tests::Lab;

#[test]
fn every_kind_of_payload_comes_back_as_it_was_sent() {
    let payloads = [
        "42",
        "-0.17713645166970463",
        "1.0",
        "true",
        "null",
        "\"hello \\\"you\\\"\"",
        "[1.0,2.0]",
        r#"{"x":0.1,"y":-2,"z":9.81}"#,
        r#"{"value":23.5,"unit":"C"}"#,
        "[]",
        "{}",
        "18446744073709551616",
        r#"{"deep":[{"a":[1,"b",null]}]}"#,
    ];
    let mut lab = Lab::new();
    lab.join("s");
    let viewer = lab.watch(&["s"], Quality::High);
    // All through one attribute: whatever the first fixed, the others are kept exactly as well.
    for (n, payload) in payloads.iter().enumerate() {
        lab.send("s", "ecg", n as i64, payload);
    }
    lab.run(32);
    assert_eq!(lab.take_values(viewer, "s", "ecg"), payloads);
    // And each through one of its own.
    for (n, payload) in payloads.iter().enumerate() {
        let attribute = format!("a{n}");
        lab.send("s", &attribute, 0, payload);
        lab.run(32);
        assert_eq!(lab.take_values(viewer, "s", &attribute), [*payload]);
    }
}

#[test]
fn numbers_take_sixteen_bytes_a_sample_and_records_eight_a_leaf() {
    let mut lab = Lab::new();
    lab.join("s");
    for n in 0..64 {
        lab.send("s", "ecg", n, "0.5");
    }
    lab.tick();
    assert_eq!(lab.engine.report().ring_bytes, 64 * 16);
    for n in 0..64 {
        lab.send("s", "imu", n, r#"{"accelerometer":{"x":1.5,"y":2,"z":3}}"#);
    }
    lab.tick();
    assert_eq!(lab.engine.report().ring_bytes, 64 * 16 + 64 * 32);
}

#[test]
fn a_rise_of_load_frees_memory_without_a_single_write() {
    let mut lab = Lab::new();
    for n in 0..20 {
        let id = format!("s{n}");
        lab.join(&id);
        for n in 0..1000 {
            lab.send(&id, "ecg", n, "1");
        }
    }
    lab.tick();
    let full = lab.engine.report().ring_bytes;
    let kept = lab.audit().store.kept;
    lab.load(LoadLevel::Critical);
    lab.tick();
    let cut = lab.engine.report().ring_bytes;
    assert_eq!(cut, 20 * 55 * 16, "30 hot and 25 warm each, from {full} bytes");
    let store = lab.audit().store;
    assert_eq!(store.kept, 20 * 55);
    assert_eq!(store.dropped(Reason::Trimmed), kept - store.kept);
}

#[test]
fn the_load_reaches_every_device() {
    let mut lab = Lab::new();
    let feed = lab.join("s");
    lab.tick();
    lab.load(LoadLevel::High);
    lab.tick();
    assert_eq!(lab.pacing(feed).unwrap().load.level, LoadLevel::High);
}

/// A hostile producer: many attributes, many sensors, long texts.
#[test]
fn the_memory_budget_holds_against_a_producer_that_fills_everything() {
    let budget = 256 * 1024;
    let settings = Settings { ring_bytes_max: budget, ..Settings::default() };
    let mut lab = Lab::with(EngineConfig { settings, ..EngineConfig::default() });
    let mut most = 0;
    for sensor in 0..40 {
        let id = format!("s{sensor}");
        lab.join(&id);
        for n in 0..1500 {
            lab.send(&id, "ecg", n, "1");
            if n % 100 == 0 {
                lab.tick();
                most = most.max(lab.engine.report().ring_bytes);
            }
        }
    }
    lab.run(100);
    // A ring that exists may always hold its smallest run: 4 samples, 64 bytes.
    let slack = 100 * 16 + 40 * 64;
    assert!(most <= (budget + slack) as i64, "{most} of {budget}");
    let store = lab.audit().store;
    assert!(store.dropped(Reason::Trimmed) > 0);
    assert_eq!(store.received, 40 * 1500);
}

#[test]
fn texts_count_towards_the_budget() {
    let mut lab = Lab::new();
    lab.join("s");
    let long = format!("\"{}\"", "x".repeat(10_000));
    for n in 0..10 {
        lab.send("s", "v", n, &long);
    }
    lab.tick();
    assert!(lab.engine.report().ring_bytes > 100_000);
    for n in 0..400 {
        lab.send("s", "v", n, "\"short\"");
    }
    lab.tick();
    assert!(lab.engine.report().ring_bytes < 40_000, "{}", lab.engine.report().ring_bytes);
}

/// More sensors than even the shortest rings have room for: rings stop growing.
#[test]
fn at_the_budget_rings_stop_growing() {
    let budget = 100_000;
    let settings = Settings { ring_bytes_max: budget, ..Settings::default() };
    let mut lab = Lab::with(EngineConfig { settings, ..EngineConfig::default() });
    let ids: Vec<String> = (0..1000).map(|n| format!("s{n}")).collect();
    for id in &ids {
        lab.join(id);
    }
    for n in 0..40 {
        for id in &ids {
            lab.send(id, "ecg", n, "1");
        }
        lab.tick();
        // One tick may let every ring grow once more, from 4 samples to 8.
        let bytes = lab.engine.report().ring_bytes;
        assert!(bytes <= (budget + 1000 * 64) as i64, "{bytes}");
    }
    assert_eq!(lab.audit().store.received, 40_000);
}
