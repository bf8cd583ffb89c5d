//! A lane: the cells of one leaf of one stream, one after the other, as differences of exact
//! decimals.
//!
//! A device that sends `36.6` means the decimal. As `366 / 10^1` it takes a byte or two instead
//! of eight, and the division gives back the same bits: below 2^53 it is rounded correctly, as
//! the parser rounded the text. What does not come back bit for bit is kept as it is.

use components::cell::{Cell, Leaf};

use super::bytes::{Cursor, Malformed, Parsed, put_signed, put_varint};

/// Lanes below this are floats `i / 10^lane`, as differences.
const INTEGERS: u8 = 32;
/// Eight bytes a cell, the lowest bytes of all cells first.
const RAW: u8 = 33;
/// Floats that are exactly single precision: four bytes, as [`RAW`].
const SINGLE: u8 = 34;
/// A kind for each cell, then what it needs.
const MIXED: u8 = 35;

const KIND_DECIMAL: u8 = 0;
const KIND_INTEGER: u8 = 1;
const KIND_RAW: u8 = 2;
const KIND_NULL: u8 = 3;
const KIND_FALSE: u8 = 4;
const KIND_TRUE: u8 = 5;

/// Decimals that are looked for.
const DECIMALS_MAX: u8 = 15;
/// Below this, whole numbers are exact in a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

const POWERS: [f64; DECIMALS_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// `value` times ten to `decimals`, if that is whole and comes back bit for bit.
fn scaled(value: f64, decimals: u8) -> Option<i64> {
    let power = POWERS[usize::from(decimals)];
    let whole = (value * power).round_ties_even();
    if whole.abs() >= EXACT_MAX {
        return None;
    }
    // By way of the integer, which has no negative zero.
    let whole = whole as i64;
    ((whole as f64 / power).to_bits() == value.to_bits()).then_some(whole)
}

/// The fewest decimals from `from` on that say `value` exactly.
fn decimals_of(value: f64, from: u8) -> Option<u8> {
    (from..=DECIMALS_MAX).find(|&decimals| scaled(value, decimals).is_some())
}

/// What an encoder keeps from lane to lane, for its room.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    whole: Vec<i64>,
}

/// Writes `cells`.
pub(super) fn encode(cells: &[u64], scratch: &mut Scratch, out: &mut Vec<u8>) {
    let whole = &mut scratch.whole;
    if let Some(decimals) = decimal(cells, whole) {
        out.push(decimals);
        return put_differences(whole, out);
    }
    whole.clear();
    whole.extend(cells.iter().map_while(|&cell| match Cell(cell).leaf() {
        Leaf::Integer(value) => Some(value),
        _ => None,
    }));
    if whole.len() == cells.len() {
        out.push(INTEGERS);
        return put_differences(whole, out);
    }
    let floats = cells.iter().all(|&cell| matches!(Cell(cell).leaf(), Leaf::Float(_)));
    if floats {
        let single = |cell: u64| {
            let value = f64::from_bits(cell);
            (f64::from(value as f32).to_bits() == cell).then(|| (value as f32).to_bits())
        };
        if cells.iter().all(|&cell| single(cell).is_some()) {
            out.push(SINGLE);
            for byte in 0..4 {
                let bits = cells.iter().map(|&cell| single(cell).unwrap_or_default());
                out.extend(bits.map(|bits| (bits >> (8 * byte)) as u8));
            }
            return;
        }
        // A few cells tell whether the rest is worth a search.
        if cells.iter().take(4).all(|&cell| decimals_of(f64::from_bits(cell), 0).is_none()) {
            out.push(RAW);
            return put_raw(cells, out);
        }
    }
    mixed(cells, whole, out);
}

/// The decimals that all of `cells` are, if they are, and the whole numbers.
fn decimal(cells: &[u64], whole: &mut Vec<i64>) -> Option<u8> {
    let mut decimals = 0;
    whole.clear();
    while let Some(&cell) = cells.get(whole.len()) {
        let Leaf::Float(value) = Cell(cell).leaf() else { return None };
        match scaled(value, decimals) {
            Some(number) => whole.push(number),
            None => {
                // Those before are said with as many.
                decimals = decimals_of(value, decimals + 1)?;
                whole.clear();
            }
        }
    }
    Some(decimals)
}

fn put_differences(whole: &[i64], out: &mut Vec<u8>) {
    let mut before = 0i64;
    for &number in whole {
        put_signed(out, number.wrapping_sub(before));
        before = number;
    }
}

fn put_raw(cells: &[u64], out: &mut Vec<u8>) {
    for byte in 0..8 {
        out.extend(cells.iter().map(|&cell| (cell >> (8 * byte)) as u8));
    }
}

fn mixed(cells: &[u64], whole: &mut Vec<i64>, out: &mut Vec<u8>) {
    let floats = cells.iter().filter_map(|&cell| match Cell(cell).leaf() {
        Leaf::Float(value) => decimals_of(value, 0),
        _ => None,
    });
    let decimals = floats.max().unwrap_or(0);
    let factor = POWERS[usize::from(decimals)] as i64;
    let kind = |cell: u64| match Cell(cell).leaf() {
        Leaf::Float(value) => scaled(value, decimals).map(|number| (KIND_DECIMAL, number)),
        Leaf::Integer(value) => value.checked_mul(factor).map(|number| (KIND_INTEGER, number)),
        _ => match Cell(cell) {
            Cell::NULL => Some((KIND_NULL, 0)),
            Cell::FALSE => Some((KIND_FALSE, 0)),
            Cell::TRUE => Some((KIND_TRUE, 0)),
            _ => None,
        },
    };
    out.push(MIXED);
    put_varint(out, u64::from(decimals));
    whole.clear();
    let mut raw = Vec::new();
    for &cell in cells {
        let (kind, number) = kind(cell).unwrap_or((KIND_RAW, 0));
        out.push(kind);
        match kind {
            KIND_DECIMAL | KIND_INTEGER => whole.push(number),
            KIND_RAW => raw.push(cell),
            _ => {}
        }
    }
    put_differences(whole, out);
    put_raw(&raw, out);
}

/// Reads `count` cells and puts the n-th at `n * stride` of `out`.
pub(super) fn decode(
    cursor: &mut Cursor<'_>,
    count: usize,
    stride: usize,
    out: &mut [u64],
) -> Parsed<()> {
    let places = out.iter_mut().step_by(stride).take(count);
    debug_assert_eq!(places.len(), count, "room for all");
    let lane = cursor.u8()?;
    match lane {
        lane @ 0..=DECIMALS_MAX => {
            let power = POWERS[usize::from(lane)];
            let mut number = 0i64;
            for place in places {
                number = number.wrapping_add(cursor.signed()?);
                *place = (number as f64 / power).to_bits();
            }
        }
        INTEGERS => {
            let mut number = 0i64;
            for place in places {
                number = number.wrapping_add(cursor.signed()?);
                *place = Cell::integer(number).ok_or(TOO_LARGE)?.0;
            }
        }
        RAW => {
            let bytes = cursor.take(8 * count)?;
            for (n, place) in places.enumerate() {
                *place = raw_at(bytes, count, n);
            }
        }
        SINGLE => {
            let bytes = cursor.take(4 * count)?;
            for (n, place) in places.enumerate() {
                let bits = (0..4)
                    .fold(0, |bits, byte| bits | u32::from(bytes[byte * count + n]) << (8 * byte));
                *place = f64::from(f32::from_bits(bits)).to_bits();
            }
        }
        MIXED => decode_mixed(cursor, count, places)?,
        _ => return Err(Malformed("has a lane of a kind that there is not")),
    }
    if lane <= DECIMALS_MAX || lane == INTEGERS {
        return Ok(());
    }
    // A text has its own place; a reference to one here would lead nowhere.
    let text = out.iter().step_by(stride).take(count).any(|&cell| Cell(cell).is_text());
    if text { Err(Malformed("has a text where a number belongs")) } else { Ok(()) }
}

const TOO_LARGE: Malformed = Malformed("has a whole number of more than 50 bits");

fn raw_at(bytes: &[u8], count: usize, n: usize) -> u64 {
    (0..8).fold(0, |bits, byte| bits | u64::from(bytes[byte * count + n]) << (8 * byte))
}

fn decode_mixed<'a>(
    cursor: &mut Cursor<'_>,
    count: usize,
    places: impl Iterator<Item = &'a mut u64>,
) -> Parsed<()> {
    let decimals = cursor.count(usize::from(DECIMALS_MAX), "has too many decimals")?;
    let (power, factor) = (POWERS[decimals], POWERS[decimals] as i64);
    let kinds = cursor.take(count)?;
    let numbers = kinds.iter().filter(|&&kind| kind <= KIND_INTEGER).count();
    let raw_count = kinds.iter().filter(|&&kind| kind == KIND_RAW).count();
    let mut rest = *cursor;
    for _ in 0..numbers {
        rest.varint()?;
    }
    let raw = rest.take(8 * raw_count)?;
    let (mut number, mut raw_at_n) = (0i64, 0);
    for (place, &kind) in places.zip(kinds) {
        if kind <= KIND_INTEGER {
            number = number.wrapping_add(cursor.signed()?);
        }
        *place = match kind {
            KIND_DECIMAL => (number as f64 / power).to_bits(),
            KIND_INTEGER => Cell::integer(number / factor).ok_or(TOO_LARGE)?.0,
            KIND_RAW => {
                raw_at_n += 1;
                raw_at(raw, raw_count, raw_at_n - 1)
            }
            KIND_NULL => Cell::NULL.0,
            KIND_FALSE => Cell::FALSE.0,
            KIND_TRUE => Cell::TRUE.0,
            _ => return Err(Malformed("has a cell of a kind that there is not")),
        };
    }
    *cursor = rest;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(cells: &[u64]) -> usize {
        let mut bytes = Vec::new();
        encode(cells, &mut Scratch::default(), &mut bytes);
        let mut back = vec![0; cells.len() * 2];
        let mut cursor = Cursor::new(&bytes);
        decode(&mut cursor, cells.len(), 2, &mut back).unwrap();
        assert!(cursor.is_empty());
        let back: Vec<u64> = back.into_iter().step_by(2).collect();
        assert_eq!(back, cells);
        bytes.len()
    }

    fn parsed(tokens: &str) -> Vec<u64> {
        tokens.split(' ').map(|token| Cell::parse(token).unwrap().0).collect()
    }

    #[test]
    fn decimals_take_a_byte_or_two_and_come_back_bit_for_bit() {
        assert_eq!(round_trip(&parsed("36.6 36.7 36.75 36.5 36.55 -0.01")), 1 + 2 + 4 + 2);
        assert_eq!(round_trip(&parsed("71 72 72 70")), 1 + 2 + 3);
        // Every decimal of up to four places in a range a sensor might have.
        let all: Vec<u64> = (-50_000..50_000).map(|n| (f64::from(n) / 1e4).to_bits()).collect();
        assert!(round_trip(&all) <= all.len() + 8);
    }

    #[test]
    fn what_is_no_decimal_comes_back_too() {
        let thirds: Vec<u64> = (1..40).map(|n| (f64::from(n) / 3.0).to_bits()).collect();
        round_trip(&thirds);
        let singles: Vec<u64> = (1..40).map(|n| f64::from(n as f32 / 3.0).to_bits()).collect();
        assert_eq!(round_trip(&singles), 1 + 4 * 39);
        round_trip(&parsed("1 1.5 null true -0.0 false 562949953421311 -562949953421312 1e300 2"));
        round_trip(&parsed("5e-324 1.7976931348623157e308 0.30000000000000004 0.0 -0.0"));
        round_trip(&[f64::NAN.to_bits(), f64::INFINITY.to_bits(), 1.5f64.to_bits()]);
        round_trip(&[]);
    }

    #[test]
    fn a_reference_to_a_text_is_refused() {
        let mut bytes = Vec::new();
        encode(&[Cell::text(7).0], &mut Scratch::default(), &mut bytes);
        assert!(decode(&mut Cursor::new(&bytes), 1, 1, &mut [0]).is_err());
    }
}
