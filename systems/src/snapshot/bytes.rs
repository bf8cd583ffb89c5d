//! Plain writing and reading of a snapshot's bytes. Nothing read is believed: a count must be
//! possible with the bytes that are left before anything is made ready for it.

use std::sync::Arc;

use components::id::Handle;
use rustc_hash::FxHashMap;

use super::{COUNT_MAX, SnapshotError};

/// Appends to what is there.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) out: Vec<u8>,
    /// Words that were written, and their number.
    words: FxHashMap<Arc<[u8]>, u64>,
}

impl Writer {
    pub(crate) fn behind(head: usize) -> Self {
        Self { out: vec![0; head], words: FxHashMap::default() }
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    /// LEB128.
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// Small either side of zero is short.
    pub(crate) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    pub(crate) fn bits(&mut self, bits: u64) {
        self.out.extend_from_slice(&bits.to_le_bytes());
    }

    pub(crate) fn float(&mut self, number: f64) {
        self.bits(number.to_bits());
    }

    /// Zero for `None`, else one more than the number.
    pub(crate) fn option(&mut self, number: Option<u64>) {
        self.number(number.map_or(0, |number| number + 1));
    }

    pub(crate) fn handle(&mut self, handle: Handle) {
        self.number(handle.slot.into());
        self.number(handle.generation.into());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.out.extend_from_slice(text.as_bytes());
    }

    /// As [`text`](Self::text) the first time, then by its number: for what many share.
    pub(crate) fn word(&mut self, word: &[u8]) {
        if let Some(&number) = self.words.get(word) {
            return self.number(number);
        }
        self.words.insert(word.into(), self.words.len() as u64 + 1);
        self.number(0);
        self.count(word.len());
        self.out.extend_from_slice(word);
    }
}

/// Takes from the front.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    words: Vec<Arc<str>>,
}

pub(crate) type Read<T> = Result<T, SnapshotError>;

pub(crate) fn broken<T>(what: impl Into<String>) -> Read<T> {
    Err(SnapshotError::Broken(what.into()))
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, words: Vec::new() }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let Some((taken, left)) = self.left.split_at_checked(count) else {
            return broken("it ends in the middle");
        };
        self.left = left;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => broken(format!("a yes or no is {other}")),
        }
    }

    pub(crate) fn number(&mut self) -> Read<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        broken("a number is too long")
    }

    pub(crate) fn number32(&mut self) -> Read<u32> {
        let number = self.number()?;
        u32::try_from(number).or_else(|_| broken(format!("{number} is beyond 32 bits")))
    }

    /// A count of what has happened, or a time: below [`COUNT_MAX`].
    pub(crate) fn total(&mut self) -> Read<u64> {
        match self.number()? {
            number if number < COUNT_MAX => Ok(number),
            number => broken(format!("{number} is no total or time of any world")),
        }
    }

    /// How many of something follow, each of which takes at least `bytes_min` bytes.
    pub(crate) fn count(&mut self, bytes_min: usize) -> Read<usize> {
        let count = self.number()?;
        let possible = (self.left.len() / bytes_min) as u64;
        if count > possible {
            return broken(format!(
                "{count} items are said to follow, and there is room for {possible}"
            ));
        }
        Ok(count as usize)
    }

    pub(crate) fn signed(&mut self) -> Read<i64> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(crate) fn bits(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    pub(crate) fn float(&mut self) -> Read<f64> {
        Ok(f64::from_bits(self.bits()?))
    }

    pub(crate) fn option(&mut self) -> Read<Option<u64>> {
        Ok(self.number()?.checked_sub(1))
    }

    pub(crate) fn handle(&mut self) -> Read<Handle> {
        Ok(Handle { slot: self.number32()?, generation: self.number32()? })
    }

    pub(crate) fn text(&mut self) -> Read<&'a str> {
        let count = self.count(1)?;
        std::str::from_utf8(self.take(count)?).or_else(|_| broken("a text is not UTF-8"))
    }

    pub(crate) fn word(&mut self) -> Read<Arc<str>> {
        let number = self.number()?;
        if number == 0 {
            let word: Arc<str> = self.text()?.into();
            self.words.push(Arc::clone(&word));
            return Ok(word);
        }
        match self.words.get(number as usize - 1) {
            Some(word) => Ok(Arc::clone(word)),
            None => broken(format!("word {number} was never said")),
        }
    }

    /// One of `all`, by its place among them.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> Read<T> {
        let place = self.byte()?;
        match all.get(usize::from(place)) {
            Some(one) => Ok(*one),
            None => broken(format!("there is no choice {place} of {}", all.len())),
        }
    }
}
