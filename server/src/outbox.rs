//! Words waiting for one socket, bounded in count and bytes. Whoever finds it full keeps their
//! words (a viewer's cursor waits) or lets the client go; nothing here grows without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use tokio::sync::mpsc;

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

#[derive(Debug, PartialEq, Eq)]
pub enum SendError {
    /// The client does not read fast enough.
    Full,
    /// The socket is gone.
    Closed,
}

/// The writing end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    sender: mpsc::Sender<Outgoing>,
    bytes: Arc<AtomicUsize>,
}

/// The socket task's end.
#[derive(Debug)]
pub struct OutboxReader {
    receiver: mpsc::Receiver<Outgoing>,
    bytes: Arc<AtomicUsize>,
}

pub fn outbox() -> (Outbox, OutboxReader) {
    let (sender, receiver) = mpsc::channel(OUTBOX_MESSAGE_COUNT_MAX);
    let bytes = Arc::new(AtomicUsize::new(0));
    (Outbox { sender, bytes: Arc::clone(&bytes) }, OutboxReader { receiver, bytes })
}

impl Outbox {
    pub fn try_send(&self, message: Outgoing) -> Result<(), SendError> {
        let size = message.bytes();
        if self.bytes.load(Ordering::Relaxed) + size > OUTBOX_BYTES_MAX {
            return Err(SendError::Full);
        }
        // Counted before it can be read, so that the count never dips below zero.
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.sender.try_send(message).map_err(|error| {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            match error {
                mpsc::error::TrySendError::Full(_) => SendError::Full,
                mpsc::error::TrySendError::Closed(_) => SendError::Closed,
            }
        })
    }

    /// Bytes waiting to be written.
    pub fn queued_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Messages waiting to be written.
    pub fn queued_messages(&self) -> usize {
        OUTBOX_MESSAGE_COUNT_MAX - self.sender.capacity()
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl OutboxReader {
    pub async fn recv(&mut self) -> Option<Outgoing> {
        let message = self.receiver.recv().await?;
        self.bytes.fetch_sub(message.bytes(), Ordering::Relaxed);
        Some(message)
    }

    pub fn try_recv(&mut self) -> Option<Outgoing> {
        let message = self.receiver.try_recv().ok()?;
        self.bytes.fetch_sub(message.bytes(), Ordering::Relaxed);
        Some(message)
    }
}
