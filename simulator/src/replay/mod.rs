//! A recording brought back to life: into an engine of its own, tick for tick and hash against
//! hash, or among live viewers.

mod live;
mod rerun;

pub use live::{LiveReplay, PREFIX, SEEK_PAST_MS, SENSOR_COUNT_MAX};
pub use rerun::{Replay, Replayed, Rerun};
