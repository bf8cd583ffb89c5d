//! How the systems of a tick are faring: what is told of one that panics.

use std::sync::Arc;

use crate::sample::EngineTime;

/// How often something may panic: more than `panics` within `within_ms` is too often
/// (the seed's restart intensities).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intensity {
    pub panics: usize,
    pub within_ms: u64,
}

impl Intensity {
    /// What only advises: novelty, forecasts, rhythms.
    pub const BIO: Self = Self { panics: 10, within_ms: 60_000 };
    /// Everything else.
    pub const OTHER: Self = Self { panics: 5, within_ms: 10_000 };
}

/// One system, since the engine began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemHealth {
    pub system: &'static str,
    /// Ticks in which it ran, those in which it panicked included.
    pub runs: u64,
    /// Ticks in which it was switched off. Together with `runs`: all ticks.
    pub skips: u64,
    /// Ticks in which it panicked.
    pub panics: u64,
    /// What it said last.
    pub message: Option<Arc<str>>,
    /// Since when it is switched off, and when it is tried again.
    pub off: Option<Off>,
    /// What is missing while it is off.
    pub lost: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Off {
    pub since: EngineTime,
    pub until: EngineTime,
}
