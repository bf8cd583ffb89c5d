//! What a tick gives back: slices of streams for viewers, and notices for doors.
//!
//! A slice is taken from its ring once per tick, however many viewers asked for it; a flush is a
//! list of slices. The doors encode each slice once and join the pieces.

use std::sync::Arc;

use crate::attention::Level;
use crate::attribute::AttributeType;
use crate::budget::{Grant, Pacing};
use crate::cell::{Cell, Leaf};
use crate::class::Class;
use crate::command::SensorCard;
use crate::group::{BeatFound, GroupNews, HeartReading, MemberState, PairReading, Reading};
use crate::id::{FeedId, GroupId, StreamId, ViewerId};
use crate::load::Load;
use crate::pressure::Resource;
use crate::sample::{EngineTime, Text, Timestamp};
use crate::shape::Shape;
use crate::supervision::SystemHealth;

/// Who a stream is. Fixed at its first sample.
#[derive(Debug)]
pub struct StreamCard {
    pub stream: StreamId,
    pub sensor_id: Arc<str>,
    pub attribute_id: Arc<str>,
    pub kind: AttributeType,
    /// Hz, as declared.
    pub rate_hz: Option<f64>,
    pub shape: Arc<Shape>,
}

/// In what form a stream is delivered to a viewer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// Every sample.
    Raw,
    /// The newest only.
    Latest,
    /// A [`Digest`] and the newest.
    Digest,
    /// The past from the ring, on arrival; the live forms go on at its `to`.
    Seed,
}

/// What happened since the last flush, in five figures. `reference/core.md` 9.3.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Digest {
    /// Samples covered, numeric or not.
    pub count: u64,
    /// Over the numeric samples; `None` when there was none.
    pub numbers: Option<DigestNumbers>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DigestNumbers {
    pub avg: f64,
    pub min: f64,
    pub max: f64,
}

/// A run of one stream: samples `from..to` by push count.
#[derive(Debug)]
pub struct Slice {
    pub card: Arc<StreamCard>,
    pub form: Form,
    /// Push count of the first sample covered.
    pub from: u64,
    /// Push count behind the last sample covered. The next slice of a regular viewer begins here.
    pub to: u64,
    /// Samples right before `from` that had aged out before this viewer could have them.
    pub missed: u64,
    pub digest: Option<Digest>,
    /// Samples carried: `to - from` of them when raw or seed, one when latest or digest.
    pub count: u32,
    /// Where its timestamps begin in [`Deliveries::timestamps`], its cells in
    /// [`Deliveries::cells`].
    pub timestamps_at: u32,
    pub cells_at: u32,
}

/// What one viewer gets this tick.
#[derive(Debug, Clone)]
pub struct Flush {
    pub viewer: ViewerId,
    /// Indices into [`Deliveries::slices`], at `parts_at..parts_at + part_count` of
    /// [`Deliveries::parts`].
    pub parts_at: u32,
    pub part_count: u32,
}

/// One sample that is followed on its way: marked as it came in, to be looked for in the slices of
/// this tick and the next ones. Its id is the stream and the push count, and no other sample's.
#[derive(Debug, Clone)]
pub struct Probe {
    pub card: Arc<StreamCard>,
    /// Its push count is one less than the ring's was with it.
    pub at: u64,
    /// As the device gave it.
    pub timestamp: Timestamp,
}

impl Probe {
    pub fn class(&self) -> Class {
        self.card.kind.class()
    }

    /// Whether it is among what this slice covers.
    pub fn is_in(&self, slice: &Slice) -> bool {
        slice.card.stream == self.card.stream && (slice.from..slice.to).contains(&self.at)
    }
}

/// Everything a tick gives back. Used again from tick to tick.
#[derive(Debug, Default)]
pub struct Deliveries {
    pub slices: Vec<Slice>,
    pub timestamps: Vec<Timestamp>,
    pub cells: Vec<u64>,
    /// What the text cells refer to.
    pub texts: Vec<Text>,
    pub parts: Vec<u32>,
    pub flushes: Vec<Flush>,
    pub notices: Vec<Notice>,
    /// Samples to follow, of those that came in with this tick: at most one of each class.
    pub probes: Vec<Probe>,
    /// What there is to say of groups, and what it refers to.
    pub groups: Vec<GroupNews>,
    pub readings: Vec<Reading>,
    pub states: Vec<MemberState>,
    /// Beside each state, what the member's signal was then: the cell of the common grid, in the
    /// signal's own unit, or milliseconds between beats. NaN where there is none.
    pub values: Vec<f64>,
    pub pairs: Vec<PairReading>,
    pub hearts: Vec<HeartReading>,
    pub beats: Vec<BeatFound>,
    pub watchers: Vec<ViewerId>,
}

impl Deliveries {
    pub fn clear(&mut self) {
        self.slices.clear();
        self.timestamps.clear();
        self.cells.clear();
        self.texts.clear();
        self.parts.clear();
        self.flushes.clear();
        self.notices.clear();
        self.probes.clear();
        self.groups.clear();
        self.readings.clear();
        self.states.clear();
        self.values.clear();
        self.pairs.clear();
        self.hearts.clear();
        self.beats.clear();
        self.watchers.clear();
    }

    /// The readings of one group, oldest first, each with the states of all members.
    pub fn readings_of<'a>(
        &'a self,
        news: &GroupNews,
    ) -> impl Iterator<Item = (&'a Reading, &'a [MemberState])> + 'a {
        let (readings_at, states_at) = (news.readings_at as usize, news.states_at as usize);
        let members = news.member_count as usize;
        (0..news.reading_count as usize).map(move |index| {
            let states_at = states_at + index * members;
            (&self.readings[readings_at + index], &self.states[states_at..states_at + members])
        })
    }

    /// The signals of all members at each of [`readings_of`](Self::readings_of), one instant behind
    /// the other.
    pub fn values_of(&self, news: &GroupNews) -> &[f64] {
        let at = news.states_at as usize;
        &self.values[at..at + (news.reading_count * news.member_count) as usize]
    }

    pub fn pairs_of(&self, news: &GroupNews) -> &[PairReading] {
        let at = news.pairs_at as usize;
        &self.pairs[at..at + news.pair_count as usize]
    }

    pub fn hearts_of(&self, news: &GroupNews) -> &[HeartReading] {
        let at = news.hearts_at as usize;
        &self.hearts[at..at + news.heart_count as usize]
    }

    pub fn beats_of(&self, news: &GroupNews) -> &[BeatFound] {
        let at = news.beats_at as usize;
        &self.beats[at..at + news.beat_count as usize]
    }

    /// Whom the news of a group are for.
    pub fn watchers_of(&self, news: &GroupNews) -> &[ViewerId] {
        let at = news.watchers_at as usize;
        &self.watchers[at..at + news.watcher_count as usize]
    }

    /// The slices of one flush.
    pub fn slices_of<'a>(&'a self, flush: &Flush) -> impl Iterator<Item = &'a Slice> + 'a {
        let start = flush.parts_at as usize;
        self.parts[start..start + flush.part_count as usize]
            .iter()
            .map(|&part| &self.slices[part as usize])
    }

    /// The samples of one slice, oldest first.
    pub fn samples_of<'a>(&'a self, slice: &'a Slice) -> impl Iterator<Item = SampleView<'a>> + 'a {
        let width = slice.card.shape.width();
        (0..slice.count as usize).map(move |index| {
            let cells_at = slice.cells_at as usize + index * width;
            SampleView {
                timestamp: self.timestamps[slice.timestamps_at as usize + index],
                shape: &slice.card.shape,
                cells: &self.cells[cells_at..cells_at + width],
                texts: &self.texts,
            }
        })
    }
}

/// One delivered sample.
#[derive(Clone, Copy, Debug)]
pub struct SampleView<'a> {
    pub timestamp: Timestamp,
    pub shape: &'a Shape,
    pub cells: &'a [u64],
    texts: &'a [Text],
}

impl<'a> SampleView<'a> {
    /// The sample's text, if it is kept as text.
    pub fn text(&self) -> Option<&'a Text> {
        match Cell(*self.cells.first()?).leaf() {
            Leaf::Text(n) => Some(&self.texts[n as usize]),
            _ => None,
        }
    }

    /// The number, when the sample is a bare one.
    pub fn number(&self) -> Option<f64> {
        if self.shape.is_scalar() { Cell(self.cells[0]).number() } else { None }
    }

    /// Writes the payload as JSON.
    pub fn write_payload(&self, out: &mut Vec<u8>) {
        match self.text() {
            Some(text) => out.extend_from_slice(text.payload().as_bytes()),
            None => self.shape.write_json(self.cells, out),
        }
    }
}

/// Why a feed was not opened. Names as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The sensor id belongs to another account.
    NotOwner,
    /// Names beginning with `__` are the platform's.
    ReservedName,
    /// The server holds as many sensors as it may.
    TooManySensors,
    /// The engine panicked over it.
    Fault,
}

impl Refusal {
    pub fn name(self) -> &'static str {
        match self {
            Self::NotOwner => "not_owner",
            Self::ReservedName => "reserved_name",
            Self::TooManySensors => "too_many_sensors",
            Self::Fault => "internal_error",
        }
    }
}

/// A word from the engine to its doors. Past facts, in the order they happened.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The feed's sensor is there. Its device should hear this pacing.
    FeedOpened {
        feed: FeedId,
        pacing: Pacing,
    },
    FeedRefused {
        feed: FeedId,
        refusal: Refusal,
    },
    /// Nothing of the feed is left; its handle may be used again.
    FeedClosed {
        feed: FeedId,
    },
    /// The sensor's attention or the budget changed: the device should hear this pacing.
    Paced {
        feed: FeedId,
        pacing: Pacing,
    },
    /// A viewer's word to the device behind the feed: the JSON of a `device_command`.
    DeviceTold {
        feed: FeedId,
        words: Arc<str>,
    },
    /// The feed declared one attribute too many
    /// ([`SENSOR_ATTRIBUTE_COUNT_MAX`](crate::limits::SENSOR_ATTRIBUTE_COUNT_MAX)).
    AttributeRefused {
        feed: FeedId,
        attribute_id: Box<str>,
    },

    SensorCame {
        card: Arc<SensorCard>,
    },
    AttributeCame {
        sensor_id: Arc<str>,
        attribute_id: Arc<str>,
        kind: AttributeType,
        rate_hz: Option<f64>,
    },
    AttributeGone {
        sensor_id: Arc<str>,
        attribute_id: Arc<str>,
    },
    ConnectorRenamed {
        sensor_id: Arc<str>,
        connector_name: Arc<str>,
    },
    SensorGone {
        sensor_id: Arc<str>,
    },
    LevelChanged {
        sensor_id: Arc<str>,
        level: Level,
    },

    /// The machine is pressed more, or less.
    LoadChanged {
        load: Load,
        /// What is pressed hardest; nothing when the load was made up.
        by: Option<Resource>,
    },
    /// Something watched is unlike its own past.
    Novelty {
        sensor_id: Arc<str>,
        attribute_id: Arc<str>,
        /// In standard deviations as the original counted them: 3 is the threshold.
        z: f64,
        /// How long it is delivered whole.
        boost_ms: u64,
    },
    /// From now on the viewer is served so.
    QualityGranted {
        viewer: ViewerId,
        grant: Grant,
    },
    /// There are as many groups as there may be.
    GroupRefused {
        group: GroupId,
    },
    /// Who is in the group, in the order of their states; told when somebody begins to watch and
    /// when it changes.
    GroupMembers {
        group: GroupId,
        sensor_ids: Arc<[Arc<str>]>,
        /// Sensors for which there was no room.
        left_out: u32,
    },
    /// Nothing of the group is left; its handle may be used again.
    GroupClosed {
        group: GroupId,
    },

    /// Nothing of the viewer is left; its handle may be used again.
    ViewerClosed {
        viewer: ViewerId,
        why: ViewerEnd,
    },

    /// The system panicked and begins anew: what it was at in this tick is lost, and counted.
    SystemRestarted {
        system: &'static str,
        message: Arc<str>,
    },
    /// It panicked too often (see [`Intensity`](crate::supervision::Intensity)), and is left out
    /// until then.
    SystemOff {
        system: &'static str,
        until: EngineTime,
    },
    /// It is tried again.
    SystemOn {
        system: &'static str,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ViewerEnd {
    /// Its door closed it.
    Left,
    /// Its lease ran out: no sign of life from its connection.
    LeaseOver,
    /// The engine panicked over it, twice or over one of its words. It may come again.
    Fault,
}

/// What a tick cost and what the world holds, for whoever watches the machine.
#[derive(Debug, Default, Clone)]
pub struct TickReport {
    pub tick: u64,
    /// Nanoseconds each system took in this tick, in the order they ran; zeros when the door gave
    /// no stopwatch.
    pub systems: Vec<(&'static str, u64)>,
    /// How each of them is faring, in the same order.
    pub health: Vec<SystemHealth>,
    pub sensor_count: usize,
    pub viewer_count: usize,
    /// Rooms that somebody looks into.
    pub room_count: usize,
    /// Bytes held by all rings.
    pub ring_bytes: i64,
    /// Samples in the store: received at the door, kept in rings, dropped by reason.
    pub store: crate::ledger::Ledger,
    /// Samples on their way to viewers, without what waits: see `Engine::audit` for the whole.
    pub lens: crate::ledger::Ledger,
}
