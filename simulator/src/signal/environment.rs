//! The air, light and sound around a device, indoors or out.

use components::attribute::AttributeType;
use components::cell::Cell;
use components::sample::Timestamp;

use super::given::Chosen;
use super::payload::{Form, Worn, cell, form, number, several, truth, whole, whole_number};
use super::skin::skin_temperature;
use super::sky::Sky;
use super::{Body, Memory, Model, Parameter};
use crate::chance::{noise, uniform};
use crate::math::{exp, ln, pow, rounded, wave};
use crate::person::seconds;

static GAS: Form = Form::new(|| form(b"{\"eco2\":\x01,\"tvoc\":\x01}"));
static PROXIMITY: Form = Form::new(|| form(b"{\"distance\":\x01,\"near\":\x01}"));
static COLOR: Form =
    Form::new(|| form(b"{\"red\":\x01,\"green\":\x01,\"blue\":\x01,\"clear\":\x01}"));

/// A distance below this is near, cm (`reference/core.md` 4.3).
const NEAR_CM: f64 = 5.0;

/// A device somewhere.
#[derive(Debug)]
struct Place {
    sky: Sky,
    outdoors: bool,
    /// Mean of the year, and half its swing, °C.
    climate: (f64, f64),
    altitude_m: f64,
    seed: u64,
    own: u64,
}

impl Place {
    fn new(chosen: &Chosen<'_>, body: &Body, seed: u64) -> Self {
        let latitude = body.position.map_or(52.52, |(latitude, _)| latitude).abs().min(90.0);
        Self {
            sky: Sky::new(body, None),
            outdoors: chosen.word("place") == "outdoors",
            // Sea level: about 27 °C to the tropics' edge, a degree less for each 2.4 beyond.
            climate: (27.0 - 0.42 * (latitude - 12.0).max(0.0), 0.19 * latitude),
            altitude_m: chosen.number("altitude"),
            seed,
            own: body.seed,
        }
    }

    fn noisy(&self, n: u64, spread: f64, at: Timestamp) -> f64 {
        spread * noise(self.seed.wrapping_add(n), at.0 as u64)
    }

    fn phase(&self, n: u64) -> f64 {
        uniform(self.own, 700 + n, 0.0, 1.0)
    }

    /// °C; outdoors it follows the latitude, the season, the day and the weather, and falls with
    /// height by 6.5 K/km (ISO 2533).
    fn celsius(&self, now: f64) -> f64 {
        if !self.outdoors {
            return 21.5 + 1.0 * self.sky.day(now, 17.0) + 0.4 * wave(now / 4700.0 + self.phase(1));
        }
        let (mean, swing) = self.climate;
        let day = (5.5 - 3.0 * self.sky.clouds(now)) * self.sky.day(now, 15.0);
        let season = swing * self.sky.season(now);
        mean + season + day + 3.0 * self.sky.weather(now) - 0.0065 * self.altitude_m
    }

    /// Percent: of a dew point that changes with the weather alone (Magnus formula of Alduchov
    /// and Eskridge 1996), so that it falls as the day warms.
    fn humidity(&self, now: f64) -> f64 {
        let celsius = self.celsius(now);
        let dew = if self.outdoors {
            let (mean, swing) = self.climate;
            mean + swing * self.sky.season(now)
                - 5.0
                - 3.0 * self.sky.weather(now)
                - 0.0065 * self.altitude_m
        } else {
            9.0 + 2.0 * self.sky.weather(now)
        };
        let vapour = |t: f64| exp(17.625 * t / (243.04 + t));
        (100.0 * vapour(dew.min(celsius)) / vapour(celsius)).clamp(5.0, 100.0)
    }

    /// hPa: weather of 1013 ± 18 at sea level, less with height (ISO 2533).
    fn pressure(&self, now: f64) -> f64 {
        let sea = 1013.25 + 18.0 * self.sky.weather(now);
        sea * pow(1.0 - 2.255_77e-5 * self.altitude_m, 5.255_88)
    }

    /// Lux: 120 lm a watt of sunlight (Littlefair 1985), of which a room has 2 % and lamps.
    fn lux(&self, now: f64) -> f64 {
        let sunlight = 120.0 * self.sky.irradiance(now);
        if self.outdoors {
            // A moonlit night has a quarter lux.
            return sunlight + 0.25;
        }
        0.02 * sunlight + 320.0 * self.lamps(now)
    }

    /// 0 to 1: on from seven to eleven at night, solar time.
    fn lamps(&self, now: f64) -> f64 {
        let hour = 24.0 * self.sky.solar_day(now);
        (2.0 * (hour - 7.0)).clamp(0.0, 1.0) * (2.0 * (23.0 - hour)).clamp(0.0, 1.0)
    }

    /// How many are in the room, 0 to 1: from eight to six.
    fn company(&self, now: f64) -> f64 {
        let hour = 24.0 * self.sky.solar_day(now);
        let there = (0.6 * (hour - 8.0)).clamp(0.0, 1.0) * (0.6 * (19.0 - hour)).clamp(0.0, 1.0);
        there * (0.75 + 0.25 * wave(now / 5100.0 + self.phase(2)))
    }

    /// Carbon dioxide, ppm: 420 outdoors (NOAA 2023), up to 1,100 with people.
    fn carbon_dioxide(&self, now: f64) -> f64 {
        let people = if self.outdoors { 0.06 } else { 1.0 };
        420.0 + 680.0 * people * self.company(now) + 8.0 * wave(now / 611.0 + self.phase(3))
    }

    /// Sound level, dB: by night 33 and by day 45, with something louder now and then.
    fn decibels(&self, now: f64) -> f64 {
        const SLOT_S: f64 = 20.0;
        let slot = (now / SLOT_S).floor();
        let n = slot as i64 as u64;
        let since = now - slot * SLOT_S - uniform(self.own ^ 0x50d, n, 0.0, 15.0);
        let busy = self.company(now);
        let louder = uniform(self.own ^ 0x50e, n, -12.0, 8.0 + 16.0 * busy).max(0.0);
        let event = if since > 0.0 { louder * exp(-since / 1.5) } else { 0.0 };
        33.0 + 12.0 * busy.max(0.4 * self.lamps(now)) + 2.0 * wave(now / 97.0) + event
    }

    /// Something comes near once a minute or so, for some seconds; cm.
    fn distance(&self, now: f64) -> f64 {
        const SLOT_S: f64 = 60.0;
        let slot = (now / SLOT_S).floor();
        let n = slot as i64 as u64;
        let begin = slot * SLOT_S + uniform(self.own ^ 0x9a0, n, 2.0, 40.0);
        let lasts = uniform(self.own ^ 0x9a1, n, 3.0, 15.0);
        let (since, left) = (now - begin, begin + lasts - now);
        let close = since.min(left).clamp(0.0, 1.0);
        80.0 - 78.5 * close
    }
}

fn proximity(place: &Place, at: Timestamp, _: &mut Memory) -> [Cell; 2] {
    let distance = (place.distance(seconds(at)) + place.noisy(1, 0.2, at)).max(0.0);
    let distance = rounded(distance, 10.0);
    [cell(distance), truth(distance < NEAR_CM)]
}

/// CCS811: total volatile organic compounds in ppb follow the equivalent carbon dioxide.
fn gas(place: &Place, at: Timestamp, _: &mut Memory) -> [Cell; 2] {
    let carbon_dioxide = (place.carbon_dioxide(seconds(at)) + place.noisy(1, 3.0, at)).max(400.0);
    [whole(carbon_dioxide), whole(0.152 * (carbon_dioxide - 400.0))]
}

/// 16-bit counts of a colour sensor: daylight is blue, lamps are red.
fn color(place: &Place, at: Timestamp, _: &mut Memory) -> [Cell; 4] {
    let now = seconds(at);
    let (lux, lamps) =
        (place.lux(now), if place.outdoors { 0.0 } else { 320.0 * place.lamps(now) });
    // The sensor's gain follows the logarithm, as its automatic exposure does.
    let counts = (6000.0 * ln(1.0 + lux)).min(60_000.0);
    let warm = lamps / lux.max(1.0);
    let red = 0.30 + 0.12 * warm;
    let blue = 0.33 - 0.14 * warm;
    let parts = [red, 1.0 - red - blue, blue, 1.0];
    let mut n = 0;
    parts.map(|part| {
        n += 1;
        whole((counts * part * (1.0 + place.noisy(n, 0.004, at))).clamp(0.0, 65_535.0))
    })
}

const PLACE: &[Parameter] = &[
    Parameter::word("place", &["indoors", "outdoors"], "indoors", "Where the device is."),
    Parameter::number("altitude", "m", (-400.0, 9000.0), 35.0, "Height above the sea."),
];

const CELSIUS: (&str, (f64, f64)) = ("°C", (-90.0, 70.0));
const CLIMATE: &str = "latitude, season, day and weather; 6.5 K/km (ISO 2533)";

fn air_temperature(place: &Place, at: Timestamp, _: &mut Memory) -> f64 {
    rounded(place.celsius(seconds(at)) + place.noisy(1, 0.02, at), 100.0)
}

pub(super) const MODELS: &[Model] = &[
    Model::new(
        "temperature",
        AttributeType::Temperature,
        CELSIUS,
        (0.2, 10.0),
        CLIMATE,
        "Of the skin, where a person wears it; else of the air.",
        |chosen, body, seed| {
            if body.person.is_some() {
                number(Worn::new(body, seed), skin_temperature)
            } else {
                number(Place::new(chosen, body, seed), air_temperature)
            }
        },
    )
    .taking(PLACE),
    Model::new(
        "air_temperature",
        AttributeType::Temperature,
        CELSIUS,
        (0.2, 10.0),
        CLIMATE,
        "Temperature of the air.",
        |chosen, body, seed| number(Place::new(chosen, body, seed), air_temperature),
    )
    .taking(PLACE),
    Model::new(
        "humidity",
        AttributeType::Humidity,
        ("%", (0.0, 100.0)),
        (0.2, 10.0),
        "Magnus formula: Alduchov and Eskridge 1996, J. Appl. Meteorol. 35",
        "Relative humidity: falls as the day warms.",
        |chosen, body, seed| {
            number(Place::new(chosen, body, seed), |place, at, _| {
                let value = place.humidity(seconds(at)) + place.noisy(1, 0.1, at);
                rounded(value.clamp(0.0, 100.0), 10.0)
            })
        },
    )
    .taking(PLACE),
    Model::new(
        "pressure",
        AttributeType::Pressure,
        ("hPa", (280.0, 1100.0)),
        (0.2, 25.0),
        "ISO 2533, and weather of 1013 ± 18 hPa",
        "Pressure of the air at its height.",
        |chosen, body, seed| {
            number(Place::new(chosen, body, seed), |place, at, _| {
                rounded(place.pressure(seconds(at)) + place.noisy(1, 0.03, at), 100.0)
            })
        },
    )
    .taking(PLACE),
    Model::new(
        "light",
        AttributeType::Light,
        ("lx", (0.0, 130_000.0)),
        (1.0, 25.0),
        "sun: Cooper 1969, Kasten and Czeplak 1980; 120 lm/W: Littlefair 1985",
        "Illuminance: day and night, and lamps indoors.",
        |chosen, body, seed| {
            number(Place::new(chosen, body, seed), |place, at, _| {
                let lux = place.lux(seconds(at));
                rounded((lux * (1.0 + place.noisy(1, 0.01, at))).max(0.0), 10.0)
            })
        },
    )
    .taking(PLACE),
    Model::new(
        "proximity",
        AttributeType::Proximity,
        ("cm", (0.0, 100.0)),
        (5.0, 50.0),
        "reference/core.md 4.3: near is below 5",
        "Something comes near now and then: distance, and whether it is near.",
        |chosen, body, seed| several(&PROXIMITY, Place::new(chosen, body, seed), proximity),
    )
    .taking(PLACE),
    Model::new(
        "gas",
        AttributeType::Gas,
        ("ppm, ppb", (0.0, 3000.0)),
        (0.1, 1.0),
        "ams CCS811 as in the Thingy:52; 420 ppm outdoors",
        "Equivalent carbon dioxide, and volatile organic compounds, of a room with people.",
        |chosen, body, seed| several(&GAS, Place::new(chosen, body, seed), gas),
    )
    .taking(PLACE),
    Model::new(
        "air_quality",
        AttributeType::AirQuality,
        ("", (0.0, 500.0)),
        (0.1, 1.0),
        "an index of 0 (best) to 500, 25 to 150 as carbon dioxide goes from 420 to 1,100 ppm",
        "How bad the air is.",
        |chosen, body, seed| {
            whole_number(Place::new(chosen, body, seed), |place, at, _| {
                let excess = place.carbon_dioxide(seconds(at)) - 420.0;
                (25.0 + excess * 125.0 / 680.0 + place.noisy(1, 1.0, at)).clamp(0.0, 500.0)
            })
        },
    )
    .taking(PLACE),
    Model::new(
        "color",
        AttributeType::Color,
        ("counts", (0.0, 65_535.0)),
        (1.0, 10.0),
        "ROHM BH1745 as in the Thingy:52",
        "Counts of red, green, blue and all light; lamps are redder than the day.",
        |chosen, body, seed| several(&COLOR, Place::new(chosen, body, seed), color),
    )
    .taking(PLACE),
    Model::new(
        "sound",
        AttributeType::Numeric,
        ("dB", (20.0, 120.0)),
        (2.0, 50.0),
        "reference/collab.md 21.4: 20 dB and more; a room by night and by day",
        "Sound level, with something louder now and then.",
        |chosen, body, seed| number(Place::new(chosen, body, seed), decibels),
    )
    .taking(PLACE),
    Model::new(
        "microphone",
        AttributeType::Microphone,
        ("dB", (20.0, 120.0)),
        (5.0, 50.0),
        "as `sound`",
        "Sound level at the device's microphone.",
        |chosen, body, seed| number(Place::new(chosen, body, seed), decibels),
    )
    .taking(PLACE),
];

fn decibels(place: &Place, at: Timestamp, _: &mut Memory) -> f64 {
    rounded((place.decibels(seconds(at)) + place.noisy(1, 1.2, at)).clamp(20.0, 120.0), 10.0)
}
