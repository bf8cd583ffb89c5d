//! The subcommands that the simulator gives to `sensocto`: what may be said, and to whom it goes.

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::load::Share;
use crate::period;
use crate::scenario::{self, Listed, Scenario};

/// Play a column of a CSV file as a device would send it.
#[derive(Debug, Clone, Args)]
pub struct Play {
    /// The CSV file, with or without a header.
    pub file: PathBuf,
    /// Samples per second of the recording.
    #[arg(long, value_name = "HZ")]
    pub rate: f64,
    /// The attribute that is measured: ecg, respiration, ...
    #[arg(long, value_name = "ID")]
    pub attribute: String,
    /// The server: http://host:port, or ws://host:port/socket/websocket.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    pub to: String,
    /// Which column, by its name in the header or its number from 1.
    #[arg(long, value_name = "NAME|N")]
    pub column: Option<String>,
    /// Absent: the name of the file.
    #[arg(long, value_name = "ID")]
    pub sensor_id: Option<String>,
    /// Absent: the sensor's id.
    #[arg(long, value_name = "NAME")]
    pub sensor_name: Option<String>,
    /// Absent: the attribute.
    #[arg(long, value_name = "TYPE")]
    pub sensor_type: Option<String>,
    /// How many times as fast as it was recorded, or `max`. At most as many samples are sent a
    /// second as a viewer gets whole while the machine keeps up: 6,500 of ecg and hrv, 1,500 of
    /// others, fewer while the server is under load, though never fewer than were recorded, up to
    /// 10,000.
    #[arg(long, value_name = "X", default_value = "1")]
    pub speed: Speed,
    /// Begin again at the end, until interrupted.
    #[arg(long = "loop")]
    pub repeat: bool,
    /// The device's bearer token.
    #[arg(long, value_name = "TOKEN", default_value = "missing")]
    pub token: String,
    /// The first sample is of now. This is so anyway, unless --start is given.
    #[arg(long, conflicts_with = "start")]
    pub start_now: bool,
    /// Unix milliseconds of the first sample.
    #[arg(long, value_name = "MS")]
    pub start: Option<i64>,
}

/// Put load on a server by real sockets and measure what it does.
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// A scenario, by name or file: its people send, its crowds watch. Absent: devices that are
    /// all alike.
    pub scenario: Option<String>,
    /// The server. Absent: one is started for this run, and stopped behind it.
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// Connections of devices.
    #[arg(long, default_value_t = 1000, conflicts_with = "scenario")]
    pub devices: usize,
    #[arg(long, default_value_t = 1, conflicts_with = "scenario")]
    pub sensors_per_device: usize,
    /// Samples per second of each sensor.
    #[arg(long, value_name = "HZ", default_value_t = 10.0, conflicts_with = "scenario")]
    pub rate: f64,
    /// The attribute that is sent. Of `ecg` and `respiration` every sample is delivered.
    #[arg(long, default_value = "ecg", conflicts_with = "scenario")]
    pub attribute: String,
    /// Connections of viewers who look at the same from beginning to end [default: 50; with a
    /// scenario that has crowds none, without 10].
    #[arg(long)]
    pub viewers: Option<usize>,
    /// Sensors that each of them watches.
    #[arg(long, default_value_t = 20)]
    pub watch: usize,
    /// Of those, so many it points at: they come whole whatever the load [default: none, 1 with
    /// --surge].
    #[arg(long, value_name = "N")]
    pub point: Option<usize>,
    #[arg(long, default_value = "high")]
    pub quality: String,
    /// How they are served; a scenario says it of its crowds.
    #[arg(long, value_enum, default_value_t = Form::Json)]
    pub form: Form,
    /// So many times the load.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub times: f64,
    /// What there is more of then: devices, and viewers with them, or samples a second of each.
    #[arg(long, value_enum, default_value_t = Scaled::Devices)]
    pub scale: Scaled,
    /// Whose people and whose luck; absent: the scenario's, or 1.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How long to measure.
    #[arg(long = "for", value_name = "TIME", default_value = "20s")]
    pub period: Period,
    /// How long to run before measuring.
    #[arg(long, value_name = "TIME", default_value = "3s")]
    pub warmup: Period,
    /// Gather each sensor's samples for so long, and send them as one `measurements_batch`.
    #[arg(long, value_name = "MS", conflicts_with = "obey")]
    pub batch: Option<u64>,
    /// Gather samples as the server asks in its `backpressure_config`.
    #[arg(long)]
    pub obey: bool,
    /// Spread the run over so many processes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub processes: usize,
    /// Run after run, find the largest load that holds.
    #[arg(long)]
    pub find_limit: bool,
    /// A load does not hold when the 99th percentile of the age is beyond this.
    #[arg(long, value_name = "TIME", default_value = "150ms")]
    pub limit_age: Period,
    /// So many times the load in the middle third of the run: who gives way, and how it comes back.
    /// Every fourth viewer's battery is nearly empty. With --find-limit: so many times the largest
    /// load that holds, from half of it and back.
    #[arg(long, value_name = "X", conflicts_with = "scenario")]
    pub surge: Option<f64>,
    /// Runs of a search at most.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub max_steps: usize,
    /// No run of a search begins later than this.
    #[arg(long, value_name = "TIME", default_value = "15m")]
    pub max_time: Period,
    /// The server's process, for its CPU time and memory, if it was not started by this run.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// So much of the machine for the server that is started (a control group), so that the
    /// generator beside it is not the limit.
    #[arg(long, value_name = "CORES", conflicts_with = "to")]
    pub server_cores: Option<f64>,
    /// Of devices.
    #[arg(long, value_name = "TOKEN", default_value = "missing")]
    pub bearer_token: String,
    /// Of viewers; absent: the devices'.
    #[arg(long, value_name = "TOKEN")]
    pub viewer_token: Option<String>,
    /// The report as JSON into this file, or for `-` on stdout in place of the text.
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,
    /// The report as one HTML page with plots.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Of processes that the run is spread over: which this is.
    #[arg(long, hide = true)]
    pub share: Option<Share>,
}

/// What there is more of in a larger load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scaled {
    Devices,
    Rate,
}

impl Scaled {
    pub fn name(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Rate => "rate",
        }
    }
}

/// List the made-up gatherings: name, people, sensors, attributes, samples a second, viewers.
#[derive(Debug, Clone, Args)]
pub struct Scenarios {
    /// A folder with scenarios of your own (*.toml, *.yaml), as `scenarios` in the data folder.
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Print the TOML of this scenario instead.
    #[arg(long, value_name = "NAME|FILE")]
    pub show: Option<String>,
    /// Print what this file of the original's YAML form is in ours.
    #[arg(long, value_name = "FILE", conflicts_with = "show")]
    pub convert: Option<PathBuf>,
}

/// How many times as fast as recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    Times(f64),
    Max,
}

/// A second in a quarter of an hour.
const SPEED_MIN: f64 = 0.001;
/// A month in seconds.
const SPEED_MAX: f64 = 1e6;

/// Threads of one engine.
const THREAD_COUNT_MAX: usize = 256;
/// Visitors of one made-up world.
const VISITOR_COUNT_MAX: usize = 100_000;

/// `--threads`: none is one.
pub fn threads(text: &str) -> Result<usize, String> {
    up_to(text, THREAD_COUNT_MAX)
}

/// `--viewers` of a made-up world.
pub fn visitors(text: &str) -> Result<usize, String> {
    up_to(text, VISITOR_COUNT_MAX)
}

fn up_to(text: &str, max: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= max);
    number.ok_or_else(|| format!("a whole number up to {max}"))
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(times) if (SPEED_MIN..=SPEED_MAX).contains(&times) => Ok(Self::Times(times)),
            _ if text == "max" => Ok(Self::Max),
            _ => Err(format!("a number from {SPEED_MIN} to {SPEED_MAX}, or max")),
        }
    }
}

/// A time as written by people: `20s`, `500ms`, `2m`, `1h`, `1.5`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period(pub Duration);

/// A month.
const PERIOD_SECONDS_MAX: f64 = 30.0 * 86_400.0;

/// A load run has figures for each of its seconds.
const LOAD_PERIOD_MAX: Duration = Duration::from_secs(3600);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match period::seconds(text) {
            Some(seconds) if (0.0..=PERIOD_SECONDS_MAX).contains(&seconds) => {
                Ok(Self(Duration::from_secs_f64(seconds)))
            }
            _ => Err("a time such as 20s, 500ms, 2m or 1h, up to 30 days".into()),
        }
    }
}

/// How viewers are served (`docs/wire.md` 2.4, 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Json,
    Binary,
}

impl Play {
    pub async fn run(self) -> Result<(), String> {
        crate::play::play(&self).await
    }
}

impl Load {
    pub async fn run(self) -> Result<(), String> {
        if self.period.0 > LOAD_PERIOD_MAX {
            return Err("--for is at most an hour".into());
        }
        let (json, html) = (self.json.clone(), self.html.clone());
        let report = tokio::task::spawn_blocking(move || crate::load::run(&self))
            .await
            .map_err(|error| format!("the load run broke: {error}"))??;
        let Some(report) = report else { return Ok(()) };
        let write = |path: &std::path::Path, text: &str| {
            std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        if let Some(path) = &html {
            write(path, &crate::load::page(&report))?;
        }
        match &json {
            Some(path) if path.as_os_str() == "-" => out(&report.json().to_string()),
            Some(path) => {
                write(path, &report.json().to_string())?;
                out(&report.text());
            }
            None => out(&report.text()),
        }
        Ok(())
    }

    /// The command line of a process that plays a part of this run, but for its share.
    pub(crate) fn arguments(&self, to: &str, times: f64, surge: Option<f64>) -> Vec<String> {
        let ms = |period: Period| format!("{}ms", period.0.as_millis());
        let mut all = vec!["load".to_owned()];
        match &self.scenario {
            Some(scenario) => all.push(scenario.clone()),
            None => all.extend([
                format!("--devices={}", self.devices),
                format!("--sensors-per-device={}", self.sensors_per_device),
                format!("--rate={}", self.rate),
                format!("--attribute={}", self.attribute),
            ]),
        }
        let form = if self.form == Form::Binary { "binary" } else { "json" };
        all.extend([
            format!("--to={to}"),
            format!("--times={times}"),
            format!("--scale={}", self.scale.name()),
            format!("--watch={}", self.watch),
            format!("--quality={}", self.quality),
            format!("--form={form}"),
            format!("--for={}", ms(self.period)),
            format!("--warmup={}", ms(self.warmup)),
            format!("--processes={}", self.processes),
            format!("--bearer-token={}", self.bearer_token),
        ]);
        all.extend(self.viewers.map(|viewers| format!("--viewers={viewers}")));
        all.extend(self.seed.map(|seed| format!("--seed={seed}")));
        all.extend(self.batch.map(|batch| format!("--batch={batch}")));
        all.extend(self.viewer_token.as_ref().map(|token| format!("--viewer-token={token}")));
        all.extend(self.obey.then(|| "--obey".to_owned()));
        all.extend(self.point.map(|point| format!("--point={point}")));
        all.extend(surge.map(|surge| format!("--surge={surge}")));
        all
    }
}

impl Scenarios {
    pub fn run(self) -> Result<(), String> {
        let folder = self.folder.as_deref();
        let path = self.convert.map(|file| file.display().to_string());
        if let Some(wanted) = self.show.or(path) {
            let scenario = Scenario::find(&wanted, folder).map_err(|error| error.to_string())?;
            scenario.warnings.iter().for_each(|warning| tell(warning));
            out(scenario.text().trim_end());
            return Ok(());
        }
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(format!("{} is not a folder", folder.display()));
        }
        let all = scenario::library(folder);
        let width = all.iter().map(|listed| listed.name.len()).max().unwrap_or(0);
        for Listed { name, outcome, .. } in all {
            out(&match outcome {
                Ok(it) => format!(
                    "{name:width$} {:6} people {:6} sensors {:6} attributes {:8} samples/s {:5} \
                     viewers  {}",
                    it.people,
                    it.sensors,
                    it.attributes,
                    rounded(it.samples_per_second),
                    it.viewers,
                    it.description
                ),
                Err(error) => format!("{name:width$} cannot be used: {error}"),
            });
        }
        Ok(())
    }
}

/// `4586`, `6.8`, `0.05`.
pub(crate) fn rounded(rate: f64) -> String {
    let digits = if rate >= 100.0 || rate == 0.0 { 0 } else { 2 };
    let text = format!("{rate:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// One line beside the answer.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// One line for whoever called. That nobody listens any more is no error.
pub(crate) fn out(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_speeds_are_read_as_people_write_them() {
        for (text, ms) in
            [("20s", 20_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("1.5", 1500)]
        {
            assert_eq!(text.parse(), Ok(Period(Duration::from_millis(ms))));
        }
        for text in ["", "s", "-1s", "1y", "800h", "nan"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        assert_eq!("10".parse(), Ok(Speed::Times(10.0)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for text in ["0", "inf", "nan", "-1", "1e-320", "1e300"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_asks_for_more_threads_than_can_be_started() {
        assert_eq!((threads("0"), threads("256")), (Ok(0), Ok(256)));
        for text in ["257", "99999999", "-1", "18446744073709551616", ""] {
            assert_eq!(threads(text), Err("a whole number up to 256".into()), "{text}");
        }
        assert!(visitors("18446744073709551615").is_err());
    }
}
