//! What happens within a tick.
