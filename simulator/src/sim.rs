//! `sensocto sim`: orders to the simulator of a running server, over its HTTP API
//! (`docs/simulator.md`).

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::address::Address;
use crate::cli::{out, rounded};
use crate::period;

/// A switch of large worlds takes seconds; a server that is silent for longer is not there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// See the module.
#[derive(Debug, Clone, Args)]
pub struct Sim {
    #[command(subcommand)]
    order: Order,
    /// The server.
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    to: String,
    /// A viewer's bearer token.
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "SENSOCTO_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// The server's answer, as it is.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Order {
    /// What runs, and what could.
    List,
    /// Start a scenario.
    Start(Wish),
    /// Stop everything, then start a scenario.
    Switch(Wish),
    /// Stop one, or everything by '*'.
    Stop { id: String },
    /// Let the time of one stand still.
    Pause { id: String },
    /// Let it go on.
    Resume { id: String },
    /// How many times as fast as the wall clock, from 0.1 to 100.
    Speed { id: String, speed: f64 },
    /// Go to a time of a replay: 90s, 1.5m, 250ms.
    Seek { id: String, time: Moment },
    /// Show a recording of the server's as if it happened now.
    Replay {
        name: String,
        #[arg(long, value_name = "X")]
        speed: Option<f64>,
        /// Where to begin: 90s, 1.5m.
        #[arg(long, value_name = "TIME")]
        from: Option<Moment>,
    },
    /// What the last health check found.
    Health {
        /// Check now.
        #[arg(long)]
        now: bool,
    },
}

#[derive(Debug, Clone, Args)]
struct Wish {
    /// The scenario's name; see `sensocto sim list`.
    name: String,
    /// Other people: the scenario's own seed if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// How many times as fast as the wall clock, from 0.1 to 100.
    #[arg(long, value_name = "X")]
    speed: Option<f64>,
    /// The id of a room that its sensors are for; asks for a member's token.
    #[arg(long, value_name = "ID")]
    room: Option<String>,
}

/// A time of a recording, in milliseconds from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment(u64);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match period::seconds(text).map(|seconds| (seconds * 1e3).round()) {
            Some(ms) if (0.0..=1e15).contains(&ms) => Ok(Self(ms as u64)),
            _ => Err("a time such as 90s, 1.5m, 2h or 250ms".into()),
        }
    }
}

impl Order {
    /// The path under `/api/simulator`, and what is said. `None`: it is only asked.
    fn request(&self) -> (&'static str, Option<Value>) {
        let wish = |wish: &Wish| {
            let Wish { name, seed, speed, room } = wish;
            Some(json!({ "scenario": name, "seed": seed, "speed": speed, "room": room }))
        };
        match self {
            Self::List | Self::Health { now: false } => ("", None),
            Self::Health { now: true } => ("/check", Some(json!({}))),
            Self::Start(wanted) => ("/start", wish(wanted)),
            Self::Switch(wanted) => ("/switch", wish(wanted)),
            Self::Stop { id } => ("/stop", Some(json!({ "id": id }))),
            Self::Pause { id } => ("/pause", Some(json!({ "id": id }))),
            Self::Resume { id } => ("/resume", Some(json!({ "id": id }))),
            Self::Speed { id, speed } => ("/speed", Some(json!({ "id": id, "speed": speed }))),
            Self::Seek { id, time } => ("/seek", Some(json!({ "id": id, "position_ms": time.0 }))),
            Self::Replay { name, speed, from } => {
                let from_ms = from.map(|from| from.0);
                let said = json!({ "recording": name, "speed": speed, "from_ms": from_ms });
                ("/replay", Some(said))
            }
        }
    }

    /// The answer, for people.
    fn text(&self, answer: &Value) -> String {
        match self {
            Self::List => list(answer),
            Self::Health { now: false } => health(&answer["health"]),
            Self::Health { now: true } => health(answer),
            Self::Stop { .. } => stopped(answer),
            _ => table(&[RUNNING_HEAD.map(str::to_owned).to_vec(), running(answer)]),
        }
    }
}

impl Sim {
    /// Gives the order and prints the answer. The error is the server's sentence, or why there is
    /// none.
    pub fn run(self) -> Result<(), String> {
        let server = Address::parse(&self.to)?;
        let (path, said) = self.order.request();
        let url = format!("http://{}/api/simulator{path}", server.authority);
        let answer = ask(&url, self.token.as_deref(), said.as_ref())?;
        let text = if self.json { format!("{answer:#}") } else { self.order.text(&answer) };
        out(text.trim_end());
        Ok(())
    }
}

/// One request and its answer.
fn ask(url: &str, token: Option<&str>, said: Option<&Value>) -> Result<Value, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build()
        .into();
    let bearer = token.map(|token| format!("Bearer {token}"));
    let outcome = match said {
        Some(said) => {
            let mut request = agent.post(url).header("content-type", "application/json");
            if let Some(bearer) = &bearer {
                request = request.header("authorization", bearer);
            }
            request.send(said.to_string())
        }
        None => {
            let mut request = agent.get(url);
            if let Some(bearer) = &bearer {
                request = request.header("authorization", bearer);
            }
            request.call()
        }
    };
    let unanswered = |problem: ureq::Error| format!("{url}: {problem}; does a server run there?");
    let mut response = outcome.map_err(unanswered)?;
    let status = response.status();
    let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    let text = text.map_err(unanswered)?;
    let answer: Value = serde_json::from_str(&text)
        .map_err(|_| format!("{url}: {status}, and no answer of a simulator"))?;
    match answer["error"].as_str() {
        Some(problem) if !status.is_success() => Err(problem.to_owned()),
        None if !status.is_success() => Err(format!("{url}: {status}")),
        _ => Ok(answer),
    }
}

const RUNNING_HEAD: [&str; 8] =
    ["RUNNING", "STATE", "SENSORS", "SAMPLES/S", "SPEED", "TIME", "SEED", "SKIPPED"];

fn list(answer: &Value) -> String {
    let mut acts = vec![RUNNING_HEAD.map(str::to_owned).to_vec()];
    acts.extend(entries(&answer["running"]).map(running));
    let head = ["SCENARIO", "PEOPLE", "SENSORS", "SAMPLES/S", "VIEWERS", "FROM", "DESCRIPTION"];
    let mut scenarios = vec![head.map(str::to_owned).to_vec()];
    scenarios.extend(entries(&answer["scenarios"]).map(|scenario| {
        let about = scenario["error"].as_str().map_or_else(
            || word(&scenario["description"]),
            |problem| format!("cannot be used: {problem}"),
        );
        vec![
            word(&scenario["name"]),
            word(&scenario["people"]),
            word(&scenario["sensors"]),
            rate(&scenario["samples_per_second"]),
            word(&scenario["viewers"]),
            word(&scenario["origin"]),
            about,
        ]
    }));
    let running = if acts.len() == 1 { "nothing runs\n".to_owned() } else { table(&acts) };
    format!("{running}\n{}", table(&scenarios))
}

/// The columns of one that runs.
fn running(entry: &Value) -> Vec<String> {
    let own = seconds(&entry["position_ms"]);
    let time = match entry["duration_ms"].as_u64() {
        Some(_) => format!("{own} of {}", seconds(&entry["duration_ms"])),
        None => own,
    };
    vec![
        word(&entry["id"]),
        word(&entry["state"]),
        format!("{}/{}", word(&entry["sensors_live"]), word(&entry["sensors"])),
        rate(&entry["samples_per_second"]),
        word(&entry["speed"]),
        time,
        word(&entry["seed"]),
        seconds(&entry["skipped_ms"]),
    ]
}

fn stopped(answer: &Value) -> String {
    let stopped: Vec<String> = entries(&answer["stopped"]).map(word).collect();
    if stopped.is_empty() {
        return "nothing ran".into();
    }
    let mut text = format!("stopped {} in {} ms", stopped.join(", "), word(&answer["took_ms"]));
    let still: Vec<String> = entries(&answer["still_stopping"]).map(word).collect();
    if !still.is_empty() {
        text += &format!("; {} is not yet gone", still.join(", "));
    }
    if answer["left_count"].as_u64().is_some_and(|count| count > 0) {
        let named: Vec<String> = entries(&answer["left"]).map(word).collect();
        text += &format!(
            "; {} sensors are still there, for others feed them: {}",
            word(&answer["left_count"]),
            named.join(", ")
        );
    }
    text
}

fn health(health: &Value) -> String {
    let verdict = match (&health["checked_at"], &health["ok"]) {
        (Value::Null, _) => "not checked yet",
        (_, Value::Bool(true)) => "well",
        _ => "not well",
    };
    let mut text = format!(
        "{verdict}: {} missing, {} orphans, {} repaired so far",
        word(&health["missing_count"]),
        word(&health["orphan_count"]),
        word(&health["repaired"])
    );
    let missing = entries(&health["missing"]).map(|missing| {
        vec![word(&missing["sensor_id"]), word(&missing["id"]), word(&missing["why"])]
    });
    let orphans = entries(&health["orphans"])
        .map(|orphan| vec![word(orphan), "-".into(), "an orphan, sent away".into()]);
    let found: Vec<Vec<String>> = missing.chain(orphans).collect();
    if !found.is_empty() {
        text = format!("{text}\n{}", table(&found));
    }
    text
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

fn rate(value: &Value) -> String {
    value.as_f64().map_or("-".into(), rounded)
}

fn seconds(value: &Value) -> String {
    value.as_f64().map_or("-".into(), |ms| format!("{:.1}s", ms / 1000.0))
}

/// Columns under each other; the last is as long as it is.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}", width = *width))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_stands_in_columns_name_first() {
        let answer = json!({
            "running": [
                {"id": "few", "state": "running", "sensors": 32, "sensors_live": 32,
                 "samples_per_second": 2426.4, "speed": 1.0, "position_ms": 12_345,
                 "duration_ms": null, "seed": 1, "skipped_ms": 0},
                {"id": "replay:morning", "state": "paused", "sensors": 4, "sensors_live": 3,
                 "samples_per_second": 10, "speed": 2.0, "position_ms": 500,
                 "duration_ms": 60_000, "seed": null, "skipped_ms": 0},
            ],
            "scenarios": [
                {"name": "few", "description": "Eight people.", "people": 8, "sensors": 32,
                 "samples_per_second": 2426.4, "viewers": 0, "origin": "shipped", "error": null},
                {"name": "mine", "description": "", "people": 0, "sensors": 0,
                 "samples_per_second": 0.05, "viewers": 0, "origin": "yours",
                 "error": "mine.toml:1: no"},
            ],
        });
        let expected = "\
RUNNING         STATE    SENSORS  SAMPLES/S  SPEED  TIME           SEED  SKIPPED
few             running  32/32    2426       1.0    12.3s          1     0.0s
replay:morning  paused   3/4      10         2.0    0.5s of 60.0s  -     0.0s

SCENARIO  PEOPLE  SENSORS  SAMPLES/S  VIEWERS  FROM     DESCRIPTION
few       8       32       2426       0        shipped  Eight people.
mine      0       0        0.05       0        yours    cannot be used: mine.toml:1: no
";
        assert_eq!(Order::List.text(&answer), expected);
        let nothing = json!({ "running": [], "scenarios": [] });
        assert!(Order::List.text(&nothing).starts_with("nothing runs\n"));
    }

    #[test]
    fn a_stop_says_what_it_took_and_what_is_left() {
        let stop = Order::Stop { id: "*".into() };
        let answer = json!({"stopped": ["few", "crowd"], "took_ms": 12, "left_count": 0,
                            "left": [], "still_stopping": []});
        assert_eq!(stop.text(&answer), "stopped few, crowd in 12 ms");
        let answer = json!({"stopped": ["few"], "took_ms": 4000, "left_count": 1,
                            "left": ["ada:ecg"], "still_stopping": ["few"]});
        let said = stop.text(&answer);
        assert!(said.contains("few is not yet gone") && said.ends_with("ada:ecg"), "{said}");
        assert_eq!(stop.text(&json!({"stopped": []})), "nothing ran");
    }

    #[test]
    fn times_of_a_recording_are_read_as_people_write_them() {
        for (text, ms) in [("90", 90_000), ("1.5m", 90_000), ("250ms", 250), ("2h", 7_200_000)] {
            assert_eq!(text.parse(), Ok(Moment(ms)));
        }
        for text in ["", "-1", "nan", "inf", "1d"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn where_no_server_is_the_error_says_so() {
        // Port 1 is nobody's.
        let error = ask("http://127.0.0.1:1/api/simulator", None, None).unwrap_err();
        assert!(error.contains("does a server run there?"), "{error}");
    }
}
