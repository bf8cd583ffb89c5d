//! Motors that report what they do.

use components::attribute::AttributeType;

use super::Model;
use super::payload::several;
use super::payload::{Form, cell, form, number, truth, whole_number};
use crate::chance::{noise, uniform};
use crate::math::{rounded, wave};
use crate::person::seconds;

/// Seconds of a cycle: the original's, at its 10 samples a second (`reference/collab.md` 21.4).
const VIBRATE_S: f64 = 12.566;
const LINEAR_S: f64 = 10.0;
const ROTATE_S: f64 = 16.0;

static ROTATE: Form = Form::new(|| form(b"{\"speed\":\x01,\"clockwise\":\x01}"));

fn phase(seed: u64) -> f64 {
    uniform(seed, 1, 0.0, 1.0)
}

const PART: (&str, (f64, f64)) = ("", (0.0, 1.0));
const RATES: (f64, f64) = (10.0, 50.0);
const SOURCE: &str = "reference/collab.md 21.4, in seconds";

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "vibrate",
        AttributeType::Vibrate,
        PART,
        RATES,
        SOURCE,
        "How strongly it vibrates: swelling and fading.",
        |_, _, seed| {
            number(seed, |&seed, at, _| {
                let value = 0.5 + 0.5 * wave(seconds(at) / VIBRATE_S + phase(seed));
                rounded((value + 0.03 * noise(seed, at.0 as u64)).clamp(0.0, 1.0), 1000.0)
            })
        },
    ),
    Model::new(
        "rotate",
        AttributeType::Rotate,
        PART,
        RATES,
        "Buttplug protocol, RotateCmd: speed 0 to 1 and the sense",
        "How fast it turns, and which way round.",
        |_, _, seed| {
            several(&ROTATE, seed, |&seed, at, _| {
                let value = wave(seconds(at) / ROTATE_S + phase(seed));
                [cell(rounded(value.abs(), 1000.0)), truth(value >= 0.0)]
            })
        },
    ),
    Model::new(
        "linear",
        AttributeType::Linear,
        PART,
        RATES,
        SOURCE,
        "Where it is on its way, to and fro.",
        |_, _, seed| {
            number(seed, |&seed, at, _| {
                let turns = seconds(at) / LINEAR_S + phase(seed);
                let value = 1.0 - (2.0 * (turns - turns.floor()) - 1.0).abs();
                rounded((value + 0.01 * noise(seed, at.0 as u64)).clamp(0.0, 1.0), 1000.0)
            })
        },
    ),
    Model::new(
        "status",
        AttributeType::Status,
        PART,
        (1.0, 10.0),
        SOURCE,
        "1: it is there.",
        |_, _, seed| whole_number(seed, |_, _, _| 1.0),
    ),
];
