//! Made-up people, devices and viewers, and real recordings played back.

pub mod cli;
