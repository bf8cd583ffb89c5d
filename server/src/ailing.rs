//! What the engine says of systems that panic: kept for `/health/ready`, and logged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use components::delivery::Notice;

use crate::complaints::Complaints;

/// Every system that has panicked since the server began.
#[derive(Debug, Default)]
pub struct Ailing {
    systems: Mutex<BTreeMap<&'static str, Ailment>>,
    complaints: Complaints,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ailment {
    pub panics: u64,
    pub off: bool,
    /// What it said last.
    pub message: Arc<str>,
}

impl Ailing {
    /// A word of the engine; most are about something else.
    pub fn hear(&self, notice: &Notice) {
        match notice {
            Notice::SystemRestarted { system, message } => {
                let panics = self.change(system, |ailment| {
                    ailment.panics += 1;
                    ailment.message = Arc::clone(message);
                    ailment.panics
                });
                if let Some(unsaid) = self.complaints.may(Instant::now()) {
                    let said = &**message;
                    tracing::error!(system, said, panics, unsaid, "a system panicked; it goes on");
                }
            }
            Notice::SystemOff { system, until } => {
                self.change(system, |ailment| ailment.off = true);
                let until_ms = until.0 / 1000;
                tracing::error!(system, until_ms, "a system panics too often; it is left out");
            }
            Notice::SystemOn { system } => {
                self.change(system, |ailment| ailment.off = false);
                tracing::warn!(system, "a system that panicked is tried again");
            }
            _ => {}
        }
    }

    fn change<R>(&self, system: &'static str, with: impl FnOnce(&mut Ailment) -> R) -> R {
        let mut systems = self.systems.lock().unwrap_or_else(PoisonError::into_inner);
        with(systems.entry(system).or_default())
    }

    pub fn list(&self) -> Vec<(&'static str, Ailment)> {
        let systems = self.systems.lock().unwrap_or_else(PoisonError::into_inner);
        systems.iter().map(|(system, ailment)| (*system, ailment.clone())).collect()
    }
}
