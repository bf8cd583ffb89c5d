//! Feature tests: one module per feature, in the words of [`tests::Lab`].

mod attention;
mod determinism;
mod lenses;
mod recording;
mod rings;
mod roll_call;
mod sensors;
mod snapshot;
mod swarm;
