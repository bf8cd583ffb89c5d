//! Measuring, as ratios in one run: the machine's mood cancels out.

pub mod tick;
