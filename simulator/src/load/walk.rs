//! Walks through JSON text without making anything of it: as much as a listener to many viewers
//! has time for. The text is the server's; what is not JSON is an error, never a panic.

/// Brackets within brackets that are followed.
const DEPTH_MAX: usize = 128;

/// A place in JSON text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next character that is not white space, left where it is.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Goes past this character, or stays.
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        self.take(wanted).then_some(())
    }

    /// A string without its quotes, as it is written: escapes are left in it.
    pub(super) fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at - 1)
    }

    /// Goes past any value; its text.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        self.text.get(start..self.at)
    }

    fn skip(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let mut depth = 0;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    if depth > DEPTH_MAX {
                        return None;
                    }
                    continue;
                }
                b'}' | b']' => {
                    depth = usize::checked_sub(depth, 1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                    let rest = bytes[self.at..].iter();
                    let word = rest.take_while(|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')
                    });
                    self.at += word.count();
                }
                _ => return None,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    pub(super) fn integer(&mut self) -> Option<i64> {
        self.value()?.parse().ok()
    }

    /// Calls `member` at the value of each member of an object, with its key; it goes past the
    /// value. `None` from it ends the walk.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            member(self, key)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Calls `entry` at each entry of an array; it goes past it.
    pub(super) fn array(&mut self, mut entry: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Some(());
        }
        loop {
            entry(self)?;
            if !self.take(b',') {
                return self.expect(b']');
            }
        }
    }
}

/// One message of Phoenix channels, version 2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Push<'a> {
    /// The number of the word that a reply is to, as text; `null`: none.
    pub reply_to: &'a str,
    pub topic: &'a str,
    pub event: &'a str,
    pub payload: &'a str,
}

impl<'a> Push<'a> {
    /// `[join_ref, ref, topic, event, payload]`.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut walk = Walk::new(text);
        walk.expect(b'[')?;
        walk.value()?;
        walk.expect(b',')?;
        let reply_to = walk.value()?.trim_matches(['"', ' ']);
        walk.expect(b',')?;
        let topic = walk.string()?;
        walk.expect(b',')?;
        let event = walk.string()?;
        walk.expect(b',')?;
        let payload = walk.value()?;
        walk.expect(b']')?;
        Some(Self { reply_to, topic, event, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_taken_apart() {
        let push =
            Push::read(r#"["1", "7","viewer:data:x","e", {"a":[1,{"b":"]\"}"}],"c":-1.5e3}]"#);
        let push = push.unwrap();
        assert_eq!((push.reply_to, push.topic, push.event), ("7", "viewer:data:x", "e"));
        let mut seen = Vec::new();
        Walk::new(push.payload)
            .object(|walk, key| {
                seen.push((key, walk.value()?));
                Some(())
            })
            .unwrap();
        assert_eq!(seen, [("a", r#"[1,{"b":"]\"}"}]"#), ("c", "-1.5e3")]);
    }

    #[test]
    fn text_cut_anywhere_and_nonsense_end_the_walk() {
        let whole = r#"["1",null,"t","e",{"a":[1,{"b":"]\"}"}],"c":true}]"#;
        assert!(Push::read(whole).is_some());
        for end in 0..whole.len() {
            assert!(Push::read(&whole[..end]).is_none(), "{end}");
        }
        let deep = "[".repeat(100_000);
        for text in ["[1,2]", "]", "{\"a\"}", "[\"a\" \"b\"]", &deep, "\"\\"] {
            assert!(Push::read(text).is_none());
        }
        assert_eq!(Walk::new(" 42 ").integer(), Some(42));
        assert_eq!(Walk::new("1.5").integer(), None);
    }
}
