//! Made-up people and the devices on them, real recordings played back, and load.

pub mod activity;
mod address;
pub mod audience;
mod batcher;
pub mod breath;
pub mod cadence;
pub mod calendar;
mod chance;
pub mod cli;
pub mod crowd;
mod csv;
pub mod ecg;
pub mod exchange;
pub mod fault;
pub mod fleet;
pub mod histogram;
pub mod load;
mod math;
pub mod nearest;
mod page;
mod period;
pub mod person;
mod play;
pub mod record;
pub mod recording;
pub mod replay;
pub mod rhythm;
pub mod scenario;
pub mod signal;
pub mod sim;
pub mod simulate;
#[cfg(test)]
mod spectrum;
pub mod stage;
pub mod swarm;
pub mod synchrony;

pub use address::Address;
