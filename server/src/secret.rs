//! Random secrets, how they are written, and what we know them by.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The machine gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandom;

pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// 256 random bits in 43 letters that need no escaping in a URL.
pub(crate) fn token() -> Result<Box<str>, NoRandom> {
    random::<32>().map(|bytes| letters(&bytes).into())
}

/// Unpadded base64url.
pub(crate) fn letters(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What unpadded base64url stands for, if it is so many bytes.
pub(crate) fn bytes_of<const N: usize>(letters: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let length = URL_SAFE_NO_PAD.decode_slice(letters, &mut bytes).ok()?;
    (length == N).then_some(bytes)
}

/// What a secret is known by here: whoever reads the store, or a copy of it, gets no key
/// (`reference/reliability.md` T18). Of 256 random bits SHA-256 is enough; and to look one up by it
/// says nothing of how much of a guess was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl Digest {
    pub(crate) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_forty_three_letters_and_never_the_same() {
        let tokens: Vec<_> = (0..1000).map(|_| token().unwrap()).collect();
        for token in &tokens {
            assert_eq!(token.len(), 43);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(token.chars().all(plain), "{token}");
        }
        let different: std::collections::BTreeSet<_> = tokens.iter().collect();
        assert_eq!(different.len(), tokens.len());
    }

    #[test]
    fn letters_are_read_back_and_nothing_else_is() {
        let bytes: [u8; 16] = random().unwrap();
        let text = letters(&bytes);
        assert_eq!(bytes_of::<16>(&text), Some(bytes));
        assert_eq!(bytes_of::<16>(&text[1..]), None);
        assert_eq!(bytes_of::<16>(&format!("{text}A")), None);
        assert_eq!(bytes_of::<16>(&format!("{text}==")), None);
        assert_eq!(bytes_of::<16>("no base64 at all, no"), None);
    }
}
