//! The strict plane: words to the engine that are never dropped. A door that cannot enqueue one
//! tells its client why and lets it go.

use std::sync::Arc;

use crate::attention::Battery;
use crate::attribute::AttributeType;
use crate::class::Class;
use crate::group::GroupPlan;
use crate::id::{FeedId, GroupId, RoomId, ViewerId};
use crate::ledger::Reason;
use crate::load::Load;
use crate::pressure::{Pressures, SocketReport};
use crate::sample::SampleBatch;
use crate::viewer::QualityChoice;

/// Everything that comes into one tick.
#[derive(Debug, Default, Clone)]
pub struct Inputs {
    /// In the order they were given. Applied before the samples: a feed opened and a sample sent
    /// in the same tick find each other.
    pub commands: Vec<Command>,
    /// The lossy plane.
    pub samples: SampleBatch,
    /// Viewers whose mailbox is full: this tick delivers nothing to them, and their cursors wait.
    pub busy: Vec<ViewerId>,
    /// Samples that a door has already refused, by class and reason, since the last tick.
    pub refused: Vec<Refused>,
}

/// So many samples of a class, kept out for a reason.
pub type Refused = (Class, Reason, u64);

/// One word to the engine.
#[derive(Debug, Clone)]
pub enum Command {
    /// A device joins a sensor, which comes to be if it is not there. Answered by
    /// [`FeedOpened`](crate::delivery::Notice::FeedOpened) or
    /// [`FeedRefused`](crate::delivery::Notice::FeedRefused).
    OpenFeed {
        feed: FeedId,
        card: Box<SensorCard>,
        owner: Arc<str>,
    },
    /// The feed will speak of `attribute_id` as number `index`. The first declaration of an
    /// attribute fixes its type; a later one of the same id only maps the index.
    DeclareAttribute {
        feed: FeedId,
        index: u16,
        attribute_id: Box<str>,
        kind: AttributeType,
        /// Samples per second, if the device said so.
        rate_hz: Option<f64>,
    },
    /// `update_attributes` with `unregister`: the attribute and its ring go.
    ForgetAttribute {
        feed: FeedId,
        attribute_id: Box<str>,
    },
    RenameConnector {
        feed: FeedId,
        connector_name: Box<str>,
    },
    /// The device left. The sensor stays for the linger time, so that a device that returns
    /// finds it. Answered by [`FeedClosed`](crate::delivery::Notice::FeedClosed).
    CloseFeed {
        feed: FeedId,
    },
    /// The device left for good, as when a scenario is stopped: the feed closes within this tick,
    /// and if no other holds the sensor, the sensor goes with it instead of lingering. A feed that
    /// is closing already may be retired too.
    Retire {
        feed: FeedId,
    },

    OpenViewer {
        viewer: ViewerId,
        sensors: SensorSet,
        quality: QualityChoice,
    },
    SetSensors {
        viewer: ViewerId,
        sensors: SensorSet,
    },
    SetQuality {
        viewer: ViewerId,
        quality: QualityChoice,
    },
    /// Replaces everything this viewer claims. `None` as `visible` means: all of its sensors.
    Attend {
        viewer: ViewerId,
        attention: Box<Attention>,
    },
    /// The viewer's connection is alive.
    Renew {
        viewer: ViewerId,
    },
    /// A word to whatever device feeds the sensor, if the sensor is in the viewer's lens.
    /// `words` is the JSON of a `device_command`.
    TellDevice {
        viewer: ViewerId,
        sensor_id: Box<str>,
        words: Arc<str>,
    },
    CloseViewer {
        viewer: ViewerId,
    },

    /// What is measured in a room, which comes to be if it is not there. The lenses of all who look
    /// into it are on that from this tick on.
    SetRoom {
        room: RoomId,
        sensors: Arc<[Box<str>]>,
    },
    /// The viewer's lens is whatever is measured in the room, until it is told otherwise; nothing,
    /// if there is no such room.
    EnterRoom {
        viewer: ViewerId,
        room: RoomId,
    },
    /// Nobody is to look into the room any more: whoever does sees nothing from this tick on.
    CloseRoom {
        room: RoomId,
    },

    /// Makes a group. It lives while somebody watches it, and a little longer. Answered by
    /// [`GroupRefused`](crate::delivery::Notice::GroupRefused) if it cannot be.
    OpenGroup {
        group: GroupId,
        plan: Box<GroupPlan>,
    },
    /// The viewer wants the group's readings from now on. Answered by
    /// [`GroupMembers`](crate::delivery::Notice::GroupMembers).
    WatchGroup {
        viewer: ViewerId,
        group: GroupId,
    },
    UnwatchGroup {
        viewer: ViewerId,
        group: GroupId,
    },

    /// How its browser fares: 0 (about to give up) to 100 (`reference/core.md` 10).
    ReportHealth {
        viewer: ViewerId,
        score: u8,
    },
    /// What waits at viewers' sockets.
    ReportSockets(Box<[SocketReport]>),
    /// How hard the machine is pressed, as measured at the server's edge or made up.
    Press(Box<Pressures>),
    /// The load itself, for whoever makes one up: in force until the next [`Press`](Self::Press),
    /// which is judged from there.
    SetLoad(Load),
}

impl Command {
    /// A word of a device, or of whoever stands for one; the rest are viewers' and the house's.
    pub fn is_of_device(&self) -> bool {
        matches!(
            self,
            Self::OpenFeed { .. }
                | Self::DeclareAttribute { .. }
                | Self::ForgetAttribute { .. }
                | Self::RenameConnector { .. }
                | Self::CloseFeed { .. }
                | Self::Retire { .. }
        )
    }
}

/// What a device says about a sensor as it joins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SensorCard {
    pub sensor_id: Arc<str>,
    pub sensor_name: Arc<str>,
    pub sensor_type: Arc<str>,
    pub connector_id: Arc<str>,
    pub connector_name: Arc<str>,
    /// Hz, as declared. May be fractional, 0 when unknown.
    pub sampling_rate: f64,
}

/// Which sensors a lens is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SensorSet {
    /// Every sensor, those to come included.
    All,
    Ids(Vec<Box<str>>),
}

/// What one viewer looks at. One message says all of it; the engine finds the difference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attention {
    /// On screen; `None`: all the sensors of the lens.
    pub visible: Option<Vec<Box<str>>>,
    pub hovered: Vec<Target>,
    pub focused: Vec<Target>,
    pub pinned: Vec<Target>,
    /// The tab is hidden: nothing is delivered, only pins still claim.
    pub hidden: bool,
    pub battery: Battery,
}

/// A sensor, or one attribute of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub sensor_id: Box<str>,
    pub attribute_id: Option<Box<str>>,
}
