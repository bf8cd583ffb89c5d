//! Numbers as JSON, of which an answer has hundreds of thousands: the same text as everywhere
//! ([`Cell::write_json`]), sooner.

use components::cell::{Cell, Leaf};

/// What devices send has few decimals.
const POWERS: [f64; 4] = [1e0, 1e1, 1e2, 1e3];

/// Whatever has so few digits is the only decimal of as few that means its float, hence the shortest.
const WHOLE_MAX: u64 = 1_000_000_000_000_000;

/// Writes a cell.
pub(super) fn write_cell(cell: u64, out: &mut Vec<u8>) {
    match Cell(cell).leaf() {
        Leaf::Float(value) if write_decimal(value, out) => {}
        _ => Cell(cell).write_json(out),
    }
}

/// Writes a whole number.
pub(super) fn write_whole(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Whether it is a short decimal, and written.
fn write_decimal(value: f64, out: &mut Vec<u8>) -> bool {
    let as_decimal = POWERS.iter().enumerate().find_map(|(decimals, power)| {
        let near = value * power;
        let whole = (near + 0.5f64.copysign(near)) as i64;
        let is_it =
            whole.unsigned_abs() < WHOLE_MAX && (whole as f64 / power).to_bits() == value.to_bits();
        is_it.then_some((decimals, whole))
    });
    let Some((decimals, whole)) = as_decimal else { return false };
    if whole < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(whole.unsigned_abs()).as_bytes();
    match digits.len().checked_sub(decimals) {
        _ if decimals == 0 => {
            out.extend_from_slice(digits);
            out.extend_from_slice(b".0");
        }
        Some(point @ 1..) => {
            out.extend_from_slice(&digits[..point]);
            out.push(b'.');
            out.extend_from_slice(&digits[point..]);
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.extend_from_slice(&b"000"[..decimals - digits.len()]);
            out.extend_from_slice(digits);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the digits of `ryu`, which are the shortest there are.
    #[test]
    fn numbers_read_as_everywhere() {
        let said = |value: f64, write: &dyn Fn(u64, &mut Vec<u8>)| {
            let mut out = Vec::new();
            write(value.to_bits(), &mut out);
            String::from_utf8(out).unwrap()
        };
        let usual = |cell: u64, out: &mut Vec<u8>| Cell(cell).write_json(out);
        let check = |value: f64| {
            if Cell::float(value).is_some() {
                assert_eq!(said(value, &write_cell), said(value, &usual), "{value:e}");
            }
        };
        for n in -120_000..120_000 {
            POWERS.iter().for_each(|power| check(f64::from(n) / power));
        }
        for text in [
            "0.0",
            "-0.0",
            "0.001",
            "-0.001",
            "0.0005",
            "0.1",
            "0.30000000000000004",
            "1e15",
            "1e16",
            "999999999999999.0",
            "999999999999.999",
            "999999999999.9995",
            "-123456789012.345",
            "1e-7",
            "5e-324",
            "1.7976931348623157e308",
            "9007199254740993.0",
            "0.9995",
            "0.9999999999999999",
        ] {
            check(text.parse().unwrap());
        }
        // Floats of all sizes.
        let mut bits = 0x9E37_79B9_7F4A_7C15u64;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(1);
            check(f64::from_bits(bits));
            check((bits >> 40) as f64 / 1e3);
            check((bits >> 11) as f64 / 1e3);
        }
        for cell in [Cell::integer(-42).unwrap(), Cell::TRUE, Cell::NULL] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            write_cell(cell.0, &mut ours);
            cell.write_json(&mut theirs);
            assert_eq!(ours, theirs);
        }
    }
}
