//! News of groups on their way to who watches them: each said once a tick, and sent to each watcher
//! in its form. What is known of a group's members is kept here, by its handle.

use components::delivery::{Deliveries, Notice};
use components::group::{GroupNews, GroupPlan};
use components::id::GroupId;
use components::wire::push::{write_integer, write_string};
use components::wire::viewer::group;
use rustc_hash::FxHashMap;
use std::sync::Arc;

use super::bodies::Bodies;
use crate::groups::{GroupDesk, OLD_HEART, OLD_RSA, OLD_SENSOR_ID, is_old_name};

/// Clients of the original hear of a figure at most this often, milliseconds of its own time.
const OLD_INTERVAL_MS: i64 = 200;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct GroupBook {
    known: FxHashMap<GroupId, Known>,
    bodies: Bodies,
    /// Counts what was ever said of members.
    version: u64,
}

#[derive(Debug)]
struct Known {
    plan: Arc<GroupPlan>,
    members: Vec<u8>,
    sensor_ids: Arc<[Arc<str>]>,
    version: u64,
    /// When clients of the original last heard of it.
    old_sent_ms: Option<i64>,
}

/// What there is to say of one group, as bodies of events.
pub(super) struct Letters {
    pub(super) version: u64,
    pub(super) said: Said,
}

pub(super) enum Said {
    /// `sensor_batch` for clients of the original; empty when it is not the time.
    Old(Vec<u8>),
    Group {
        members: Vec<u8>,
        /// None when nothing was read.
        readings: Option<(Vec<u8>, Vec<u8>)>,
        pairs: Option<Vec<u8>>,
        hearts: Option<Vec<u8>>,
    },
}

impl GroupBook {
    pub(super) fn notice(&mut self, notice: &Notice, desk: &GroupDesk) {
        desk.notice(notice);
        self.bodies.notice(notice);
        match notice {
            Notice::GroupMembers { group, sensor_ids, left_out } => {
                let Some(plan) = desk.plan(*group) else { return };
                self.version += 1;
                let mut members = Vec::new();
                group::members(&plan.name, sensor_ids, *left_out, &mut members);
                let known = Known {
                    plan,
                    members,
                    sensor_ids: Arc::clone(sensor_ids),
                    version: self.version,
                    old_sent_ms: None,
                };
                self.known.insert(*group, known);
            }
            Notice::GroupClosed { group } | Notice::GroupRefused { group } => {
                self.known.remove(group);
            }
            _ => {}
        }
    }

    /// Whose attribute of which name a group is made of.
    pub(super) fn members(&self, group: GroupId) -> (&[Arc<str>], &str) {
        let known = self.known.get(&group);
        known.map_or((&[], ""), |known| (&known.sensor_ids, &known.plan.attribute_id))
    }

    /// What is to be sent of `news`, which is also counted.
    pub(super) fn write(
        &mut self,
        news: &GroupNews,
        deliveries: &Deliveries,
        desk: &GroupDesk,
    ) -> Option<Letters> {
        let known = self.known.get_mut(&news.group)?;
        let name = &*known.plan.name;
        desk.meter(name, deliveries.readings_of(news).map(|(reading, _)| reading));
        let bodies = &mut self.bodies;
        if known.sensor_ids.len() == news.member_count as usize {
            bodies.hear(known.plan.signal, &known.sensor_ids, news, deliveries);
        }
        if known.plan.signal.is_of_heart() {
            bodies.look();
        }
        if is_old_name(name) {
            let body = known.old_figures(news, deliveries, bodies);
            return Some(Letters { version: known.version, said: Said::Old(body) });
        }
        let written = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut body = Vec::new();
            write(&mut body);
            body
        };
        let readings = (news.reading_count > 0).then(|| {
            let json = written(&|out| group::readings(name, deliveries, news, out));
            (json, written(&|out| group::frame(name, deliveries, news, out)))
        });
        let pairs = (news.pair_count > 0)
            .then(|| written(&|out| group::pairs(name, deliveries, news, out)));
        let hearts = (news.heart_count + news.beat_count > 0).then(|| {
            let is_told = news.heart_count > 0;
            let breathing = bodies.of(&known.sensor_ids).filter(|_| is_told);
            let breathing: Vec<_> = breathing.collect();
            written(&|out| group::hearts(name, deliveries, news, &breathing, out))
        });
        let members = known.members.clone();
        let said = Said::Group { members, readings, pairs, hearts };
        Some(Letters { version: known.version, said })
    }
}

impl Known {
    /// The original's figures, 0 to 100, fed with what strangers read 0 on: kappa, smoothed; with
    /// hearts also how far they go with the breaths.
    fn old_figures(
        &mut self,
        news: &GroupNews,
        deliveries: &Deliveries,
        bodies: &Bodies,
    ) -> Vec<u8> {
        let mut body = Vec::new();
        let Some((reading, _)) = deliveries.readings_of(news).last() else { return body };
        let at_ms = reading.at_us.div_euclid(1_000);
        if self.old_sent_ms.is_some_and(|sent| (0..OLD_INTERVAL_MS).contains(&(at_ms - sent))) {
            return body;
        }
        let name = &*self.plan.name;
        let rsa = (name == OLD_HEART).then(|| bodies.together(&self.sensor_ids)).flatten();
        let kappa = reading.smoothed.map(|(_, kappa)| kappa.clamp(0.0, 1.0));
        let figures = [(name, kappa), (OLD_RSA, rsa)];
        for (name, share) in figures.into_iter().filter_map(|(name, it)| Some((name, it?))) {
            if body.is_empty() {
                self.old_sent_ms = Some(at_ms);
                body.extend_from_slice(b"{\"batch\":{");
                write_string(OLD_SENSOR_ID, &mut body);
                body.extend_from_slice(b":{");
            } else {
                body.push(b',');
            }
            write_string(name, &mut body);
            body.extend_from_slice(b":{\"attribute_id\":");
            write_string(name, &mut body);
            body.extend_from_slice(b",\"payload\":");
            write_integer((100.0 * share).round() as i64, &mut body);
            body.extend_from_slice(b",\"timestamp\":");
            write_integer(at_ms, &mut body);
            body.extend_from_slice(b",\"sensor_id\":");
            write_string(OLD_SENSOR_ID, &mut body);
            body.push(b'}');
        }
        if !body.is_empty() {
            body.extend_from_slice(b"}}}");
        }
        body
    }
}
