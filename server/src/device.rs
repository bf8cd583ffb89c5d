//! The device desk: gives out feeds, and carries the engine's words about them to their sockets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use components::budget::Pacing;
use components::command::{Command, SensorCard};
use components::delivery::{Notice, Refusal};
use components::id::{FeedId, Handles};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::intake::Intake;
use crate::pump::NoticeSink;
use crate::viewer::Kicked;

/// Words from other tasks that may wait for one socket: each of its thousand topics opened,
/// paced and refused, and some to spare.
pub const EVENT_COUNT_MAX: usize = 4096;

/// A word for one socket's channels.
#[derive(Debug)]
pub enum SocketEvent {
    Opened {
        feed: FeedId,
        pacing: Pacing,
    },
    Refused {
        feed: FeedId,
        refusal: Refusal,
    },
    Paced {
        feed: FeedId,
        pacing: Pacing,
    },
    AttributeRefused {
        feed: FeedId,
        attribute_id: Box<str>,
    },
    /// A viewer's word to the device.
    Told {
        feed: FeedId,
        words: Arc<str>,
    },
    /// An answer that waited for its command to have its effect.
    Answered {
        frame: Message,
    },
    /// Whoever let it in does not any more.
    Ended {
        feed: FeedId,
    },
    /// The channel with this serial number is to end.
    Kicked {
        serial: u64,
        why: Kicked,
    },
}

/// The writing end of a socket's events. A socket that falls behind is marked, and goes.
#[derive(Debug, Clone)]
pub struct Events {
    sender: mpsc::Sender<SocketEvent>,
    overrun: Arc<AtomicBool>,
}

impl Events {
    pub fn new() -> (Self, mpsc::Receiver<SocketEvent>) {
        let (sender, receiver) = mpsc::channel(EVENT_COUNT_MAX);
        (Self { sender, overrun: Arc::default() }, receiver)
    }

    pub fn send(&self, event: SocketEvent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(event) {
            self.overrun.store(true, Ordering::Relaxed);
        }
    }

    /// A word was lost: what the socket knows can no longer be trusted.
    pub fn overrun(&self) -> bool {
        self.overrun.load(Ordering::Relaxed)
    }
}

/// Why no feed is given out. Names as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// As many feeds are out as may be.
    TooManyFeeds,
    /// The engine does not keep up.
    Busy,
}

impl OpenError {
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooManyFeeds => "too_many_feeds",
            Self::Busy => "busy",
        }
    }
}

#[derive(Debug)]
pub struct DeviceDesk {
    intake: Arc<Intake>,
    feed_count_max: usize,
    desk: Mutex<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    handles: Handles,
    /// Handles of the process before, beyond those that may be out.
    adopted: usize,
    /// By slot of the handle.
    seats: Vec<Option<Seat>>,
}

#[derive(Debug)]
struct Seat {
    feed: FeedId,
    events: Events,
}

impl DeviceDesk {
    pub fn new(intake: Arc<Intake>, feed_count_max: usize) -> Self {
        Self { intake, feed_count_max, desk: Mutex::default() }
    }

    /// Opens a feed. The engine's answer comes as [`SocketEvent::Opened`] or
    /// [`SocketEvent::Refused`].
    pub fn open(
        &self,
        card: SensorCard,
        owner: Arc<str>,
        events: &Events,
    ) -> Result<FeedId, OpenError> {
        let mut desk = self.lock();
        let limit = self.feed_count_max.saturating_add(desk.adopted);
        let handle = desk.handles.take(limit).ok_or(OpenError::TooManyFeeds)?;
        let feed = FeedId(handle);
        let command = Command::OpenFeed { feed, card: Box::new(card), owner };
        if self.intake.command(command).is_err() {
            desk.handles.give_back(handle);
            return Err(OpenError::Busy);
        }
        let slot = handle.slot as usize;
        if desk.seats.len() <= slot {
            desk.seats.resize_with(slot + 1, || None);
        }
        desk.seats[slot] = Some(Seat { feed, events: events.clone() });
        Ok(feed)
    }

    /// Keeps the first handles for feeds of the process before, until the engine has closed them; they
    /// keep nobody out.
    pub fn adopt(&self, count: usize) {
        let mut desk = self.lock();
        desk.adopted = count;
        for _ in 0..count {
            desk.handles.take(usize::MAX);
        }
    }

    /// A feed for a source within the process, which opens it itself and listens to the engine
    /// by itself.
    pub fn reserve(&self) -> Option<FeedId> {
        let mut desk = self.lock();
        let limit = self.feed_count_max.saturating_add(desk.adopted);
        desk.handles.take(limit).map(FeedId)
    }

    /// Closes a feed. Its socket hears no more of it; its handle is used again once the engine
    /// is done with it.
    pub fn close(&self, feed: FeedId) {
        // Refused in the meantime: the handle is back, and may already be another's.
        if self.lock().unseat(feed) {
            self.intake.farewell(Command::CloseFeed { feed });
        }
    }

    /// Closes a feed whose socket has not asked for it, and tells it.
    pub fn revoke(&self, feed: FeedId) {
        self.tell(feed, || SocketEvent::Ended { feed });
        self.close(feed);
    }

    /// Carries a word of the engine to the socket it concerns.
    pub fn notice(&self, notice: &Notice) {
        match *notice {
            Notice::FeedOpened { feed, pacing } => {
                self.tell(feed, || SocketEvent::Opened { feed, pacing });
            }
            Notice::FeedRefused { feed, refusal } => {
                self.tell(feed, || SocketEvent::Refused { feed, refusal });
                self.end(feed);
            }
            Notice::FeedClosed { feed } => self.end(feed),
            Notice::Paced { feed, pacing } => {
                self.tell(feed, || SocketEvent::Paced { feed, pacing });
            }
            Notice::DeviceTold { feed, ref words } => {
                self.tell(feed, || SocketEvent::Told { feed, words: Arc::clone(words) });
            }
            Notice::AttributeRefused { feed, ref attribute_id } => {
                self.tell(feed, || SocketEvent::AttributeRefused {
                    feed,
                    attribute_id: attribute_id.clone(),
                });
            }
            _ => {}
        }
    }

    /// Feeds that are out, those the engine has yet to let go included.
    pub fn feed_count(&self) -> usize {
        self.lock().handles.count()
    }

    fn tell(&self, feed: FeedId, event: impl FnOnce() -> SocketEvent) {
        let desk = self.lock();
        if let Some(Some(seat)) = desk.seats.get(feed.0.slot as usize)
            && seat.feed == feed
        {
            seat.events.send(event());
        }
    }

    fn end(&self, feed: FeedId) {
        let mut desk = self.lock();
        desk.unseat(feed);
        desk.handles.give_back(feed.0);
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NoticeSink for DeviceDesk {
    fn notice(&self, notice: &Notice) {
        Self::notice(self, notice);
    }
}

impl Desk {
    /// Whether it sat there.
    fn unseat(&mut self, feed: FeedId) -> bool {
        match self.seats.get_mut(feed.0.slot as usize) {
            Some(seat) if seat.as_ref().is_some_and(|seat| seat.feed == feed) => {
                *seat = None;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use components::attention::Level;
    use components::command::Inputs;
    use components::load::Load;

    #[test]
    fn a_feed_hears_of_itself_until_it_closes_and_its_handle_returns_when_the_engine_is_done() {
        let intake = Arc::new(Intake::default());
        let desk = DeviceDesk::new(Arc::clone(&intake), 1);
        let (events, mut heard) = Events::new();
        let feed = desk.open(SensorCard::default(), "a".into(), &events).unwrap();
        assert_eq!(
            desk.open(SensorCard::default(), "a".into(), &events),
            Err(OpenError::TooManyFeeds)
        );
        let pacing = Pacing::of(Level::High, Load::default());
        let paced = Notice::Paced { feed, pacing };
        desk.notice(&paced);
        assert!(
            matches!(heard.try_recv(), Ok(SocketEvent::Paced { pacing: p, .. }) if p == pacing)
        );
        desk.close(feed);
        desk.notice(&paced);
        assert!(heard.try_recv().is_err());
        assert_eq!(desk.feed_count(), 1);
        desk.notice(&Notice::FeedClosed { feed });
        assert_eq!(desk.feed_count(), 0);
        let mut inputs = Inputs::default();
        intake.take(&mut inputs);
        assert!(matches!(
            inputs.commands[..],
            [Command::OpenFeed { .. }, Command::CloseFeed { .. }]
        ));
        let next = desk.open(SensorCard::default(), "a".into(), &events).unwrap();
        assert_ne!(next, feed, "a late word about the old feed is not about the new");
    }

    #[test]
    fn a_reserved_feed_returns_when_the_engine_refuses_it() {
        let desk = DeviceDesk::new(Arc::new(Intake::default()), 2);
        let (kept, refused) = (desk.reserve().unwrap(), desk.reserve().unwrap());
        assert_eq!(desk.reserve(), None);
        desk.notice(&Notice::FeedRefused { feed: refused, refusal: Refusal::NotOwner });
        assert_eq!(desk.feed_count(), 1, "{kept:?} is still out");
    }

    #[test]
    fn a_feed_that_was_refused_is_not_closed_as_well() {
        let intake = Arc::new(Intake::default());
        let desk = DeviceDesk::new(Arc::clone(&intake), 1);
        let (events, _heard) = Events::new();
        let feed = desk.open(SensorCard::default(), "a".into(), &events).unwrap();
        desk.notice(&Notice::FeedRefused { feed, refusal: Refusal::NotOwner });
        desk.close(feed);
        let mut inputs = Inputs::default();
        intake.take(&mut inputs);
        assert!(matches!(inputs.commands[..], [Command::OpenFeed { .. }]));
    }

    #[test]
    fn a_socket_that_does_not_listen_is_marked() {
        let (events, _heard) = Events::new();
        for serial in 0..EVENT_COUNT_MAX as u64 {
            events.send(SocketEvent::Kicked { serial, why: Kicked::Deleted });
        }
        assert!(!events.overrun());
        events.send(SocketEvent::Kicked { serial: 0, why: Kicked::Deleted });
        assert!(events.overrun());
    }
}
