//! Who looks: from what viewers say to the level of every sensor and attribute.

pub mod claims;
pub mod grant;
pub mod levels;
