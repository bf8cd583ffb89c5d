//! The doors: sockets, HTTP, the clock, the pump.

pub mod clock;
pub mod intake;
pub mod outbox;
