//! The engine's door: `tick(now, inputs) -> deliveries`.

pub use components::command::{Command, Inputs};
pub use components::delivery::{Deliveries, Notice};
