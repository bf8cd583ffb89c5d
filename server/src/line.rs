//! How a channel is spoken to, by whoever is not its socket.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use components::wire::phoenix::{self, Status, Vsn};
use serde_json::value::RawValue;

use crate::outbox::{Outbox, Outgoing, Unsent};
use crate::viewer::{Kick, SeatAddress};

/// How a channel is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    outbox: Outbox,
    topic: Arc<str>,
    join_ref: Option<Box<RawValue>>,
    version: Vsn,
}

impl Line {
    pub(crate) fn new(address: SeatAddress) -> (Self, Kick) {
        let SeatAddress { outbox, topic, join_ref, version, kick } = address;
        (Self { outbox, topic, join_ref, version }, kick)
    }

    /// `Err`: it does not read.
    fn post(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ()> {
        let mut out = Vec::with_capacity(512);
        write(&mut out);
        let text: Utf8Bytes = String::from_utf8(out).unwrap_or_default().into();
        match self.outbox.post(Outgoing::Text(text).into()) {
            Err(Unsent::Full(_)) => Err(()),
            _ => Ok(()),
        }
    }

    pub(crate) fn push(&self, event: &str, payload: &str) -> Result<(), ()> {
        let join_ref = self.join_ref.as_deref();
        self.post(|out| phoenix::push(out, self.version, join_ref, &self.topic, event, payload))
    }

    pub(crate) fn reply(&self, reference: Option<&RawValue>, response: &str) -> Result<(), ()> {
        let references = (self.join_ref.as_deref(), reference);
        self.post(|out| {
            phoenix::reply(out, self.version, references, &self.topic, Status::Ok, response);
        })
    }
}
