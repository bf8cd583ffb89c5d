//! Handing samples to the tick: a queue for each class, against one queue for all under one lock,
//! which is what one would do first.

use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use components::cell::Cell;
use components::class::Class;
use components::command::Inputs;
use components::id::{FeedId, Handle};
use components::sample::{Payload, SampleBatch, Timestamp};
use server::intake::{Burst, Intake};

/// Samples that a socket reads at once.
const BURST: u32 = 10;

#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub classes_ns_per_sample: f64,
    pub one_queue_ns_per_sample: f64,
    /// Samples that reached a tick, both ways.
    pub samples: usize,
}

fn fill(batch: &mut SampleBatch, device: u32) {
    let feed = FeedId(Handle { slot: device, generation: 0 });
    for n in 0..BURST {
        batch.push(feed, 0, Timestamp(n.into()), Payload::Scalar(Cell::TRUE));
    }
}

/// `ticks` of so many bursts each, of devices of `classes` classes in turn.
pub fn run(ticks: usize, bursts: u32, classes: usize) -> Figures {
    let mut samples = 0;
    let mut timed = |mut tick: Box<dyn FnMut(&mut Inputs)>| {
        let mut inputs = Inputs::default();
        let mut took = Duration::ZERO;
        // The first few grow what the others use again.
        for n in 0..ticks + 10 {
            let start = Instant::now();
            tick(&mut inputs);
            if n >= 10 {
                took += start.elapsed();
                samples += inputs.samples.len();
            }
            black_box(&inputs.samples);
            inputs.samples.clear();
        }
        took.as_nanos() as f64 / (ticks * (bursts * BURST) as usize) as f64
    };
    let intake = Intake::default();
    let mut burst = Burst::default();
    let classes_ns_per_sample = timed(Box::new(move |inputs| {
        for device in 0..bursts {
            fill(burst.samples(Class::ALL[device as usize % classes]), device);
            intake.samples(&mut burst).expect("there is room");
        }
        intake.take(inputs);
    }));
    let queue: Mutex<SampleBatch> = Mutex::default();
    let mut batch = SampleBatch::default();
    let one_queue_ns_per_sample = timed(Box::new(move |inputs| {
        for device in 0..bursts {
            fill(&mut batch, device);
            queue.lock().expect("nobody panics").append(&mut batch);
        }
        std::mem::swap(&mut *queue.lock().expect("nobody panics"), &mut inputs.samples);
    }));
    Figures { classes_ns_per_sample, one_queue_ns_per_sample, samples }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_sample_reaches_a_tick_both_ways() {
        for classes in [1, 5] {
            assert_eq!(super::run(5, 20, classes).samples, 2 * 5 * 20 * 10);
        }
    }
}
