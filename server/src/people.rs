//! Who people are: accounts, guests, and the sessions of who is signed in.
//!
//! Everything is in memory, and what is to outlive the server is handed to the store as well, so that
//! asking who somebody is costs one look into a table. What is promised is in `docs/people.md`.

pub mod api;
mod first_run;
mod guesses;
pub mod limits;
pub mod password;
pub mod record;
mod session;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use components::sample::EngineTime;
use serde::{Serialize, Serializer};
use tokio::time::timeout;

use crate::clock::{Clock, Now};
use crate::search::marks::{Marked, Marks};
use crate::secret::{self, Digest, NoRandom};
use crate::store::record::Revision;
use crate::store::{Change, Entry, Expect, ReadError, Refused, Store, Table};
use first_run::FirstRun;
use guesses::Guesses;
use limits::Limits;
use password::{HashError, Hasher};
use record::{AccountRecord, SessionRecord};
pub use session::{Granted, SessionId};
use session::{Key, Secrets, Session};
pub use words::WordError;
pub(crate) use words::is_unseen;

/// Accounts with an e-mail address.
pub const ACCOUNT_COUNT_MAX: usize = 100_000;

/// Guests at once.
pub const GUEST_COUNT_MAX: usize = 10_000;

/// Sessions of one account; one more ends the oldest.
pub const SESSION_COUNT_MAX: usize = 20;

/// A guest that nobody has seen for so long is gone.
pub const GUEST_IDLE: Duration = Duration::from_secs(2 * 3600);

/// What nobody waits for longer: the answer says then that it is not on the disk yet.
const KEEP_PATIENCE: Duration = Duration::from_secs(1);

/// When a guest was last seen is written this often.
const SEEN_PERIOD_MS: u64 = 5 * 60 * 1000;

/// Between two looks for who has gone.
const SWEEP_PERIOD: Duration = Duration::from_secs(30);

/// What somebody may do everywhere; what they may in a room is the room's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Guest,
    Person,
    Administrator,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Guest, Self::Person, Self::Administrator];

    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Person => "person",
            Self::Administrator => "administrator",
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// As its number.
impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// An account's id: a UUID, or `guest_` and 22 letters.
pub type AccountId = Arc<str>;

/// Somebody who has said who they are, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: AccountId,
    pub role: Role,
    pub session: SessionId,
}

/// What is told about somebody to themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: AccountId,
    pub email: Option<Box<str>>,
    pub display_name: Box<str>,
    pub role: Role,
}

/// How accounts are made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleConfig {
    /// Whoever comes may have an account.
    pub is_registration_open: bool,
    /// And may come in without one.
    pub lets_guests_in: bool,
    pub guest_idle: Duration,
    pub account_count_max: usize,
    pub guest_count_max: usize,
    /// How often one address may try is multiplied by this.
    pub limit_factor: usize,
    /// There is mail, or a link that would be in one is said in the log.
    pub mails_links: bool,
}

impl Default for PeopleConfig {
    fn default() -> Self {
        Self {
            is_registration_open: true,
            lets_guests_in: true,
            guest_idle: GUEST_IDLE,
            account_count_max: ACCOUNT_COUNT_MAX,
            guest_count_max: GUEST_COUNT_MAX,
            limit_factor: 1,
            mails_links: false,
        }
    }
}

/// Why somebody does not get what they ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeopleError {
    /// What the store knows is not here yet.
    Hydrating,
    /// Too many passwords wait to be looked at.
    Busy,
    /// Too many wrong passwords.
    Guessing {
        retry: Duration,
    },
    /// No account has this address, or it has another password.
    Wrong,
    /// A token that is none of ours, not any more, or for another door.
    BadToken,
    EmailTaken,
    RegistrationClosed,
    GuestsRefused,
    NoMail,
    /// There is one who carries it, and it does not work now.
    MailIsOut,
    BadFirstRunToken,
    TooMany,
    Word(WordError),
    /// A guest has no password.
    NotForGuests,
    NoRandom,
    /// The store has not taken it.
    Refused(Refused),
}

impl From<NoRandom> for PeopleError {
    fn from(_: NoRandom) -> Self {
        Self::NoRandom
    }
}

impl From<HashError> for PeopleError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::NoRandom => Self::NoRandom,
        }
    }
}

impl From<WordError> for PeopleError {
    fn from(error: WordError) -> Self {
        Self::Word(error)
    }
}

struct Account {
    record: AccountRecord,
    /// The oldest first.
    sessions: Vec<SessionId>,
    /// Of a guest: when it is gone if nobody sees it before.
    gone_at: EngineTime,
    /// Of a guest: when `seen_unix_ms` was last written.
    written_at: EngineTime,
}

#[derive(Default)]
struct State {
    accounts: HashMap<AccountId, Account>,
    emails: HashMap<Box<str>, AccountId>,
    sessions: HashMap<SessionId, Session>,
    keys: HashMap<Digest, Key>,
    guest_count: usize,
    /// For search.
    changed: Marks<AccountId>,
    /// Links by mail that are out: whose, and until when.
    mailed: HashMap<Digest, (AccountId, EngineTime)>,
}

/// Called when sessions have ended. Must not wait, nor change anybody here.
pub type OnEnd = Box<dyn Fn(&[SessionId]) + Send + Sync>;

/// Called when accounts are no more, as [`OnEnd`].
pub type OnGone = Box<dyn Fn(&[AccountId]) + Send + Sync>;

/// See the module.
pub struct People {
    config: PeopleConfig,
    state: Mutex<State>,
    store: Store,
    accounts: Table<AccountRecord>,
    sessions: Table<SessionRecord>,
    clock: Clock,
    hasher: Hasher,
    guesses: Guesses,
    pub limits: Limits,
    first_run: FirstRun,
    hydrated: AtomicBool,
    on_end: Mutex<Vec<OnEnd>>,
    on_gone: Mutex<Vec<OnGone>>,
    counts: Counts,
}

/// What has happened since the server began.
#[derive(Debug, Default)]
struct Counts {
    signed_in: AtomicU64,
    wrong: AtomicU64,
    slowed: AtomicU64,
    reused: AtomicU64,
}

/// What there is, and what has happened, for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub accounts: usize,
    pub guests: usize,
    pub sessions: usize,
    pub signed_in: u64,
    /// Wrong passwords.
    pub wrong: u64,
    /// Attempts that were not looked at, for too many wrong ones before.
    pub slowed: u64,
    /// Sessions ended because a refresh token came twice.
    pub reused: u64,
    /// Passwords not looked at, because too many waited.
    pub busy: u64,
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "People({})", lock(&self.state).accounts.len())
    }
}

impl People {
    /// Nobody, until it is [hydrated](Self::hydrate). `folder` is where the first administrator
    /// finds a token, if anything is kept.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        config: PeopleConfig,
        folder: Option<PathBuf>,
        store: Store,
        clock: Clock,
    ) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            limits: Limits::new(config.limit_factor),
            config,
            state: Mutex::default(),
            accounts: store.table(),
            sessions: store.table(),
            store,
            clock,
            hasher: Hasher::start()?,
            guesses: Guesses::default(),
            first_run: FirstRun::new(folder),
            hydrated: AtomicBool::new(false),
            on_end: Mutex::default(),
            on_gone: Mutex::default(),
            counts: Counts::default(),
        }))
    }

    /// Takes over what another server has left in the store; how many accounts. Blocks.
    ///
    /// # Errors
    /// The store cannot be asked now.
    pub fn hydrate(&self) -> Result<usize, ReadError> {
        let accounts = self.accounts.all()?;
        let sessions = self.sessions.all()?;
        let now = self.clock.now();
        let mut gone = Vec::new();
        let mut state = lock(&self.state);
        // What is damaged the store has counted and told of.
        for Entry { key, revision, record } in accounts.into_iter().flatten() {
            match std::str::from_utf8(&key) {
                Ok(id) if state.accounts.contains_key(id) => {}
                Ok(id) => match self.taken_up(record, now) {
                    Some(account) => state.insert(id.into(), account),
                    None => gone.push(self.accounts.delete(&key, Expect::At(revision))),
                },
                Err(_) => gone.push(self.accounts.delete(&key, Expect::At(revision))),
            }
        }
        for Entry { key, revision, record } in sessions.into_iter().flatten() {
            if !state.take_up_session(&key, record, now) {
                gone.push(self.sessions.delete(&key, Expect::At(revision)));
            }
        }
        let has_administrator =
            state.accounts.values().any(|account| account.record.role == Role::Administrator);
        let count = state.accounts.len();
        drop(state);
        self.write(gone);
        if !has_administrator {
            self.first_run.offer();
        }
        self.hydrated.store(true, Ordering::Release);
        Ok(count)
    }

    /// `None`: a guest that has gone meanwhile.
    fn taken_up(&self, record: AccountRecord, now: Now) -> Option<Account> {
        let idle_ms = self.config.guest_idle.as_millis() as i64;
        let left_ms = match record.role {
            Role::Guest => (record.seen_unix_ms + idle_ms - now.unix_ms).clamp(0, idle_ms),
            _ => i64::MAX >> 1,
        };
        (left_ms > 0).then(|| Account {
            record,
            sessions: Vec::new(),
            gone_at: now.engine.plus_millis(left_ms as u64),
            written_at: now.engine,
        })
    }

    /// Whoever is to hear of sessions that end.
    pub fn on_end(&self, hear: OnEnd) {
        lock(&self.on_end).push(hear);
    }

    /// Whoever is to hear of accounts that are no more.
    pub fn on_gone(&self, hear: OnGone) {
        lock(&self.on_gone).push(hear);
    }

    pub(crate) fn now(&self) -> EngineTime {
        self.clock.now().engine
    }

    fn ready(&self) -> Result<(), PeopleError> {
        let is_ready = self.hydrated.load(Ordering::Acquire);
        if is_ready { Ok(()) } else { Err(PeopleError::Hydrating) }
    }

    /// A new account, and a session of it. Whoever has the token of the first run becomes an
    /// administrator, also where nobody else can register.
    ///
    /// # Errors
    /// See [`PeopleError`]; there is no account then.
    pub async fn register(
        &self,
        email: &str,
        password: &str,
        display_name: Option<&str>,
        first_run_token: Option<&str>,
    ) -> Result<Granted, PeopleError> {
        self.ready()?;
        let email = words::email(email)?;
        words::password(password)?;
        let display_name = match display_name {
            Some(name) => words::display_name(name)?,
            None => words::pseudonym("Person")?,
        };
        let first_run = first_run_token.map(|token| {
            self.first_run.is(token).then_some(()).ok_or(PeopleError::BadFirstRunToken)
        });
        first_run.transpose()?;
        let role = match first_run_token {
            Some(_) => Role::Administrator,
            None if self.config.is_registration_open => Role::Person,
            None => return Err(PeopleError::RegistrationClosed),
        };
        self.make(email, password, display_name, role, first_run_token).await
    }

    async fn make(
        &self,
        email: Box<str>,
        password: &str,
        display_name: Box<str>,
        role: Role,
        first_run_token: Option<&str>,
    ) -> Result<Granted, PeopleError> {
        // Looked at before the work, and again behind it.
        if lock(&self.state).emails.contains_key(&email) {
            return Err(PeopleError::EmailTaken);
        }
        let hash = self.hasher.make(password).await?;
        let secrets = Secrets::new()?;
        let id: AccountId =
            uuid::Builder::from_random_bytes(secret::random()?).into_uuid().to_string().into();
        let now = self.clock.now();
        let record = AccountRecord {
            email: Some(email.clone()),
            password: Some(hash),
            display_name,
            role,
            made_unix_ms: now.unix_ms,
            seen_unix_ms: now.unix_ms,
        };
        let begun = {
            let mut state = lock(&self.state);
            if state.emails.contains_key(&email) {
                return Err(PeopleError::EmailTaken);
            }
            if state.accounts.len() - state.guest_count >= self.config.account_count_max {
                return Err(PeopleError::TooMany);
            }
            // There is one first administrator, whoever comes at the same time.
            if first_run_token.is_some_and(|token| !self.first_run.take(token)) {
                return Err(PeopleError::BadFirstRunToken);
            }
            let change = self.accounts.put(id.as_bytes(), &record, Expect::Absent);
            let gone_at = EngineTime(u64::MAX);
            let account = Account { record, sessions: Vec::new(), gone_at, written_at: now.engine };
            state.insert(Arc::clone(&id), account);
            self.begin_session(&mut state, &id, &secrets, now, vec![change])?
        };
        let granted = self.granted(begun).await;
        if granted.is_err() {
            self.undo(&id);
            if role == Role::Administrator {
                self.first_run.offer();
            }
        }
        granted
    }

    /// An account that was not kept, and never will be.
    fn undo(&self, id: &str) {
        let mut state = lock(&self.state);
        let ended = state.end_sessions(id, None);
        state.remove(id);
        drop(state);
        self.tell_ended(&ended);
    }

    /// # Errors
    /// See [`PeopleError`]; that there is no such account and that its password is another are one
    /// error, and take as long.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<Granted, PeopleError> {
        self.ready()?;
        // What no account can have is compared with nobody's.
        let email = words::email(email).unwrap_or_default();
        let password = words::password(password).map_or("", |()| password);
        let now = self.clock.now();
        self.guesses.begin(&email, from, now.engine).map_err(|retry| {
            self.counts.slowed.fetch_add(1, Ordering::Relaxed);
            PeopleError::Guessing { retry }
        })?;
        let found = {
            let state = lock(&self.state);
            let id = state.emails.get(&email).cloned();
            id.and_then(|id| {
                let hash = state.accounts.get(&id)?.record.password.clone()?;
                Some((id, hash))
            })
        };
        let (id, hash) = found.unzip();
        if !self.hasher.is(password, hash.clone()).await? {
            self.counts.wrong.fetch_add(1, Ordering::Relaxed);
            return Err(PeopleError::Wrong);
        }
        self.guesses.right(&email, from);
        let secrets = Secrets::new()?;
        let begun = {
            let mut state = lock(&self.state);
            // It may have got another password meanwhile, or have gone.
            let id = id.filter(|id| {
                state.accounts.get(id).is_some_and(|account| account.record.password == hash)
            });
            let id = id.ok_or(PeopleError::Wrong)?;
            self.begin_session(&mut state, &id, &secrets, self.clock.now(), Vec::new())?
        };
        self.counts.signed_in.fetch_add(1, Ordering::Relaxed);
        self.granted(begun).await
    }

    /// Somebody without an account.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn guest(&self, display_name: Option<&str>) -> Result<Granted, PeopleError> {
        self.ready()?;
        if !self.config.lets_guests_in {
            return Err(PeopleError::GuestsRefused);
        }
        let display_name = match display_name {
            Some(name) => words::display_name(name)?,
            None => words::pseudonym("Guest")?,
        };
        let id: AccountId = format!("guest_{}", secret::letters(&secret::random::<16>()?)).into();
        let now = self.clock.now();
        let record = AccountRecord {
            email: None,
            password: None,
            display_name,
            role: Role::Guest,
            made_unix_ms: now.unix_ms,
            seen_unix_ms: now.unix_ms,
        };
        let secrets = Secrets::new()?;
        let begun = {
            let mut state = lock(&self.state);
            if state.guest_count >= self.config.guest_count_max {
                return Err(PeopleError::TooMany);
            }
            let change = self.accounts.put(id.as_bytes(), &record, Expect::Absent);
            let gone_at = now.engine.plus_millis(self.config.guest_idle.as_millis() as u64);
            let account = Account { record, sessions: Vec::new(), gone_at, written_at: now.engine };
            state.insert(Arc::clone(&id), account);
            self.begin_session(&mut state, &id, &secrets, now, vec![change])?
        };
        let granted = self.granted(begun).await;
        if granted.is_err() {
            self.undo(&id);
        }
        granted
    }

    /// Who somebody is, as far as they may know.
    pub fn user(&self, id: &str) -> Option<User> {
        lock(&self.state).user(id)
    }

    /// How somebody is called, to others. Never their address.
    pub fn display_name(&self, id: &str) -> Option<Box<str>> {
        lock(&self.state).accounts.get(id).map(|account| account.record.display_name.clone())
    }

    /// For search: at most so many of those that came, went or are called otherwise.
    pub(crate) fn take_changed(&self, count: usize) -> Marked<AccountId> {
        lock(&self.state).changed.take(count)
    }

    pub(crate) fn ids(&self) -> Vec<AccountId> {
        lock(&self.state).accounts.keys().cloned().collect()
    }

    /// # Errors
    /// The name is none, or somebody has gone.
    pub async fn rename(&self, id: &str, display_name: &str) -> Result<User, PeopleError> {
        let display_name = words::display_name(display_name)?;
        let (user, kept) = {
            let mut state = lock(&self.state);
            let State { accounts, changed, .. } = &mut *state;
            let account = accounts.get_mut(id).ok_or(PeopleError::BadToken)?;
            account.record.display_name = display_name;
            changed.mark(&id.into());
            let change = self.accounts.put(id.as_bytes(), &account.record, Expect::Any);
            (state.user(id).ok_or(PeopleError::BadToken)?, self.store.commit(vec![change]))
        };
        wait(kept).await?;
        Ok(user)
    }

    /// A new password, for who knows the old one; all other sessions end.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn change_password(
        &self,
        person: &Person,
        old: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<(), PeopleError> {
        words::password(new)?;
        let (email, hash) = self.password_of(&person.id)?;
        let now = self.clock.now().engine;
        self.guesses.begin(&email, from, now).map_err(|retry| PeopleError::Guessing { retry })?;
        if !self.hasher.is(old, Some(hash.clone())).await? {
            self.counts.wrong.fetch_add(1, Ordering::Relaxed);
            return Err(PeopleError::Wrong);
        }
        self.guesses.right(&email, from);
        let new = self.hasher.make(new).await?;
        let (ended, kept) = {
            let mut state = lock(&self.state);
            let account = state.accounts.get_mut(&person.id).ok_or(PeopleError::BadToken)?;
            if account.record.password.as_ref() != Some(&hash) {
                return Err(PeopleError::Wrong);
            }
            account.record.password = Some(new);
            let change = self.accounts.put(person.id.as_bytes(), &account.record, Expect::Any);
            let ended = state.end_sessions(&person.id, Some(person.session));
            let mut changes = self.deletions(&ended);
            changes.push(change);
            (ended, self.store.commit(changes))
        };
        self.tell_ended(&ended);
        wait(kept).await.map(drop)
    }

    fn password_of(&self, id: &str) -> Result<(Box<str>, password::PasswordHash), PeopleError> {
        let state = lock(&self.state);
        let record = &state.accounts.get(id).ok_or(PeopleError::BadToken)?.record;
        match (&record.email, &record.password) {
            (Some(email), Some(hash)) => Ok((email.clone(), hash.clone())),
            _ => Err(PeopleError::NotForGuests),
        }
    }

    /// Nothing of somebody is left here.
    ///
    /// # Errors
    /// The store has not taken it.
    pub async fn delete(&self, id: &str) -> Result<(), PeopleError> {
        let (ended, kept) = {
            let mut state = lock(&self.state);
            let ended = state.end_sessions(id, None);
            state.remove(id);
            let mut changes = self.deletions(&ended);
            changes.push(self.accounts.delete(id.as_bytes(), Expect::Any));
            (ended, self.store.commit(changes))
        };
        self.tell_ended(&ended);
        self.tell_gone(&[id.into()]);
        wait(kept).await.map(drop)
    }

    /// Ends what is over: sessions, tokens, guests that nobody has seen.
    pub fn sweep(&self) {
        let now = self.clock.now().engine;
        let (ended, gone, changes) = {
            let mut state = lock(&self.state);
            let gone: Vec<AccountId> = state
                .accounts
                .iter()
                .filter(|(_, account)| account.gone_at <= now)
                .map(|(id, _)| Arc::clone(id))
                .collect();
            let mut ended = state.expired_sessions(now);
            state.mailed.retain(|_, (_, expires)| *expires > now);
            let mut changes = Vec::new();
            for id in &gone {
                ended.extend(state.end_sessions(id, None));
                state.remove(id);
                changes.push(self.accounts.delete(id.as_bytes(), Expect::Any));
            }
            changes.extend(self.deletions(&ended));
            (ended, gone, changes)
        };
        self.write(changes);
        self.tell_ended(&ended);
        self.tell_gone(&gone);
    }

    /// Sweeps for as long as the server runs.
    pub async fn keep_sweeping(self: Arc<Self>, mut shutdown: tokio::sync::watch::Receiver<bool>) {
        while timeout(SWEEP_PERIOD, shutdown.wait_for(|down| *down)).await.is_err() {
            self.sweep();
        }
    }

    pub fn figures(&self) -> Figures {
        let state = lock(&self.state);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Figures {
            accounts: state.accounts.len() - state.guest_count,
            guests: state.guest_count,
            sessions: state.sessions.len(),
            signed_in: read(&self.counts.signed_in),
            wrong: read(&self.counts.wrong),
            slowed: read(&self.counts.slowed),
            reused: read(&self.counts.reused),
            busy: self.hasher.refused(),
        }
    }

    fn deletions(&self, ended: &[SessionId]) -> Vec<Change> {
        ended.iter().map(|id| self.sessions.delete(&id.0, Expect::Any)).collect()
    }

    fn tell_ended(&self, ended: &[SessionId]) {
        if !ended.is_empty() {
            lock(&self.on_end).iter().for_each(|hear| hear(ended));
        }
    }

    fn tell_gone(&self, gone: &[AccountId]) {
        if !gone.is_empty() {
            lock(&self.on_gone).iter().for_each(|hear| hear(gone));
        }
    }

    /// Does not wait. What is refused is counted by the store.
    fn write(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        match self.store.write(changes) {
            Ok(()) | Err(Refused::Full | Refused::Closed) => {}
            Err(refused) => tracing::warn!(%refused, "something of an account is not kept"),
        }
    }
}

/// Whether it is on the disk; it still may be, if it is not yet.
async fn wait(kept: impl Future<Output = Result<Revision, Refused>>) -> Result<bool, PeopleError> {
    match timeout(KEEP_PATIENCE, kept).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(refused)) => Err(PeopleError::Refused(refused)),
        Err(_) => Ok(false),
    }
}

impl State {
    fn insert(&mut self, id: AccountId, account: Account) {
        self.changed.mark(&id);
        match &account.record.email {
            Some(email) => {
                self.emails.insert(email.clone(), Arc::clone(&id));
            }
            None => self.guest_count += 1,
        }
        self.accounts.insert(id, account);
    }

    fn remove(&mut self, id: &str) {
        let Some(account) = self.accounts.remove(id) else { return };
        self.changed.mark(&id.into());
        match account.record.email {
            Some(email) => drop(self.emails.remove(&email)),
            None => self.guest_count -= 1,
        }
    }

    fn user(&self, id: &str) -> Option<User> {
        let (id, account) = self.accounts.get_key_value(id)?;
        let AccountRecord { email, display_name, role, .. } = &account.record;
        Some(User {
            id: Arc::clone(id),
            email: email.clone(),
            display_name: display_name.clone(),
            role: *role,
        })
    }
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
