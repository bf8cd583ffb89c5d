//! Samples that are followed on their way to viewers: marked by the engine as they come in, looked
//! for in what goes out, and noted by the socket that writes them (see [`crate::ages`]).

use std::time::{Duration, Instant};

use components::class::Class;
use components::delivery::{Deliveries, Flush, Form, Probe};
use components::id::StreamId;
use components::sample::EngineTime;
use rustc_hash::FxHashMap;
use std::sync::Arc;

use crate::ages::{Ages, Sample, Stamp, Trace, device_age};
use crate::clock::Now;

/// One sample of each class is followed at most this often.
const FOLLOW_PERIOD_MS: u64 = 100;

/// A sample that has not gone out after so long goes nowhere: what is merely visible may wait a
/// second when the machine is pressed.
const FOLLOW_MS_MAX: u64 = 1_500;

/// When the tick took its samples in, and how long the oldest of them had waited by then.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub at: Instant,
    pub waited: Duration,
}

/// The samples that are on their way.
#[derive(Debug, Default)]
pub(super) struct Following {
    active: Vec<Active>,
    next: [EngineTime; Class::COUNT],
    /// By slice of this tick: what it carries of them, as indices into `active`.
    carried: FxHashMap<u32, Vec<u32>>,
}

#[derive(Debug)]
struct Active {
    probe: Probe,
    trace: Arc<Trace>,
    came: EngineTime,
    taken: Instant,
}

impl Following {
    /// Takes up what the engine marked in this tick, and finds in which slices anything that is
    /// followed goes out. The tick itself is part of the way.
    pub(super) fn begin(&mut self, now: Now, taken: Taken, deliveries: &Deliveries, ages: &Ages) {
        let over = |active: &Active| now.engine >= active.came.plus_millis(FOLLOW_MS_MAX);
        self.active.retain(|active| !over(active));
        for probe in &deliveries.probes {
            let next = &mut self.next[probe.class() as usize];
            if now.engine < *next {
                continue;
            }
            *next = now.engine.plus_millis(FOLLOW_PERIOD_MS);
            let sample = Sample {
                stream: probe.card.stream.0,
                at: probe.at,
                class: probe.class(),
                sensor_id: Arc::clone(&probe.card.sensor_id),
                attribute_id: Arc::clone(&probe.card.attribute_id),
            };
            let device = device_age(probe.timestamp.0, now.unix_ms);
            let trace = ages.follow(sample, device, taken.waited);
            self.active.push(Active {
                probe: probe.clone(),
                trace,
                came: now.engine,
                taken: taken.at,
            });
        }
        self.carried.clear();
        if self.active.is_empty() {
            return;
        }
        let mut streams: FxHashMap<StreamId, Vec<u32>> = FxHashMap::default();
        for (n, active) in self.active.iter().enumerate() {
            streams.entry(active.probe.card.stream).or_default().push(n as u32);
        }
        for (index, slice) in deliveries.slices.iter().enumerate() {
            // A digest stands for a sample, it does not bring it; a seed is the past.
            if !matches!(slice.form, Form::Raw | Form::Latest) {
                continue;
            }
            let Some(followed) = streams.get(&slice.card.stream) else { continue };
            let carried: Vec<u32> = followed
                .iter()
                .copied()
                .filter(|n| self.active[*n as usize].probe.is_in(slice))
                .collect();
            if !carried.is_empty() {
                self.carried.insert(index as u32, carried);
            }
        }
    }

    /// For the last message of this flush: what it brings of the samples that are followed.
    pub(super) fn stamps(&self, flush: &Flush, deliveries: &Deliveries, ages: &Ages) -> Vec<Stamp> {
        if self.carried.is_empty() {
            return Vec::new();
        }
        let at = flush.parts_at as usize;
        deliveries.parts[at..at + flush.part_count as usize]
            .iter()
            .filter_map(|part| self.carried.get(part))
            .flatten()
            .map(|n| {
                let active = &self.active[*n as usize];
                ages.stamp(&active.trace, active.taken.elapsed())
            })
            .collect()
    }
}
