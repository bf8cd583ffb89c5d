//! The framing of Phoenix channels, versions 1 and 2: frames to messages that borrow from them,
//! and messages to frames (`reference/wire.md` 1.2).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::push::write_string;

/// Bytes of a topic, event, reference or status in a binary frame: their length is one byte.
pub const PART_BYTES_MAX: usize = 255;

/// Bytes of a reference in a text frame. Clients send counters and clock readings; the bound
/// keeps what a joined topic remembers small.
pub const REF_BYTES_MAX: usize = 255;

/// The framing version of one socket, fixed at its handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Vsn {
    /// JSON objects, text only.
    V1,
    /// JSON arrays, and binary frames.
    V2,
}

impl Vsn {
    /// `vsn` as in the query string: absent or `1.0.x` is v1, `2.0.x` is v2, anything else is
    /// refused (`reference/wire.md` 1.1). As Elixir's `~> x.0.0`, the patch must be a number.
    pub fn negotiate(vsn: Option<&str>) -> Option<Self> {
        let Some(vsn) = vsn else { return Some(Self::V1) };
        let (version, patch) = if let Some(patch) = vsn.strip_prefix("1.0.") {
            (Self::V1, patch)
        } else {
            (Self::V2, vsn.strip_prefix("2.0.")?)
        };
        (!patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit())).then_some(version)
    }
}

/// A message from a client, borrowed from its frame.
#[derive(Debug)]
pub struct Message<'a> {
    /// The JSON text as it came; `None` when null or absent.
    pub join_ref: Option<Cow<'a, RawValue>>,
    /// To be echoed byte for byte: strings, but also numbers, are in use. `None` when null.
    pub reference: Option<Cow<'a, RawValue>>,
    pub topic: Cow<'a, str>,
    pub event: Cow<'a, str>,
    pub payload: Content<'a>,
}

#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    Json(&'a RawValue),
    /// The data of a v2 binary push.
    Binary(&'a [u8]),
}

impl<'a> Content<'a> {
    pub fn json(self) -> Option<&'a RawValue> {
        match self {
            Self::Json(raw) => Some(raw),
            Self::Binary(_) => None,
        }
    }
}

/// Why a frame was not understood.
#[derive(Debug)]
pub enum FrameError {
    /// Not JSON, the wrong container, or a missing member.
    Json(serde_json::Error),
    /// A binary frame on a v1 socket.
    BinaryOnV1,
    /// A binary frame shorter than its lengths say.
    Truncated,
    /// A binary frame of a kind that clients do not send.
    Kind(u8),
    /// A name in a binary frame that is not UTF-8.
    Utf8,
    /// A reference longer than [`REF_BYTES_MAX`].
    RefTooLong,
}

impl FrameError {
    /// The WebSocket close code it deserves. The original's socket process crashes on all of
    /// them, which its clients see as 1011 (`reference/wire.md` 1.3).
    pub fn close_code(&self) -> u16 {
        1011
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the frame is not a message: {error}"),
            Self::BinaryOnV1 => f.write_str("a binary frame on a version 1 socket"),
            Self::Truncated => f.write_str("a binary frame shorter than it says"),
            Self::Kind(kind) => write!(f, "a binary frame of unknown kind {kind}"),
            Self::Utf8 => f.write_str("a name that is not UTF-8"),
            Self::RefTooLong => write!(f, "a reference longer than {REF_BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for FrameError {}

/// A string that borrows where it can. (`Cow` alone never does: serde's own impl owns.)
#[derive(Deserialize)]
pub(super) struct Str<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Deserialize)]
struct V1Frame<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, rename = "ref")]
    reference: &'a RawValue,
    #[serde(borrow, default)]
    join_ref: Option<&'a RawValue>,
}

/// `[join_ref, ref, topic, event, payload]`, further elements ignored.
struct V2Frame<'a>(&'a RawValue, &'a RawValue, Cow<'a, str>, Cow<'a, str>, &'a RawValue);

impl<'de> Deserialize<'de> for V2Frame<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Five;
        impl<'de> Visitor<'de> for Five {
            type Value = V2Frame<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[join_ref, ref, topic, event, payload]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<V2Frame<'de>, A::Error> {
                fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
                    seq: &mut A,
                    at: usize,
                ) -> Result<T, A::Error> {
                    seq.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(at, &Five))
                }
                let frame = V2Frame(
                    next(&mut seq, 0)?,
                    next(&mut seq, 1)?,
                    next::<Str<'de>, _>(&mut seq, 2)?.0,
                    next::<Str<'de>, _>(&mut seq, 3)?.0,
                    next(&mut seq, 4)?,
                );
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(frame)
            }
        }
        deserializer.deserialize_seq(Five)
    }
}

fn reference(raw: &RawValue) -> Result<Option<Cow<'_, RawValue>>, FrameError> {
    match raw.get() {
        "null" => Ok(None),
        text if text.len() > REF_BYTES_MAX => Err(FrameError::RefTooLong),
        _ => Ok(Some(Cow::Borrowed(raw))),
    }
}

/// The head of a version 2 text frame, and behind it a payload that nobody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    join_ref: &'a str,
    reference: &'a str,
    pub topic: &'a str,
    pub event: &'a str,
    /// Whatever there is: JSON, if the frame is one.
    pub payload: &'a str,
}

impl<'a> Head<'a> {
    /// Of a frame as clients write it, without spaces and with names without escapes. `None` of any
    /// other: [`decode_text`] reads that, and says what is wrong with it if something is.
    pub fn of(vsn: Vsn, frame: &'a str) -> Option<Self> {
        if vsn == Vsn::V1 {
            return None;
        }
        let (join_ref, rest) = plain(frame.strip_prefix('[')?)?;
        let (reference, rest) = plain(rest)?;
        let (topic, rest) = plain(rest)?;
        let (event, rest) = plain(rest)?;
        let unquoted = |text: &'a str| text.strip_prefix('"')?.strip_suffix('"');
        let (topic, event) = (unquoted(topic)?, unquoted(event)?);
        Some(Self { join_ref, reference, topic, event, payload: rest.strip_suffix(']')? })
    }

    /// Whether it is of this join, as far as both say.
    pub fn is_of(&self, join_ref: Ref<'_>) -> bool {
        self.join_ref == "null" || join_ref.is_none_or(|ours| ours.get() == self.join_ref)
    }

    /// As a message without a payload, to be answered. `None` if its references are none.
    pub fn message(&self) -> Option<Message<'a>> {
        let read = |text: &'a str| {
            let raw: &RawValue = serde_json::from_str(text).ok()?;
            reference(raw).ok()
        };
        Some(Message {
            join_ref: read(self.join_ref)?,
            reference: read(self.reference)?,
            topic: Cow::Borrowed(self.topic),
            event: Cow::Borrowed(self.event),
            payload: Content::Binary(&[]),
        })
    }
}

/// A string without escapes, a number or null at the beginning of `text`, and what is behind the
/// comma that follows.
fn plain(text: &str) -> Option<(&str, &str)> {
    let digit = |text: &str| text.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let end = match text.strip_prefix('"') {
        Some(inner) => inner.find(['"', '\\']).filter(|at| inner.as_bytes()[*at] == b'"')? + 2,
        None => text.find(',').filter(|_| text.starts_with(['n', '-']) || digit(text))?,
    };
    let rest = text[end..].strip_prefix(',')?;
    Some((&text[..end], rest))
}

/// Reads a text frame.
pub fn decode_text(vsn: Vsn, frame: &str) -> Result<Message<'_>, FrameError> {
    match vsn {
        Vsn::V1 => {
            // A derived struct also reads itself from an array; on this wire that is an error.
            if frame.trim_ascii_start().starts_with('[') {
                return Err(FrameError::Json(serde::de::Error::custom("an array on version 1")));
            }
            let V1Frame { topic, event, payload, reference: raw, join_ref } =
                serde_json::from_str(frame).map_err(FrameError::Json)?;
            Ok(Message {
                join_ref: join_ref.map_or(Ok(None), reference)?,
                reference: reference(raw)?,
                topic,
                event,
                payload: Content::Json(payload),
            })
        }
        Vsn::V2 => {
            let V2Frame(join_ref, raw, topic, event, payload) =
                serde_json::from_str(frame).map_err(FrameError::Json)?;
            Ok(Message {
                join_ref: reference(join_ref)?,
                reference: reference(raw)?,
                topic,
                event,
                payload: Content::Json(payload),
            })
        }
    }
}

/// Kinds of binary frame: the first byte.
const PUSH: u8 = 0;
const REPLY: u8 = 1;
const BROADCAST: u8 = 2;

/// Reads a binary frame of a client: a push, `00 jl rl tl el` join_ref ref topic event data.
pub fn decode_binary(vsn: Vsn, frame: &[u8]) -> Result<Message<'_>, FrameError> {
    if vsn == Vsn::V1 {
        return Err(FrameError::BinaryOnV1);
    }
    let (kind, rest) = frame.split_first().ok_or(FrameError::Truncated)?;
    if *kind != PUSH {
        return Err(FrameError::Kind(*kind));
    }
    let (lengths, mut rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Truncated)?;
    let mut parts = [""; 4];
    for (part, &length) in parts.iter_mut().zip(lengths) {
        let (bytes, behind) =
            rest.split_at_checked(usize::from(length)).ok_or(FrameError::Truncated)?;
        *part = std::str::from_utf8(bytes).map_err(|_| FrameError::Utf8)?;
        rest = behind;
    }
    let [join_ref, reference, topic, event] = parts;
    // References of binary frames are bare text, and strings wherever they are JSON.
    let quoted = |text: &str| {
        (!text.is_empty())
            .then(|| serde_json::value::to_raw_value(text).ok().map(Cow::Owned))
            .flatten()
    };
    Ok(Message {
        join_ref: quoted(join_ref),
        reference: quoted(reference),
        topic: Cow::Borrowed(topic),
        event: Cow::Borrowed(event),
        payload: Content::Binary(rest),
    })
}

/// What a reply says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Ok,
    Error,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// A reference to echo.
pub type Ref<'a> = Option<&'a RawValue>;

/// Appends a `phx_reply`. `response` is JSON text, an object by convention.
pub fn reply(
    out: &mut Vec<u8>,
    vsn: Vsn,
    (join_ref, reference): (Ref<'_>, Ref<'_>),
    topic: &str,
    status: Status,
    response: &str,
) {
    let payload = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"{\"response\":");
        out.extend_from_slice(response.as_bytes());
        out.extend_from_slice(b",\"status\":\"");
        out.extend_from_slice(status.name().as_bytes());
        out.extend_from_slice(b"\"}");
    };
    text_frame(out, vsn, (join_ref, reference), topic, "phx_reply", payload);
}

/// Appends a push to one channel. `payload` is JSON text.
pub fn push(
    out: &mut Vec<u8>,
    vsn: Vsn,
    join_ref: Ref<'_>,
    topic: &str,
    event: &str,
    payload: &str,
) {
    push_with(out, vsn, join_ref, topic, event, |out| out.extend_from_slice(payload.as_bytes()));
}

/// As [`push`], with a payload that writes itself.
pub fn push_with(
    out: &mut Vec<u8>,
    vsn: Vsn,
    join_ref: Ref<'_>,
    topic: &str,
    event: &str,
    payload: impl FnOnce(&mut Vec<u8>),
) {
    text_frame(out, vsn, (join_ref, None), topic, event, payload);
}

/// Appends a broadcast to a topic: as a push that no join is named in.
pub fn broadcast(out: &mut Vec<u8>, vsn: Vsn, topic: &str, event: &str, payload: &str) {
    push(out, vsn, None, topic, event, payload);
}

/// Appends the `phx_close` that ends a channel. Its ref is the join's.
pub fn close(out: &mut Vec<u8>, vsn: Vsn, join_ref: Ref<'_>, topic: &str) {
    text_frame(out, vsn, (join_ref, join_ref), topic, "phx_close", |out| {
        out.extend_from_slice(b"{}");
    });
}

/// Appends the `phx_error` that says a channel crashed. Its ref is the join's.
pub fn error(out: &mut Vec<u8>, vsn: Vsn, join_ref: Ref<'_>, topic: &str) {
    text_frame(out, vsn, (join_ref, join_ref), topic, "phx_error", |out| {
        out.extend_from_slice(b"{}");
    });
}

fn text_frame(
    out: &mut Vec<u8>,
    vsn: Vsn,
    (join_ref, reference): (Ref<'_>, Ref<'_>),
    topic: &str,
    event: &str,
    payload: impl FnOnce(&mut Vec<u8>),
) {
    fn raw(raw: Ref<'_>) -> &[u8] {
        raw.map_or("null", RawValue::get).as_bytes()
    }
    match vsn {
        Vsn::V1 => {
            out.extend_from_slice(b"{\"event\":");
            write_string(event, out);
            out.extend_from_slice(b",\"payload\":");
            payload(out);
            out.extend_from_slice(b",\"ref\":");
            out.extend_from_slice(raw(reference));
            out.extend_from_slice(b",\"topic\":");
            write_string(topic, out);
            out.push(b'}');
        }
        Vsn::V2 => {
            out.push(b'[');
            out.extend_from_slice(raw(join_ref));
            out.push(b',');
            out.extend_from_slice(raw(reference));
            out.push(b',');
            write_string(topic, out);
            out.push(b',');
            write_string(event, out);
            out.push(b',');
            payload(out);
            out.push(b']');
        }
    }
}

/// A name that does not fit the one byte its length has.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct PartTooLong {
    pub bytes: usize,
}

impl fmt::Display for PartTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a name of {} bytes; a binary frame has room for {PART_BYTES_MAX}", self.bytes)
    }
}

impl std::error::Error for PartTooLong {}

/// Appends a binary push: `00 jl tl el` join_ref topic event, and the data is what the caller
/// appends behind it.
pub fn push_binary_head(
    out: &mut Vec<u8>,
    join_ref: Ref<'_>,
    topic: &str,
    event: &str,
) -> Result<(), PartTooLong> {
    binary_head(out, PUSH, &[&ref_text(join_ref), topic, event])
}

/// Appends a binary reply: `01 jl rl tl sl` join_ref ref topic status data.
pub fn reply_binary(
    out: &mut Vec<u8>,
    (join_ref, reference): (Ref<'_>, Ref<'_>),
    topic: &str,
    status: Status,
    data: &[u8],
) -> Result<(), PartTooLong> {
    binary_head(out, REPLY, &[&ref_text(join_ref), &ref_text(reference), topic, status.name()])?;
    out.extend_from_slice(data);
    Ok(())
}

/// Appends a binary broadcast: `02 tl el` topic event data.
pub fn broadcast_binary(
    out: &mut Vec<u8>,
    topic: &str,
    event: &str,
    data: &[u8],
) -> Result<(), PartTooLong> {
    binary_head(out, BROADCAST, &[topic, event])?;
    out.extend_from_slice(data);
    Ok(())
}

/// A reference as binary frames spell it: bare.
fn ref_text(raw: Ref<'_>) -> Cow<'_, str> {
    match raw {
        None => Cow::Borrowed(""),
        Some(raw) => serde_json::from_str::<Str<'_>>(raw.get())
            .map_or(Cow::Borrowed(raw.get()), |text| text.0),
    }
}

fn binary_head(out: &mut Vec<u8>, kind: u8, parts: &[&str]) -> Result<(), PartTooLong> {
    if let Some(part) = parts.iter().find(|part| part.len() > PART_BYTES_MAX) {
        return Err(PartTooLong { bytes: part.len() });
    }
    out.push(kind);
    out.extend(parts.iter().map(|part| part.len() as u8));
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOLDEN: &str = include_str!("../../tests/vectors/phoenix-serializer.tsv");

    fn golden(name: &str) -> Vec<u8> {
        let line = GOLDEN.lines().find(|line| line.split('\t').next() == Some(name)).unwrap();
        let mut fields = line.split('\t').skip(1);
        match fields.next().unwrap() {
            "text" => fields.next().unwrap().as_bytes().to_vec(),
            _ => {
                let hex = fields.next().unwrap();
                (0..hex.len())
                    .step_by(2)
                    .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
                    .collect()
            }
        }
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn the_head_of_a_frame_is_what_the_whole_frame_says() {
        for frame in [
            r#"["4","77","sensocto:sensor:a","measurements_batch",[{"payload":1}]]"#,
            r#"[null,null,"t","e",{}]"#,
            r#"[4,77,"t","e",["]",1]]"#,
        ] {
            let head = Head::of(Vsn::V2, frame).unwrap();
            let (whole, read) = (decode_text(Vsn::V2, frame).unwrap(), head.message().unwrap());
            assert_eq!((&whole.topic, &whole.event), (&read.topic, &read.event));
            let text =
                |raw: &Option<Cow<'_, RawValue>>| raw.as_ref().map(|raw| raw.get().to_owned());
            assert_eq!(text(&whole.join_ref), text(&read.join_ref));
            assert_eq!(text(&whole.reference), text(&read.reference));
            assert_eq!(whole.payload.json().unwrap().get(), head.payload);
            let (ours, other) = (raw("4"), raw("5"));
            assert!(head.is_of(None));
            assert_eq!(head.is_of(Some(&other)), frame.starts_with("[null"));
            assert_eq!(head.is_of(Some(&ours)), !frame.starts_with(r#"["4""#));
        }
        let whole = r#"["4","77","t","e",{}]"#;
        for end in 0..whole.len() {
            assert_eq!(Head::of(Vsn::V2, &whole[..end]), None, "{end}");
        }
        for frame in [
            r#"[ "4","77","t","e",{}]"#,
            r#"["4","77","t\u0041","e",{}]"#,
            r#"["4","77",7,"e",{}]"#,
            r#"["4","77","t","e",{}"#,
            r#"{"topic":"t"}"#,
        ] {
            assert_eq!(Head::of(Vsn::V2, frame), None, "{frame}");
        }
        assert_eq!(Head::of(Vsn::V1, whole), None);
        let nonsense = Head::of(Vsn::V2, r#"[no,-,"t","e",{}]"#).unwrap();
        assert!(nonsense.message().is_none());
    }

    proptest! {
        #[test]
        fn no_text_panics_a_head(text in r#"[\[\],"a\\n1é]{0,40}"#) {
            let _ = Head::of(Vsn::V2, &text);
        }
    }

    fn check(name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(out, golden(name), "{name}: {}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn text_frames_are_the_real_serializers_byte_for_byte() {
        let (twelve, seven) = (raw("\"12\""), raw("\"7\""));
        let (j, r) = (Some(&*twelve), Some(&*seven));
        check("v2_push_text", |o| push(o, Vsn::V2, j, "t:1", "ev", r#"{"a":1}"#));
        check("v2_reply_text", |o| reply(o, Vsn::V2, (j, r), "t:1", Status::Ok, "{}"));
        check("v2_reply_error", |o| {
            reply(o, Vsn::V2, (None, r), "t:1", Status::Error, r#"{"reason":"unmatched topic"}"#);
        });
        check("v2_broadcast_text", |o| broadcast(o, Vsn::V2, "t:1", "ev", r#"{"a":1}"#));
        check("v2_close", |o| close(o, Vsn::V2, j, "t:1"));
        check("v1_push", |o| push(o, Vsn::V1, j, "t:1", "ev", r#"{"a":1}"#));
        check("v1_reply", |o| reply(o, Vsn::V1, (j, r), "t:1", Status::Ok, "{}"));
        check("v1_broadcast", |o| broadcast(o, Vsn::V1, "t:1", "ev", r#"{"a":1}"#));
        check("v1_close_nil_ref", |o| close(o, Vsn::V1, None, "t:1"));
    }

    #[test]
    fn binary_frames_are_the_real_serializers_byte_for_byte() {
        let (twelve, seven) = (raw("\"12\""), raw("\"7\""));
        let (j, r) = (Some(&*twelve), Some(&*seven));
        let data = [1, 2, 3, 0xff];
        check("v2_push_binary", |o| {
            push_binary_head(o, j, "t:1", "ev").unwrap();
            o.extend_from_slice(&data);
        });
        check("v2_push_binary_nil_join", |o| {
            push_binary_head(o, None, "t:1", "ev").unwrap();
            o.extend_from_slice(&data);
        });
        check("v2_reply_binary_ok", |o| reply_binary(o, (j, r), "t:1", Status::Ok, &data).unwrap());
        check("v2_broadcast_binary", |o| broadcast_binary(o, "t:1", "ev", &data).unwrap());

        let frame = golden("v2_client_binary_push");
        let message = decode_binary(Vsn::V2, &frame).unwrap();
        assert_eq!(message.join_ref.unwrap().get(), "\"12\"");
        assert_eq!(message.reference.unwrap().get(), "\"7\"");
        assert_eq!((&*message.topic, &*message.event), ("t:1", "ev"));
        assert!(matches!(message.payload, Content::Binary(d) if d == data));
    }

    #[test]
    fn a_name_of_255_bytes_fits_a_binary_frame_and_one_of_256_is_an_error() {
        let mut out = Vec::new();
        assert!(push_binary_head(&mut out, None, &"t".repeat(255), "ev").is_ok());
        out.clear();
        assert_eq!(
            push_binary_head(&mut out, None, &"t".repeat(256), "ev"),
            Err(PartTooLong { bytes: 256 })
        );
        assert!(out.is_empty(), "nothing is written of a frame that cannot be");
    }

    #[test]
    fn references_come_back_as_they_came() {
        for text in ["\"0\"", "\"1700000000.53\"", "3", "1.50", "\"\\u0041\""] {
            let frame = format!(r#"[null, {text}, "phoenix", "heartbeat", null, "more"]"#);
            let message = decode_text(Vsn::V2, &frame).unwrap();
            assert_eq!(message.reference.unwrap().get(), text);
            assert!(message.join_ref.is_none());
            let frame = format!(r#"{{"topic":"t","event":"e","payload":null,"ref":{text},"x":1}}"#);
            assert_eq!(decode_text(Vsn::V1, &frame).unwrap().reference.unwrap().get(), text);
        }
    }

    #[test]
    fn what_is_not_a_message_is_an_error() {
        for (vsn, frame) in [
            (Vsn::V1, "{"),
            (Vsn::V1, r#"[null,"1","t","e",{}]"#),
            (Vsn::V1, r#"{"topic":"t","event":"e","payload":{}}"#),
            (Vsn::V1, r#"{"topic":"t","event":"e","ref":"1"}"#),
            (Vsn::V2, r#"{"topic":"t","event":"e","payload":{},"ref":"1"}"#),
            (Vsn::V2, r#"[null,"1","t","e"]"#),
            (Vsn::V2, r#"[null,"1",7,"e",{}]"#),
            (Vsn::V2, r#"[null,"1","t","e",{}] x"#),
        ] {
            let error = decode_text(vsn, frame).unwrap_err();
            assert_eq!(error.close_code(), 1011, "{frame}");
        }
        assert!(matches!(decode_binary(Vsn::V1, b"\0\0\0\0\0"), Err(FrameError::BinaryOnV1)));
        assert!(matches!(decode_binary(Vsn::V2, b"\0\x02\0\0\0x"), Err(FrameError::Truncated)));
        assert!(matches!(decode_binary(Vsn::V2, b"\x01\0\0\0\0"), Err(FrameError::Kind(1))));
        let long = format!(r#"[null,"{}","t","e",{{}}]"#, "9".repeat(REF_BYTES_MAX));
        assert!(matches!(decode_text(Vsn::V2, &long), Err(FrameError::RefTooLong)));
    }

    #[test]
    fn versions_are_negotiated_as_phoenix_does() {
        assert_eq!(Vsn::negotiate(None), Some(Vsn::V1));
        assert_eq!(Vsn::negotiate(Some("1.0.0")), Some(Vsn::V1));
        assert_eq!(Vsn::negotiate(Some("1.0.7")), Some(Vsn::V1));
        assert_eq!(Vsn::negotiate(Some("2.0.0")), Some(Vsn::V2));
        for vsn in ["3.0.0", "abc", "", "2", "2.1.0", "2.0.", "2.0.x"] {
            assert_eq!(Vsn::negotiate(Some(vsn)), None, "{vsn}");
        }
    }

    #[test]
    fn every_captured_client_frame_is_understood() {
        for (vsn, log) in [
            (Vsn::V1, include_str!("../../tests/vectors/device-v1.jsonl")),
            (Vsn::V1, include_str!("../../tests/vectors/device-v1-simulator.jsonl")),
            (Vsn::V2, include_str!("../../tests/vectors/phoenix-js.jsonl")),
        ] {
            for line in log.lines() {
                let entry: serde_json::Value = serde_json::from_str(line).unwrap();
                if entry["dir"] == "c2s" && entry["op"] == "text" {
                    let frame = entry["frame"].as_str().unwrap();
                    assert!(decode_text(vsn, frame).is_ok(), "{frame}");
                }
            }
        }
    }

    // More of them with PROPTEST_CASES=1000000.
    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_binary(Vsn::V2, &bytes);
            let text = String::from_utf8_lossy(&bytes);
            let _ = decode_text(Vsn::V1, &text);
            let _ = decode_text(Vsn::V2, &text);
        }

        #[test]
        fn what_is_pushed_reads_back(
            (topic, event) in (".{0,40}", ".{0,40}"),
            (join_ref, reference) in (prop::option::of(".{0,20}"), prop::option::of(any::<i64>())),
        ) {
            let join_ref = join_ref.map(|text| serde_json::value::to_raw_value(&text).unwrap());
            let reference = reference.map(|n| serde_json::value::to_raw_value(&n).unwrap());
            for vsn in [Vsn::V1, Vsn::V2] {
                let mut out = Vec::new();
                text_frame(&mut out, vsn, (join_ref.as_deref(), reference.as_deref()), &topic, &event,
                    |out| out.extend_from_slice(b"[1]"));
                let text = String::from_utf8(out).unwrap();
                let message = decode_text(vsn, &text).unwrap();
                prop_assert_eq!(&*message.topic, &topic);
                prop_assert_eq!(&*message.event, &event);
                prop_assert_eq!(message.reference.as_deref().map(RawValue::get), reference.as_deref().map(RawValue::get));
                if vsn == Vsn::V2 {
                    prop_assert_eq!(message.join_ref.as_deref().map(RawValue::get), join_ref.as_deref().map(RawValue::get));
                }
            }
        }
    }
}
