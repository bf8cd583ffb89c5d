//! Feature tests: one module per feature, in the words of [`tests::Lab`].

mod attention;
mod budget;
mod determinism;
mod devices;
mod lenses;
mod recording;
mod rings;
mod sensors;
mod snapshot;
mod swarm;
