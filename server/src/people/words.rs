//! What people may call themselves: addresses, passwords, names.

use std::fmt;

use super::password::PASSWORD_BYTES;
use crate::secret::{NoRandom, random};

/// Bytes of an e-mail address (RFC 5321, 4.5.3.1.3 less the angle brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// Letters of a name.
const DISPLAY_NAME_LETTERS_MAX: usize = 50;

/// A word that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordError {
    Email,
    Password,
    DisplayName,
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email => write!(
                f,
                "`email`: expected an address, as anna@example.org, of at most {EMAIL_BYTES_MAX} \
                 bytes"
            ),
            Self::Password => write!(
                f,
                "`password`: expected {} to {} bytes",
                PASSWORD_BYTES.start(),
                PASSWORD_BYTES.end()
            ),
            Self::DisplayName => write!(
                f,
                "`display_name`: expected 1 to {DISPLAY_NAME_LETTERS_MAX} letters, and no control \
                 characters"
            ),
        }
    }
}

/// An address as it is compared: without white space around, in small letters. Whether it is
/// anybody's only a mail can tell.
pub(super) fn email(text: &str) -> Result<Box<str>, WordError> {
    let text = text.trim().to_lowercase();
    let is_plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let parts = text.split_once('@').filter(|(local, domain)| {
        let labels = domain.split('.');
        !local.is_empty() && !domain.contains('@') && labels.into_iter().all(|l| !l.is_empty())
    });
    let fits = text.len() <= EMAIL_BYTES_MAX;
    if is_plain && fits && parts.is_some() { Ok(text.into()) } else { Err(WordError::Email) }
}

pub(super) fn password(text: &str) -> Result<(), WordError> {
    if PASSWORD_BYTES.contains(&text.len()) { Ok(()) } else { Err(WordError::Password) }
}

pub(super) fn display_name(text: &str) -> Result<Box<str>, WordError> {
    let text = text.trim();
    let letters = text.chars().count();
    let is_plain = !text.contains(is_unseen);
    let fits = (1..=DISPLAY_NAME_LETTERS_MAX).contains(&letters);
    if is_plain && fits { Ok(text.into()) } else { Err(WordError::DisplayName) }
}

/// What nobody sees, and what turns the letters around it.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What somebody is called who has not said: never a part of their address.
pub(super) fn pseudonym(kind: &str) -> Result<Box<str>, NoRandom> {
    let number = u32::from_be_bytes(random()?) % 9000 + 1000;
    Ok(format!("{kind} {number}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_in_small_letters_and_without_space_around() {
        assert_eq!(email(" Anna@Example.ORG ").as_deref(), Ok("anna@example.org"));
        assert_eq!(email("ä+b@x").as_deref(), Ok("ä+b@x"));
        let long = format!("{}@x", "a".repeat(253));
        for bad in
            ["", "anna", "@x", "a@", "a@x@y", "a b@x", "a@x\n", "a@.x", "a@x..y", "a\u{0}@x", &long]
        {
            // A trailing line break is white space around.
            let expected = if bad == "a@x\n" { Ok("a@x") } else { Err(&WordError::Email) };
            assert_eq!(email(bad).as_deref(), expected, "{bad:?}");
        }
    }

    #[test]
    fn a_name_has_letters_that_can_be_seen() {
        assert_eq!(display_name("  Änna <b> ").as_deref(), Ok("Änna <b>"));
        assert_eq!(display_name(&"ä".repeat(50)).map(|name| name.len()), Ok(100));
        for bad in ["", "   ", "a\nb", "a\u{202e}b", "\u{200b}", &"a".repeat(51)] {
            assert_eq!(display_name(bad), Err(WordError::DisplayName), "{bad:?}");
        }
    }
}
