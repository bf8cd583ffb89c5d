//! What is said in one place: the last hundred messages of a day (`reference/collab.md` 8.1). Who may
//! say what is [`can`](crate::can)'s; who hears it is the [desk](desk)'s.

pub(super) mod api;
mod desk;
mod pace;
pub mod record;

use std::collections::VecDeque;
use std::fmt;

use components::sample::EngineTime;
use serde_json::{Value, json};

use super::RoomId;
use crate::people::is_unseen;
use crate::secret;
pub(super) use pace::Pace;
use record::MessageRecord;

/// Messages of one place, and how long each is kept.
pub const MESSAGE_COUNT_MAX: usize = 100;
pub const MESSAGE_HOURS: u64 = 24;
const MESSAGE_MS: u64 = MESSAGE_HOURS * 3_600_000;

/// Messages of one answer, if nobody says.
const PAGE_COUNT: usize = 50;

/// Bytes of one message.
pub const MESSAGE_BYTES_MAX: usize = 1000;

/// Bytes of all that are kept, of all places.
pub const CHAT_BYTES_MAX: usize = 64 << 20;

/// What a message costs beside its letters.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// Where something is said. `None`: to everybody, in the lobbies.
pub(super) type Place = Option<RoomId>;

/// A place's name in the store: no room has this id.
const EVERYBODY: [u8; 16] = [0; 16];

/// When it was said, and 80 random bits: the later one is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessageId([u8; 16]);

impl MessageId {
    fn new(unix_ms: u64) -> Result<Self, secret::NoRandom> {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&secret::random::<10>()?);
        Ok(Self(bytes))
    }

    fn unix_ms(self) -> u64 {
        self.0[..6].iter().fold(0, |ms, byte| ms << 8 | u64::from(*byte))
    }

    /// As [`Display`](fmt::Display) writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        secret::bytes_of(text).map(Self)
    }

    fn key(self, place: Place) -> [u8; 32] {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&place.map_or(EVERYBODY, |id| id.0));
        key[16..].copy_from_slice(&self.0);
        key
    }

    fn of_key(key: &[u8]) -> Option<(Place, Self)> {
        let (place, id) = key.split_first_chunk::<16>()?;
        let place = (*place != EVERYBODY).then_some(RoomId(*place));
        Some((place, Self(id.try_into().ok()?)))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&secret::letters(&self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone)]
struct Message {
    id: MessageId,
    record: MessageRecord,
    gone_at: EngineTime,
}

impl Message {
    fn bytes(&self) -> usize {
        self.record.content.len() + MESSAGE_OVERHEAD_BYTES
    }

    fn told(&self, place: Place) -> Value {
        json!({
            "id": self.id.to_string(),
            "room_id": room_id(place),
            "role": "user",
            "user_id": *self.record.account,
            "user_name": *self.record.name,
            "content": *self.record.content,
            "timestamp": self.record.said_unix_ms,
            "edited_at": self.record.edited_unix_ms,
        })
    }
}

/// As the original calls places.
fn room_id(place: Place) -> String {
    place.map_or_else(|| "global".to_owned(), |id| format!("room:{id}"))
}

/// Which messages somebody asks for: the last so many before one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    before: Option<MessageId>,
    limit: usize,
}

impl Page {
    /// `None`: there can be no such page.
    pub(super) fn of(before: Option<&str>, limit: Option<usize>) -> Option<Self> {
        let before = before.map(|id| MessageId::parse(id).ok_or(())).transpose().ok()?;
        let limit = limit.unwrap_or(PAGE_COUNT);
        (1..=MESSAGE_COUNT_MAX).contains(&limit).then_some(Self { before, limit })
    }
}

/// The oldest first.
#[derive(Debug, Default)]
pub(super) struct Chat {
    messages: VecDeque<Message>,
    newest_unix_ms: u64,
}

impl Chat {
    /// The id of what is said next: greater than all before, whatever the machine's clock says.
    fn next_id(&mut self, unix_ms: i64) -> Result<MessageId, secret::NoRandom> {
        let now = u64::try_from(unix_ms).unwrap_or(0);
        let id = MessageId::new(now.max(self.newest_unix_ms + 1))?;
        self.newest_unix_ms = id.unix_ms();
        Ok(id)
    }

    /// Behind all that is there.
    fn push(&mut self, message: Message) {
        self.newest_unix_ms = self.newest_unix_ms.max(message.id.unix_ms());
        self.messages.push_back(message);
    }

    /// What makes room for one more.
    fn too_many(&mut self) -> Option<Message> {
        if self.messages.len() < MESSAGE_COUNT_MAX { None } else { self.messages.pop_front() }
    }

    /// Takes out what is to go.
    fn take(&mut self, goes: impl Fn(&Message) -> bool) -> Vec<Message> {
        if !self.messages.iter().any(&goes) {
            return Vec::new();
        }
        let (go, stay): (Vec<_>, Vec<_>) = self.messages.drain(..).partition(goes);
        self.messages = stay.into();
        go
    }

    /// The last so many before one, the oldest first, and whether there are more before them.
    fn page(
        &self,
        Page { before, limit }: Page,
        now: EngineTime,
    ) -> (impl Iterator<Item = &Message>, bool) {
        let is_told =
            |it: &&Message| it.gone_at > now && before.is_none_or(|before| it.id < before);
        let all: Vec<&Message> = self.messages.iter().filter(is_told).collect();
        let from = all.len().saturating_sub(limit);
        (all.into_iter().skip(from), from > 0)
    }

    pub(super) fn bytes(&self) -> usize {
        self.messages.iter().map(Message::bytes).sum()
    }
}

/// Why something is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatError {
    Empty,
    TooLong,
    Unseen,
    TooFast {
        retry_ms: u64,
    },
    /// All places have said as much as is kept.
    Full,
    NoSuchMessage,
}

impl ChatError {
    /// The word on the wire.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Unseen => "control_characters",
            Self::TooFast { .. } => "too_fast",
            Self::Full => "chat_full",
            Self::NoSuchMessage => "no_such_message",
        }
    }
}

impl fmt::Display for ChatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("`content`: nothing is said"),
            Self::TooLong => write!(f, "`content`: expected at most {MESSAGE_BYTES_MAX} bytes"),
            Self::Unseen => {
                f.write_str("`content`: no control characters but tabs and line breaks")
            }
            Self::TooFast { .. } => f.write_str("Too many messages; wait a little"),
            Self::Full => f.write_str("all rooms together have said as much as is kept"),
            Self::NoSuchMessage => f.write_str("There is no such message of yours"),
        }
    }
}

/// What may be said. Joiners and marks of direction are letters to who writes Persian or Hebrew.
fn content(text: &str) -> Result<&str, ChatError> {
    let text = text.trim();
    let is_bad = |c: char| is_unseen(c) && !matches!(c, '\n' | '\t' | '\u{200c}'..='\u{200f}');
    match text {
        "" => Err(ChatError::Empty),
        _ if text.len() > MESSAGE_BYTES_MAX => Err(ChatError::TooLong),
        _ if text.contains(is_bad) => Err(ChatError::Unseen),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> EngineTime {
        EngineTime(ms * 1000)
    }

    fn said(chat: &mut Chat, unix_ms: i64, gone_at: EngineTime) -> MessageId {
        let id = chat.next_id(unix_ms).unwrap();
        chat.push(Message { id, record: MessageRecord::golden(), gone_at });
        id
    }

    #[test]
    fn pages_lead_back_to_the_first_message_whatever_the_clock_says() {
        let mut chat = Chat::default();
        // The machine's clock stands, goes back, and goes on.
        let ids: Vec<MessageId> =
            [1000, 1000, 1000, 400, 5000].map(|unix_ms| said(&mut chat, unix_ms, at(10))).to_vec();
        assert!(ids.is_sorted(), "{ids:?}");
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let (page, more) = chat.page(Page { before, limit: 2 }, at(0));
            let page: Vec<MessageId> = page.map(|it| it.id).collect();
            before = page.first().copied();
            seen.splice(..0, page);
            if !more {
                break;
            }
        }
        assert_eq!(seen, ids);
        // One that was deleted leads on all the same.
        chat.take(|it| it.id == ids[3]);
        let before = Page::of(Some(&ids[3].to_string()), Some(9)).unwrap();
        assert_eq!(chat.page(before, at(0)).0.count(), 3);
        assert_eq!(MessageId::parse(&ids[0].to_string()), Some(ids[0]));
        assert_eq!(MessageId::parse("x"), None);
        for (before, limit) in [(None, 0), (None, MESSAGE_COUNT_MAX + 1), (Some("x"), 1)] {
            assert_eq!(Page::of(before, Some(limit)), None);
        }
    }

    #[test]
    fn a_hundred_are_kept_and_none_for_longer_than_a_day() {
        let mut chat = Chat::default();
        for n in 0..MESSAGE_COUNT_MAX as i64 {
            assert!(chat.too_many().is_none());
            said(&mut chat, n, at(n as u64));
        }
        let first = chat.messages[0].id;
        assert_eq!(chat.too_many().map(|it| it.id), Some(first));
        let all = Page::of(None, Some(MESSAGE_COUNT_MAX)).unwrap();
        assert_eq!(chat.page(all, at(50)).0.count(), 49, "what is over is not told");
        let gone = chat.take(|it| it.gone_at <= at(50));
        assert_eq!((gone.len(), chat.messages.len()), (50, 49));
        assert_eq!(chat.bytes(), 49 * gone[0].bytes());
    }

    #[test]
    fn a_key_names_place_and_message() {
        let id = MessageId([9; 16]);
        for place in [None, Some(RoomId([7; 16]))] {
            assert_eq!(MessageId::of_key(&id.key(place)), Some((place, id)));
        }
        assert_eq!(MessageId::of_key(&[0; 31]), None);
        assert_eq!(MessageId::of_key(&[0; 33]), None);
    }

    #[test]
    fn a_message_has_letters_and_a_length() {
        assert_eq!(content(" a\nb\tc "), Ok("a\nb\tc"));
        assert_eq!(content(" \n "), Err(ChatError::Empty));
        assert_eq!(content(&"ä".repeat(500)).map(str::len), Ok(1000));
        assert_eq!(content(&"ä".repeat(501)), Err(ChatError::TooLong));
        assert_eq!(content("می\u{200c}خواهم"), Ok("می\u{200c}خواهم"));
        for unseen in ["a\u{202e}b", "a\0b", "a\u{200b}b", "a\rb"] {
            assert_eq!(content(unseen), Err(ChatError::Unseen), "{unseen:?}");
        }
    }
}
