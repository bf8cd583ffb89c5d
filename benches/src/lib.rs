//! Measuring, as ratios in one run: the machine's mood cancels out.

pub mod bio;
pub mod fan_out;
pub mod history;
pub mod intake;
pub mod recording;
pub mod search;
pub mod sense;
pub mod snapshot;
pub mod store;
pub mod tick;
pub mod wire;
