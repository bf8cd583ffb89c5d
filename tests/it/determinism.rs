//! The same inputs give the same deliveries, bit for bit, on any number of threads.

use components::command::{Attention, Command};
use components::load::LoadLevel;
use components::viewer::Quality;
use engine::EngineConfig;
use tests::{Lab, target};

/// A small world in which everything happens: enough samples a tick for ordered, chunked work,
/// enough viewers for parallel choosing, comings, goings, load.
fn world(threads: usize) -> (u64, u64) {
    let mut lab = Lab::with(EngineConfig { threads, ..EngineConfig::default() });
    // A generator of our own: chance comes in as data.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let ids: Vec<String> = (0..700).map(|n| format!("s{n}")).collect();
    for id in &ids {
        lab.join(id);
    }
    let mut viewers = Vec::new();
    for n in 0..40 {
        let quality = Quality::ALL[1 + n % 4];
        if n == 0 {
            viewers.push(lab.watch_all(quality));
        } else {
            let mine: Vec<&str> = (0..50).map(|_| ids[(next() % 700) as usize].as_str()).collect();
            viewers.push(lab.watch(&mine, quality));
        }
    }
    for step in 0..60i64 {
        for _ in 0..3000 {
            let id = &ids[(next() % 700) as usize];
            match next() % 4 {
                0 => lab.send(id, "imu", step, &format!("{{\"x\":{},\"y\":2}}", next() % 100)),
                1 => lab.send(id, "note", step, &format!("\"{}\"", next() % 10)),
                _ => lab.send(id, "ecg", step, &format!("{}.5", next() % 1000)),
            }
        }
        let viewer = viewers[(next() % 40) as usize];
        let id = &ids[(next() % 700) as usize];
        lab.attend(viewer, Attention { focused: vec![target(id)], ..Attention::default() });
        if step % 10 == 3 {
            lab.busy(&viewers[..20]);
        }
        if step == 30 {
            lab.load(LoadLevel::High);
            lab.command(Command::CloseViewer { viewer: viewers[5] });
            lab.leave("s7");
            lab.join("s7");
        }
        lab.tick();
    }
    (lab.hash.value(), lab.audit().store.received)
}

#[test]
fn one_two_and_eight_threads_give_the_same_bits() {
    let (one, received) = world(1);
    assert_eq!(received, 180_000);
    assert_eq!(one, world(1).0, "twice on one");
    assert_eq!(one, world(2).0, "two");
    assert_eq!(one, world(8).0, "eight");
}
