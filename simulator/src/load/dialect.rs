//! What a server must be spoken to in, as far as load is concerned; one for each kind of server.

use std::net::TcpStream;
use std::ops::Range;

/// Bits of a value that count the samples of a sensor, modulo 2^18: at 1,000 a second, four
/// minutes until the count returns.
const COUNT_BITS: u32 = 18;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// What a sample says: when it was sent, and how many before it. Fits the 49 bits of an integer
/// cell for 35 minutes, so that servers keep it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Since the run began.
    pub micros: u64,
    /// Modulo 2^18.
    pub count: u64,
}

impl Stamp {
    pub fn value(self) -> u64 {
        self.micros << COUNT_BITS | self.count & COUNT_MASK
    }

    pub fn from_value(value: u64) -> Self {
        Self { micros: value >> COUNT_BITS, count: value & COUNT_MASK }
    }

    /// How many counts lie between an earlier count and this one; negative if it is no later.
    pub fn after(self, earlier: u64) -> i64 {
        let ahead = self.count.wrapping_sub(earlier) & COUNT_MASK;
        if ahead > COUNT_MASK / 2 { ahead as i64 - (COUNT_MASK as i64 + 1) } else { ahead as i64 }
    }
}

/// One sample on its way out.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub sensor: usize,
    pub value: u64,
    pub unix_ms: i64,
}

/// Something a viewer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A live sample.
    Sample { sensor: usize, value: u64 },
    /// A sample of the past, as a beginning.
    Seed { sensor: usize, value: u64 },
    /// The server says that so many were lost to this viewer.
    Missed(u64),
}

/// The language of one kind of server. Opening may block; the sockets are made non-blocking
/// afterwards.
pub trait Dialect: Sync {
    /// Connects a device for these sensors and waits until the server has taken it.
    fn open_device(&self, device: usize, sensors: Range<usize>) -> Result<TcpStream, String>;
    /// Adds the bytes of these samples of one device to `wire`.
    fn write(&self, samples: &[Sample], wire: &mut Vec<u8>);
    /// Adds the bytes of a sign of life.
    fn heartbeat(&self, wire: &mut Vec<u8>);
    /// Connects a viewer to these sensors.
    fn open_viewer(&self, viewer: usize, sensors: &[usize]) -> Result<TcpStream, String>;
    /// An ear for one viewer's connection.
    fn ear(&self) -> Box<dyn Ear>;
}

/// Makes sense of what one viewer receives.
pub trait Ear: Send {
    /// Takes whole messages from the beginning of `wire`, tells each to `heard` and returns how
    /// many bytes they were.
    fn hear(&mut self, wire: &[u8], heard: &mut dyn FnMut(Heard)) -> Result<usize, String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_back_and_counts_around() {
        let stamp = Stamp { micros: 600_000_000, count: 5 };
        assert_eq!(Stamp::from_value(stamp.value()), stamp);
        assert!(Stamp { micros: 2_000_000_000, count: COUNT_MASK }.value() < 1 << 49);
        assert_eq!(stamp.after(4), 1);
        assert_eq!(stamp.after(5), 0);
        assert_eq!(stamp.after(7), -2);
        assert_eq!(Stamp { micros: 0, count: 0 }.after(COUNT_MASK), 1);
    }
}
