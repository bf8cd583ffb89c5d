//! The conscience: a few hundred made-up worlds with everything that goes wrong in them, held
//! against a model after every tick. `sensocto swarm` plays thousands.

use simulator::swarm::{Found, play_seed};

#[test]
fn three_hundred_worlds_break_no_promise() {
    const TICKS: usize = 120;
    let (mut ticks, mut samples) = (0, 0);
    for seed in 0..300 {
        match play_seed(seed, TICKS) {
            Ok(played) => {
                ticks += played.ticks;
                samples += played.samples;
            }
            Err(failure) => panic!("{}", Found::shrunk(seed, TICKS, failure).tell()),
        }
    }
    assert!(ticks > 36_000 && samples > 200_000, "{ticks} ticks, {samples} samples");
}
