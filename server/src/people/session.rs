//! Sessions: what somebody has in hand after signing in, for how long, and how all of it ends.
//!
//! | token | opens | for |
//! |---|---|---|
//! | access, `sa_` | HTTP | a quarter of an hour |
//! | socket, `ss_` | a socket, in its URL | a quarter of an hour, to connect with |
//! | refresh, `sr_` | `/api/auth/refresh`, once: there is another one then | thirty days |
//! | link, `sx_` | `/api/auth/exchange`, once: a session of its own, for another device | ten minutes |
//!
//! Each opens its own door only. A refresh token that comes a second time has been copied by
//! somebody: nobody can say who of the two is the thief, so the session ends for both (RFC 9700,
//! 4.14.2).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use components::sample::EngineTime;

use super::record::SessionRecord;
use super::{
    AccountId, People, PeopleError, Person, Role, SEEN_PERIOD_MS, SESSION_COUNT_MAX, State, User,
    lock, wait,
};
use crate::clock::Now;
use crate::secret::{self, Digest, NoRandom};
use crate::store::record::Revision;
use crate::store::{Change, Expect, Refused};

pub(super) const ACCESS_SECONDS: u64 = 15 * 60;
pub(super) const SESSION_SECONDS: u64 = 30 * 24 * 3600;
pub(super) const LINK_SECONDS: u64 = 10 * 60;

/// Before the letters of a link by mail.
const MAILED_PREFIX: &str = "sm_";

/// Links by mail that are out at once; one more, and no other is sent until one is over.
const MAILED_COUNT_MAX: usize = 10_000;

/// Access, socket and link tokens of one session; one more makes the oldest void.
const KEY_COUNT_MAX: usize = 8;

/// What a session is known by. Part of its refresh token and of nothing else that leaves us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(crate) [u8; 16]);

/// Which door a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Access,
    Socket,
    Link,
}

impl KeyKind {
    fn seconds(self) -> u64 {
        match self {
            Self::Access | Self::Socket => ACCESS_SECONDS,
            Self::Link => LINK_SECONDS,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Access => "sa_",
            Self::Socket => "ss_",
            Self::Link => "sx_",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    session: SessionId,
    kind: KeyKind,
    expires: EngineTime,
}

#[derive(Debug)]
pub(super) struct Session {
    account: AccountId,
    refresh: Digest,
    expires: EngineTime,
    begun_unix_ms: i64,
    /// The oldest first.
    keys: Vec<Digest>,
}

/// Who has just come in, and with what they may come back. Its `Debug` shows no token.
#[derive(Clone, PartialEq, Eq)]
pub struct Granted {
    pub user: User,
    pub session: SessionId,
    pub access: Box<str>,
    pub socket: Box<str>,
    /// `None`: as before.
    pub refresh: Option<Box<str>>,
    /// It is on the disk: it outlives this server.
    pub durable: bool,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Granted({}, durable: {})", self.user.id, self.durable)
    }
}

/// Tokens nobody has heard of yet: made before anything is changed, since the machine may have no
/// random bytes.
pub(super) struct Secrets {
    session: SessionId,
    refresh: Box<str>,
    access: Box<str>,
    socket: Box<str>,
}

impl Secrets {
    pub(super) fn new() -> Result<Self, NoRandom> {
        Self::of(SessionId(secret::random()?))
    }

    fn of(session: SessionId) -> Result<Self, NoRandom> {
        let made = |kind: KeyKind| secret::token().map(|token| prefixed(kind, &token));
        Ok(Self {
            session,
            refresh: secret::token()?,
            access: made(KeyKind::Access)?,
            socket: made(KeyKind::Socket)?,
        })
    }

    fn refresh_token(&self) -> Box<str> {
        format!("sr_{}.{}", secret::letters(&self.session.0), self.refresh).into()
    }
}

fn prefixed(kind: KeyKind, token: &str) -> Box<str> {
    format!("{}{token}", kind.prefix()).into()
}

/// The session and the secret of a refresh token.
fn refresh_parts(token: &str) -> Option<(SessionId, &str)> {
    let (session, secret) = token.strip_prefix("sr_")?.split_once('.')?;
    Some((SessionId(secret::bytes_of(session)?), secret))
}

/// A session that is in memory, on its way to the disk.
pub(super) struct Begun<F> {
    granted: Granted,
    kept: F,
    /// Of the same account, one too many: told when nothing is locked.
    ended: Vec<SessionId>,
}

impl People {
    /// A session of somebody, kept together with `changes`; one too many ends the oldest.
    pub(super) fn begin_session(
        &self,
        state: &mut State,
        id: &AccountId,
        secrets: &Secrets,
        now: Now,
        mut changes: Vec<Change>,
    ) -> Result<Begun<impl Future<Output = Result<Revision, Refused>> + use<>>, PeopleError> {
        let user = state.user(id).ok_or(PeopleError::BadToken)?;
        let session = Session {
            account: Arc::clone(id),
            refresh: Digest::of(&secrets.refresh),
            expires: now.engine.plus_millis(SESSION_SECONDS * 1000),
            begun_unix_ms: now.unix_ms,
            keys: Vec::new(),
        };
        state.sessions.insert(secrets.session, session);
        let ended = match state.accounts.get_mut(id) {
            Some(account) => {
                account.sessions.push(secrets.session);
                let over = account.sessions.len().saturating_sub(SESSION_COUNT_MAX);
                account.sessions.drain(..over).collect()
            }
            None => Vec::new(),
        };
        ended.iter().for_each(|session| state.forget(*session));
        changes.extend(self.deletions(&ended));
        changes.extend(self.arm(state, secrets, now));
        let granted = Granted {
            user,
            session: secrets.session,
            access: secrets.access.clone(),
            socket: secrets.socket.clone(),
            refresh: Some(secrets.refresh_token()),
            durable: false,
        };
        let kept = self.store.commit(changes);
        Ok(Begun { granted, kept, ended })
    }

    /// Gives a session its new tokens; the change that keeps them.
    fn arm(&self, state: &mut State, secrets: &Secrets, now: Now) -> Option<Change> {
        state.add_key(secrets.session, KeyKind::Access, &secrets.access, now.engine);
        state.add_key(secrets.session, KeyKind::Socket, &secrets.socket, now.engine);
        let session = state.sessions.get_mut(&secrets.session)?;
        session.refresh = Digest::of(&secrets.refresh);
        session.expires = now.engine.plus_millis(SESSION_SECONDS * 1000);
        let record = SessionRecord {
            account: (*session.account).into(),
            refresh: session.refresh.0,
            access: Digest::of(&secrets.access).0,
            access_expires_unix_ms: now.unix_ms + ACCESS_SECONDS as i64 * 1000,
            expires_unix_ms: now.unix_ms + SESSION_SECONDS as i64 * 1000,
            begun_unix_ms: session.begun_unix_ms,
        };
        Some(self.sessions.put(&secrets.session.0, &record, Expect::Any))
    }

    /// Waits a little for the disk.
    pub(super) async fn granted(
        &self,
        begun: Begun<impl Future<Output = Result<Revision, Refused>>>,
    ) -> Result<Granted, PeopleError> {
        let Begun { mut granted, kept, ended } = begun;
        self.tell_ended(&ended);
        match wait(kept).await {
            Ok(on_disk) => granted.durable = on_disk && self.store.is_kept(),
            Err(refused) => {
                self.end(granted.session);
                return Err(refused);
            }
        }
        Ok(granted)
    }

    /// New tokens for a refresh token, which is void then.
    ///
    /// # Errors
    /// It is none, or not any more.
    pub async fn refresh(&self, token: &str) -> Result<Granted, PeopleError> {
        self.ready()?;
        let (id, secret) = refresh_parts(token).ok_or(PeopleError::BadToken)?;
        let secrets = Secrets::of(id)?;
        let now = self.clock.now();
        let (user, kept) = {
            let mut state = lock(&self.state);
            let session = state.sessions.get(&id).filter(|session| session.expires > now.engine);
            let session = session.ok_or(PeopleError::BadToken)?;
            if session.refresh != Digest::of(secret) {
                let account = Arc::clone(&session.account);
                drop(state);
                self.counts.reused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%account, "a refresh token came twice: its session is ended");
                self.end(id);
                return Err(PeopleError::BadToken);
            }
            let account = Arc::clone(&session.account);
            let mut changes = Vec::from_iter(self.arm(&mut state, &secrets, now));
            changes.extend(self.seen(&mut state, &account, now));
            let user = state.user(&account).ok_or(PeopleError::BadToken)?;
            (user, self.store.commit(changes))
        };
        // The old token is void already: whoever holds it must get the new one, whatever the store
        // says.
        let durable = matches!(wait(kept).await, Ok(true)) && self.store.is_kept();
        Ok(Granted {
            user,
            session: id,
            refresh: Some(secrets.refresh_token()),
            access: secrets.access,
            socket: secrets.socket,
            durable,
        })
    }

    /// Who holds this access token.
    pub fn by_access(&self, token: &str) -> Option<Person> {
        self.by_key(token, KeyKind::Access)
    }

    /// Who holds this socket token.
    pub fn by_socket(&self, token: &str) -> Option<Person> {
        self.by_key(token, KeyKind::Socket)
    }

    /// Whether a word looks like one of our tokens: then it is no other door's.
    pub fn is_ours(token: &str) -> bool {
        ["sa_", "ss_", "sr_", "sx_", MAILED_PREFIX].iter().any(|prefix| token.starts_with(prefix))
    }

    fn by_key(&self, token: &str, kind: KeyKind) -> Option<Person> {
        let rest = token.strip_prefix(kind.prefix())?;
        if rest.len() != 43 {
            return None;
        }
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let digest = Digest::of(token);
        let key = *state.keys.get(&digest)?;
        if key.kind != kind || key.expires <= now.engine {
            return None;
        }
        let id = Arc::clone(&state.sessions.get(&key.session)?.account);
        let account = state.accounts.get(&id)?;
        let role = account.record.role;
        if account.gone_at <= now.engine {
            return None;
        }
        let change = self.seen(&mut state, &id, now);
        drop(state);
        self.write(Vec::from_iter(change));
        Some(Person { id, role, session: key.session })
    }

    /// A guest is here still; the change that keeps it, now and then.
    fn seen(&self, state: &mut State, id: &str, now: Now) -> Option<Change> {
        let account = state.accounts.get_mut(id)?;
        if account.record.role != Role::Guest {
            return None;
        }
        account.gone_at = now.engine.plus_millis(self.config.guest_idle.as_millis() as u64);
        let is_due = now.engine >= account.written_at.plus_millis(SEEN_PERIOD_MS);
        is_due.then(|| {
            account.written_at = now.engine;
            account.record.seen_unix_ms = now.unix_ms;
            self.accounts.put(id.as_bytes(), &account.record, Expect::Any)
        })
    }

    /// Whether somebody is signed in there.
    pub fn is_open(&self, session: SessionId) -> bool {
        lock(&self.state).sessions.contains_key(&session)
    }

    /// Who is signed in there.
    pub(crate) fn whose(&self, session: SessionId) -> Option<AccountId> {
        lock(&self.state).sessions.get(&session).map(|session| Arc::clone(&session.account))
    }

    /// This session is over, with everything that it opened; whether there was one.
    pub fn end(&self, session: SessionId) -> bool {
        let ended = lock(&self.state).end_session(session);
        if ended {
            self.write(self.deletions(&[session]));
            self.tell_ended(&[session]);
        }
        ended
    }

    /// All of somebody's sessions are over; how many. They are on the disk as over, if it can be
    /// had, when this returns.
    pub async fn end_all(&self, id: &str) -> usize {
        let (ended, kept) = {
            let mut state = lock(&self.state);
            let ended = state.end_sessions(id, None);
            let kept = self.store.commit(self.deletions(&ended));
            (ended, kept)
        };
        self.tell_ended(&ended);
        if let Err(problem) = wait(kept).await {
            tracing::error!(?problem, "sessions have ended, and the store does not know");
        }
        ended.len()
    }

    /// A token with which another device of the same person comes in, once.
    ///
    /// # Errors
    /// The session is over, or the machine gave no random bytes.
    pub fn link(&self, person: &Person) -> Result<Box<str>, PeopleError> {
        let token = prefixed(KeyKind::Link, &secret::token()?);
        let now = self.clock.now().engine;
        let mut state = lock(&self.state);
        if !state.sessions.contains_key(&person.session) {
            return Err(PeopleError::BadToken);
        }
        state.add_key(person.session, KeyKind::Link, &token, now);
        Ok(token)
    }

    /// A link for who reads this address's mail, which opens a session once, within ten minutes. The one
    /// before it is void. `None`: nobody has this address; whoever asks hears the same.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub fn mail_link(&self, email: &str) -> Result<Option<Box<str>>, PeopleError> {
        self.ready()?;
        if !self.config.mails_links {
            return Err(PeopleError::NoMail);
        }
        let email = super::words::email(email)?;
        let token: Box<str> = format!("{MAILED_PREFIX}{}", secret::token()?).into();
        let now = self.clock.now().engine;
        let mut state = lock(&self.state);
        let Some(id) = state.emails.get(&email).cloned() else { return Ok(None) };
        state.mailed.retain(|_, (whose, expires)| *whose != id && *expires > now);
        if state.mailed.len() >= MAILED_COUNT_MAX {
            return Err(PeopleError::Busy);
        }
        let expires = now.plus_millis(LINK_SECONDS * 1000);
        state.mailed.insert(Digest::of(&token), (id, expires));
        Ok(Some(token))
    }

    /// Whose link by mail this is. It is void then.
    fn take_mailed(&self, token: &str, now: Now) -> Option<AccountId> {
        let (id, expires) = lock(&self.state).mailed.remove(&Digest::of(token))?;
        (expires > now.engine).then_some(id)
    }

    /// A session of its own for a link token, or new tokens of its session for an access token.
    ///
    /// # Errors
    /// It is neither, or not any more.
    pub async fn exchange(&self, token: &str) -> Result<Granted, PeopleError> {
        self.ready()?;
        let now = self.clock.now();
        if let Some(person) = self.by_access(token) {
            let secrets = Secrets::of(person.session)?;
            let mut state = lock(&self.state);
            let user = state.user(&person.id).ok_or(PeopleError::BadToken)?;
            state.add_key(person.session, KeyKind::Access, &secrets.access, now.engine);
            state.add_key(person.session, KeyKind::Socket, &secrets.socket, now.engine);
            let Secrets { session, access, socket, .. } = secrets;
            return Ok(Granted { user, session, access, socket, refresh: None, durable: false });
        }
        let secrets = Secrets::new()?;
        if let Some(id) = self.take_mailed(token, now) {
            let begun = {
                let mut state = lock(&self.state);
                self.begin_session(&mut state, &id, &secrets, now, Vec::new())?
            };
            return self.granted(begun).await;
        }
        let person = self.by_key(token, KeyKind::Link).ok_or(PeopleError::BadToken)?;
        let begun = {
            let mut state = lock(&self.state);
            // Two who come at once have one between them.
            state.keys.remove(&Digest::of(token)).ok_or(PeopleError::BadToken)?;
            self.begin_session(&mut state, &person.id, &secrets, now, Vec::new())?
        };
        self.granted(begun).await
    }
}

impl State {
    /// Whether the session of a record is good still, and here.
    pub(super) fn take_up_session(&mut self, key: &[u8], record: SessionRecord, now: Now) -> bool {
        let Ok(id) = <[u8; 16]>::try_from(key).map(SessionId) else { return false };
        if self.sessions.contains_key(&id) {
            return true;
        }
        // Whatever the machine's clock says now, nothing is good for longer than it was given.
        let left = |unix_ms: i64, seconds: u64| {
            let left_ms = u64::try_from(unix_ms.saturating_sub(now.unix_ms)).unwrap_or(0);
            left_ms.min(seconds * 1000)
        };
        let left_ms = left(record.expires_unix_ms, SESSION_SECONDS);
        let Some((account, _)) = self.accounts.get_key_value(&*record.account) else {
            return false;
        };
        if left_ms == 0 {
            return false;
        }
        let session = Session {
            account: Arc::clone(account),
            refresh: Digest(record.refresh),
            expires: now.engine.plus_millis(left_ms),
            begun_unix_ms: record.begun_unix_ms,
            keys: vec![Digest(record.access)],
        };
        if let Some(account) = self.accounts.get_mut(&*record.account) {
            account.sessions.push(id);
        }
        let access_ms = left(record.access_expires_unix_ms, ACCESS_SECONDS);
        let expires = now.engine.plus_millis(access_ms);
        self.keys
            .insert(Digest(record.access), Key { session: id, kind: KeyKind::Access, expires });
        self.sessions.insert(id, session);
        true
    }

    fn add_key(&mut self, session: SessionId, kind: KeyKind, token: &str, now: EngineTime) {
        let Some(of) = self.sessions.get_mut(&session) else { return };
        let digest = Digest::of(token);
        of.keys.push(digest);
        let over = of.keys.len().saturating_sub(KEY_COUNT_MAX);
        for old in of.keys.drain(..over) {
            self.keys.remove(&old);
        }
        let expires = now.plus_millis(kind.seconds() * 1000);
        self.keys.insert(digest, Key { session, kind, expires });
    }

    /// Whether there was one.
    pub(super) fn end_session(&mut self, session: SessionId) -> bool {
        let Some(of) = self.sessions.get(&session) else { return false };
        if let Some(account) = self.accounts.get_mut(&of.account) {
            account.sessions.retain(|other| *other != session);
        }
        self.forget(session);
        true
    }

    /// What it opened opens nothing any more.
    fn forget(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.remove(&session) {
            for key in &session.keys {
                self.keys.remove(key);
            }
        }
    }

    /// All of somebody's, but one.
    pub(super) fn end_sessions(&mut self, id: &str, but: Option<SessionId>) -> Vec<SessionId> {
        let Some(account) = self.accounts.get_mut(id) else { return Vec::new() };
        let (stay, ended): (Vec<_>, Vec<_>) =
            account.sessions.iter().partition(|session| Some(**session) == but);
        account.sessions = stay;
        ended.iter().for_each(|session| self.forget(*session));
        ended
    }

    /// Ends those that are over.
    pub(super) fn expired_sessions(&mut self, now: EngineTime) -> Vec<SessionId> {
        let over = self.sessions.iter().filter(|(_, session)| session.expires <= now);
        let over: Vec<SessionId> = over.map(|(id, _)| *id).collect();
        for id in &over {
            self.end_session(*id);
        }
        over
    }
}
