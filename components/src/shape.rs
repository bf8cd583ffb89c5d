//! A shape: the part of a JSON payload that stays the same from sample to sample.
//!
//! `{"x":0.1,"y":-2}` is the shape `{"x":_,"y":_}` and the cells `0.1, -2`. Keys, order and
//! constant strings are kept once per stream; each sample costs eight bytes a leaf, and the text
//! that comes back is value for value what went in. A bare number is the simplest shape, one hole
//! and nothing around it.

use crate::cell::Cell;
use crate::limits;

/// Stands for a hole in a skeleton. Not legal in JSON outside strings, and escaped inside them.
const HOLE: u8 = 0x01;

/// The constant part of a payload: JSON text with a hole for every number, boolean and null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    skeleton: Box<[u8]>,
    width: u16,
}

impl Shape {
    /// Stands for a cell in a [`skeleton`](Self::skeleton).
    pub const HOLE: u8 = HOLE;

    /// The shape of a bare number (or boolean, or null).
    pub fn scalar() -> Self {
        Self { skeleton: Box::new([HOLE]), width: 1 }
    }

    /// From the skeleton that [`split`] made.
    pub fn from_skeleton(skeleton: &[u8]) -> Self {
        let width = skeleton.iter().filter(|&&b| b == HOLE).count() as u16;
        Self { skeleton: skeleton.into(), width }
    }

    /// Cells per sample.
    pub fn width(&self) -> usize {
        usize::from(self.width)
    }

    pub fn is_scalar(&self) -> bool {
        *self.skeleton == [HOLE]
    }

    pub fn skeleton(&self) -> &[u8] {
        &self.skeleton
    }

    /// Writes the payload: the skeleton with its holes filled. `cells` has [`width`](Self::width)
    /// entries, none of them text.
    pub fn write_json(&self, cells: &[u64], out: &mut Vec<u8>) {
        if let ([HOLE], &[cell]) = (&*self.skeleton, cells) {
            return Cell(cell).write_json(out);
        }
        let mut cells = cells.iter();
        for piece in self.skeleton.split_inclusive(|&b| b == HOLE) {
            match piece.split_last() {
                Some((&HOLE, literal)) => {
                    out.extend_from_slice(literal);
                    if let Some(&cell) = cells.next() {
                        Cell(cell).write_json(out);
                    }
                }
                _ => out.extend_from_slice(piece),
            }
        }
    }
}

/// Takes a payload apart: the skeleton into `skeleton`, the leaves into `cells` (both cleared
/// first). `payload` must be valid JSON, as `serde_json::RawValue` guarantees.
///
/// Returns false when the payload cannot be kept this way: a number that does not fit a cell, no
/// leaf at all, too many of them ([`limits::SHAPE_CELL_COUNT_MAX`]) or too long a skeleton
/// ([`limits::SHAPE_BYTES_MAX`]). Keep it as text then.
pub fn split(payload: &str, skeleton: &mut Vec<u8>, cells: &mut Vec<u64>) -> bool {
    skeleton.clear();
    cells.clear();
    let bytes = payload.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = string_end(bytes, at);
                skeleton.extend_from_slice(&bytes[at..end]);
                at = end;
            }
            b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let end = at
                    + bytes[at..]
                        .iter()
                        .position(|b| {
                            matches!(b, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t')
                        })
                        .unwrap_or(bytes.len() - at);
                let Some(cell) = Cell::parse(&payload[at..end]) else { return false };
                cells.push(cell.0);
                skeleton.push(HOLE);
                at = end;
            }
            structural => {
                skeleton.push(structural);
                at += 1;
            }
        }
        if cells.len() > limits::SHAPE_CELL_COUNT_MAX || skeleton.len() > limits::SHAPE_BYTES_MAX {
            return false;
        }
    }
    !cells.is_empty()
}

/// The index just behind the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn round_trip(payload: &str) -> Option<String> {
        let (mut skeleton, mut cells) = (Vec::new(), Vec::new());
        split(payload, &mut skeleton, &mut cells).then(|| {
            let mut out = Vec::new();
            Shape::from_skeleton(&skeleton).write_json(&cells, &mut out);
            String::from_utf8(out).unwrap()
        })
    }

    #[test]
    fn payloads_come_back_value_for_value() {
        for payload in [
            "42",
            "-0.17713645166970463",
            "[1.0,2.0]",
            r#"{"value":23.5,"unit":"C"}"#,
            r#"{"accelerometer":{"x":0.1,"y":-2,"z":9.81},"gyroscope":{"x":0,"y":0,"z":0}}"#,
            r#"{"level":80,"charging":"no","note":"a \"quoted\" [1,2] {x}"}"#,
            r#"{"on":true,"off":false,"none":null}"#,
        ] {
            assert_eq!(round_trip(payload).as_deref(), Some(payload));
        }
    }

    #[test]
    fn white_space_outside_strings_is_not_kept() {
        assert_eq!(
            round_trip(" { \"a b\" : 1 ,\n \"c\" : [ 2 ] } ").unwrap(),
            r#"{"a b":1,"c":[2]}"#
        );
    }

    #[test]
    fn what_has_no_numbers_or_too_large_ones_is_left_to_text() {
        for payload in ["\"hello\"", "{}", "[]", "18446744073709551616", "[1e999]"] {
            assert_eq!(round_trip(payload), None, "{payload}");
        }
        let long = format!("[{}]", vec!["1"; limits::SHAPE_CELL_COUNT_MAX + 1].join(","));
        assert_eq!(round_trip(&long), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(".{0,8}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_comes_back_equal_or_is_left_to_text(value in any_json()) {
            if let Some(back) = round_trip(&value.to_string()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&back).unwrap(), value);
            }
        }
    }
}
