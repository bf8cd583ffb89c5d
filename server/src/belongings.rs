//! What belongs to people: credentials for their devices, the ids of sensors that these measure, and
//! the connectors that they come by.
//!
//! Everything is in memory, and handed to the store as well. Whoever comes in with a credential may
//! feed what its scope names; a sensor id that an account has fed once is that account's until it is
//! given up, whoever else asks for it. When a credential is revoked, a session ends or an account goes,
//! what was let in by it is out before the next tick. What is promised is in `docs/devices.md`.

pub mod api;
mod connectors;
mod credentials;
pub mod record;
mod scope;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use components::id::FeedId;

use crate::can::{Action, Denied, What, can};
use crate::clock::Clock;
use crate::device::DeviceDesk;
use crate::kept::Kept;
use crate::people::{AccountId, People, SessionId};
use crate::rooms::Asker;
use crate::secret::{Digest, NoRandom};
use crate::store::{Change, Entry, Expect, ReadError, Refused, Store, Table};
use connectors::{Connector, ConnectorKey};
pub use connectors::{ConnectorKind, ConnectorWords, Heard, Status, Told};
pub use credentials::{Credential, CredentialId};
use record::{ConnectorRecord, CredentialRecord, SensorRecord};
pub use scope::{Scope, ScopeError};

/// Sensor ids of one account.
pub const SENSOR_COUNT_MAX: usize = 1000;

/// Of all accounts.
pub const SENSOR_COUNT_ALL_MAX: usize = 1_000_000;

/// Letters of a name.
const NAME_LETTERS_MAX: usize = 100;

/// By what a device has come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The access token of who is signed in there.
    Session(SessionId),
    Credential(CredentialId),
}

/// Whose device it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bringer {
    pub account: AccountId,
    pub pass: Pass,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BelongingError {
    Denied(Denied),
    Hydrating,
    /// None of theirs, for all they may know.
    NoSuch(&'static str),
    Name,
    Scope(ScopeError),
    Expiry,
    TooMany(&'static str),
    NoRandom,
    Refused(Refused),
}

impl From<NoRandom> for BelongingError {
    fn from(_: NoRandom) -> Self {
        Self::NoRandom
    }
}

struct Feed {
    bringer: Bringer,
    sensor_id: Arc<str>,
    connector: ConnectorKey,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct State {
    credentials: HashMap<CredentialId, CredentialRecord>,
    digests: HashMap<Digest, CredentialId>,
    of_account: HashMap<AccountId, Account>,
    sensors: HashMap<Arc<str>, (AccountId, i64)>,
    feeds: HashMap<FeedId, Feed>,
    /// Grows whenever a sensor becomes somebody's, or nobody's.
    round: Arc<AtomicU64>,
    is_hydrated: bool,
}

/// What belongs to one.
#[derive(Default)]
struct Account {
    credentials: Vec<CredentialId>,
    sensor_count: usize,
    /// By id.
    connectors: BTreeMap<Arc<str>, Connector>,
}

/// See the module.
pub struct Belongings {
    state: Mutex<State>,
    round: Arc<AtomicU64>,
    store: Store,
    credentials: Table<CredentialRecord>,
    sensors: Table<SensorRecord>,
    connectors: Table<ConnectorRecord>,
    people: Arc<People>,
    devices: Arc<DeviceDesk>,
    clock: Clock,
}

impl fmt::Debug for Belongings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Belongings({})", lock(&self.state).sensors.len())
    }
}

/// What there is, for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub credentials: usize,
    pub sensors: usize,
    pub feeds: usize,
}

impl Belongings {
    pub fn new(
        store: Store,
        people: Arc<People>,
        devices: Arc<DeviceDesk>,
        clock: Clock,
    ) -> Arc<Self> {
        let round = Arc::<AtomicU64>::default();
        let state = State { round: Arc::clone(&round), ..State::default() };
        Arc::new(Self {
            state: Mutex::new(state),
            round,
            credentials: store.table(),
            sensors: store.table(),
            connectors: store.table(),
            store,
            people,
            devices,
            clock,
        })
    }

    /// Takes over what another server has left in the store. Blocks. What belongs to accounts that are
    /// no more is taken away.
    ///
    /// # Errors
    /// The store cannot be asked now.
    pub fn hydrate(&self) -> Result<(), ReadError> {
        let credentials = self.credentials.all()?;
        let sensors = self.sensors.all()?;
        let connectors = self.connectors.all()?;
        let mut over = Vec::new();
        let mut state = lock(&self.state);
        let is_there = |account: &str| self.people.display_name(account).is_some();
        // What is damaged the store has counted and told of.
        for Entry { key, record, .. } in credentials.into_iter().flatten() {
            match <[u8; 16]>::try_from(&*key) {
                Ok(id) if is_there(&record.account) => state.put(CredentialId(id), record),
                _ => over.push(self.credentials.delete(&key, Expect::Any)),
            }
        }
        for Entry { key, record, .. } in sensors.into_iter().flatten() {
            match std::str::from_utf8(&key) {
                Ok(id) if is_there(&record.account) => {
                    state.bind(id.into(), &(*record.account).into(), record.since_unix_ms);
                }
                _ => over.push(self.sensors.delete(&key, Expect::Any)),
            }
        }
        for Entry { key, record, .. } in connectors.into_iter().flatten() {
            if is_there(&record.account) {
                let account = state.of_account.entry((*record.account).into()).or_default();
                let id = Arc::from(&*record.id);
                account.connectors.entry(id).or_insert_with(|| Connector::kept(record));
            } else {
                over.push(self.connectors.delete(&key, Expect::Any));
            }
        }
        state.is_hydrated = true;
        drop(state);
        self.write(over);
        Ok(())
    }

    /// Ids of sensors that are one's own, and since when.
    ///
    /// # Errors
    /// See [`BelongingError`].
    pub fn sensors(&self, asker: &Asker) -> Result<Vec<(Arc<str>, i64)>, BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let state = lock(&self.state);
        let own = state.sensors.iter().filter(|(_, (owner, _))| owner == account);
        let mut own: Vec<_> = own.map(|(id, (_, since))| (Arc::clone(id), *since)).collect();
        own.sort();
        Ok(own)
    }

    /// Whose a sensor is. `None`: nobody's.
    pub(crate) fn owner(&self, sensor_id: &str) -> Option<AccountId> {
        lock(&self.state).owner(sensor_id).cloned()
    }

    /// Another number whenever a sensor has become somebody's, or nobody's.
    pub(crate) fn round(&self) -> u64 {
        self.round.load(Ordering::Acquire)
    }

    /// Anybody may have this id from now on; what feeds it is out.
    ///
    /// # Errors
    /// See [`BelongingError`].
    pub async fn give_up(&self, asker: &Asker, sensor_id: &str) -> Result<bool, BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let kept = {
            let mut state = lock(&self.state);
            if state.owner(sensor_id) != Some(account) {
                return Err(BelongingError::NoSuch("sensor"));
            }
            let change = self.sensors.delete(sensor_id.as_bytes(), Expect::Any);
            let kept = self.hand_over(vec![change])?;
            self.end(&mut state, |feed| &*feed.sensor_id == sensor_id);
            state.unbind(sensor_id);
            kept
        };
        Ok(self.wait(kept).await)
    }

    /// Whether this one may feed that sensor. `None`: nobody's device. The error is the reason on the
    /// wire.
    ///
    /// # Errors
    /// The sensor is somebody else's, or beyond the credential's scope.
    pub fn may_feed(&self, sensor_id: &str, who: Option<&Bringer>) -> Result<(), &'static str> {
        lock(&self.state).may_feed(sensor_id, who, self.clock.now().unix_ms)
    }

    /// The engine has taken its feed: the sensor is theirs from now on.
    ///
    /// # Errors
    /// As [`may_feed`](Self::may_feed), since that may have changed.
    pub fn admit(
        &self,
        feed: FeedId,
        sensor_id: &Arc<str>,
        who: &Bringer,
        connector: &ConnectorWords,
    ) -> Result<Arc<Heard>, &'static str> {
        let now = self.clock.now().unix_ms;
        let mut state = lock(&self.state);
        state.may_feed(sensor_id, Some(who), now)?;
        if let Pass::Session(session) = who.pass
            && !self.people.is_open(session)
        {
            return Err("unauthorized");
        }
        let mut changes = Vec::new();
        if state.owner(sensor_id).is_none() {
            let record = SensorRecord { account: (*who.account).into(), since_unix_ms: now };
            changes.push(self.sensors.put(sensor_id.as_bytes(), &record, Expect::Any));
            state.bind(Arc::clone(sensor_id), &who.account, now);
        }
        if let Pass::Credential(id) = who.pass
            && let Some(record) = state.credentials.get_mut(&id)
        {
            record.seen_unix_ms = Some(now);
            changes.push(self.credentials.put(&id.0, record, Expect::Any));
        }
        let heard = Arc::new(Heard::now());
        let connector = self.connect(&mut state, who, connector, now, &mut changes);
        let row = Feed {
            bringer: who.clone(),
            sensor_id: Arc::clone(sensor_id),
            connector,
            heard: Arc::clone(&heard),
        };
        state.feeds.insert(feed, row);
        drop(state);
        self.write(changes);
        Ok(heard)
    }

    /// A feed is closed.
    pub fn leave(&self, feed: FeedId) {
        let now = self.clock.now().unix_ms;
        let mut changes = Vec::new();
        let mut state = lock(&self.state);
        let Some(row) = state.feeds.remove(&feed) else { return };
        self.disconnect(&mut state, &row.connector, now, &mut changes);
        if let Pass::Credential(id) = row.bringer.pass
            && let Some(record) = state.credentials.get_mut(&id)
        {
            record.seen_unix_ms = Some(now);
            changes.push(self.credentials.put(&id.0, record, Expect::Any));
        }
        drop(state);
        self.write(changes);
    }

    /// Ends feeds: the engine hears of it before its next tick, their sockets as well; how many.
    fn end(&self, state: &mut State, is_over: impl Fn(&Feed) -> bool) -> usize {
        let over = state.feeds.iter().filter(|(_, feed)| is_over(feed));
        let over: Vec<FeedId> = over.map(|(id, _)| *id).collect();
        let now = self.clock.now().unix_ms;
        let mut changes = Vec::new();
        for feed in &over {
            self.devices.revoke(*feed);
            if let Some(row) = state.feeds.remove(feed) {
                self.disconnect(state, &row.connector, now, &mut changes);
            }
        }
        self.write(changes);
        over.len()
    }

    /// Sessions that are over: what was let in by their tokens is out.
    pub fn end_sessions(&self, over: &[SessionId]) {
        let mut state = lock(&self.state);
        self.end(&mut state, |feed| match feed.bringer.pass {
            Pass::Session(session) => over.contains(&session),
            Pass::Credential(_) => false,
        });
    }

    /// Accounts that are no more: nothing belongs to them.
    pub fn forget(&self, accounts: &[AccountId]) {
        let mut changes = Vec::new();
        let mut state = lock(&self.state);
        for account in accounts {
            self.end(&mut state, |feed| feed.bringer.account == *account);
            let own: Vec<Arc<str>> = match state.of_account.get(account) {
                None => continue,
                Some(it) if it.sensor_count == 0 => Vec::new(),
                Some(_) => {
                    let own = state.sensors.iter().filter(|(_, (owner, _))| owner == account);
                    own.map(|(id, _)| Arc::clone(id)).collect()
                }
            };
            for sensor_id in own {
                state.unbind(&sensor_id);
                changes.push(self.sensors.delete(sensor_id.as_bytes(), Expect::Any));
            }
            let Some(gone) = state.of_account.remove(account) else { continue };
            for id in gone.credentials {
                state.take(id);
                changes.push(self.credentials.delete(&id.0, Expect::Any));
            }
            for id in gone.connectors.keys() {
                let key = ConnectorKey { account: Arc::clone(account), id: Arc::clone(id) };
                changes.push(self.connectors.delete(&key.bytes(), Expect::Any));
            }
        }
        drop(state);
        self.write(changes);
    }

    pub fn figures(&self) -> Figures {
        let state = lock(&self.state);
        Figures {
            credentials: state.credentials.len(),
            sensors: state.sensors.len(),
            feeds: state.feeds.len(),
        }
    }

    /// Who asks, if they may.
    fn judge<'a>(&self, asker: &'a Asker, action: Action) -> Result<&'a AccountId, BelongingError> {
        can(asker.who, action, What::House).map_err(BelongingError::Denied)?;
        if !lock(&self.state).is_hydrated {
            return Err(BelongingError::Hydrating);
        }
        asker.id.as_ref().ok_or(BelongingError::Denied(Denied::SignIn))
    }

    /// What the store refuses at once is not done.
    fn hand_over(&self, changes: Vec<Change>) -> Result<Kept, BelongingError> {
        Kept::hand_over(&self.store, changes).map_err(BelongingError::Refused)
    }

    async fn wait(&self, kept: Kept) -> bool {
        kept.wait(&self.store).await
    }

    /// Does not wait.
    fn write(&self, changes: Vec<Change>) {
        if !changes.is_empty()
            && let Err(refused) = self.store.write(changes)
        {
            tracing::warn!(%refused, "something of a device is not kept");
        }
    }
}

impl State {
    fn owner(&self, sensor_id: &str) -> Option<&AccountId> {
        self.sensors.get(sensor_id).map(|(owner, _)| owner)
    }

    fn bind(&mut self, sensor_id: Arc<str>, account: &AccountId, since_unix_ms: i64) {
        let own = (Arc::clone(account), since_unix_ms);
        if self.sensors.insert(sensor_id, own).is_none() {
            self.of_account.entry(Arc::clone(account)).or_default().sensor_count += 1;
        }
        self.round.fetch_add(1, Ordering::AcqRel);
    }

    fn unbind(&mut self, sensor_id: &str) {
        let Some((account, _)) = self.sensors.remove(sensor_id) else { return };
        self.round.fetch_add(1, Ordering::AcqRel);
        if let Some(account) = self.of_account.get_mut(&account) {
            account.sensor_count -= 1;
        }
    }

    fn may_feed(
        &self,
        sensor_id: &str,
        who: Option<&Bringer>,
        unix_ms: i64,
    ) -> Result<(), &'static str> {
        // Live data does not wait for the store: until that can be read, an id is nobody's.
        match (self.owner(sensor_id), who) {
            (None, None) => return Ok(()),
            (Some(_), None) => return Err("not_owner"),
            (Some(owner), Some(who)) if *owner != who.account => return Err("not_owner"),
            (None, Some(who)) => {
                let known = self.of_account.get(&who.account).map_or(0, |it| it.sensor_count);
                if known >= SENSOR_COUNT_MAX || self.sensors.len() >= SENSOR_COUNT_ALL_MAX {
                    return Err("too_many_sensors");
                }
            }
            _ => {}
        }
        match who.map(|who| who.pass) {
            Some(Pass::Credential(id)) => match self.credentials.get(&id) {
                Some(record) if record.is_over(unix_ms) => Err("unauthorized"),
                None => Err("unauthorized"),
                Some(record) if !record.scope.has(sensor_id) => Err("out_of_scope"),
                Some(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// A name of a credential or connector.
fn name_of(text: &str) -> Result<Box<str>, BelongingError> {
    let text = text.trim();
    let fits = (1..=NAME_LETTERS_MAX).contains(&text.chars().count());
    let fits = fits && !text.contains(crate::people::is_unseen);
    fits.then(|| text.into()).ok_or(BelongingError::Name)
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
