//! The doors: sockets, HTTP, the clock, the pump.

pub mod clock;
pub mod intake;
pub mod mail;
pub mod outbox;
pub mod pump;
pub mod roster;
pub mod viewer;
