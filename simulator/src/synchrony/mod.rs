//! What the live systems make of a recording in a file: `sensocto synchrony`, `sensocto heart`.
//!
//! The file's rows go through an engine as devices would send them, on made-up time, and what a
//! viewer of the group would be told is printed.

mod files;
mod heart;
mod page;
mod pairs;
mod report;
mod session;
mod sheet;
mod through;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use components::group::{Reading, Signal, Tier, Unmeasurable};
use engine::sense::significance::Method;
pub use files::NamedFile;
pub use heart::Heart;
pub use report::{Null, PAIRED_COUNT_MAX, Report, SURROGATE_COUNT};
pub use session::{Condition, Session};

use crate::cli::{out, tell};
use sheet::Sheet;
use through::Through;

/// How people's breathing lies to each other: read a CSV file (`t,s0,s1,...`, t in seconds) through
/// the systems that run live, and print `t,R,kappa,measurable` as CSV. The number of a row is what
/// was shown at its t; it is of the instant that lies `latency_s` before.
#[derive(Debug, Clone, Args)]
pub struct Synchrony {
    /// The CSV file: a header, a column of time, a column for each person. An empty field or NaN is
    /// a missing sample.
    pub file: PathBuf,
    /// Samples a second of each person.
    #[arg(long, value_name = "HZ")]
    pub rate: f64,
    /// How late, and how exact.
    #[arg(long, value_enum, default_value_t = TierName::Confirmed)]
    pub tier: TierName,
    /// Print a row for each pair instead: phase-locking value and lag over the whole recording.
    /// A positive lag says that the second is behind.
    #[arg(long)]
    pub pairs: bool,
    /// Write a report of the whole recording into this directory: report.html, report.json,
    /// report.csv, signals.csv. Files that are there already are not touched.
    #[arg(long, value_name = "DIR", conflicts_with = "pairs")]
    pub report: Option<PathBuf>,
    /// What the people were about.
    #[arg(long, value_enum, default_value_t, requires = "report")]
    pub condition: Condition,
    /// What pairs are held against.
    #[arg(long, value_enum, default_value_t = NullName::PhaseRandomised, requires = "report")]
    pub null: NullName,
    /// For pseudo-pairs: a CSV file of people who were not there, at the same rate. May be repeated.
    #[arg(long, value_name = "FILE", requires = "report")]
    pub pool: Vec<PathBuf>,
    /// How many surrogates.
    #[arg(long, value_name = "N", default_value_t = SURROGATE_COUNT, requires = "report")]
    pub surrogates: usize,
    /// The seed of all chance.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "report")]
    pub seed: u64,
}

/// [`Method`], as said on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NullName {
    /// Nothing: no p.
    None,
    /// People who were not there, of --pool.
    PseudoPairs,
    /// The same signals with the phases of chance (IAAFT).
    PhaseRandomised,
    /// The others, shifted in time: five minutes at least, and liberal.
    CircularShift,
}

impl NullName {
    fn method(self) -> Option<Method> {
        match self {
            Self::None => None,
            Self::PseudoPairs => Some(Method::PseudoPairs),
            Self::PhaseRandomised => Some(Method::PhaseRandomised),
            Self::CircularShift => Some(Method::CircularShift),
        }
    }
}

/// [`Tier`], as said on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TierName {
    /// 8 s late.
    Confirmed,
    /// 3 s late.
    Prompt,
    /// 1 s late.
    Live,
}

impl From<TierName> for Tier {
    fn from(name: TierName) -> Self {
        match name {
            TierName::Confirmed => Self::Confirmed,
            TierName::Prompt => Self::Prompt,
            TierName::Live => Self::Live,
        }
    }
}

impl Synchrony {
    pub fn run(self) -> Result<(), String> {
        let tier = self.tier.into();
        let sheet = Sheet::read(&self.file, self.rate)?;
        sheet.notes.iter().for_each(|note| tell(note));
        if sheet.people.len() < 2 {
            return Err(format!("{}: synchrony is of two people or more", self.file.display()));
        }
        let watched = watch(&sheet, tier)?;
        if let Some(directory) = &self.report {
            self.write_report(&sheet, watched, directory)?;
            return Ok(());
        }
        out(&if self.pairs {
            pairs::table(&sheet, &watched)
        } else {
            table(&watched.readings, tier)
        });
        watched.tell_who_was_not_measurable(&sheet);
        Ok(())
    }
}

impl Synchrony {
    /// A session of the whole file, and what it comes to.
    fn write_report(
        &self,
        sheet: &Sheet,
        watched: Watched,
        directory: &Path,
    ) -> Result<(), String> {
        let mut pool = Vec::new();
        for path in &self.pool {
            let others = Sheet::read(path, self.rate)?;
            let session = watch(&others, self.tier.into())?.session;
            pool.extend(session.phasors());
        }
        let null = self.null.method().map(|method| Null {
            method,
            surrogates: self.surrogates,
            seed: self.seed,
            pool,
        });
        watched.tell_who_was_not_measurable(sheet);
        let mut session = watched.session;
        let stem = self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        (session.name, session.condition) = (stem.unwrap_or_default(), self.condition);
        let report = Report::of(&session, null.as_ref(), |_| true).ok_or("it was cancelled")?;
        let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        std::fs::create_dir_all(directory).map_err(|error| told(directory, error))?;
        for (name, bytes) in report.files() {
            let path = directory.join(name);
            let mut file = std::fs::File::create_new(&path).map_err(|error| told(&path, error))?;
            std::io::Write::write_all(&mut file, &bytes).map_err(|error| told(&path, error))?;
            tell(&format!("wrote {}", path.display()));
        }
        report.cautions.iter().for_each(|caution| tell(caution));
        Ok(())
    }
}

/// What a viewer of the group was told.
struct Watched {
    session: Session,
    readings: Vec<Reading>,
    /// By member, an angle for every reading; NaN where there was none.
    phases: Vec<Vec<f64>>,
    /// By member, how often each reason was given.
    reasons: Vec<BTreeMap<&'static str, (usize, Unmeasurable)>>,
}

fn watch(sheet: &Sheet, tier: Tier) -> Result<Watched, String> {
    let count = sheet.people.len();
    let mut through = Through::open(count, "respiration", Signal::Breath, tier)?;
    let mut watched = Watched {
        session: Session::new("", Signal::Breath, tier, Condition::default(), sheet.people.clone()),
        readings: Vec::new(),
        phases: vec![Vec::new(); count],
        reasons: vec![BTreeMap::new(); count],
    };
    let mut rows = sheet.rows().peekable();
    while let Some(first) = rows.peek().map(|row| row.arrival_us) {
        let now_us = through.next_tick_us(first);
        while let Some(row) = rows.next_if(|row| row.arrival_us <= now_us) {
            for (member, value) in row.values.iter().enumerate() {
                // NaN is a sample that is missing.
                if !value.is_nan() {
                    through.send(member, row.device_ms, *value);
                }
            }
        }
        through.tick(now_us, |deliveries, news| {
            let values = deliveries.values_of(news).chunks(count);
            for ((reading, states), values) in deliveries.readings_of(news).zip(values) {
                watched.session.hear(reading, |place| (states[place], values[place]));
                watched.readings.push(*reading);
                for (member, state) in states.iter().enumerate() {
                    watched.phases[member].push(state.unwrap_or(f64::NAN));
                    if let Err(why) = state {
                        watched.reasons[member].entry(why.name()).or_insert((0, *why)).0 += 1;
                    }
                }
            }
        });
    }
    Ok(watched)
}

impl Watched {
    fn tell_who_was_not_measurable(&self, sheet: &Sheet) {
        let all = self.readings.len();
        for (name, reasons) in sheet.people.iter().zip(&self.reasons) {
            for (count, why) in reasons.values() {
                let share = 100.0 * *count as f64 / all as f64;
                // Everybody begins with too little data, and a moment is not worth a line.
                if *count == all || (*why != Unmeasurable::TooShort && share >= 0.5) {
                    tell(&format!(
                        "{name} was not measurable {share:.0} % of the time: {}",
                        why.sentence()
                    ));
                }
            }
        }
        if all == 0 {
            tell("not enough data: nothing could be read");
        }
    }
}

/// The comment and the rows.
fn table(readings: &[Reading], tier: Tier) -> String {
    let latency_us = tier.latency_ms() as i64 * 1_000;
    let mut text =
        format!("# latency_s: {:.1}\nt,R,kappa,measurable", tier.latency_ms() as f64 / 1e3);
    for reading in readings {
        let t = (reading.at_us + latency_us) as f64 * 1e-6;
        let _ = match reading.order {
            Some(order) => {
                write!(text, "\n{t:.1},{:.6},{:.6},{}", order.r, order.kappa, reading.measurable)
            }
            None => write!(text, "\n{t:.1},,,{}", reading.measurable),
        };
    }
    text
}
