//! Where a body is: what a satellite receiver tells along a track, at the speed of the mode.

use components::attribute::AttributeType;
use components::cell::Cell;
use components::sample::Timestamp;

use super::given::Chosen;
use super::payload::{cell, number, several};
use super::track::{MODES, Mode, TRACKS, Track};
use super::{Body, Memory, Model, Parameter, Signal};
use crate::activity::Activity;
use crate::chance::hash;
use crate::math::rounded;
use crate::person::seconds;

/// Where there is no position: Berlin.
const BERLIN: (f64, f64) = (52.52, 13.405);

/// What a receiver says of its own accuracy, m (`reference/collab.md` 21.7).
const ACCURACY_M: f64 = 5.0;

/// The track of a body: what was asked for, or what fits the person's activity. The same for all
/// models of one body that were told the same.
fn track(chosen: &Chosen<'_>, body: &Body) -> Track {
    let from = body.position.unwrap_or(BERLIN);
    let seed = hash(body.seed, 0x7ac);
    let times = chosen.number("playback_speed");
    let start = (chosen.flag("random_start"), seed);
    if let Some(track) = Track::named(chosen.word("track"), times, start) {
        return track;
    }
    let of_activity = match body.person.as_ref().map(|person| person.spec().activity()) {
        Some(Activity::Walk) => Mode::Walk,
        Some(Activity::Run) => Mode::Run,
        Some(Activity::Cycle) => Mode::Cycle,
        _ => Mode::Stationary,
    };
    let mode = match (chosen.word("track"), Mode::from_name(chosen.word("mode"))) {
        ("stationary", _) => Mode::Stationary,
        (_, Some(mode)) => mode,
        ("generated", None) if of_activity == Mode::Stationary => Mode::Walk,
        (_, None) => of_activity,
    };
    match mode {
        Mode::Stationary => Track::stationary(from, seed),
        mode => Track::drawn(mode, from, (times, chosen.number("duration")), start),
    }
}

fn geolocation(track: &Track, at: Timestamp, _: &mut Memory) -> [Cell; 6] {
    let fix = track.at(seconds(at));
    [
        cell(rounded(fix.latitude, 1e7)),
        cell(rounded(fix.longitude, 1e7)),
        cell(rounded(fix.altitude, 10.0)),
        cell(rounded(fix.speed, 100.0)),
        cell(course(fix.course)),
        cell(ACCURACY_M),
    ]
}

fn course(degrees: f64) -> f64 {
    let rounded = rounded(degrees, 10.0);
    if rounded >= 360.0 { 0.0 } else { rounded }
}

const PARAMETERS: &[Parameter] = &[
    Parameter::word(
        "track",
        TRACKS,
        "auto",
        "A named track; `generated` is drawn; `auto` fits the mode, or what the person does.",
    ),
    Parameter::word("mode", MODES, "auto", "The way of getting about on a track that is drawn."),
    Parameter::number("playback_speed", "", (0.05, 20.0), 1.0, "Times as fast as is natural."),
    Parameter::number("duration", "s", (60.0, 86_400.0), 1800.0, "One way of a drawn track."),
    Parameter::flag("random_start", true, "Whether it begins anywhere on the track."),
];

const SOURCE: &str = "tracks and modes of reference/collab.md 21.7 at physical speeds";

/// A receiver's model: all take the same parameters and so agree.
const fn receiver(
    name: &'static str,
    kind: AttributeType,
    measure: (&'static str, (f64, f64)),
    sentence: &'static str,
    build: fn(&Chosen<'_>, &Body, u64) -> Box<dyn Signal>,
) -> Model {
    Model::new(name, kind, measure, (1.0, 20.0), SOURCE, sentence, build).taking(PARAMETERS)
}

pub(super) const MODELS: &[Model] = &[
    receiver(
        "geolocation",
        AttributeType::Geolocation,
        ("°, °, m, m/s, °, m", (-500.0, 10_000.0)),
        "Latitude, longitude, altitude, speed, heading and accuracy, with the mode and the track.",
        |chosen, body, _| {
            let track = track(chosen, body);
            let form = std::sync::Arc::clone(&track.form);
            several(&form, track, geolocation)
        },
    ),
    receiver(
        "latitude",
        AttributeType::Numeric,
        ("°", (-90.0, 90.0)),
        "Degrees north of the equator.",
        |chosen, body, _| {
            number(track(chosen, body), |track, at, _| rounded(track.at(seconds(at)).latitude, 1e7))
        },
    ),
    receiver(
        "longitude",
        AttributeType::Numeric,
        ("°", (-180.0, 180.0)),
        "Degrees east of Greenwich.",
        |chosen, body, _| {
            number(track(chosen, body), |track, at, _| {
                rounded(track.at(seconds(at)).longitude, 1e7)
            })
        },
    ),
    receiver(
        "altitude",
        AttributeType::Altitude,
        ("m", (-500.0, 10_000.0)),
        "Height above the sea.",
        |chosen, body, _| {
            number(track(chosen, body), |track, at, _| {
                rounded(track.at(seconds(at)).altitude, 10.0)
            })
        },
    ),
    receiver(
        "speed",
        AttributeType::Speed,
        ("m/s", (0.0, 2000.0)),
        "Speed over the ground.",
        |chosen, body, _| {
            number(track(chosen, body), |track, at, _| rounded(track.at(seconds(at)).speed, 100.0))
        },
    ),
    receiver(
        "course",
        AttributeType::Numeric,
        ("°", (0.0, 360.0)),
        "Where it is going, clockwise from north; `heading` is where the body faces.",
        |chosen, body, _| {
            number(track(chosen, body), |track, at, _| course(track.at(seconds(at)).course))
        },
    ),
];
