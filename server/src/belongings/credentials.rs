//! Credentials of devices: made, named, bound to sensors, shown once, revoked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::record::CredentialRecord;
use super::{BelongingError, Belongings, Bringer, Feed, Pass, Scope, State, lock, name_of};
use crate::can::Action;
use crate::people::AccountId;
use crate::rooms::Asker;
use crate::secret::{self, Digest};
use crate::store::Expect;

/// Credentials of one account.
const CREDENTIAL_COUNT_MAX: usize = 100;

/// A credential that is to expire does so within ten years.
pub(super) const CREDENTIAL_SECONDS_MAX: u64 = 10 * 365 * 24 * 3600;

/// What every credential begins with.
const PREFIX: &str = "sd_";

/// Between two looks for what has expired.
const SWEEP_PERIOD: Duration = Duration::from_secs(10);

/// A credential's name to its owner. No part of its secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(pub(super) [u8; 16]);

impl CredentialId {
    fn parse(text: &str) -> Option<Self> {
        secret::bytes_of(text).map(Self)
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&secret::letters(&self.0))
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A credential as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub id: CredentialId,
    pub record: CredentialRecord,
    /// Sensors that are fed by it now.
    pub feed_count: usize,
}

impl Belongings {
    /// A new credential, and its secret, which is nowhere from now on.
    ///
    /// # Errors
    /// See [`BelongingError`].
    pub async fn make(
        &self,
        asker: &Asker,
        name: &str,
        scope: Scope,
        seconds: Option<u64>,
    ) -> Result<(Credential, Box<str>, bool), BelongingError> {
        let account = self.judge(asker, Action::MakeCredential)?;
        let name = name_of(name)?;
        let now = self.clock.now();
        let lasts = |seconds: u64| {
            let fits = (1..=CREDENTIAL_SECONDS_MAX).contains(&seconds);
            fits.then(|| now.unix_ms + seconds as i64 * 1000).ok_or(BelongingError::Expiry)
        };
        let expires_unix_ms = seconds.map(lasts).transpose()?;
        let id = CredentialId(secret::random()?);
        let token: Box<str> = format!("{PREFIX}{}", secret::token()?).into();
        let record = CredentialRecord {
            account: (**account).into(),
            name,
            token: Digest::of(&token).0,
            scope,
            made_unix_ms: now.unix_ms,
            expires_unix_ms,
            seen_unix_ms: None,
        };
        let kept = {
            let mut state = lock(&self.state);
            let known = state.of_account.get(account).map_or(0, |it| it.credentials.len());
            if known >= CREDENTIAL_COUNT_MAX {
                return Err(BelongingError::TooMany("credentials"));
            }
            let kept =
                self.hand_over(vec![self.credentials.put(&id.0, &record, Expect::Absent)])?;
            state.put(id, record.clone());
            kept
        };
        let durable = self.wait(kept).await;
        Ok((Credential { id, record, feed_count: 0 }, token, durable))
    }

    /// One's own, the oldest first.
    ///
    /// # Errors
    /// See [`BelongingError`].
    pub fn credentials(&self, asker: &Asker) -> Result<Vec<Credential>, BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let state = lock(&self.state);
        let ids = state.of_account.get(account).map_or(&[][..], |it| it.credentials.as_slice());
        let mut told: Vec<_> = ids.iter().filter_map(|id| state.credential(*id)).collect();
        told.sort_by_key(|it| (it.record.made_unix_ms, it.id));
        Ok(told)
    }

    /// # Errors
    /// See [`BelongingError`].
    pub async fn rename(
        &self,
        asker: &Asker,
        id: &str,
        name: &str,
    ) -> Result<(Credential, bool), BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let name = name_of(name)?;
        let (told, kept) = {
            let mut state = lock(&self.state);
            let id = state.own(account, id)?;
            let mut record = state.credentials[&id].clone();
            record.name = name;
            let kept = self.hand_over(vec![self.credentials.put(&id.0, &record, Expect::Any)])?;
            state.credentials.insert(id, record);
            (state.credential(id).ok_or(BelongingError::NoSuch("credential"))?, kept)
        };
        Ok((told, self.wait(kept).await))
    }

    /// It opens nothing any more, and what it has opened is shut; how many feeds that were.
    ///
    /// # Errors
    /// See [`BelongingError`].
    pub async fn revoke(&self, asker: &Asker, id: &str) -> Result<(usize, bool), BelongingError> {
        let account = self.judge(asker, Action::OwnDevices)?;
        let (ended, kept) = {
            let mut state = lock(&self.state);
            let id = state.own(account, id)?;
            let kept = self.hand_over(vec![self.credentials.delete(&id.0, Expect::Any)])?;
            state.take(id);
            (self.end(&mut state, |feed| feed.bringer.pass == Pass::Credential(id)), kept)
        };
        Ok((ended, self.wait(kept).await))
    }

    /// Whose device comes in with this credential. `None`: it is none, or not any more.
    pub fn bringer(&self, token: &str) -> Option<Bringer> {
        let now = self.clock.now().unix_ms;
        let state = lock(&self.state);
        let id = *state.digests.get(&Digest::of(token))?;
        let record = state.credentials.get(&id).filter(|it| !it.is_over(now))?;
        let account = AccountId::from(&*record.account);
        Some(Bringer { account, pass: Pass::Credential(id) })
    }

    /// Whether a word looks like a credential: then it is no other door's.
    pub fn is_credential(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Ends what was let in by credentials that have expired.
    pub fn sweep(&self) {
        let now = self.clock.now().unix_ms;
        let mut state = lock(&self.state);
        let over = state.credentials.iter().filter(|(_, record)| record.is_over(now));
        let over: Vec<CredentialId> = over.map(|(id, _)| *id).collect();
        if !over.is_empty() {
            self.end(&mut state, |feed| match feed.bringer.pass {
                Pass::Credential(id) => over.contains(&id),
                Pass::Session(_) => false,
            });
        }
    }

    /// Sweeps for as long as the server runs.
    pub async fn keep_sweeping(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        while timeout(SWEEP_PERIOD, shutdown.wait_for(|down| *down)).await.is_err() {
            self.sweep();
        }
    }
}

impl State {
    pub(super) fn put(&mut self, id: CredentialId, record: CredentialRecord) {
        self.digests.insert(Digest(record.token), id);
        let account = self.of_account.entry((*record.account).into()).or_default();
        if !account.credentials.contains(&id) {
            account.credentials.push(id);
        }
        self.credentials.insert(id, record);
    }

    pub(super) fn take(&mut self, id: CredentialId) {
        let Some(record) = self.credentials.remove(&id) else { return };
        self.digests.remove(&Digest(record.token));
        if let Some(account) = self.of_account.get_mut(&*record.account) {
            account.credentials.retain(|other| *other != id);
        }
    }

    /// One of theirs, or none for all they may know.
    fn own(&self, account: &AccountId, id: &str) -> Result<CredentialId, BelongingError> {
        let id = CredentialId::parse(id);
        let own =
            id.filter(|id| self.credentials.get(id).is_some_and(|it| *it.account == **account));
        own.ok_or(BelongingError::NoSuch("credential"))
    }

    fn credential(&self, id: CredentialId) -> Option<Credential> {
        let record = self.credentials.get(&id)?.clone();
        let is_by_it = |feed: &&Feed| feed.bringer.pass == Pass::Credential(id);
        Some(Credential { id, record, feed_count: self.feeds.values().filter(is_by_it).count() })
    }
}
