//! Made-up people and the devices on them, real recordings played back, and load.

pub mod breath;
mod chance;
pub mod ecg;
pub mod fleet;
pub mod person;
pub mod rhythm;
pub mod scenario;
