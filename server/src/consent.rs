//! Consent: which of their signals people show by grant only, to whom, and until when.
//!
//! Nothing is looked up for a sample. Of each stream that is private the circle of who may see it is found
//! once, and again when anything changes that it is made of: a grant, who owns a sensor, who is in a
//! room, the hour at which a grant ends. [`Consent::round`] tells of all of these; it is one number, and
//! whoever sends values compares it before each tick's. What is promised is in `docs/consent.md`.

pub mod api;
mod circle;
pub mod record;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::belongings::Belongings;
use crate::can::{Action, Denied, What, can};
use crate::clock::Clock;
use crate::kept::Kept;
use crate::people::{AccountId, People};
use crate::rooms::{Asker, RoomDesk, RoomId};
use crate::secret::{self, NoRandom};
use crate::store::{Change, Entry, Expect, ReadError, Refused, Store, Table};
pub(crate) use circle::Circle;
use record::{GrantRecord, PrivacyRecord, To, means};

/// The word for all attributes.
pub const ANY: &str = "any";

/// Words that one may have private.
pub const PRIVATE_COUNT_MAX: usize = 64;

/// Grants of one owner, and of all.
pub const GRANT_COUNT_MAX: usize = 200;
pub const GRANT_COUNT_ALL_MAX: usize = 100_000;

/// Seconds that a grant may last, if it ends.
pub const GRANT_SECONDS_MAX: u64 = 10 * 366 * 86_400;

/// Between two looks for what is over.
const SWEEP_PERIOD: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::parse_str(text).ok().filter(|id| id.to_string() == text);
        id.map(|id| Self(*id.as_bytes()))
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentError {
    Denied(Denied),
    Hydrating,
    /// There is none, for all they may know.
    NoSuch(&'static str),
    Word,
    Expiry,
    TooMany(&'static str),
    NoRandom,
    Refused(Refused),
}

impl From<NoRandom> for ConsentError {
    fn from(_: NoRandom) -> Self {
        Self::NoRandom
    }
}

/// What is to be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub to: To,
    pub word: Box<str>,
    pub sensor_id: Option<Box<str>>,
    /// Seconds. `None`: until it is revoked.
    pub expires_in: Option<u64>,
}

#[derive(Default)]
struct Owner {
    private: PrivacyRecord,
    /// The oldest first.
    grants: Vec<(GrantId, GrantRecord)>,
}

#[derive(Default)]
struct State {
    owners: HashMap<AccountId, Owner>,
    grant_count: usize,
    /// Of a round: who is in the rooms to which something is granted.
    members: (u64, HashMap<RoomId, Arc<HashSet<AccountId>>>),
    is_hydrated: bool,
}

/// See the module.
pub struct Consent {
    state: Mutex<State>,
    /// Changes here; those of rooms and owners are counted there.
    changes: AtomicU64,
    /// Somebody has something private.
    is_any: AtomicBool,
    /// When the next grant ends, Unix milliseconds.
    next_end: AtomicI64,
    store: Store,
    privacy: Table<PrivacyRecord>,
    grants: Table<GrantRecord>,
    people: Arc<People>,
    rooms: Arc<RoomDesk>,
    belongings: Arc<Belongings>,
    clock: Clock,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consent({})", lock(&self.state).owners.len())
    }
}

/// What there is, for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub owners: usize,
    pub grants: usize,
}

impl Consent {
    pub fn new(
        store: Store,
        people: Arc<People>,
        rooms: Arc<RoomDesk>,
        belongings: Arc<Belongings>,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changes: AtomicU64::new(1),
            is_any: AtomicBool::new(false),
            next_end: AtomicI64::new(i64::MAX),
            privacy: store.table(),
            grants: store.table(),
            store,
            people,
            rooms,
            belongings,
            clock,
        })
    }

    /// Takes over what another server has left in the store. Blocks. What is of accounts that are no more
    /// is taken away.
    ///
    /// # Errors
    /// The store cannot be asked now.
    pub fn hydrate(&self) -> Result<(), ReadError> {
        let privacy = self.privacy.all()?;
        let grants = self.grants.all()?;
        let mut over = Vec::new();
        let mut state = lock(&self.state);
        let is_there = |account: &str| self.people.display_name(account).is_some();
        // What is damaged the store has counted and told of.
        for Entry { key, record, .. } in privacy.into_iter().flatten() {
            match std::str::from_utf8(&key) {
                Ok(account) if is_there(account) => {
                    state.owners.entry(account.into()).or_default().private = record;
                }
                _ => over.push(self.privacy.delete(&key, Expect::Any)),
            }
        }
        for Entry { key, record, .. } in grants.into_iter().flatten() {
            match <[u8; 16]>::try_from(&*key) {
                Ok(id) if is_there(&record.owner) => {
                    let owner = state.owners.entry((*record.owner).into()).or_default();
                    owner.grants.push((GrantId(id), record));
                }
                _ => over.push(self.grants.delete(&key, Expect::Any)),
            }
        }
        for owner in state.owners.values_mut() {
            owner.grants.sort_by_key(|(id, grant)| (grant.made_unix_ms, id.0));
        }
        state.grant_count = state.owners.values().map(|owner| owner.grants.len()).sum();
        state.is_hydrated = true;
        self.changed(&state);
        drop(state);
        self.write(over);
        Ok(())
    }

    /// Another number whenever it may be that somebody else may see something.
    pub(crate) fn round(&self, unix_ms: i64) -> u64 {
        if unix_ms >= self.next_end.load(Ordering::Acquire) {
            // Under the lock, as every change.
            let state = lock(&self.state);
            self.changed(&state);
        }
        self.changes.load(Ordering::Acquire) + self.rooms.round() + self.belongings.round()
    }

    /// Whether anything is private at all.
    pub(crate) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Acquire)
    }

    fn changed(&self, state: &State) {
        let now = self.clock.now().unix_ms;
        let ends = state.owners.values().flat_map(|owner| &owner.grants);
        let ends = ends.filter_map(|(_, grant)| grant.until_unix_ms).filter(|end| *end > now);
        self.next_end.store(ends.min().unwrap_or(i64::MAX), Ordering::Release);
        let is_any = state.owners.values().any(|owner| !owner.private.words.is_empty());
        self.is_any.store(is_any, Ordering::Release);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Who may see this attribute. `None`: it is not private; whoever may look sees it.
    pub(crate) fn circle(&self, sensor_id: &str, attribute_id: &str, kind: &str) -> Option<Circle> {
        if !self.is_any() {
            return None;
        }
        let owner = self.belongings.owner(sensor_id)?;
        let now = self.clock.now().unix_ms;
        let round = self.round(now);
        let mut state = lock(&self.state);
        let State { owners, members, .. } = &mut *state;
        let Owner { private, grants } = owners.get(&owner)?;
        if !private.words.iter().any(|word| means(word, attribute_id, kind)) {
            return None;
        }
        if members.0 != round {
            *members = (round, HashMap::new());
        }
        let mut circle = Circle { owner, people: Vec::new(), rooms: Vec::new() };
        let shown = grants
            .iter()
            .filter(|(_, it)| !it.is_over(now) && it.shows(sensor_id, attribute_id, kind));
        for (_, grant) in shown {
            match &grant.to {
                To::Person(account) => circle.people.push((**account).into()),
                To::Room(id) => {
                    let id = RoomId(*id);
                    let room = members.1.entry(id);
                    let room = room.or_insert_with(|| Arc::new(self.rooms.members_of(id)));
                    circle.rooms.push(Arc::clone(room));
                }
            }
        }
        Some(circle)
    }

    /// The same, of who knows the attribute by its id only.
    pub(crate) fn circle_of(&self, sensor_id: &str, attribute_id: &str) -> Option<Circle> {
        let kind = self.rooms.directory.kind(sensor_id, attribute_id);
        self.circle(sensor_id, attribute_id, kind.map_or("", |kind| kind.name()))
    }

    /// What somebody has private, and their grants that are not over.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub fn given(
        &self,
        asker: &Asker,
    ) -> Result<(Vec<Box<str>>, Vec<(GrantId, GrantRecord)>), ConsentError> {
        let account = self.judge(asker)?;
        let now = self.clock.now().unix_ms;
        let state = lock(&self.state);
        let Some(owner) = state.owners.get(account) else { return Ok(Default::default()) };
        let grants = owner.grants.iter().filter(|(_, grant)| !grant.is_over(now));
        Ok((owner.private.words.clone(), grants.cloned().collect()))
    }

    /// Grants to somebody by name, by whomever.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub fn received(&self, asker: &Asker) -> Result<Vec<(GrantId, GrantRecord)>, ConsentError> {
        let account = self.judge(asker)?;
        let now = self.clock.now().unix_ms;
        let state = lock(&self.state);
        let all = state.owners.values().flat_map(|owner| &owner.grants);
        let own = all.filter(|(_, grant)| {
            !grant.is_over(now) && matches!(&grant.to, To::Person(them) if **them == **account)
        });
        let mut own: Vec<_> = own.take(GRANT_COUNT_MAX).cloned().collect();
        own.sort_by_key(|(id, grant)| (grant.made_unix_ms, id.0));
        Ok(own)
    }

    /// Says what is private from now on, and nothing else.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub async fn set_private(
        &self,
        asker: &Asker,
        words: Vec<Box<str>>,
    ) -> Result<bool, ConsentError> {
        let account = self.judge(asker)?.clone();
        let mut words = words;
        words.sort();
        words.dedup();
        if words.len() > PRIVATE_COUNT_MAX {
            return Err(ConsentError::TooMany("private attributes"));
        }
        if !words.iter().all(|word| is_word(word)) {
            return Err(ConsentError::Word);
        }
        let kept = {
            let mut state = lock(&self.state);
            let record = PrivacyRecord { words };
            let kept = self.hand_over(vec![self.put_privacy(&account, &record)])?;
            state.owners.entry(account).or_default().private = record;
            self.changed(&state);
            kept
        };
        Ok(kept.wait(&self.store).await)
    }

    /// Shows something to somebody. What is granted is private from now on: else it would be shown to
    /// everybody who may look.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub async fn grant(
        &self,
        asker: &Asker,
        wish: Wish,
    ) -> Result<(GrantId, GrantRecord, bool), ConsentError> {
        let account = self.judge(asker)?.clone();
        let Wish { to, word, sensor_id, expires_in } = wish;
        if !is_word(&word) {
            return Err(ConsentError::Word);
        }
        let is_known = match &to {
            To::Person(them) => self.people.display_name(them).is_some(),
            To::Room(id) => self.rooms.sight(asker).room(RoomId(*id)),
        };
        if !is_known {
            return Err(ConsentError::NoSuch("person or room"));
        }
        if let Some(sensor_id) = &sensor_id
            && self.belongings.owner(sensor_id).as_ref() != Some(&account)
        {
            return Err(ConsentError::NoSuch("sensor"));
        }
        if expires_in.is_some_and(|seconds| !(1..=GRANT_SECONDS_MAX).contains(&seconds)) {
            return Err(ConsentError::Expiry);
        }
        let now = self.clock.now().unix_ms;
        let record = GrantRecord {
            owner: (*account).into(),
            to,
            word,
            sensor_id,
            made_unix_ms: now,
            until_unix_ms: expires_in.map(|seconds| now + seconds as i64 * 1000),
        };
        let id = GrantId(*uuid::Builder::from_random_bytes(secret::random()?).as_uuid().as_bytes());
        let kept = {
            let mut state = lock(&self.state);
            if state.grant_count >= GRANT_COUNT_ALL_MAX {
                return Err(ConsentError::TooMany("grants"));
            }
            let State { owners, grant_count, .. } = &mut *state;
            let owner = owners.entry(Arc::clone(&account)).or_default();
            if owner.grants.len() >= GRANT_COUNT_MAX {
                return Err(ConsentError::TooMany("grants"));
            }
            let mut private = owner.private.clone();
            if !private.words.contains(&record.word) {
                private.words.push(record.word.clone());
                private.words.sort();
            }
            if private.words.len() > PRIVATE_COUNT_MAX {
                return Err(ConsentError::TooMany("private attributes"));
            }
            let change = self.grants.put(&id.0, &record, Expect::Absent);
            let kept = self.hand_over(vec![change, self.put_privacy(&account, &private)])?;
            owner.private = private;
            owner.grants.push((id, record.clone()));
            *grant_count += 1;
            self.changed(&state);
            kept
        };
        Ok((id, record, kept.wait(&self.store).await))
    }

    /// Takes a grant back. What is measured from now on is not for them.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub async fn revoke(&self, asker: &Asker, id: GrantId) -> Result<bool, ConsentError> {
        let account = self.judge(asker)?;
        let kept = {
            let mut state = lock(&self.state);
            let State { owners, grant_count, .. } = &mut *state;
            let grants = &mut owners.get_mut(account).ok_or(ConsentError::NoSuch("grant"))?.grants;
            let at = grants.iter().position(|(known, _)| *known == id);
            let at = at.ok_or(ConsentError::NoSuch("grant"))?;
            let kept = self.hand_over(vec![self.grants.delete(&id.0, Expect::Any)])?;
            grants.remove(at);
            *grant_count -= 1;
            self.changed(&state);
            kept
        };
        Ok(kept.wait(&self.store).await)
    }

    /// Grants that are over, or to nobody.
    pub fn sweep(&self) {
        let now = self.clock.now().unix_ms;
        self.drop_grants(|grant| {
            grant.is_over(now)
                || matches!(&grant.to, To::Room(id) if self.rooms.words(RoomId(*id)).is_none())
        });
    }

    fn drop_grants(&self, is_over: impl Fn(&GrantRecord) -> bool) {
        let mut changes = Vec::new();
        let mut state = lock(&self.state);
        for owner in state.owners.values_mut() {
            owner.grants.retain(|(id, grant)| {
                let goes = is_over(grant);
                if goes {
                    changes.push(self.grants.delete(&id.0, Expect::Any));
                }
                !goes
            });
        }
        if changes.is_empty() {
            return;
        }
        state.grant_count -= changes.len();
        self.changed(&state);
        drop(state);
        self.write(changes);
    }

    pub async fn keep_sweeping(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        while timeout(SWEEP_PERIOD, shutdown.wait_for(|down| *down)).await.is_err() {
            self.sweep();
        }
    }

    /// Accounts that are no more: nothing is theirs, and nothing is for them.
    pub fn forget(&self, accounts: &[AccountId]) {
        let is_gone = |account: &str| accounts.iter().any(|gone| **gone == *account);
        self.drop_grants(|grant| {
            is_gone(&grant.owner) || matches!(&grant.to, To::Person(them) if is_gone(them))
        });
        let mut state = lock(&self.state);
        let gone: Vec<Change> = accounts
            .iter()
            .filter(|account| state.owners.remove(*account).is_some())
            .map(|account| self.privacy.delete(account.as_bytes(), Expect::Any))
            .collect();
        self.changed(&state);
        drop(state);
        self.write(gone);
    }

    pub fn figures(&self) -> Figures {
        let state = lock(&self.state);
        let owners = state.owners.values().filter(|owner| !owner.private.words.is_empty());
        Figures { owners: owners.count(), grants: state.grant_count }
    }

    fn judge<'a>(&self, asker: &'a Asker) -> Result<&'a AccountId, ConsentError> {
        can(asker.who, Action::OwnDevices, What::House).map_err(ConsentError::Denied)?;
        if !lock(&self.state).is_hydrated {
            return Err(ConsentError::Hydrating);
        }
        asker.id.as_ref().ok_or(ConsentError::Denied(Denied::SignIn))
    }

    fn put_privacy(&self, account: &str, record: &PrivacyRecord) -> Change {
        match record.words.is_empty() {
            true => self.privacy.delete(account.as_bytes(), Expect::Any),
            false => self.privacy.put(account.as_bytes(), record, Expect::Any),
        }
    }

    /// What the store refuses at once is not done.
    fn hand_over(&self, changes: Vec<Change>) -> Result<Kept, ConsentError> {
        Kept::hand_over(&self.store, changes).map_err(ConsentError::Refused)
    }

    /// Does not wait.
    fn write(&self, changes: Vec<Change>) {
        if !changes.is_empty()
            && let Err(refused) = self.store.write(changes)
        {
            tracing::warn!(%refused, "something of a grant is not kept");
        }
    }
}

/// What an attribute can be called.
fn is_word(word: &str) -> bool {
    components::attribute::is_attribute_id(word)
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
