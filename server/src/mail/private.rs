//! What is private on its way to viewers: of each stream and each group it is known who may see it, found
//! anew whenever that may have changed. What is not for a viewer is left out as its flush is encoded.

use std::sync::Arc;

use components::delivery::{Deliveries, Flush, Form, StreamCard};
use components::id::{GroupId, StreamId};
use components::wire::viewer::frame;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::consent::{Circle, Consent};

/// Streams and groups that are remembered; with more all are looked up anew.
const KNOWN_COUNT_MAX: usize = 200_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Private {
    round: u64,
    /// Nothing is private: nothing is looked up.
    is_off: bool,
    streams: FxHashMap<StreamId, Option<Circle>>,
    groups: FxHashMap<(GroupId, u64), Vec<Circle>>,
    /// Slices that were left out, since the server began.
    pub(super) withheld: u64,
}

impl Private {
    /// Before anything of a tick is sent.
    pub(super) fn begin(&mut self, consent: Option<&Consent>, unix_ms: i64) {
        let round = consent.map_or(0, |consent| consent.round(unix_ms));
        self.is_off = consent.is_none_or(|consent| !consent.is_any());
        let is_full = self.streams.len() + self.groups.len() > KNOWN_COUNT_MAX;
        if self.round != round || is_full {
            self.round = round;
            self.streams.clear();
            self.groups.clear();
        }
    }

    /// What of a flush this account may see: runs of its parts, in their order.
    pub(super) fn runs(
        &mut self,
        consent: Option<&Consent>,
        deliveries: &Deliveries,
        flush: &Flush,
        account: Option<&str>,
        left_out: &mut LeftOut,
    ) -> Vec<Flush> {
        let Some(consent) = consent.filter(|_| !self.is_off) else { return vec![flush.clone()] };
        let mut runs: Vec<Flush> = Vec::new();
        let mut is_open = false;
        for (n, slice) in deliveries.slices_of(flush).enumerate() {
            let StreamCard { stream, sensor_id, attribute_id, kind, .. } = &*slice.card;
            let circle = self
                .streams
                .entry(*stream)
                .or_insert_with(|| consent.circle(sensor_id, attribute_id, kind.name()));
            if circle.as_ref().is_some_and(|circle| !circle.has(account)) {
                is_open = false;
                self.withheld += 1;
                if slice.form == Form::Seed && left_out.has_cards {
                    left_out.cards.insert(*stream);
                }
                continue;
            }
            if slice.form == Form::Seed {
                left_out.cards.remove(stream);
            }
            let parts_at = flush.parts_at + n as u32;
            match runs.last_mut() {
                Some(run) if is_open => run.part_count += 1,
                _ => runs.push(Flush { viewer: flush.viewer, parts_at, part_count: 1 }),
            }
            is_open = true;
        }
        runs
    }

    /// Whether this account may see what is read of a group: all of its members must be for them.
    pub(super) fn may_read(
        &mut self,
        consent: Option<&Consent>,
        group: (GroupId, u64),
        members: &[Arc<str>],
        attribute_id: &str,
        account: Option<&str>,
    ) -> bool {
        let Some(consent) = consent.filter(|_| !self.is_off) else { return true };
        let circles = self.groups.entry(group).or_insert_with(|| {
            let mut circles: Vec<Circle> = Vec::new();
            for sensor_id in members {
                let circle = consent.circle_of(sensor_id, attribute_id);
                circles.extend(circle.filter(|circle| !circles.contains(circle)));
            }
            circles
        });
        circles.iter().all(|circle| circle.has(account))
    }
}

/// Streams of which a viewer was not sent the card, which comes with the past only.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Its form has cards at all.
    has_cards: bool,
    cards: FxHashSet<StreamId>,
}

impl LeftOut {
    pub(super) fn new(has_cards: bool) -> Self {
        Self { has_cards, cards: FxHashSet::default() }
    }

    /// A frame with the cards that this flush needs and that were left out, if there are any.
    pub(super) fn frame(
        &mut self,
        deliveries: &Deliveries,
        runs: &[Flush],
        head: &[u8],
        server_time_ms: f64,
    ) -> Option<Vec<u8>> {
        if self.cards.is_empty() {
            return None;
        }
        let mut cards = Vec::new();
        for slice in runs.iter().flat_map(|run| deliveries.slices_of(run)) {
            if self.cards.remove(&slice.card.stream) {
                cards.push(&slice.card);
            }
        }
        if cards.is_empty() {
            return None;
        }
        cards.truncate(frame::FRAME_CARD_COUNT_MAX);
        let mut out = head.to_vec();
        frame::encode_header(cards.len() as u16, 0, server_time_ms, &mut out);
        cards.iter().for_each(|card| frame::encode_card(card, &mut out));
        Some(out)
    }
}
