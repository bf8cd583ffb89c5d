//! The words of the outside world, and nothing of the world itself: bytes in, data out.

pub mod device;
pub mod phoenix;
pub mod push;
pub mod viewer;
