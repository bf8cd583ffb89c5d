//! What the machine can bear: how long rings may be.

pub mod trim;
