//! Made-up people and the devices on them, real recordings played back, and load.

mod address;
mod batcher;
pub mod breath;
mod chance;
pub mod cli;
pub mod crowd;
mod csv;
pub mod ecg;
pub mod fault;
pub mod fleet;
pub mod histogram;
pub mod load;
pub mod person;
mod play;
pub mod record;
pub mod recording;
pub mod rhythm;
pub mod scenario;
pub mod stage;
pub mod swarm;

pub use address::Address;
