//! What a device tells of itself and of whoever handles it: button, taps, lamp, loudspeaker, where
//! it is worn, and what is playing.

use components::attribute::AttributeType;
use components::cell::Cell;
use components::sample::{Payload, Timestamp};

use super::payload::{Form, form, several, whole};
use super::{Body, Memory, Model, Parameter, Signal};
use crate::chance::{hash, uniform};
use crate::math::wave;
use crate::person::seconds;

static TAP: Form = Form::new(|| form(b"{\"direction\":\x01,\"count\":\x01}"));
static LED: Form =
    Form::new(|| form(b"{\"red\":\x01,\"green\":\x01,\"blue\":\x01,\"intensity\":\x01}"));
static SPEAKER: Form = Form::new(|| form(b"{\"frequency\":\x01,\"volume\":\x01}"));

/// Something that happens once in each slot of time.
#[derive(Debug, Clone, Copy)]
struct Slots {
    seed: u64,
    every_s: f64,
}

impl Slots {
    /// The number of the slot around `now`, and seconds since its event; negative before it.
    fn at(self, now: f64) -> (u64, f64) {
        let slot = (now / self.every_s).floor();
        let n = slot as i64 as u64;
        let happens = (slot + uniform(self.seed, n, 0.05, 0.6)) * self.every_s;
        (n, now - happens)
    }

    /// The number of the last event at or before `now`.
    fn last(self, now: f64) -> u64 {
        let (n, since) = self.at(now);
        if since >= 0.0 { n } else { n.wrapping_sub(1) }
    }
}

/// A button: 1 and `press` while held, 0 and `release` after.
#[derive(Debug)]
struct Button(Slots);

impl Signal for Button {
    fn measure(&self, at: Timestamp, _: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        let (n, since) = self.0.at(seconds(at));
        let held = uniform(self.0.seed ^ 1, n, 0.1, 1.5);
        put(if (0.0..held).contains(&since) {
            Payload::Text { payload: "1", extra: ",\"event\":\"press\"" }
        } else {
            Payload::Text { payload: "0", extra: ",\"event\":\"release\"" }
        });
    }
}

/// Taps as the Thingy:52 counts them: 1 to 6 for the sides, and a count that wraps at 256.
fn tap(slots: &Slots, at: Timestamp, _: &mut Memory) -> [Cell; 2] {
    let n = slots.last(seconds(at));
    let direction = 1 + hash(slots.seed ^ 2, n) % 6;
    [whole(direction as f64), whole((n % 256) as f64)]
}

/// A lamp that breathes in a colour that changes, as the Thingy:52's.
fn led(slots: &Slots, at: Timestamp, _: &mut Memory) -> [Cell; 4] {
    let now = seconds(at);
    let color = hash(slots.seed ^ 3, slots.last(now));
    let part = |shift: u32| whole(((color >> shift) & 0xff) as f64);
    let intensity = 50.0 + 50.0 * wave(now / 4.0);
    [part(0), part(8), part(16), whole(intensity)]
}

/// Tones of a second now and then; silence between.
fn speaker(slots: &Slots, at: Timestamp, _: &mut Memory) -> [Cell; 2] {
    /// A pentatonic scale from A4, Hz.
    const TONES: [f64; 5] = [440.0, 495.0, 556.0, 660.0, 743.0];
    let (n, since) = slots.at(seconds(at));
    if (0.0..1.0).contains(&since) {
        let tone = TONES[(hash(slots.seed ^ 4, n) % TONES.len() as u64) as usize];
        [whole(tone), whole(uniform(slots.seed ^ 5, n, 30.0, 100.0))]
    } else {
        [whole(0.0), whole(0.0)]
    }
}

/// A constant word.
#[derive(Debug)]
struct Location(&'static str);

impl Signal for Location {
    fn measure(&self, _: Timestamp, _: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        put(Payload::Text { payload: self.0, extra: "" });
    }
}

const LOCATIONS: &[&str] =
    &["auto", "other", "chest", "wrist", "finger", "hand", "ear_lobe", "foot"];

/// The same as JSON; `auto` draws one.
const LOCATIONS_JSON: [&str; 7] =
    ["\"other\"", "\"chest\"", "\"wrist\"", "\"finger\"", "\"hand\"", "\"ear_lobe\"", "\"foot\""];

impl Location {
    fn new(word: &str, body: &Body, seed: u64) -> Self {
        let drawn = hash(body.seed ^ seed, 6) as usize % (LOCATIONS_JSON.len() - 1) + 1;
        let n = LOCATIONS.iter().position(|&location| location == word).unwrap_or(0);
        Self(LOCATIONS_JSON[n.checked_sub(1).unwrap_or(drawn)])
    }
}

/// What is playing: a piece lasts a slot.
#[derive(Debug)]
struct Playing(Slots);

const PIECES: [&str; 8] = [
    r#"{"artist":"J. S. Bach","title":"Goldberg Variations: Aria","state":"playing"}"#,
    r#"{"artist":"Clara Schumann","title":"Romance, op. 22 no. 1","state":"playing"}"#,
    r#"{"artist":"Erik Satie","title":"Gymnopédie no. 1","state":"playing"}"#,
    r#"{"artist":"Antonín Dvořák","title":"Silent Woods","state":"playing"}"#,
    r#"{"artist":"Fanny Hensel","title":"Melody, op. 4 no. 2","state":"playing"}"#,
    r#"{"artist":"Scott Joplin","title":"Solace","state":"playing"}"#,
    r#"{"artist":"Claude Debussy","title":"Rêverie","state":"playing"}"#,
    r#"{"artist":"Lili Boulanger","title":"D'un matin de printemps","state":"playing"}"#,
];

impl Signal for Playing {
    fn measure(&self, at: Timestamp, _: &mut Memory, put: &mut dyn FnMut(Payload<'_>)) {
        let n = self.0.last(seconds(at));
        let piece = hash(self.0.seed ^ 7, n) as usize % PIECES.len();
        put(Payload::Text { payload: PIECES[piece], extra: "" });
    }
}

const THINGY: &str = "Nordic Thingy:52 firmware, user interface and motion services";

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "button",
        AttributeType::Button,
        ("", (0.0, 1.0)),
        (5.0, 50.0),
        "reference/wire.md: `event` press or release rides along",
        "1 while it is pressed, else 0, a press every ten seconds or so.",
        |_, _, seed| Box::new(Button(Slots { seed, every_s: 10.0 })),
    ),
    Model::new(
        "tap",
        AttributeType::Tap,
        ("", (0.0, 255.0)),
        (1.0, 25.0),
        THINGY,
        "The last tap: which side, and how many there were.",
        |_, _, seed| several(&TAP, Slots { seed, every_s: 15.0 }, tap),
    ),
    Model::new(
        "led",
        AttributeType::Led,
        ("", (0.0, 255.0)),
        (5.0, 25.0),
        THINGY,
        "A lamp's red, green, blue (0 to 255) and intensity (0 to 100): it breathes.",
        |_, _, seed| several(&LED, Slots { seed, every_s: 30.0 }, led),
    ),
    Model::new(
        "speaker",
        AttributeType::Speaker,
        ("Hz, %", (0.0, 20_000.0)),
        (5.0, 25.0),
        THINGY,
        "A tone now and then: frequency and volume, 0 in silence.",
        |_, _, seed| several(&SPEAKER, Slots { seed, every_s: 20.0 }, speaker),
    ),
    Model::new(
        "body_location",
        AttributeType::BodyLocation,
        ("", (0.0, 0.0)),
        (1.0 / 60.0, 1.0),
        "Bluetooth GATT, Body Sensor Location (0x2A38)",
        "Where on the body it is worn.",
        |chosen, body, seed| Box::new(Location::new(chosen.word("location"), body, seed)),
    )
    .taking(&[Parameter::word("location", LOCATIONS, "auto", "Where; `auto` draws one.")]),
    Model::new(
        "rich_presence",
        AttributeType::RichPresence,
        ("", (0.0, 0.0)),
        (0.2, 1.0),
        "reference/core.md 4.5: a payload with an artist",
        "What is playing: artist and title.",
        |_, _, seed| Box::new(Playing(Slots { seed, every_s: 215.0 })),
    ),
];
