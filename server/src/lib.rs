//! The doors: sockets, HTTP, the clock, the pump.

pub mod outbox;
