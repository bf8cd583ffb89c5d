//! The biological layer: what a machine can know by itself about what matters now. Each part is
//! useful on its own, has no clock, acts on nothing, and gives advice that one conductor weighs.
//!
//! - [`novelty`]: what is unlike its own recent past, for 10 to 60 seconds of attention.
//! - [`forecast`]: who will be looked at soon, by habit and by what was just looked at; silent
//!   unless it has been right.
//! - [`correlation`]: who is watched together; feeds the forecast.
//! - [`homeostasis`]: moves the load levels' thresholds so that what viewers notice stays good.
//! - [`arbitration`]: divides a budget when there is not enough for all.
//! - [`circadian`]: the load's rhythm of the day.
//! - [`live`]: the systems that feed them, and pass their advice on.
//!
//! Times are seconds as `f64`, of whatever beginning; where the time of day matters they are Unix
//! seconds and named so. What comes in as no number, or as a time that runs backwards, changes
//! nothing. Transcendental functions are `libm`'s: the same bits on every machine.
//! `docs/bio.md` has the figures.

pub mod arbitration;
pub mod circadian;
pub mod correlation;
pub mod forecast;
pub mod homeostasis;
pub mod live;
pub mod novelty;

use crate::snapshot::bytes::{Read, Reader, Writer, broken};

/// A sensor, by something that stays the same for weeks: see [`key`].
pub type Key = u64;

/// The key of a sensor's name (FNV-1a, its bits spread). [`SensorKey`](components::id::SensorKey)
/// is no such thing: it is given to another when its sensor has gone.
pub fn key(sensor_id: &str) -> Key {
    let hash = sensor_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A number of a snapshot: any but none.
fn number64(bytes: &mut Reader<'_>) -> Read<f64> {
    let number = bytes.float()?;
    if number.is_nan() { broken("a number is none") } else { Ok(number) }
}

/// As [`number64`], and not endless either.
fn finite(bytes: &mut Reader<'_>) -> Read<f64> {
    let number = bytes.float()?;
    if number.is_finite() { Ok(number) } else { broken("a number is not finite") }
}

/// A count that fades: from nothing up to what a life can hold.
fn count32(bytes: &mut Reader<'_>) -> Read<f32> {
    let count = f32::from_bits(bytes.number32()?);
    if (0.0..1e12).contains(&count) { Ok(count) } else { broken(format!("{count} is no count")) }
}

/// As [`number64`], of 32 bits.
fn number32(bytes: &mut Reader<'_>) -> Read<f32> {
    let number = f32::from_bits(bytes.number32()?);
    if number.is_nan() { broken("a number is none") } else { Ok(number) }
}

/// How far local time is ahead of UTC: a day at most, either way.
fn minutes(bytes: &mut Reader<'_>) -> Read<i32> {
    match bytes.signed()? {
        minutes @ -1440..=1440 => Ok(minutes as i32),
        minutes => broken(format!("local time is {minutes} minutes ahead of UTC")),
    }
}

fn write32(out: &mut Writer, number: f32) {
    out.number(number.to_bits().into());
}

/// What is left of 1 after so many seconds; 1 if none have passed.
fn faded(seconds: f64, half_life_s: f64) -> f64 {
    if seconds > 0.0 { libm::exp2(-seconds / half_life_s) } else { 1.0 }
}

/// The place with the least `worth` among the next `among` of `len`, from `hand` on, which moves
/// past them: a table's clock that looks at a few instead of at all.
fn least(hand: &mut usize, len: usize, among: usize, worth: impl Fn(usize) -> f64) -> usize {
    let from = *hand % len;
    *hand = (from + among) % len;
    (0..among.min(len))
        .map(|n| (from + n) % len)
        .min_by(|&a, &b| worth(a).total_cmp(&worth(b)))
        .expect("a full table has places")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_same_key_on_every_machine_and_in_every_year() {
        assert_eq!(key(""), 0x8570_e254_d5cb_36d5);
        assert_eq!(key("ada-ecg"), 0x7083_0961_6efb_673d);
        assert_eq!(key("ada-belt"), 0x7f52_d68c_ceef_7882);
    }

    #[test]
    fn a_full_table_gives_up_the_least_of_the_next_few_and_goes_round() {
        let worth = [5.0, 3.0, 4.0, 1.0, 2.0];
        let mut hand = 0;
        let mut next = || least(&mut hand, worth.len(), 2, |place| worth[place]);
        assert_eq!([next(), next(), next(), next(), next()], [1, 3, 4, 1, 3]);
    }
}
