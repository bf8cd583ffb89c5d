//! Codes and tickets: how somebody comes into a room that they were told of.

use super::record::RoomRecord;
use super::ticket::Ticket;
use super::{Asker, RoomDesk, RoomError, RoomId, State, lock};
use crate::can::{Action, Denied};
use crate::secret::{self, Digest, NoRandom};

/// Letters of a code, without those that are taken for others.
const CODE_LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LENGTH: usize = 8;

impl RoomDesk {
    /// A new code; the old one and all tickets are void.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn renew_code(&self, asker: &Asker, id: RoomId) -> Result<bool, RoomError> {
        let code = lock(&self.state).new_code()?;
        let renew = |record: &mut RoomRecord| {
            record.renew(code);
            Ok(Vec::new())
        };
        self.act(asker, id, Action::RenewCode, renew).await
    }

    /// Into whichever room has this code. That nobody has it, and that it is not for them, are one
    /// answer.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub async fn join_by_code(
        &self,
        asker: &Asker,
        code: &str,
    ) -> Result<(RoomId, bool), RoomError> {
        let id = self.by_code(code).ok_or(Denied::NotFound)?;
        Ok((id, self.enter(asker, id, Action::JoinInvited).await?))
    }

    fn by_code(&self, code: &str) -> Option<RoomId> {
        let code = code.trim().to_ascii_uppercase();
        lock(&self.state).codes.get(&Digest::of(&code)).copied()
    }

    /// # Errors
    /// See [`RoomError`].
    pub async fn join_by_ticket(
        &self,
        asker: &Asker,
        encoded: &str,
    ) -> Result<(RoomId, bool), RoomError> {
        let (ticket, is_good) = self.verify(encoded)?;
        let id = RoomId::parse(&ticket.room_id).filter(|_| is_good).ok_or(Denied::NotFound)?;
        Ok((id, self.enter(asker, id, Action::JoinInvited).await?))
    }

    /// A ticket for this room.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn ticket(&self, asker: &Asker, id: RoomId, seconds: u64) -> Result<Ticket, RoomError> {
        let state = lock(&self.state);
        // A public room's is no secret: whoever sees the room may come in.
        let is_public = state.rooms.get(&id).is_some_and(|room| room.record.is_public);
        let action = if is_public { Action::See } else { Action::Invite };
        state.judge(asker, id, action)?;
        self.issue(&state, id, seconds)
    }

    /// A ticket for who knows the code.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn ticket_by_code(&self, code: &str, seconds: u64) -> Result<Ticket, RoomError> {
        let id = self.by_code(code).ok_or(Denied::NotFound)?;
        self.issue(&lock(&self.state), id, seconds)
    }

    fn issue(&self, state: &State, id: RoomId, seconds: u64) -> Result<Ticket, RoomError> {
        let record = &state.rooms.get(&id).ok_or(Denied::NotFound)?.record;
        let key = state.key.as_ref().ok_or(RoomError::Hydrating)?;
        let now = self.clock.now().unix_ms / 1000;
        Ok(key.issue(id, &record.name, record.ticket_round, now, seconds))
    }

    /// A ticket that was made here, and whether it still opens its room.
    ///
    /// # Errors
    /// It was not.
    pub fn verify(&self, encoded: &str) -> Result<(Ticket, bool), RoomError> {
        let state = lock(&self.state);
        let key = state.key.as_ref().ok_or(RoomError::Hydrating)?;
        let ticket = key.read(encoded).map_err(RoomError::Ticket)?;
        let room = RoomId::parse(&ticket.room_id).and_then(|id| state.rooms.get(&id));
        let is_good = room.is_some_and(|room| room.record.ticket_round == ticket.round)
            && !ticket.is_expired(self.clock.now().unix_ms / 1000);
        Ok((ticket, is_good))
    }

    /// The code, for who may invite.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub fn code(&self, asker: &Asker, id: RoomId) -> Result<Box<str>, RoomError> {
        let state = lock(&self.state);
        state.judge(asker, id, Action::Invite)?;
        Ok(state.rooms.get(&id).ok_or(Denied::NotFound)?.record.code.clone())
    }
}

impl State {
    /// A code that no room has.
    pub(super) fn new_code(&self) -> Result<Box<str>, NoRandom> {
        loop {
            // 32 letters: five bits of a byte are one, evenly.
            let bytes: [u8; CODE_LENGTH] = secret::random()?;
            let letter = |byte: &u8| char::from(CODE_LETTERS[usize::from(byte & 31)]);
            let code: String = bytes.iter().map(letter).collect();
            if !self.codes.contains_key(&Digest::of(&code)) {
                return Ok(code.into());
            }
        }
    }
}
