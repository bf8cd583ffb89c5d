//! Who says what where, who hears it, and that it outlives the server.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::record::MessageRecord;
use super::{
    CHAT_BYTES_MAX, Chat, ChatError, MESSAGE_MS, Message, MessageId, Page, Place, content, pace,
    room_id,
};
use crate::can::{Action, Denied, What, can};
use crate::clock::Now;
use crate::kept::Kept;
use crate::people::AccountId;
use crate::people::limits::Standing;
use crate::rooms::seats::Seat;
use crate::rooms::{Asker, RoomDesk, RoomError, RoomId, State, lock};
use crate::store::{Change, Entry, Expect};

/// Between two looks for what is a day old.
const SWEEP_PERIOD: Duration = Duration::from_secs(60);

impl State {
    fn chat(&mut self, place: Place) -> Option<&mut Chat> {
        match place {
            None => Some(&mut self.chat),
            Some(id) => self.rooms.get_mut(&id).map(|room| &mut room.chat),
        }
    }

    /// Who is there and may hear it: whoever may not is let go by every change.
    fn listeners(&mut self, place: Place) -> &mut [Seat] {
        match place {
            None => &mut self.lobby,
            Some(id) => self.rooms.get_mut(&id).map_or(&mut [], |room| &mut room.seats),
        }
    }

    fn may(&self, asker: &Asker, place: Place, action: Action) -> Result<(), RoomError> {
        match place {
            None if self.key.is_none() => Err(RoomError::Hydrating),
            None => Ok(can(asker.who, action, What::House)?),
            Some(id) => self.judge(asker, id, action),
        }
    }

    fn tell(&mut self, place: Place, event: &str, said: &Value) {
        let said = said.to_string();
        self.listeners(place).iter_mut().for_each(|seat| seat.push(event, &said));
    }

    fn tell_deleted(&mut self, place: Place, gone: &[Message]) {
        if !gone.is_empty() {
            let ids: Value = gone.iter().map(|it| it.id.to_string()).collect();
            self.tell(place, "chat_deleted", &json!({ "room_id": room_id(place), "ids": ids }));
        }
    }
}

impl RoomDesk {
    /// A page, the oldest first, and whether there are more before it.
    ///
    /// # Errors
    /// See [`RoomError`].
    pub(in crate::rooms) fn said(
        &self,
        asker: &Asker,
        place: Place,
        page: Page,
    ) -> Result<Value, RoomError> {
        let now = self.clock.now().engine;
        let mut state = lock(&self.state);
        state.may(asker, place, Action::ReadChat)?;
        let chat = state.chat(place).ok_or(Denied::NotFound)?;
        let (page, more) = chat.page(page, now);
        let messages: Value = page.map(|message| message.told(place)).collect();
        Ok(json!({ "messages": messages, "more": more }))
    }

    /// Says something; the message, as everybody there hears it.
    ///
    /// # Errors
    /// See [`RoomError`] and [`ChatError`].
    pub(in crate::rooms) fn say(
        &self,
        asker: &Asker,
        place: Place,
        text: &str,
    ) -> Result<(Value, Kept), RoomError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.may(asker, place, Action::WriteChat)?;
        let account = asker.id.as_ref().ok_or(Denied::SignIn)?;
        let record = MessageRecord {
            account: (**account).into(),
            name: self.people.display_name(account).unwrap_or_default(),
            content: content(text).map_err(RoomError::Chat)?.into(),
            said_unix_ms: now.unix_ms,
            edited_unix_ms: None,
        };
        state.pace.take(account, pace::MESSAGE_MICROS, now.engine).map_err(RoomError::Chat)?;
        let bytes_before = state.chat_bytes;
        let chat = state.chat(place).ok_or(Denied::NotFound)?;
        let id = chat.next_id(now.unix_ms)?;
        let gone_at = now.engine.plus_millis(MESSAGE_MS);
        let message = Message { id, record, gone_at };
        let first = chat.too_many();
        let freed = first.as_ref().map_or(0, Message::bytes);
        let bytes = bytes_before - freed + message.bytes();
        let mut changes = vec![self.messages.put(&id.key(place), &message.record, Expect::Absent)];
        changes.extend(first.iter().map(|it| self.deletion(place, it)));
        let is_full = bytes > CHAT_BYTES_MAX;
        let kept =
            if is_full { Err(RoomError::Chat(ChatError::Full)) } else { self.hand_over(changes) };
        let kept = match kept {
            Ok(kept) => kept,
            Err(problem) => {
                // As it was.
                first.into_iter().for_each(|it| chat.messages.push_front(it));
                return Err(problem);
            }
        };
        let told = message.told(place);
        chat.push(message);
        state.chat_bytes = bytes;
        state.tell(place, "chat_message", &told);
        Ok((told, kept))
    }

    /// Says it differently: whoever has said it, while they may say something there.
    ///
    /// # Errors
    /// See [`RoomError`] and [`ChatError`].
    pub(in crate::rooms) fn say_again(
        &self,
        asker: &Asker,
        place: Place,
        id: &str,
        text: &str,
    ) -> Result<(Value, Kept), RoomError> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.may(asker, place, Action::WriteChat)?;
        let account = asker.id.as_ref().ok_or(Denied::SignIn)?;
        let content: Box<str> = content(text).map_err(RoomError::Chat)?.into();
        let none = RoomError::Chat(ChatError::NoSuchMessage);
        let id = MessageId::parse(id).ok_or(none.clone())?;
        let is_theirs = |it: &Message| {
            it.id == id && *it.record.account == **account && it.gone_at > now.engine
        };
        let chat = state.chat(place).ok_or(Denied::NotFound)?;
        let at = chat.messages.iter().position(is_theirs).ok_or(none)?;
        state.pace.take(account, pace::MESSAGE_MICROS, now.engine).map_err(RoomError::Chat)?;
        let bytes_before = state.chat_bytes;
        let chat = state.chat(place).ok_or(Denied::NotFound)?;
        let mut message = chat.messages[at].clone();
        let bytes = bytes_before - message.bytes();
        message.record.content = content;
        message.record.edited_unix_ms = Some(now.unix_ms);
        let bytes = bytes + message.bytes();
        if bytes > CHAT_BYTES_MAX {
            return Err(RoomError::Chat(ChatError::Full));
        }
        let change = self.messages.put(&id.key(place), &message.record, Expect::Any);
        let kept = self.hand_over(vec![change])?;
        let told = message.told(place);
        chat.messages[at] = message;
        state.chat_bytes = bytes;
        state.tell(place, "chat_edited", &told);
        Ok((told, kept))
    }

    /// Takes it back: whoever has said it, or runs the room.
    ///
    /// # Errors
    /// See [`RoomError`] and [`ChatError`].
    pub(in crate::rooms) fn unsay(
        &self,
        asker: &Asker,
        place: Place,
        id: &str,
    ) -> Result<Kept, RoomError> {
        let now = self.clock.now().engine;
        let mut state = lock(&self.state);
        state.may(asker, place, Action::ReadChat)?;
        let moderates = state.may(asker, place, Action::ModerateChat).is_ok();
        let none = RoomError::Chat(ChatError::NoSuchMessage);
        let id = MessageId::parse(id).ok_or(none.clone())?;
        let may = |it: &Message| {
            let is_theirs = asker.account() == Some(&it.record.account);
            it.id == id && it.gone_at > now && (moderates || is_theirs)
        };
        let chat = state.chat(place).ok_or(Denied::NotFound)?;
        let found = chat.messages.iter().find(|it| may(it)).cloned().ok_or(none)?;
        let kept = self.hand_over(vec![self.deletion(place, &found)])?;
        if let Some(chat) = state.chat(place) {
            chat.take(|it| it.id == id);
        }
        state.chat_bytes -= found.bytes();
        state.tell_deleted(place, &[found]);
        Ok(kept)
    }

    /// How often somebody may say something just now, wherever it is.
    pub(in crate::rooms) fn pace(&self, asker: &Asker) -> Option<Standing> {
        let account = asker.id.as_ref()?;
        Some(lock(&self.state).pace.standing(account, self.clock.now().engine))
    }

    /// Somebody types; the others there hear it.
    ///
    /// # Errors
    /// See [`RoomError`] and [`ChatError`].
    pub(in crate::rooms) fn types(&self, asker: &Asker, place: Place) -> Result<(), RoomError> {
        let now = self.clock.now().engine;
        let mut state = lock(&self.state);
        state.may(asker, place, Action::WriteChat)?;
        let account = asker.id.as_ref().ok_or(Denied::SignIn)?;
        state.pace.take(account, pace::TYPING_MICROS, now).map_err(RoomError::Chat)?;
        let name = self.people.display_name(account);
        let said = json!({ "room_id": room_id(place), "user": **account, "name": name });
        let said = said.to_string();
        let is_other = |seat: &&mut Seat| seat.account() != Some(&**account);
        let others = state.listeners(place).iter_mut().filter(is_other);
        others.for_each(|seat| seat.push("typing", &said));
        Ok(())
    }

    /// Takes over what was said before this server began; what is over, or was said by nobody who is
    /// here or nowhere that there is, comes back as changes that take it away.
    pub(in crate::rooms) fn take_up(
        &self,
        state: &mut State,
        messages: Vec<Entry<MessageRecord>>,
        now: Now,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        // By key, hence by place and the oldest first.
        for Entry { key, record, .. } in messages {
            let left_ms = record.said_unix_ms + MESSAGE_MS as i64 - now.unix_ms;
            // A clock that was set does not make it last for longer than a day from now.
            let left_ms = left_ms.min(MESSAGE_MS as i64);
            let named = MessageId::of_key(&key).filter(|_| left_ms > 0);
            let named = named.filter(|_| self.people.display_name(&record.account).is_some());
            let found = match named {
                Some((place, id)) => state.chat(place).map(|chat| (place, id, chat)),
                None => None,
            };
            let Some((place, id, chat)) = found else {
                changes.push(self.messages.delete(&key, Expect::Any));
                continue;
            };
            if chat.messages.iter().any(|it| it.id == id) {
                continue;
            }
            let gone_at = now.engine.plus_millis(left_ms as u64);
            let message = Message { id, record, gone_at };
            let bytes = message.bytes();
            let first = chat.too_many();
            chat.push(message);
            state.chat_bytes += bytes;
            if let Some(first) = first {
                state.chat_bytes -= first.bytes();
                changes.push(self.deletion(place, &first));
            }
        }
        changes
    }

    fn deletion(&self, place: Place, message: &Message) -> Change {
        self.messages.delete(&message.id.key(place), Expect::Any)
    }

    /// The changes that take away all that was said in a room.
    pub(in crate::rooms) fn silence(&self, id: RoomId, chat: &Chat) -> Vec<Change> {
        chat.messages.iter().map(|it| self.deletion(Some(id), it)).collect()
    }

    /// Takes out what is to go, wherever it was said; those who are there hear of it if it is not
    /// for its age.
    fn drop_messages(&self, goes: impl Fn(&Message) -> bool, is_told: bool) {
        let mut changes = Vec::new();
        let mut state = lock(&self.state);
        let places: Vec<Place> = state.rooms.keys().map(|id| Some(*id)).chain([None]).collect();
        for place in places {
            let gone = state.chat(place).map(|chat| chat.take(&goes)).unwrap_or_default();
            state.chat_bytes -= gone.iter().map(Message::bytes).sum::<usize>();
            changes.extend(gone.iter().map(|it| self.deletion(place, it)));
            if is_told {
                state.tell_deleted(place, &gone);
            }
        }
        drop(state);
        // Should the store not take it now, the next server does not take the messages up.
        if !changes.is_empty()
            && let Err(refused) = self.store.write(changes)
        {
            tracing::warn!(%refused, "what is over stays in the store for now");
        }
    }

    /// Forgets what is a day old.
    pub fn sweep(&self) {
        let now = self.clock.now().engine;
        self.drop_messages(|message| message.gone_at <= now, false);
    }

    /// What accounts that are no more have said goes with them.
    pub(in crate::rooms) fn forget_words(&self, accounts: &[AccountId]) {
        let gone: HashSet<&str> = accounts.iter().map(|account| &**account).collect();
        self.drop_messages(|message| gone.contains(&*message.record.account), true);
    }

    /// Forgets, for as long as the server runs.
    pub async fn keep_sweeping(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        while timeout(SWEEP_PERIOD, shutdown.wait_for(|down| *down)).await.is_err() {
            self.sweep();
            self.sweep_looks();
        }
    }
}
