//! The one clock of the server, or one that a test makes up.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use components::sample::EngineTime;

/// One look at the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Since the server began, or the one whose world it goes on with; never goes back.
    pub engine: EngineTime,
    pub unix_ms: i64,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// The machine's. Engine time begins now.
    pub fn system() -> Self {
        Self::system_from(EngineTime(0))
    }

    /// The machine's; it is `engine` now.
    pub fn system_from(engine: EngineTime) -> Self {
        let began = Instant::now();
        Self(Arc::new(move || Now {
            engine: EngineTime(engine.0 + began.elapsed().as_micros() as u64),
            unix_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as i64),
        }))
    }

    pub fn made_up(now: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Now {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}
