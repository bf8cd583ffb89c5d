//! Feature tests: one module per feature, in the words of [`tests::Lab`].

mod attention;
mod bio;
mod budget;
mod determinism;
mod devices;
mod groups;
#[cfg(feature = "faults")]
mod isolation;
mod lenses;
mod recording;
mod resume;
mod rings;
mod rooms;
mod sensors;
mod snapshot;
mod swarm;
mod synchrony;
