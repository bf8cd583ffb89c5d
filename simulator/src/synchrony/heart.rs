//! `sensocto heart`: beats in raw ECG, and how much the time between them varies.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use components::group::{Signal, Tier, Variability};
use engine::sense::grid::cells;
use engine::sense::heart::artefact::{Beat, Class, correct};
use engine::sense::heart::respiration::cardiorespiratory;
use engine::sense::heart::variability::{variability, variability_as_found};
use engine::sense::phase::Filters;

use super::sheet::check_rate;
use super::through::Through;
use crate::cli::out;
use crate::csv::{self, FILE_BYTES_MAX};

/// Find the heart beats in a column of raw ECG, through the systems that run live. Prints a summary
/// as comments, then the time of each R-peak in seconds, one a line below the header `t`.
#[derive(Debug, Clone, Args)]
pub struct Heart {
    /// The CSV file, with or without a header.
    pub file: PathBuf,
    /// Samples a second.
    #[arg(long, value_name = "HZ")]
    pub rate: f64,
    /// Which column, by its name in the header or its number from 1.
    #[arg(long, value_name = "NAME|N")]
    pub column: Option<String>,
    /// A column of the same file with the breath: what breathing does to the heart is added to the
    /// summary (respiratory sinus arrhythmia).
    #[arg(long, value_name = "NAME|N")]
    pub breath: Option<String>,
}

/// Seconds for which the last value is told on: a beat is known half a second after it was.
const HELD_S: f64 = 0.6;

/// A beat so close to the end is none: half of its complex would be of what was told on.
const END_US: i64 = 100_000;

impl Heart {
    pub fn run(self) -> Result<(), String> {
        check_rate(self.rate)?;
        let file = self.file.display().to_string();
        let told = |error: std::io::Error| format!("{file}: {error}");
        if std::fs::metadata(&self.file).map_err(told)?.len() > FILE_BYTES_MAX {
            return Err(format!("{file}: more than {} MiB", FILE_BYTES_MAX >> 20));
        }
        let text_of_file = std::fs::read_to_string(&self.file).map_err(told)?;
        let values = csv::column(&file, &text_of_file, self.column.as_deref())?;
        let peaks = peaks(&values, self.rate)?;
        let mut text = summary(&peaks);
        if let Some(column) = &self.breath {
            let breath = csv::column(&file, &text_of_file, Some(column))?;
            text.push_str(&respiration(&breath, &peaks, self.rate));
        }
        text.push_str(&table(&peaks));
        out(&text);
        Ok(())
    }
}

/// R-peaks, microseconds from the first sample on.
fn peaks(values: &[f64], rate_hz: f64) -> Result<Vec<i64>, String> {
    let mut through = Through::open(1, "ecg", Signal::HeartHigh, Tier::Live)?;
    let held = (HELD_S * rate_hz).ceil() as usize;
    let last = values.last().copied();
    let all = values.iter().copied().chain(last.into_iter().cycle().take(held));
    let mut all = all.enumerate().peekable();
    let mut peaks = Vec::new();
    let time_s = |index: usize| index as f64 / rate_hz;
    while let Some((index, _)) = all.peek() {
        let now_us = through.next_tick_us((time_s(*index) * 1e6) as i64);
        let has_come = |(index, _): &(usize, f64)| time_s(*index) * 1e6 <= now_us as f64;
        while let Some((index, value)) = all.next_if(has_come) {
            through.send(0, (time_s(index) * 1e3).round() as i64, value);
        }
        through.tick(now_us, |deliveries, news| {
            peaks.extend(deliveries.beats_of(news).iter().map(|beat| beat.at_us));
        });
    }
    let end_us = (time_s(values.len() - 1) * 1e6) as i64;
    peaks.retain(|peak| *peak <= end_us - END_US);
    Ok(peaks)
}

/// The comments.
fn summary(peaks_us: &[i64]) -> String {
    let found: Vec<Beat> =
        peaks_us.iter().map(|at_us| Beat { at_us: *at_us, class: Class::Normal }).collect();
    let mut text = format!("# peaks: {}", peaks_us.len());
    let mut figures = |what: &str, figures: Option<Variability>| {
        let _ = match figures {
            Some(of) => write!(
                text,
                "\n# {what}rate_bpm: {:.2}\n# {what}rmssd_ms: {:.3}\n# {what}sdnn_ms: {:.3}\n\
                 # {what}pnn50_pct: {:.2}\n# {what}window_s: {:.1}\n# {what}corrected_share: {:.4}",
                of.rate_bpm(),
                of.rmssd_ms,
                of.sdnn_ms,
                of.pnn50_pct,
                of.window_s,
                of.corrected_share
            ),
            None => write!(text, "\n# {what}not measurable: not enough beats"),
        };
    };
    // After artefact correction, and of the peaks below as they were found.
    figures("", variability(&correct(peaks_us)));
    figures("uncorrected_", variability_as_found(&found));
    text
}

/// More comments: what breathing does to the heart.
fn respiration(breath: &[f64], peaks_us: &[i64], rate_hz: f64) -> String {
    let at_us = |index: usize| (index as f64 / rate_hz * 1e6).round() as i64;
    let breath = cells(breath.iter().enumerate().map(|(index, value)| (at_us(index), *value)));
    let beats = correct(peaks_us);
    let tachogram = cells(
        beats.windows(2).map(|pair| (pair[1].at_us, (pair[1].at_us - pair[0].at_us) as f64 * 1e-3)),
    );
    let both = breath.iter().filter_map(|(cell, value)| Some((*value, *tachogram.get(cell)?)));
    let (breath, tachogram): (Vec<f64>, Vec<f64>) = both.unzip();
    match cardiorespiratory(&breath, &tachogram, &mut Filters::default()) {
        Some(found) => format!(
            "\n# breath_per_min: {:.2}\n# rsa_plv: {:.4}\n# rsa_coherence: {:.4}\n\
             # rsa_coherence_segments: {}\n# rsa_peak_to_trough_ms: {:.2}",
            60.0 * found.breath_hz,
            found.plv,
            found.coherence,
            found.segments,
            found.peak_to_trough_ms
        ),
        None => "\n# rsa: not measurable: it takes two minutes of both, and a rhythm in the breath"
            .into(),
    }
}

/// The peaks.
fn table(peaks_us: &[i64]) -> String {
    let mut text = String::from("\nt");
    for at_us in peaks_us {
        let _ = write!(text, "\n{:.6}", *at_us as f64 * 1e-6);
    }
    text
}
