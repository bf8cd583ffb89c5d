//! Who has joined which topic, for the one event that sockets say to each other: `shout`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use components::wire::phoenix::{self, Vsn};

use crate::outbox::{Outbox, Outgoing, Unsent};

#[derive(Debug, Default)]
pub struct Topics {
    members: Mutex<HashMap<Arc<str>, Vec<Member>>>,
    lost: AtomicU64,
}

#[derive(Debug)]
struct Member {
    socket: u64,
    version: Vsn,
    outbox: Outbox,
}

impl Topics {
    pub fn join(&self, topic: &Arc<str>, socket: u64, version: Vsn, outbox: &Outbox) {
        let mut members = self.lock();
        let members = members.entry(Arc::clone(topic)).or_default();
        if members.iter().all(|member| member.socket != socket) {
            members.push(Member { socket, version, outbox: outbox.clone() });
        }
    }

    pub fn leave(&self, topic: &str, socket: u64) {
        let mut members = self.lock();
        if let Some(there) = members.get_mut(topic) {
            there.retain(|member| member.socket != socket);
            if there.is_empty() {
                members.remove(topic);
            }
        }
    }

    /// Shouts that somebody missed, for want of room in an outbox.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Tells all who have joined, the speaker included. Who cannot take it misses it.
    pub fn broadcast(&self, topic: &str, event: &str, payload: &str) {
        let members = self.lock();
        let mut frames: [Option<Utf8Bytes>; 2] = [None, None];
        for member in members.get(topic).into_iter().flatten() {
            let frame = frames[usize::from(member.version == Vsn::V2)].get_or_insert_with(|| {
                let mut out = Vec::new();
                phoenix::broadcast(&mut out, member.version, topic, event, payload);
                String::from_utf8(out).unwrap_or_default().into()
            });
            let sent = member.outbox.post(Outgoing::Text(frame.clone()).into());
            if matches!(sent, Err(Unsent::Full(_))) {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Member>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
