//! A push: one word from the server to one channel, in either framing (`reference/wire.md` 1.2).

use serde_json::value::RawValue;

use super::phoenix::{self, Vsn};

/// What stands around every push to one channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    pub vsn: Vsn,
    /// As the client gave it, JSON text: clients use strings and numbers. Empty stands for null.
    pub join_ref: Box<str>,
    pub topic: Box<str>,
}

impl Envelope {
    /// Writes what stands before the payload of a text push.
    pub fn open_text(&self, event: &str, out: &mut Vec<u8>) {
        match self.vsn {
            Vsn::V1 => {
                out.extend_from_slice(b"{\"event\":");
                write_string(event, out);
                out.extend_from_slice(b",\"payload\":");
            }
            Vsn::V2 => {
                out.push(b'[');
                let join_ref = if self.join_ref.is_empty() { "null" } else { &self.join_ref };
                out.extend_from_slice(join_ref.as_bytes());
                out.extend_from_slice(b",null,");
                write_string(&self.topic, out);
                out.push(b',');
                write_string(event, out);
                out.push(b',');
            }
        }
    }

    /// Writes what stands behind the payload of a text push.
    pub fn close_text(&self, out: &mut Vec<u8>) {
        match self.vsn {
            Vsn::V1 => {
                out.extend_from_slice(b",\"ref\":null,\"topic\":");
                write_string(&self.topic, out);
                out.push(b'}');
            }
            Vsn::V2 => out.push(b']'),
        }
    }

    /// What stands before the data of a binary push: `00 jl tl el join_ref topic event`. `None`
    /// when one of them has more bytes than fit ([`PartTooLong`](phoenix::PartTooLong)).
    pub fn binary_head(&self, event: &str) -> Option<Vec<u8>> {
        let join_ref = match &*self.join_ref {
            "" | "null" => None,
            text => Some(serde_json::from_str::<&RawValue>(text).ok()?),
        };
        let mut head = Vec::new();
        phoenix::push_binary_head(&mut head, join_ref, &self.topic, event).ok()?;
        Some(head)
    }
}

/// Writes `text` as a JSON string.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Writes `value` as a JSON number, `null` if it is not finite.
pub fn write_number(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Writes `value` as a JSON number.
pub fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(envelope: &Envelope) -> String {
        let mut out = Vec::new();
        envelope.open_text("e\"v", &mut out);
        out.extend_from_slice(b"{}");
        envelope.close_text(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn envelope(vsn: Vsn, join_ref: &str) -> Envelope {
        Envelope { vsn, join_ref: join_ref.into(), topic: "t:1".into() }
    }

    #[test]
    fn text_pushes_look_as_phoenix_makes_them() {
        assert_eq!(text(&envelope(Vsn::V2, "\"12\"")), r#"["12",null,"t:1","e\"v",{}]"#);
        assert_eq!(text(&envelope(Vsn::V2, "12")), r#"[12,null,"t:1","e\"v",{}]"#);
        assert_eq!(text(&envelope(Vsn::V2, "")), r#"[null,null,"t:1","e\"v",{}]"#);
        assert_eq!(
            text(&envelope(Vsn::V1, "")),
            r#"{"event":"e\"v","payload":{},"ref":null,"topic":"t:1"}"#
        );
    }

    /// The vector of `reference/wire.md` 1.2.
    #[test]
    fn a_binary_push_is_the_golden_one() {
        let mut bytes = envelope(Vsn::V2, "\"12\"").binary_head("ev").unwrap();
        bytes.extend_from_slice(&[1, 2, 3, 0xff]);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "000203023132743a316576010203ff");
    }

    #[test]
    fn a_name_too_long_for_its_length_byte_is_refused() {
        let long = Envelope { topic: "x".repeat(256).into(), ..envelope(Vsn::V2, "") };
        assert_eq!(long.binary_head("ev"), None);
        let escaped = envelope(Vsn::V2, "\"a\\u0041\"").binary_head("ev").unwrap();
        assert_eq!(escaped, b"\x00\x02\x03\x02aAt:1ev", "a reference goes as the string it is");
        assert!(envelope(Vsn::V2, "null").binary_head("ev").unwrap().starts_with(&[0, 0, 3, 2]));
    }

    proptest! {
        #[test]
        fn any_string_is_written_as_json(value in any::<String>()) {
            let mut out = Vec::new();
            write_string(&value, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
        }

        #[test]
        fn a_binary_head_never_panics(join_ref in "\"?.{0,5}\"?", topic in ".{0,300}") {
            let _ = Envelope { vsn: Vsn::V2, join_ref: join_ref.into(), topic: topic.into() }
                .binary_head("frame");
        }
    }
}
