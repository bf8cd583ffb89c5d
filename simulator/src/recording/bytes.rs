//! Numbers as bytes: variable-length integers, and a cursor that never reads behind its end.

/// What a block may not be. See [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

pub(super) type Parsed<T> = Result<T, Malformed>;

/// Seven bits a byte, the lowest first; the top bit says that more follow (LEB128).
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign become small ones of none: 0, -1, 1, -2, ...
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Reads from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, n: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or(Malformed("ends before its time"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let (taken, rest) =
            self.rest.split_first_chunk().ok_or(Malformed("ends before its time"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Parsed<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Parsed<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Parsed<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Parsed<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Passes over the zeros that come next, each the varint of 0; how many of at most `max`.
    pub(super) fn zeros(&mut self, max: usize) -> usize {
        let rest = self.rest.get(..max).unwrap_or(self.rest);
        let count = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
        self.rest = &self.rest[count..];
        count
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Parsed<u64> {
        // Most are short.
        match *self.rest {
            [a, ref rest @ ..] if a < 0x80 => {
                self.rest = rest;
                return Ok(u64::from(a));
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.rest = rest;
                return Ok(u64::from(a & 0x7f) | u64::from(b) << 7);
            }
            _ => {}
        }
        self.long_varint()
    }

    #[cold]
    fn long_varint(&mut self) -> Parsed<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("has a number of more than 64 bits"))
    }

    #[inline]
    pub(super) fn signed(&mut self) -> Parsed<i64> {
        self.varint().map(unzigzag)
    }

    /// A count of things, which may not be more than `max`.
    pub(super) fn count(&mut self, max: usize, what: &'static str) -> Parsed<usize> {
        match usize::try_from(self.varint()?) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(Malformed(what)),
        }
    }

    /// Text behind its length as four bytes, as MCAP has it.
    pub(super) fn string(&mut self) -> Parsed<&'a str> {
        let bytes = self.u32()? as usize;
        std::str::from_utf8(self.take(bytes)?).map_err(|_| Malformed("has text that is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_small_ones_are_short() {
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            put_varint(&mut bytes, number);
        }
        assert_eq!(bytes.len(), 1 + 1 + 1 + 2 + 2 + 3 + 5 + 10);
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(numbers.map(|_| cursor.varint().unwrap()), numbers);
        assert!(cursor.is_empty());
        for number in [0, -1, 1, i64::MIN, i64::MAX, -64] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert!(zigzag(-64) < 128, "one byte");
    }

    #[test]
    fn a_number_that_never_ends_and_one_that_is_cut_are_refused() {
        assert!(Cursor::new(&[0xff; 20]).varint().is_err());
        assert!(Cursor::new(&[0x80, 0x80]).varint().is_err());
        assert!(Cursor::new(&[]).varint().is_err());
    }
}
