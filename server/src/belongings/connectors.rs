//! "My devices": the connectors that somebody's sensors come by, whether they are there, and since when
//! they were not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use components::limits::NAME_BYTES_MAX;
use serde::{Serialize, Serializer};

use super::record::ConnectorRecord;
use super::{BelongingError, Belongings, Bringer, Feed, State, lock, name_of};
use crate::can::Action;
use crate::people::AccountId;
use crate::rooms::Asker;
use crate::store::{Change, Expect};

/// Connectors of one account; one more makes the one that was away longest forgotten.
const CONNECTOR_COUNT_MAX: usize = 100;

/// A connector that measures nothing for so long is idle.
const IDLE_MS: u64 = 60_000;

/// What kinds there are (`reference/wire.md` 2.3). What is none of them is a program on some machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectorKind {
    Web,
    #[default]
    Native,
    Iot,
    Simulator,
}

impl ConnectorKind {
    pub const ALL: [Self; 4] = [Self::Web, Self::Native, Self::Iot, Self::Simulator];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Native => "native",
            Self::Iot => "iot",
            Self::Simulator => "simulator",
        }
    }

    pub fn from_name(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
        found.unwrap_or_default()
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// As its number.
impl Serialize for ConnectorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// What a connector says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorWords {
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub kind: ConnectorKind,
}

/// Whose connector, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectorKey {
    pub(super) account: AccountId,
    pub(super) id: Arc<str>,
}

impl ConnectorKey {
    /// In the store.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // No account's id has a zero in it.
        [self.account.as_bytes(), &[0], self.id.as_bytes()].concat()
    }
}

/// When a feed was last heard of: stamped by its socket, read by whoever asks.
#[derive(Debug)]
pub struct Heard {
    began: Instant,
    /// Since then.
    last_ms: AtomicU64,
}

impl Heard {
    pub(super) fn now() -> Self {
        Self { began: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    pub(crate) fn stamp(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.began).as_millis() as u64;
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    fn age_ms(&self, now: Instant) -> u64 {
        let ms = now.saturating_duration_since(self.began).as_millis() as u64;
        ms.saturating_sub(self.last_ms.load(Ordering::Relaxed))
    }
}

pub(super) struct Connector {
    record: ConnectorRecord,
    feed_count: usize,
    /// Since its first feed came.
    connected_unix_ms: Option<i64>,
}

impl Connector {
    /// One that was kept: nothing of it is here yet.
    pub(super) fn kept(record: ConnectorRecord) -> Self {
        Self { record, feed_count: 0, connected_unix_ms: None }
    }
}

/// Whether a connector is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Online,
    /// It is there, and measures nothing.
    Idle,
    Offline,
}

impl Status {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Idle => "idle",
            Self::Offline => "offline",
        }
    }

    /// Of one whose feeds were heard of so long ago.
    fn of(ages_ms: impl Iterator<Item = u64>) -> Self {
        match ages_ms.min() {
            None => Self::Offline,
            Some(age) if age < IDLE_MS => Self::Online,
            Some(_) => Self::Idle,
        }
    }
}

/// A connector as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub id: Box<str>,
    pub name: Box<str>,
    pub kind: ConnectorKind,
    pub status: Status,
    /// `None`: now.
    pub seen_unix_ms: i64,
    pub connected_unix_ms: Option<i64>,
    pub first_unix_ms: i64,
    pub changed_unix_ms: i64,
    /// What it feeds now.
    pub sensors: Vec<Arc<str>>,
}

impl Belongings {
    /// A feed comes by this connector.
    pub(super) fn connect(
        &self,
        state: &mut State,
        who: &Bringer,
        words: &ConnectorWords,
        now: i64,
        changes: &mut Vec<Change>,
    ) -> ConnectorKey {
        let key = ConnectorKey { account: Arc::clone(&who.account), id: Arc::clone(&words.id) };
        let account = state.of_account.entry(Arc::clone(&who.account)).or_default();
        if account.connectors.len() >= CONNECTOR_COUNT_MAX
            && !account.connectors.contains_key(&words.id)
        {
            let away = account.connectors.iter().filter(|(_, it)| it.feed_count == 0);
            let longest = away.min_by_key(|(_, it)| it.record.seen_unix_ms);
            if let Some(id) = longest.map(|(id, _)| Arc::clone(id)) {
                account.connectors.remove(&id);
                let gone = ConnectorKey { account: Arc::clone(&who.account), id };
                changes.push(self.connectors.delete(&gone.bytes(), Expect::Any));
            }
        }
        let known = account.connectors.entry(Arc::clone(&words.id)).or_insert_with(|| {
            Connector::kept(ConnectorRecord {
                account: (*who.account).into(),
                id: (*words.id).into(),
                name: Box::default(),
                given_name: None,
                kind: words.kind,
                first_unix_ms: now,
                seen_unix_ms: now,
                changed_unix_ms: now,
            })
        });
        known.feed_count += 1;
        if known.feed_count == 1 {
            known.connected_unix_ms = Some(now);
            known.record.seen_unix_ms = now;
        }
        let is_new = *known.record.name != *words.name || known.record.kind != words.kind;
        if is_new {
            known.record.name = (*words.name).into();
            known.record.kind = words.kind;
            known.record.changed_unix_ms = now;
        }
        if is_new || known.feed_count == 1 {
            changes.push(self.connectors.put(&key.bytes(), &known.record, Expect::Any));
        }
        key
    }

    /// A feed that came by it is closed.
    pub(super) fn disconnect(
        &self,
        state: &mut State,
        key: &ConnectorKey,
        now: i64,
        changes: &mut Vec<Change>,
    ) {
        let account = state.of_account.get_mut(&key.account);
        let Some(known) = account.and_then(|it| it.connectors.get_mut(&key.id)) else { return };
        known.feed_count = known.feed_count.saturating_sub(1);
        if known.feed_count == 0 {
            known.connected_unix_ms = None;
            known.record.seen_unix_ms = now;
            changes.push(self.connectors.put(&key.bytes(), &known.record, Expect::Any));
        }
    }

    /// One's own, those that are there first, then those that were seen last.
    ///
    /// # Errors
    /// See [`BelongingError`].
    pub fn connectors(&self, asker: &Asker) -> Result<Vec<Told>, BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let state = lock(&self.state);
        let ids = state.of_account.get(account).into_iter().flat_map(|it| it.connectors.keys());
        let mut told: Vec<Told> = ids.filter_map(|id| self.told(&state, account, id)).collect();
        told.sort_by_key(|it| (it.connected_unix_ms.is_none(), -it.seen_unix_ms));
        Ok(told)
    }

    /// # Errors
    /// See [`BelongingError`].
    pub fn connector(&self, asker: &Asker, id: &str) -> Result<Told, BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let told = self.told(&lock(&self.state), account, id);
        told.ok_or(BelongingError::NoSuch("connector"))
    }

    fn told(&self, state: &State, account: &AccountId, id: &str) -> Option<Told> {
        let known = state.of_account.get(account)?.connectors.get(id)?;
        let feeds = || {
            let is_its =
                move |feed: &&Feed| feed.connector.account == *account && *feed.connector.id == *id;
            state.feeds.values().filter(is_its)
        };
        let now = Instant::now();
        let status = Status::of(feeds().map(|feed| feed.heard.age_ms(now)));
        let record = &known.record;
        let mut sensors: Vec<_> = feeds().map(|feed| Arc::clone(&feed.sensor_id)).collect();
        sensors.sort();
        let seen_unix_ms = match feeds().map(|feed| feed.heard.age_ms(now)).min() {
            Some(age) => self.clock.now().unix_ms - age as i64,
            None => record.seen_unix_ms,
        };
        Some(Told {
            id: record.id.clone(),
            name: record.given_name.clone().unwrap_or_else(|| record.name.clone()),
            kind: record.kind,
            status,
            seen_unix_ms,
            connected_unix_ms: known.connected_unix_ms,
            first_unix_ms: record.first_unix_ms,
            changed_unix_ms: record.changed_unix_ms,
            sensors,
        })
    }

    /// Its owner calls it so, whatever it calls itself.
    ///
    /// # Errors
    /// See [`BelongingError`].
    pub async fn rename_connector(
        &self,
        asker: &Asker,
        id: &str,
        name: &str,
    ) -> Result<(Told, bool), BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let name = name_of(name)?;
        let (told, kept) = {
            let mut state = lock(&self.state);
            let none = BelongingError::NoSuch("connector");
            let own = state.of_account.get_mut(account).and_then(|it| it.connectors.get_mut(id));
            let own = own.ok_or(none.clone())?;
            let mut record = own.record.clone();
            record.given_name = Some(name);
            record.changed_unix_ms = self.clock.now().unix_ms;
            let key = ConnectorKey { account: Arc::clone(account), id: id.into() };
            let change = self.connectors.put(&key.bytes(), &record, Expect::Any);
            let kept = self.hand_over(vec![change])?;
            own.record = record;
            (self.told(&state, account, id).ok_or(none)?, kept)
        };
        Ok((told, self.wait(kept).await))
    }

    /// It is out, and not in the list until it comes again.
    ///
    /// # Errors
    /// See [`BelongingError`].
    pub async fn forget_connector(&self, asker: &Asker, id: &str) -> Result<bool, BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let kept = {
            let mut state = lock(&self.state);
            let known = state.of_account.get(account).and_then(|it| it.connectors.get(id));
            known.ok_or(BelongingError::NoSuch("connector"))?;
            let key = ConnectorKey { account: Arc::clone(account), id: id.into() };
            self.end(&mut state, |feed| feed.connector == key);
            let kept = self.hand_over(vec![self.connectors.delete(&key.bytes(), Expect::Any)])?;
            if let Some(account) = state.of_account.get_mut(account) {
                account.connectors.remove(id);
            }
            kept
        };
        Ok(self.wait(kept).await)
    }
}

/// Bytes of a key: an account's id, a zero, and a name.
const _: () = assert!(64 + 1 + NAME_BYTES_MAX <= crate::store::record::KEY_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_connector_is_idle_when_none_of_its_feeds_was_heard_of_for_a_minute() {
        assert_eq!(Status::of([].into_iter()), Status::Offline);
        assert_eq!(Status::of([IDLE_MS, IDLE_MS - 1].into_iter()), Status::Online);
        assert_eq!(Status::of([IDLE_MS, 2 * IDLE_MS].into_iter()), Status::Idle);
        let heard = Heard::now();
        let later = heard.began + Duration::from_secs(7);
        assert_eq!(heard.age_ms(later), 7000);
        heard.stamp(heard.began + Duration::from_secs(5));
        assert_eq!(heard.age_ms(later), 2000);
    }

    #[test]
    fn what_is_no_kind_is_a_program() {
        for kind in ConnectorKind::ALL {
            assert_eq!(ConnectorKind::from_name(kind.name()), kind);
            assert_eq!(ConnectorKind::from_number(kind as u8), Some(kind));
        }
        for program in ["python", "typescript", ""] {
            assert_eq!(ConnectorKind::from_name(program), ConnectorKind::Native);
        }
        assert_eq!(ConnectorKind::from_name("Simulator"), ConnectorKind::Simulator);
    }
}
