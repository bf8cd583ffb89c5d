//! Who comes into a room, goes, and is sent away; and the sensors that are put there.

use super::record::{Member, RoomRecord};
use super::{
    Asker, MEMBER_COUNT_MAX, News, Room, RoomDesk, RoomError, RoomId, SENSOR_COUNT_MAX, lock,
};
use crate::can::{Action, Denied, Rank, What, can};
use crate::people::AccountId;

impl RoomDesk {
    /// Into a public room.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn join(&self, asker: &Asker, id: RoomId) -> Result<bool, RoomError> {
        self.enter(asker, id, Action::Join).await
    }

    pub(super) async fn enter(
        &self,
        asker: &Asker,
        id: RoomId,
        action: Action,
    ) -> Result<bool, RoomError> {
        let now = self.clock.now().unix_ms;
        let account = asker.id.clone();
        let enter = |record: &mut RoomRecord| {
            let account: Box<str> = account.as_deref().ok_or(Denied::SignIn)?.into();
            if record.members.len() >= MEMBER_COUNT_MAX {
                return Err(RoomError::TooMany("members"));
            }
            let rank = Rank::Member;
            record.members.push(Member { account: account.clone(), rank, joined_unix_ms: now });
            Ok(vec![News::MemberJoined(account, rank)])
        };
        self.act(asker, id, action, enter).await
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn leave(&self, asker: &Asker, id: RoomId) -> Result<bool, RoomError> {
        let account = asker.id.clone();
        let leave = |record: &mut RoomRecord| {
            let account: Box<str> = account.as_deref().ok_or(Denied::SignIn)?.into();
            record.members.retain(|member| member.account != account);
            Ok(vec![News::MemberLeft(account, "left")])
        };
        self.act(asker, id, Action::Leave, leave).await
    }

    /// Promotes, demotes, sends away or pardons somebody.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn change_member(
        &self,
        asker: &Asker,
        id: RoomId,
        account: &str,
        action: Action,
    ) -> Result<bool, RoomError> {
        let kept = {
            let mut state = lock(&self.state);
            let what = match state.rooms.get(&id) {
                None => What::Nothing,
                Some(Room { record, .. }) => What::Member {
                    is_public: record.is_public,
                    rank: record.rank_of(asker.account()),
                    theirs: record.rank_of(Some(account)),
                    is_oneself: asker.account() == Some(account),
                    is_guest: account.starts_with("guest_"),
                },
            };
            can(asker.who, action, what)?;
            // Whoever is sent away knows the code, and may have told it to themselves.
            let code = state.new_code()?;
            let change = |record: &mut RoomRecord| {
                let at = record.members.iter().position(|member| &*member.account == account);
                let Some(at) = at else { return Err(Denied::NotFound.into()) };
                let rank = match action {
                    Action::Promote => Rank::Admin,
                    Action::Demote => Rank::Member,
                    Action::Kick => Rank::Banned,
                    _ => {
                        record.members.remove(at);
                        return Ok(Vec::new());
                    }
                };
                record.members[at].rank = rank;
                let is_kick = action == Action::Kick;
                if is_kick {
                    record.renew(code);
                }
                Ok(Vec::from_iter(is_kick.then(|| News::MemberLeft(account.into(), "kicked"))))
            };
            self.change(&mut state, id, change)?
        };
        Ok(self.wait(kept).await)
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn add_sensor(
        &self,
        asker: &Asker,
        id: RoomId,
        sensor_id: &str,
    ) -> Result<bool, RoomError> {
        let add = |record: &mut RoomRecord| {
            if record.sensors.iter().any(|there| &**there == sensor_id) {
                return Err(RoomError::Sensor("already_added"));
            }
            if record.sensors.len() >= SENSOR_COUNT_MAX {
                return Err(RoomError::TooMany("sensors"));
            }
            record.sensors.push(sensor_id.into());
            Ok(Vec::new())
        };
        self.act(asker, id, Action::AddSensor, add).await
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn remove_sensor(
        &self,
        asker: &Asker,
        id: RoomId,
        sensor_id: &str,
    ) -> Result<bool, RoomError> {
        let remove = |record: &mut RoomRecord| {
            let before = record.sensors.len();
            record.sensors.retain(|there| &**there != sensor_id);
            if record.sensors.len() == before {
                return Err(RoomError::Sensor("not_in_room"));
            }
            Ok(Vec::new())
        };
        self.act(asker, id, Action::RemoveSensor, remove).await
    }

    /// Accounts that are no more: out of every room. An owner's room goes to whoever has been its
    /// admin longest, then its member; guests cannot have one. If there is nobody, it goes.
    pub fn forget(&self, accounts: &[AccountId]) {
        self.forget_words(accounts);
        let mut state = lock(&self.state);
        for account in accounts {
            for id in state.of_account.get(&**account).cloned().unwrap_or_default() {
                let change = |record: &mut RoomRecord| {
                    let rank = record.rank_of(Some(account));
                    record.members.retain(|member| *member.account != **account);
                    if rank == Rank::Owner {
                        let heirs = record.members.iter_mut().filter(|member| {
                            member.rank.is_member() && !member.account.starts_with("guest_")
                        });
                        let heir = heirs.max_by_key(|it| (it.rank, -it.joined_unix_ms));
                        heir.ok_or(Denied::NotFound)?.rank = Rank::Owner;
                    }
                    let was_there = rank.is_member();
                    let left = was_there.then(|| News::MemberLeft((**account).into(), "left"));
                    Ok(Vec::from_iter(left))
                };
                // Made even if nobody waits.
                match self.change(&mut state, id, change) {
                    Ok(_) => {}
                    Err(RoomError::Denied(_)) => {
                        let gone = self.hand_over(self.removal(&state, id));
                        if gone.is_ok() {
                            self.close(&mut state, id);
                        }
                    }
                    Err(problem) => tracing::warn!(?problem, room = %id, "somebody is still there"),
                }
            }
        }
    }
}
