//! Words waiting for one socket, bounded in count and bytes. Whoever finds it full keeps their
//! words (a viewer's cursor waits) or lets the client go; nothing here grows without end.
//!
//! Each message knows since when it waits, until the kernel has it: the age of what waits is how
//! well a viewer keeps up, and the server with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use tokio::sync::mpsc;

use crate::ages::Stamp;

/// Messages that may wait for one socket.
pub const OUTBOX_MESSAGE_COUNT_MAX: usize = 256;

/// Bytes that may wait for one socket.
pub const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug, Clone)]
pub enum Outgoing {
    Text(Utf8Bytes),
    Binary(Bytes),
    /// Close the socket with this code after what waits before it.
    Close(u16, &'static str),
}

impl Outgoing {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Close(..) => 0,
        }
    }
}

/// A message on its way.
#[derive(Debug, Clone)]
pub struct Letter {
    pub message: Outgoing,
    /// Since when it waits.
    pub queued: Instant,
    /// The followed samples it carries.
    pub stamps: Vec<Stamp>,
}

impl From<Outgoing> for Letter {
    fn from(message: Outgoing) -> Self {
        Self { message, queued: Instant::now(), stamps: Vec::new() }
    }
}

/// A letter that was not taken.
#[derive(Debug)]
pub enum Unsent {
    /// The client does not read fast enough.
    Full(Letter),
    /// The socket is gone.
    Closed,
}

/// Messages that went into the outboxes of a server, and what became of them: entered = left +
/// lost + waiting.
#[derive(Debug, Default)]
pub struct Passage {
    pub entered: AtomicU64,
    /// Taken by their socket.
    pub left: AtomicU64,
    /// Still there when their socket ended.
    pub lost: AtomicU64,
}

impl Passage {
    /// By the counts; 0 once all sockets have ended.
    pub fn waiting(&self) -> u64 {
        // Behind first: what enters in between must not make the difference negative.
        let behind = self.left.load(Ordering::Acquire) + self.lost.load(Ordering::Acquire);
        self.entered.load(Ordering::Acquire).saturating_sub(behind)
    }
}

/// What both ends count.
#[derive(Debug)]
struct Line {
    passage: Arc<Passage>,
    /// What times are counted from.
    opened: Instant,
    /// Bytes in the queue.
    queued: AtomicUsize,
    /// Bytes that the socket's task has taken and the kernel has not.
    writing: AtomicUsize,
    /// Since when the oldest message waits, in microseconds after `opened`, plus one; 0: none does.
    oldest: AtomicU64,
    /// The longest that a message has waited since somebody asked, in microseconds.
    slowest: AtomicU64,
}

impl Line {
    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.opened).as_micros() as u64 + 1
    }
}

/// How a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineReport {
    /// The longest that a message has waited since the last report, those that still wait included.
    pub age: Duration,
    /// What waits: in the queue, and taken from there but not yet by the kernel.
    pub bytes: usize,
}

/// The writing end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    sender: mpsc::Sender<Letter>,
    line: Arc<Line>,
}

/// The socket task's end.
#[derive(Debug)]
pub struct OutboxReader {
    receiver: mpsc::Receiver<Letter>,
    line: Arc<Line>,
}

/// One socket's, counted with all the others.
pub fn outbox(passage: &Arc<Passage>) -> (Outbox, OutboxReader) {
    let (sender, receiver) = mpsc::channel(OUTBOX_MESSAGE_COUNT_MAX);
    let line = Arc::new(Line {
        passage: Arc::clone(passage),
        opened: Instant::now(),
        queued: AtomicUsize::new(0),
        writing: AtomicUsize::new(0),
        oldest: AtomicU64::new(0),
        slowest: AtomicU64::new(0),
    });
    (Outbox { sender, line: Arc::clone(&line) }, OutboxReader { receiver, line })
}

impl Outbox {
    pub fn post(&self, letter: Letter) -> Result<(), Unsent> {
        let line = &self.line;
        let size = letter.message.bytes();
        if line.queued.load(Ordering::Relaxed) + size > OUTBOX_BYTES_MAX {
            return Err(Unsent::Full(letter));
        }
        // Counted before it can be read, so that the count never dips below zero; and as waiting
        // before it can be written, so that no line is left waiting for what has gone.
        line.queued.fetch_add(size, Ordering::Relaxed);
        line.passage.entered.fetch_add(1, Ordering::Release);
        if line.oldest.load(Ordering::Relaxed) == 0 {
            line.oldest.store(line.micros(letter.queued), Ordering::Relaxed);
        }
        self.sender.try_send(letter).map_err(|error| {
            line.queued.fetch_sub(size, Ordering::Relaxed);
            line.passage.entered.fetch_sub(1, Ordering::Release);
            match error {
                mpsc::error::TrySendError::Full(letter) => Unsent::Full(letter),
                mpsc::error::TrySendError::Closed(_) => Unsent::Closed,
            }
        })
    }

    /// Bytes waiting in the queue.
    pub fn queued_bytes(&self) -> usize {
        self.line.queued.load(Ordering::Relaxed)
    }

    /// Messages waiting in the queue.
    pub fn queued_messages(&self) -> usize {
        OUTBOX_MESSAGE_COUNT_MAX - self.sender.capacity()
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// How the line has done since this was last asked.
    pub fn take_report(&self, now: Instant) -> LineReport {
        let line = &self.line;
        let bytes = self.queued_bytes() + line.writing.load(Ordering::Relaxed);
        let slowest = line.slowest.swap(0, Ordering::Relaxed);
        let waits = match line.oldest.load(Ordering::Relaxed) {
            0 => 0,
            _ if bytes == 0 => 0,
            oldest => line.micros(now).saturating_sub(oldest),
        };
        LineReport { age: Duration::from_micros(slowest.max(waits)), bytes }
    }
}

impl OutboxReader {
    pub async fn recv(&mut self) -> Option<Letter> {
        let letter = self.receiver.recv().await?;
        self.take(&letter);
        Some(letter)
    }

    pub fn try_recv(&mut self) -> Option<Letter> {
        let letter = self.receiver.try_recv().ok()?;
        self.take(&letter);
        Some(letter)
    }

    fn take(&self, letter: &Letter) {
        let size = letter.message.bytes();
        // The first of those that are written together has waited longest.
        if self.line.writing.fetch_add(size, Ordering::Relaxed) == 0 {
            self.line.oldest.store(self.line.micros(letter.queued), Ordering::Relaxed);
        }
        self.line.queued.fetch_sub(size, Ordering::Relaxed);
        self.line.passage.left.fetch_add(1, Ordering::Release);
    }

    /// The kernel has everything that was taken; the message that waited longest did so for
    /// `slowest`.
    pub fn written(&self, slowest: Duration) {
        self.line.slowest.fetch_max(slowest.as_micros() as u64, Ordering::Relaxed);
        self.line.oldest.store(0, Ordering::Relaxed);
        self.line.writing.store(0, Ordering::Relaxed);
    }
}

impl Drop for OutboxReader {
    fn drop(&mut self) {
        self.receiver.close();
        while self.receiver.try_recv().is_ok() {
            self.line.passage.lost.fetch_add(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(bytes: usize, queued: Instant) -> Letter {
        let message = Outgoing::Binary(vec![0; bytes].into());
        Letter { message, queued, stamps: Vec::new() }
    }

    #[test]
    fn a_line_says_how_long_the_oldest_waits_and_how_much() {
        let (outbox, mut reader) = outbox(&Arc::default());
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let report = |ms: u64| {
            let LineReport { age, bytes } = outbox.take_report(at(ms));
            (age.as_millis(), bytes)
        };
        assert_eq!(report(0), (0, 0));
        outbox.post(letter(10, at(100))).unwrap();
        outbox.post(letter(20, at(150))).unwrap();
        assert_eq!(report(300), (200, 30));
        assert_eq!(report(400), (300, 30));
        reader.try_recv().unwrap();
        assert_eq!(report(500), (400, 30), "taken, and not yet written");
        reader.written(Duration::from_millis(420));
        assert_eq!(report(600), (420, 20), "what went since the last report has waited so long");
        reader.try_recv().unwrap();
        assert_eq!(report(700), (550, 20), "the second since 150");
        reader.written(Duration::from_millis(560));
        assert_eq!(report(800), (560, 0));
        assert_eq!(report(900), (0, 0), "and nothing waits any more");
    }

    #[test]
    fn every_message_that_entered_left_or_was_lost_or_waits() {
        let passage = Arc::default();
        let (outbox, mut reader) = outbox(&passage);
        let send = || outbox.post(letter(1, Instant::now()));
        let counts = || {
            let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
            (read(&passage.entered), read(&passage.left), read(&passage.lost), passage.waiting())
        };
        for _ in 0..OUTBOX_MESSAGE_COUNT_MAX {
            send().unwrap();
        }
        assert!(matches!(send(), Err(Unsent::Full(_))));
        let all = OUTBOX_MESSAGE_COUNT_MAX as u64;
        assert_eq!(counts(), (all, 0, 0, all));
        for _ in 0..6 {
            reader.try_recv().unwrap();
        }
        assert_eq!(counts(), (all, 6, 0, all - 6));
        drop(reader);
        assert!(matches!(send(), Err(Unsent::Closed)));
        assert_eq!(counts(), (all, 6, all - 6, 0));
    }

    #[test]
    fn a_full_outbox_gives_the_letter_back_and_a_closed_one_does_not() {
        let (outbox, mut reader) = outbox(&Arc::default());
        let now = Instant::now();
        outbox.post(letter(OUTBOX_BYTES_MAX, now)).unwrap();
        let Err(Unsent::Full(back)) = outbox.post(letter(1, now)) else { panic!("it is full") };
        assert_eq!(back.message.bytes(), 1);
        reader.try_recv().unwrap();
        for _ in 0..OUTBOX_MESSAGE_COUNT_MAX {
            outbox.post(letter(1, now)).unwrap();
        }
        assert!(matches!(outbox.post(letter(1, now)), Err(Unsent::Full(_))));
        assert_eq!(outbox.queued_bytes(), OUTBOX_MESSAGE_COUNT_MAX);
        drop(reader);
        assert!(matches!(outbox.post(letter(1, now)), Err(Unsent::Closed)));
    }
}
