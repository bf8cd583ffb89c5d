//! The biological layer: what adapts, each for itself and on made-up time.

pub mod arbitration;
