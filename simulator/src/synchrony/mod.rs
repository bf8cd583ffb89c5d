//! What the live systems make of a recording in a file: `sensocto synchrony`, `sensocto heart`.
//!
//! The file's rows go through an engine as devices would send them, on made-up time, and what a
//! viewer of the group would be told is printed.

mod heart;
mod pairs;
mod sheet;
mod through;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use components::group::{Reading, Signal, Tier, Unmeasurable};
pub use heart::Heart;

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
        out(&if self.pairs {
            pairs::table(&sheet, &watched)
        } else {
            table(&watched.readings, tier)
        });
        watched.tell_who_was_not_measurable(&sheet);
        Ok(())
    }
}

/// What a viewer of the group was told.
struct Watched {
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
            for (reading, states) in deliveries.readings_of(news) {
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
                // Everybody begins with too little data.
                if *why != Unmeasurable::TooShort || *count == all {
                    let share = 100.0 * *count as f64 / all as f64;
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
