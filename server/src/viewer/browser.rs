//! How a viewer's browser fares, as it says itself: the report, and the 100-point score that is made
//! of it (`reference/core.md` 10).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::words::{self, WordsError};

/// How busy a processor is, in the words of the Compute Pressure API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Processor {
    Nominal,
    Fair,
    Serious,
    Critical,
}

/// The Network Information API's `effectiveType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    Slow2g,
    TwoG,
    ThreeG,
    FourG,
}

/// One report. What is absent or null is not known, and costs nothing.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct BrowserReport {
    /// Frames a second that are drawn.
    pub fps: Option<f64>,
    pub processor: Option<Processor>,
    /// Of the memory that a page may have, 0 to 1.
    pub memory: Option<f64>,
    /// Percent.
    pub battery: Option<f64>,
    pub charging: Option<bool>,
    pub network: Option<Network>,
    pub saves_data: bool,
    /// Frames of more than 100 ms since the last report.
    pub dropped_frames: f64,
    /// Slowed down because it is hot. Absent: guessed from the rest.
    pub throttled: Option<bool>,
}

/// Frames a second that cost nothing.
const FPS_GOOD: f64 = 60.0;

/// Fewer are a page that stutters, and with a processor at rest one that is held back.
const FPS_BAD: f64 = 30.0;

impl BrowserReport {
    /// 100: in good health; 0: about to give up.
    pub fn score(&self) -> u8 {
        let mut score = 100.0;
        if let Some(fps) = self.fps {
            score -= 1.5 * (FPS_GOOD - fps).max(0.0);
            score -= if fps < FPS_BAD { 20.0 } else { 0.0 };
        }
        score -= match self.processor {
            None | Some(Processor::Nominal) => 0.0,
            Some(Processor::Fair) => 10.0,
            Some(Processor::Serious) => 30.0,
            Some(Processor::Critical) => 50.0,
        };
        score -= match self.memory {
            Some(memory) if memory > 0.9 => 50.0,
            Some(memory) if memory > 0.8 => 20.0,
            _ => 0.0,
        };
        if self.charging == Some(false) {
            score -= match self.battery {
                Some(battery) if battery < 10.0 => 30.0,
                Some(battery) if battery < 20.0 => 15.0,
                _ => 0.0,
            };
        }
        score -= match self.network {
            None | Some(Network::FourG) => 0.0,
            Some(Network::ThreeG) => 15.0,
            Some(Network::TwoG) => 30.0,
            Some(Network::Slow2g) => 40.0,
        };
        score -= if self.saves_data { 20.0 } else { 0.0 };
        score -= 2.0 * self.dropped_frames;
        score -= if self.is_throttled() { 25.0 } else { 0.0 };
        score.clamp(0.0, 100.0).round() as u8
    }

    fn is_throttled(&self) -> bool {
        self.throttled.unwrap_or_else(|| {
            self.fps.is_some_and(|fps| fps < FPS_BAD) && self.processor == Some(Processor::Nominal)
        })
    }
}

/// The members, each yet to be read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Members<'a> {
    #[serde(borrow)]
    fps: Option<&'a RawValue>,
    #[serde(borrow)]
    cpu_pressure: Option<&'a RawValue>,
    #[serde(borrow)]
    memory_pressure: Option<&'a RawValue>,
    #[serde(borrow)]
    battery_level: Option<&'a RawValue>,
    #[serde(borrow)]
    battery_charging: Option<&'a RawValue>,
    #[serde(borrow)]
    network_effective_type: Option<&'a RawValue>,
    #[serde(borrow)]
    save_data: Option<&'a RawValue>,
    #[serde(borrow)]
    dropped_frames: Option<&'a RawValue>,
    #[serde(borrow)]
    thermal_state: Option<&'a RawValue>,
    #[serde(borrow)]
    render_lag: Option<&'a RawValue>,
    #[serde(borrow)]
    viewport: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Viewport {
    width: f64,
    height: f64,
}

/// Pixels of a side.
const VIEWPORT_MAX: f64 = 100_000.0;

/// The payload of `client_health`. `renderLag` and `viewport` are checked and not used: they are in
/// the original's report and not in its score.
pub fn read_client_health(text: &str) -> Result<BrowserReport, WordsError> {
    let members: Members<'_> = words::read(text)?;
    number("renderLag", members.render_lag, 3_600_000.0)?;
    if let Some(raw) = members.viewport {
        let sides = words::read::<Viewport>(raw.get()).ok();
        let is_one = sides.is_some_and(|Viewport { width, height }| {
            [width, height].iter().all(|side| (0.0..=VIEWPORT_MAX).contains(side))
        });
        if !is_one {
            return Err(WordsError::new("viewport", "expected {\"width\", \"height\"} in pixels"));
        }
    }
    Ok(BrowserReport {
        fps: number("fps", members.fps, 1000.0)?,
        processor: word(
            "cpuPressure",
            members.cpu_pressure,
            &[
                ("nominal", Processor::Nominal),
                ("fair", Processor::Fair),
                ("serious", Processor::Serious),
                ("critical", Processor::Critical),
            ],
        )?,
        memory: number("memoryPressure", members.memory_pressure, 1.0)?,
        battery: number("batteryLevel", members.battery_level, 100.0)?,
        charging: boolean("batteryCharging", members.battery_charging)?,
        network: word(
            "networkEffectiveType",
            members.network_effective_type,
            &[
                ("slow-2g", Network::Slow2g),
                ("2g", Network::TwoG),
                ("3g", Network::ThreeG),
                ("4g", Network::FourG),
            ],
        )?,
        saves_data: boolean("saveData", members.save_data)?.unwrap_or_default(),
        dropped_frames: number("droppedFrames", members.dropped_frames, 1e6)?.unwrap_or_default(),
        throttled: word(
            "thermalState",
            members.thermal_state,
            &[("nominal", false), ("throttled", true)],
        )?,
    })
}

fn number(
    field: &'static str,
    raw: Option<&RawValue>,
    max: f64,
) -> Result<Option<f64>, WordsError> {
    let Some(raw) = raw else { return Ok(None) };
    match serde_json::from_str::<f64>(raw.get()) {
        Ok(number) if (0.0..=max).contains(&number) => Ok(Some(number)),
        _ => Err(WordsError::new(field, format!("expected a number from 0 to {max}"))),
    }
}

fn boolean(field: &'static str, raw: Option<&RawValue>) -> Result<Option<bool>, WordsError> {
    raw.map(|raw| serde_json::from_str(raw.get()))
        .transpose()
        .map_err(|_| WordsError::new(field, "expected true or false"))
}

fn word<T: Copy>(
    field: &'static str,
    raw: Option<&RawValue>,
    words: &[(&str, T)],
) -> Result<Option<T>, WordsError> {
    let Some(raw) = raw else { return Ok(None) };
    let said: Option<String> = serde_json::from_str(raw.get()).ok();
    let found = words.iter().find(|(word, _)| said.as_deref() == Some(word));
    found.map(|(_, value)| Some(*value)).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        WordsError::new(field, format!("expected one of {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn score(text: &str) -> u8 {
        read_client_health(text).unwrap().score()
    }

    /// Each line of the reference's formula by itself, at its edges.
    #[test]
    fn the_score_is_the_references() {
        for (report, expected) in [
            ("{}", 100),
            (r#"{"fps":60}"#, 100),
            (r#"{"fps":144}"#, 100),
            (r#"{"fps":58}"#, 97),
            (r#"{"fps":59.5}"#, 99),
            (r#"{"fps":30}"#, 55),
            (r#"{"fps":29}"#, 34),
            (r#"{"fps":10}"#, 5),
            (r#"{"fps":0}"#, 0),
            (r#"{"cpuPressure":"nominal"}"#, 100),
            (r#"{"cpuPressure":"fair"}"#, 90),
            (r#"{"cpuPressure":"serious"}"#, 70),
            (r#"{"cpuPressure":"critical"}"#, 50),
            (r#"{"memoryPressure":0.8}"#, 100),
            (r#"{"memoryPressure":0.85}"#, 80),
            (r#"{"memoryPressure":0.9}"#, 80),
            (r#"{"memoryPressure":0.95}"#, 50),
            (r#"{"batteryLevel":5,"batteryCharging":true}"#, 100),
            (r#"{"batteryLevel":5}"#, 100),
            (r#"{"batteryLevel":20,"batteryCharging":false}"#, 100),
            (r#"{"batteryLevel":19,"batteryCharging":false}"#, 85),
            (r#"{"batteryLevel":9,"batteryCharging":false}"#, 70),
            (r#"{"networkEffectiveType":"4g"}"#, 100),
            (r#"{"networkEffectiveType":"3g"}"#, 85),
            (r#"{"networkEffectiveType":"2g"}"#, 70),
            (r#"{"networkEffectiveType":"slow-2g"}"#, 60),
            (r#"{"saveData":true}"#, 80),
            (r#"{"droppedFrames":10}"#, 80),
            (r#"{"droppedFrames":1000}"#, 0),
            (r#"{"thermalState":"throttled"}"#, 75),
            (r#"{"thermalState":"nominal"}"#, 100),
            // Slow with a processor at rest: held back. Slow with a busy one: busy.
            (r#"{"fps":29,"cpuPressure":"nominal"}"#, 9),
            (r#"{"fps":29,"cpuPressure":"fair"}"#, 24),
            (r#"{"fps":29,"cpuPressure":"nominal","thermalState":"nominal"}"#, 34),
            // All of it: 100 - 22.5 - 10 - 20 - 15 - 15 - 4.
            (
                r#"{"fps":45,"cpuPressure":"fair","memoryPressure":0.85,"batteryLevel":15,
                    "batteryCharging":false,"networkEffectiveType":"3g","droppedFrames":2}"#,
                14,
            ),
        ] {
            assert_eq!(score(report), expected, "{report}");
        }
    }

    #[test]
    fn what_a_browser_does_not_know_is_null_and_costs_nothing() {
        let all = r#"{"fps":null,"cpuPressure":null,"memoryPressure":null,"batteryLevel":null,
            "batteryCharging":null,"networkEffectiveType":null,"saveData":null,"droppedFrames":null,
            "thermalState":null,"renderLag":null,"viewport":null,"more":1}"#;
        assert_eq!(read_client_health(all), Ok(BrowserReport::default()));
        assert_eq!(score(r#"{"renderLag":12.5,"viewport":{"width":1280,"height":720}}"#), 100);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_its_field() {
        for (report, field) in [
            (r#"{"fps":-1}"#, "fps"),
            (r#"{"fps":1001}"#, "fps"),
            (r#"{"fps":1e400}"#, "fps"),
            (r#"{"fps":"60"}"#, "fps"),
            (r#"{"cpuPressure":"fine"}"#, "cpuPressure"),
            (r#"{"cpuPressure":3}"#, "cpuPressure"),
            (r#"{"memoryPressure":1.5}"#, "memoryPressure"),
            (r#"{"batteryLevel":101}"#, "batteryLevel"),
            (r#"{"batteryCharging":"no"}"#, "batteryCharging"),
            (r#"{"networkEffectiveType":"5g"}"#, "networkEffectiveType"),
            (r#"{"saveData":0}"#, "saveData"),
            (r#"{"droppedFrames":-1}"#, "droppedFrames"),
            (r#"{"thermalState":"hot"}"#, "thermalState"),
            (r#"{"renderLag":-1}"#, "renderLag"),
            (r#"{"viewport":{"width":1}}"#, "viewport"),
            (r#"{"viewport":{"width":-1,"height":1}}"#, "viewport"),
            ("[]", ""),
            ("{", ""),
        ] {
            assert_eq!(read_client_health(report).unwrap_err().field, field, "{report}");
        }
    }

    proptest! {
        #[test]
        fn no_report_panics_and_every_score_is_one(words in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", ",", ":", "null", "true", "1e400", "-1", "60", "\"nominal\"", "\"2g\"",
                "\"fps\"", "\"cpuPressure\"", "\"viewport\"", "\"thermalState\"", "\"droppedFrames\"",
            ]), 0..12)) {
            if let Ok(report) = read_client_health(&words.concat()) {
                prop_assert!(report.score() <= 100);
            }
        }
    }
}
