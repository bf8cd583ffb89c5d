//! What became of every sample, so that nothing is ever lost in silence.
//!
//! The law, checked after every tick in every test:
//! `received = delivered + coalesced + dropped(by reason) + kept`.
//!
//! It is kept three times. In the server's **door** ledger a sample is received as its message has
//! been read, kept while it waits for a tick, and delivered when a tick is given it. In the
//! **store** ledger a sample is received once, with what the door dropped; it is kept while it is
//! in a ring, and leaves it for a reason. In the **lens** ledger a sample is received once for
//! every viewer it was meant for; it is kept while it waits in a ring ahead of that viewer's
//! cursor.

/// Why a sample went no further. Names as in `/metrics`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Reason {
    /// Store: older than the ring's limits. The ordinary end of a sample.
    Aged,
    /// Store: the load or the memory budget made the ring shorter.
    Trimmed,
    /// Store: its sensor left.
    SensorGone,
    /// Store: it named a feed or attribute that is not (or no longer) open.
    UnknownFeed,
    /// Store: its class's queue at the door was full.
    IntakeFull,
    /// Store: its connection, sensor or address sent faster than it may.
    RateLimited,
    /// Store: under pressure, its device sent more often than it was asked to.
    Paced,
    /// Store: its class had sent its share of what the machine carries.
    Shed,
    /// Lens: it aged out of the ring before this viewer's next flush.
    Overrun,
    /// Lens: the viewer had paused (hidden tab, quality `paused`).
    Paused,
    /// Lens: the viewer left before it was sent, or no longer asks for the sensor.
    ViewerGone,
    /// Both: a system panicked over it.
    Fault,
}

impl Reason {
    pub const COUNT: usize = 12;
    pub const ALL: [Self; Self::COUNT] = [
        Self::Aged,
        Self::Trimmed,
        Self::SensorGone,
        Self::UnknownFeed,
        Self::IntakeFull,
        Self::RateLimited,
        Self::Paced,
        Self::Shed,
        Self::Overrun,
        Self::Paused,
        Self::ViewerGone,
        Self::Fault,
    ];

    /// Those that a door gives before the engine has seen the sample.
    pub const OF_DOOR: [Self; 4] = [Self::IntakeFull, Self::RateLimited, Self::Paced, Self::Shed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Aged => "aged",
            Self::Trimmed => "trimmed",
            Self::SensorGone => "sensor_gone",
            Self::UnknownFeed => "unknown_feed",
            Self::IntakeFull => "intake_full",
            Self::RateLimited => "rate_limited",
            Self::Paced => "paced",
            Self::Shed => "shed",
            Self::Overrun => "overrun",
            Self::Paused => "paused",
            Self::ViewerGone => "viewer_gone",
            Self::Fault => "fault",
        }
    }
}

/// Counts of samples, running totals since the engine began.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Ledger {
    pub received: u64,
    pub delivered: u64,
    /// Stood in for by a later sample (latest-only streams) or by a digest.
    pub coalesced: u64,
    pub dropped: [u64; Reason::COUNT],
    pub kept: u64,
}

impl Ledger {
    pub fn drop(&mut self, reason: Reason, count: u64) {
        self.dropped[reason as usize] += count;
    }

    pub fn dropped(&self, reason: Reason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Adds what another has counted apart.
    pub fn add(&mut self, part: &Self) {
        self.received += part.received;
        self.delivered += part.delivered;
        self.coalesced += part.coalesced;
        self.kept += part.kept;
        for (whole, part) in self.dropped.iter_mut().zip(part.dropped) {
            *whole += part;
        }
    }

    /// Takes back what [`add`](Self::add) added.
    pub fn take_back(&mut self, part: &Self) {
        self.received -= part.received;
        self.delivered -= part.delivered;
        self.coalesced -= part.coalesced;
        self.kept -= part.kept;
        for (whole, part) in self.dropped.iter_mut().zip(part.dropped) {
            *whole -= part;
        }
    }

    /// After a panic, when what was under way is known only by what is missing: makes the law hold
    /// again. What was received and is nowhere is dropped as a [`Fault`](Reason::Fault); what is
    /// there and was not counted was received.
    pub fn settle(&mut self) {
        match self.unexplained() {
            lost @ 1.. => self.drop(Reason::Fault, lost.unsigned_abs()),
            uncounted => self.received += uncounted.unsigned_abs(),
        }
    }

    /// What the law leaves unexplained. Anything but zero is our bug.
    pub fn unexplained(&self) -> i64 {
        let explained =
            self.delivered + self.coalesced + self.dropped.iter().sum::<u64>() + self.kept;
        self.received as i64 - explained as i64
    }
}
