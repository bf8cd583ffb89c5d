//! Reading what devices send: our decoder, from the frame's text to the sample in its batch,
//! against `serde_json` building a tree of the same text, which is what one would do first.

use std::hint::black_box;
use std::time::Instant;

use components::id::{FeedId, Handle};
use components::sample::SampleBatch;
use components::wire::device::{self, Attributes, Standing};
use components::wire::phoenix::{self, Vsn};

/// Frames as devices send them: bare numbers, records, and batches of ten.
fn frames(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            let head = format!("[\"3\",\"{n}\",\"sensocto:sensor:bench-{}\"", n % 100);
            let sample = |k: usize| {
                format!(
                    "{{\"attribute_id\":\"ecg\",\"payload\":{:.6},\"timestamp\":{}}}",
                    (n + k) as f64 / 7.0,
                    1_795_471_052_944u64 + (n + k) as u64
                )
            };
            match n % 3 {
                0 => format!("{head},\"measurement\",{}]", sample(0)),
                1 => format!(
                    "{head},\"measurement\",{{\"attribute_id\":\"imu\",\"payload\":{{\"x\":{}.5,\
                     \"y\":-2,\"z\":9.81}},\"timestamp\":1795471052944}}]",
                    n % 50
                ),
                _ => {
                    let samples: Vec<String> = (0..10).map(sample).collect();
                    format!("{head},\"measurements_batch\",[{}]]", samples.join(","))
                }
            }
        })
        .collect()
}

#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub ours_ns_per_frame: f64,
    pub tree_ns_per_frame: f64,
    /// Samples that reached the batch.
    pub samples: usize,
}

pub fn run(count: usize) -> Figures {
    let frames = frames(count);
    let feed = FeedId(Handle { slot: 0, generation: 0 });
    let (mut attributes, mut batch) = (Attributes::default(), SampleBatch::default());
    let mut measurements = Vec::new();
    let start = Instant::now();
    for frame in &frames {
        let Ok(message) = phoenix::decode_text(Vsn::V2, frame) else { continue };
        let Some(payload) = message.payload.json() else { continue };
        measurements.clear();
        if message.event == "measurement" {
            measurements.extend(device::measurement(payload));
        } else {
            let _ = device::measurements_batch(payload, &mut measurements);
        }
        for measurement in &measurements {
            let index = match attributes.standing(&measurement.attribute_id) {
                Standing::Declared { index, .. } => index,
                Standing::Undeclared { index, .. } => {
                    attributes.set_declared(&measurement.attribute_id, measurement.kind());
                    index
                }
                Standing::Refused => continue,
            };
            attributes.push(&mut batch, feed, index, measurement);
        }
    }
    let ours = start.elapsed();
    let samples = black_box(&batch).len();
    let start = Instant::now();
    for frame in &frames {
        black_box(serde_json::from_str::<serde_json::Value>(frame).ok());
    }
    let tree = start.elapsed();
    let per_frame = |time: std::time::Duration| time.as_nanos() as f64 / count as f64;
    Figures { ours_ns_per_frame: per_frame(ours), tree_ns_per_frame: per_frame(tree), samples }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_sample_of_every_frame_reaches_the_batch() {
        let figures = super::run(300);
        assert_eq!(figures.samples, 100 + 100 + 100 * 10);
    }
}
