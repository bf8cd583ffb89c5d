//! A cell: one JSON leaf value in eight bytes, exactly.
//!
//! JSON has no NaN, so the NaN space of an `f64` is free to carry what is not a float: integers
//! (so that `42` comes back as `42` and not `42.0`), `true`, `false`, `null`, and a reference to
//! text kept elsewhere. Integers outside 51 bits do not fit and are kept as text by the caller.

/// One JSON leaf. See the module for the encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Cell(pub u64);

/// Every boxed value has these bits set: a quiet, negative NaN no arithmetic of ours produces.
const BOXED: u64 = 0xfff8_0000_0000_0000;
const INTEGER: u64 = 0xfffc_0000_0000_0000;
const WORD: u64 = 0xfff9_0000_0000_0000;
const TEXT: u64 = 0xfffa_0000_0000_0000;
const TAG: u64 = 0xffff_0000_0000_0000;
/// Low bits that an integer may use: 50 bits, two's complement.
const INTEGER_MASK: u64 = 0x0003_ffff_ffff_ffff;
const INTEGER_MAX: i64 = (1 << 49) - 1;
const INTEGER_MIN: i64 = -(1 << 49);

/// A cell, taken apart.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Leaf {
    Float(f64),
    Integer(i64),
    Null,
    False,
    True,
    /// The n-th text of the ring or batch that holds this cell.
    Text(u64),
}

impl Cell {
    pub const NULL: Self = Self(WORD);
    pub const FALSE: Self = Self(WORD | 1);
    pub const TRUE: Self = Self(WORD | 2);

    /// `None` for NaN and infinities, which JSON cannot say either.
    pub fn float(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self(value.to_bits()))
    }

    /// `None` beyond ±2^49: keep those as text.
    pub fn integer(value: i64) -> Option<Self> {
        (INTEGER_MIN..=INTEGER_MAX)
            .contains(&value)
            .then_some(Self(INTEGER | (value as u64 & INTEGER_MASK)))
    }

    /// The `n`-th text kept beside the cells.
    pub fn text(n: u64) -> Self {
        Self(TEXT | (n & !TAG))
    }

    pub fn is_text(self) -> bool {
        self.0 & TAG == TEXT
    }

    pub fn leaf(self) -> Leaf {
        if self.0 & BOXED != BOXED {
            return Leaf::Float(f64::from_bits(self.0));
        }
        if self.0 & INTEGER == INTEGER {
            // Shift the sign of the 50-bit integer into place and back.
            return Leaf::Integer(((self.0 << 14) as i64) >> 14);
        }
        match self.0 & TAG {
            TEXT => Leaf::Text(self.0 & !TAG),
            _ => match self.0 & 3 {
                1 => Leaf::False,
                2 => Leaf::True,
                _ => Leaf::Null,
            },
        }
    }

    /// The number in this cell, if it is one.
    pub fn number(self) -> Option<f64> {
        match self.leaf() {
            Leaf::Float(value) => Some(value),
            Leaf::Integer(value) => Some(value as f64),
            _ => None,
        }
    }

    /// Parses one JSON leaf token (`-1.5e3`, `42`, `true`, `null`); `None` if it does not fit a
    /// cell exactly or is not a leaf. The token is taken to be valid JSON.
    pub fn parse(token: &str) -> Option<Self> {
        match token.as_bytes().first()? {
            b't' => Some(Self::TRUE),
            b'f' => Some(Self::FALSE),
            b'n' => Some(Self::NULL),
            b'-' | b'0'..=b'9' => {
                if token.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) || token == "-0" {
                    Self::float(token.parse().ok()?)
                } else {
                    Self::integer(token.parse().ok()?)
                }
            }
            _ => None,
        }
    }

    /// Writes the JSON of a leaf that is not text. Text is the caller's: only it has the words.
    pub fn write_json(self, out: &mut Vec<u8>) {
        match self.leaf() {
            Leaf::Float(value) => {
                out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
            }
            Leaf::Integer(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Leaf::Null | Leaf::Text(_) => out.extend_from_slice(b"null"),
            Leaf::False => out.extend_from_slice(b"false"),
            Leaf::True => out.extend_from_slice(b"true"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(cell: Cell) -> String {
        let mut out = Vec::new();
        cell.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn leaves_come_back_as_they_were_sent() {
        for token in [
            "0",
            "-1",
            "42",
            "562949953421311",
            "-562949953421312",
            "1.5",
            "-0.0",
            "true",
            "false",
            "null",
            "0.1",
            "1e300",
        ] {
            assert_eq!(json(Cell::parse(token).unwrap()), token);
        }
        assert_eq!(json(Cell::parse("-0").unwrap()), "-0.0", "a negative zero keeps its sign");
    }

    #[test]
    fn what_does_not_fit_exactly_is_refused() {
        for token in ["562949953421312", "18446744073709551616", "1e400", "\"x\"", "[1]"] {
            assert_eq!(Cell::parse(token), None, "{token}");
        }
        assert_eq!(Cell::float(f64::NAN), None);
        assert_eq!(Cell::float(f64::INFINITY), None);
    }

    proptest! {
        #[test]
        fn every_finite_float_survives(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(Cell::float(value).unwrap().leaf(), Leaf::Float(value));
            }
        }

        #[test]
        fn every_integer_that_fits_survives(value in INTEGER_MIN..=INTEGER_MAX) {
            prop_assert_eq!(Cell::integer(value).unwrap().leaf(), Leaf::Integer(value));
        }

        #[test]
        fn text_references_survive(n in 0u64..(1 << 48)) {
            prop_assert_eq!(Cell::text(n).leaf(), Leaf::Text(n));
        }
    }
}
