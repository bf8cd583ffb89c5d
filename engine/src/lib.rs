//! The engine's door: `tick(now, inputs) -> deliveries`.

pub use components::command::{Command, Inputs};
pub use components::delivery::{Deliveries, Notice};
pub use components::sample::EngineTime;

/// What an operator may set.
#[derive(Debug, Clone, Default)]
pub struct EngineConfig {}

/// The world, and one way in. Being built: the signatures below are final.
#[derive(Debug, Default)]
pub struct Engine {
    deliveries: Deliveries,
}

impl Engine {
    pub fn new(_config: EngineConfig) -> Self {
        Self::default()
    }

    /// One step. `now` never goes back. Takes what is in `inputs` and leaves it empty, with its
    /// room. What is returned is good until the next call.
    pub fn tick(&mut self, _now: EngineTime, inputs: &mut Inputs) -> &Deliveries {
        inputs.commands.clear();
        inputs.samples.clear();
        self.deliveries.clear();
        &self.deliveries
    }
}
