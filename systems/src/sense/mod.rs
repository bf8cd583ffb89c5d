//! Rhythms of bodies, and how they lie to each other. Clockless: samples come with the time of
//! their device and the engine's time of arrival, and readings leave.
//!
//! The way of a sample: [`clock`] puts its time on the group's common clock, [`grid`] its value on
//! a grid of 10 Hz; [`spectrum`] finds the rhythm of the last minute and says how much it stands
//! out; [`phase`] filters the band around the group's own rhythm into phase, late by the tier's
//! latency; [`person`] holds all this and the reasons why there is none; [`ensemble`] reads the
//! group, [`kuramoto`] its order, [`pair`] and [`cluster`] what lies within. [`gather`] does all
//! this for the groups of the world that somebody watches.
//!
//! The method and what it was weighed against is in `reference/synchrony.md`.

pub mod chance;
pub mod clock;
pub mod cluster;
pub mod ensemble;
pub mod gather;
pub mod grid;
pub mod heart;
pub mod hindsight;
pub mod kuramoto;
pub mod pair;
pub mod person;
pub mod phase;
pub mod phasor;
pub mod significance;
mod spectrum;

#[cfg(test)]
mod tests;
