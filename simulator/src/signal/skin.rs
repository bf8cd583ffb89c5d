//! The skin: its temperature, and how well it conducts.

use components::attribute::AttributeType;
use components::sample::Timestamp;

use super::payload::{Worn, number};
use super::{Memory, Model};
use crate::chance::{noise, uniform};
use crate::math::{exp, rounded, wave};
use crate::person::seconds;

/// Lowest in the small hours, and drifting by a fifth of a degree.
pub(super) fn skin_temperature(worn: &Worn, at: Timestamp, _: &mut Memory) -> f64 {
    let (person, now) = (&worn.person, seconds(at));
    let day = wave(now / 86_400.0 - 0.2);
    let drift = wave(now / 1_130.0 + uniform(person.seed(), 405, 0.0, 1.0));
    rounded(person.spec().skin_temperature_c + 0.4 * day + 0.2 * drift, 100.0)
}

/// Seconds between responses at rest, on average, and at full effort.
const RESPONSE_EVERY_S: (f64, f64) = (18.0, 6.0);

/// Rise and decay of a response in seconds (Bateman function; Benedek and Kaernbach 2010,
/// J. Neurosci. Methods 190).
const RISE_S: f64 = 0.75;
const DECAY_S: f64 = 2.0;

/// A tonic level and the responses on it, µS. Slot `k` of time holds one response, somewhere.
fn eda(worn: &Worn, at: Timestamp, _: &mut Memory) -> f64 {
    let (person, now) = (&worn.person, seconds(at));
    let effort = ((person.spec().activity().met() - 1.0) / 9.0).clamp(0.0, 1.0);
    let every = RESPONSE_EVERY_S.0 + (RESPONSE_EVERY_S.1 - RESPONSE_EVERY_S.0) * effort;
    let slot = (now / every).floor();
    let mut responses = 0.0;
    // A response of three slots ago, decayed for 12 s or more, is less than 0.3 % of itself.
    for back in 0..4 {
        let k = slot - f64::from(back);
        let n = k as i64 as u64;
        let since = now - (k + uniform(person.seed() ^ 0xeda, n, 0.0, 1.0)) * every;
        if since > 0.0 && since < 14.0 {
            let height = uniform(person.seed() ^ 0xedb, n, 0.05, 0.6);
            // The difference of the two exponentials is at most 0.385.
            responses += height * (exp(-since / DECAY_S) - exp(-since / RISE_S)) / 0.385;
        }
    }
    let tonic = uniform(person.seed(), 406, 2.0, 9.0) * (1.0 + 0.8 * effort);
    let drift = 1.0 + 0.08 * wave(now / 1900.0 + uniform(person.seed(), 407, 0.0, 1.0));
    rounded(tonic * drift + responses + 0.003 * noise(worn.seed, at.0 as u64), 1000.0)
}

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "skin_temperature",
        AttributeType::Temperature,
        ("°C", (18.0, 42.0)),
        (0.2, 10.0),
        "Kräuchi and Wirz-Justice 1994: a daily wave of about 1 °C",
        "Skin temperature, lowest in the small hours.",
        |_, body, seed| number(Worn::new(body, seed), skin_temperature),
    ),
    Model::new(
        "eda",
        AttributeType::Numeric,
        ("µS", (0.1, 40.0)),
        (4.0, 50.0),
        "Boucsein 2012: 2 to 20 µS; responses: Benedek and Kaernbach 2010",
        "Skin conductance: a tonic level and its responses, more of them with effort.",
        |_, body, seed| number(Worn::new(body, seed), eda),
    ),
];

#[cfg(test)]
mod tests {
    use super::super::Body;
    use super::*;
    use crate::person::{ORIGIN_MS, Person, PersonSpec};
    use std::sync::Arc;

    fn worn(activity: &str) -> Worn {
        let mut spec = PersonSpec::drawn(2);
        spec.set_word("activity", activity).unwrap();
        let person = Some(Arc::new(Person::new(spec, 2)));
        Worn::new(&Body { seed: 2, person, position: None }, 1)
    }

    #[test]
    fn responses_come_one_a_slot_and_more_often_with_effort() {
        let rises = |activity: &str| {
            let worn = worn(activity);
            let values: Vec<f64> = (0..36_000)
                .map(|n| eda(&worn, Timestamp(ORIGIN_MS + n * 100), &mut Memory::default()))
                .collect();
            assert!(values.iter().all(|value| (1.5..20.0).contains(value)));
            // A response rises by more than the noise within half a second.
            let rising: Vec<bool> = values.windows(6).map(|w| w[5] - w[0] > 0.03).collect();
            rising.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64 / 60.0
        };
        let (sitting, running) = (rises("sit"), rises("run"));
        assert!((2.0..4.5).contains(&sitting), "{sitting} a minute");
        assert!(running > 1.7 * sitting, "{running} a minute");
    }

    #[test]
    fn the_skin_is_coldest_in_the_small_hours() {
        let worn = worn("sit");
        let hour = |h: i64| {
            let at = |n: i64| Timestamp(ORIGIN_MS + n * 86_400_000 + h * 3_600_000);
            (0..30).map(|n| skin_temperature(&worn, at(n), &mut Memory::default())).sum::<f64>()
                / 30.0
        };
        let coldest = (0..24).min_by(|&a, &b| hour(a).total_cmp(&hour(b))).unwrap();
        assert!([22, 23, 0, 1, 2].contains(&coldest), "{coldest}");
    }
}
