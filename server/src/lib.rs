//! The doors: sockets, HTTP, the clock, the pump.

pub mod ages;
pub mod auth;
mod bucket;
mod channel;
pub mod clock;
pub mod config;
pub mod crowd;
pub mod device;
pub mod gather;
pub mod gauge;
pub mod health;
pub mod house;
pub mod http;
pub mod intake;
pub mod listen;
pub mod mail;
pub mod metrics;
mod orders;
pub mod origin;
pub mod outbox;
pub mod pump;
pub mod recorder;
pub mod roster;
pub mod simulator;
pub mod socket;
pub mod topics;
pub mod viewer;
