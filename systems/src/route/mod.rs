//! Who gets what: each viewer, at its own cadence, from its own cursors.
//!
//! Viewers of one quality flush in the same tick, so what several of them want alike is cut from
//! its ring once ([`cut`]). Choosing reads only; it runs in parallel over viewers.

pub mod choose;
pub mod cursors;
pub mod cut;
