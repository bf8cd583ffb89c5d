//! Writing rooms down, and bringing them back.

use std::collections::BTreeSet;

use components::limits::NAME_BYTES_MAX;

use super::{Document, DocumentError, protected};
use crate::can::{Action, Denied, Rank};
use crate::rooms::record::{Member, RoomRecord};
use crate::rooms::{
    Asker, MEMBER_COUNT_MAX, News, RoomDesk, RoomError, RoomId, SENSOR_COUNT_MAX, lock, words,
};

impl RoomDesk {
    /// The room as a document, for who may edit it.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn document(&self, asker: &Asker, id: RoomId) -> Result<String, RoomError> {
        let state = lock(&self.state);
        state.judge(asker, id, Action::Edit)?;
        let record = &state.rooms.get(&id).ok_or(Denied::NotFound)?.record;
        let key = state.key.as_ref().ok_or(RoomError::Hydrating)?;
        // An administrator of the house is nobody in the room: it is the owner's word then.
        let by = asker.account().filter(|it| record.rank_of(Some(it)) >= Rank::Admin);
        Ok(super::write(id, record, by.unwrap_or(record.owner()), key))
    }

    /// Makes the room what a document of it says. Its code stays. Of sensors that are not there
    /// `may_put` says whether they may be put there.
    ///
    /// # Errors
    /// See [`RoomError`] and [`DocumentError`].
    pub async fn bring_back(
        &self,
        asker: &Asker,
        id: RoomId,
        bytes: &[u8],
        may_put: impl Fn(&str) -> bool,
    ) -> Result<bool, RoomError> {
        self.judge(asker, id, Action::Edit)?;
        let document = Document::read(bytes)?;
        let there = self.sensors_in(id);
        document.puts(|sensor_id| there.contains(sensor_id) || may_put(sensor_id))?;
        let kept = {
            let mut state = lock(&self.state);
            state.judge(asker, id, Action::Edit)?;
            let owns = state.judge(asker, id, Action::Delete).is_ok();
            let record = &state.rooms.get(&id).ok_or(Denied::NotFound)?.record;
            let key = state.key.as_ref().ok_or(RoomError::Hydrating)?;
            document.is_of(id, record)?;
            let members = document.members(id, record, key)?;
            if members.is_some() && !owns {
                return Err(DocumentError::Members.into());
            }
            if !owns {
                document.leaves_protected(record)?;
            }
            let code = state.new_code()?;
            let now = self.clock.now().unix_ms;
            let change = |record: &mut RoomRecord| {
                document.apply(record)?;
                let Some(members) = members else { return Ok(Vec::new()) };
                let mut left = self.replace(record, members, now);
                if !left.is_empty() {
                    // They know the code.
                    record.renew(code);
                }
                let news = left.drain(..).map(|account| News::MemberLeft(account, "left"));
                Ok(news.collect())
            };
            self.change(&mut state, id, change)?
        };
        Ok(self.wait(kept).await)
    }

    /// A new room as a document says, whichever room it is of: with another id and code, of whoever
    /// brings it, and nobody else in it.
    ///
    /// # Errors
    /// See [`RoomError`] and [`DocumentError`].
    pub async fn import(
        &self,
        asker: &Asker,
        bytes: &[u8],
        may_put: impl Fn(&str) -> bool,
    ) -> Result<(RoomId, bool), RoomError> {
        let document = Document::read(bytes)?;
        document.puts(may_put)?;
        if document.wishes.name.is_none() {
            return Err(DocumentError::Missing("name").into());
        }
        self.make(asker, &document.wishes, |record| document.apply(record)).await
    }

    /// Puts these in place of the members; who is not among them any more. Whoever was sent away
    /// stays away, and whoever has no account here is left out.
    fn replace(
        &self,
        record: &mut RoomRecord,
        members: Vec<(String, Rank)>,
        now_unix_ms: i64,
    ) -> Vec<Box<str>> {
        let before = std::mem::take(&mut record.members);
        let was = |account: &str| before.iter().find(|member| &*member.account == account);
        let banned = before.iter().filter(|member| member.rank == Rank::Banned).cloned();
        record.members = banned.collect();
        for (account, rank) in members {
            let is_there = record.members.iter().any(|member| *member.account == *account);
            let is_known = was(&account).is_some() || self.people.user(&account).is_some();
            if is_there || !is_known || record.members.len() >= MEMBER_COUNT_MAX {
                continue;
            }
            // A guest is gone tomorrow, and runs nothing.
            let is_guest = account.starts_with("guest_") && rank == Rank::Admin;
            let rank = if is_guest { Rank::Member } else { rank };
            let joined_unix_ms = was(&account).map_or(now_unix_ms, |it| it.joined_unix_ms);
            record.members.push(Member { account: account.into(), rank, joined_unix_ms });
        }
        let stayed = |member: &Member| {
            record.members.iter().any(|it| it.account == member.account && it.rank.is_member())
        };
        let left = before.iter().filter(|member| member.rank.is_member() && !stayed(member));
        left.map(|member| member.account.clone()).collect()
    }
}

impl Document {
    fn is_of(&self, id: RoomId, record: &RoomRecord) -> Result<(), DocumentError> {
        let own = self.id.as_deref().ok_or(DocumentError::Missing("id"))?;
        if own != id.to_string() {
            return Err(DocumentError::OtherRoom);
        }
        if self.wishes.name.is_none() {
            return Err(DocumentError::Missing("name"));
        }
        if self.version.is_some_and(|version| version != record.version) {
            return Err(DocumentError::Changed { version: record.version });
        }
        let is_another = |owner: &String| *owner != *record.owner();
        if self.owner.as_ref().is_some_and(is_another) {
            return Err(DocumentError::Owner);
        }
        Ok(())
    }

    /// All of its sensors may be put there.
    fn puts(&self, may_put: impl Fn(&str) -> bool) -> Result<(), DocumentError> {
        let is_wrong = |id: &&String| !may_put(id);
        match self.sensors.iter().flatten().find(is_wrong) {
            Some(id) => Err(DocumentError::SensorOfOthers(id.chars().take(80).collect())),
            None => Ok(()),
        }
    }

    /// What is protected is as it was.
    fn leaves_protected(&self, record: &RoomRecord) -> Result<(), DocumentError> {
        let before = record.notes.as_deref().unwrap_or_default();
        let after = self.notes.as_deref().unwrap_or_default();
        // What was kept was whole.
        let (before, after) = (protected(before).unwrap_or_default(), protected(after)?);
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        match names.into_iter().find(|name| before.get(name) != after.get(name)) {
            Some(name) => Err(DocumentError::Protected(name.chars().take(80).collect())),
            None => Ok(()),
        }
    }

    /// All but who is in it.
    fn apply(&self, record: &mut RoomRecord) -> Result<(), RoomError> {
        words::apply(&self.wishes, record)?;
        record.notes = self.notes.as_deref().map(Box::from);
        let Some(sensors) = &self.sensors else { return Ok(()) };
        if sensors.len() > SENSOR_COUNT_MAX {
            return Err(RoomError::TooMany("sensors"));
        }
        if sensors.iter().any(|id| id.is_empty() || id.len() > NAME_BYTES_MAX) {
            return Err(DocumentError::SensorId.into());
        }
        record.sensors.clear();
        for id in sensors {
            if !record.sensors.iter().any(|there| **there == **id) {
                record.sensors.push(id.as_str().into());
            }
        }
        Ok(())
    }
}
