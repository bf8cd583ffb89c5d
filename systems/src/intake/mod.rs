//! What comes in: commands first, so that a sample finds the feed opened in the same tick.

pub mod commands;
pub mod fill;
pub(crate) mod rooms;
