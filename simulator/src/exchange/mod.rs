//! Recordings for other people's tools, and theirs as recordings: CSV, Parquet and EDF+ out, CSV
//! and EDF+ in.
//!
//! A *row* is one leaf of one sample: a bare number is one row, an IMU's payload six. CSV and
//! Parquet have the rows as they are (`docs/recording.md`); EDF+ has a signal for each leaf.

mod edf;
mod edf_read;
mod into;
mod leaf;
mod parquet;
mod rows;
pub mod series;
mod sheet;
mod table;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use components::cell::Cell;
use components::sample::Timestamp;

use crate::cli::Period;
use crate::recording::Reader;
use into::{Import, Imported};
use rows::{Passed, Select, each_row};

/// A device's clock may be so far from ours in EDF+, which is a grid of time; further off it is
/// wrong, and its values are left out and counted.
const CLOCK_OFF_MS_MAX: i64 = 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Parquet,
    Edf,
}

impl Format {
    fn of(path: &Path) -> Result<Self, String> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "parquet" | "pq" => Ok(Self::Parquet),
            "edf" => Ok(Self::Edf),
            _ => {
                Err(format!("{}: say what it is with --format csv, parquet or edf", path.display()))
            }
        }
    }
}

/// Write a recording as CSV, Parquet or EDF+.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// The recording.
    pub file: PathBuf,
    /// The file to make; it must not be there yet.
    pub output: PathBuf,
    /// Absent: as the output's name ends.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Only this sensor, or with a * at its end all that begin so; may be repeated.
    #[arg(long = "sensor", value_name = "ID")]
    pub sensors: Vec<String>,
    /// From this time of the recording on.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Period>,
    /// Up to this time of the recording.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Period>,
}

/// Make a recording of a CSV or EDF+ file.
#[derive(Debug, Clone, Args)]
pub struct ImportFile {
    /// The CSV or EDF file.
    pub file: PathBuf,
    /// The recording to make; it must not be there yet.
    pub output: PathBuf,
    /// Absent: as the file's name ends.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// CSV without a column of time: samples per second of every column.
    #[arg(long, value_name = "HZ")]
    pub rate: Option<f64>,
    /// CSV: the column of time, in seconds or unix milliseconds. Absent: one called time,
    /// timestamp, t, seconds or ms.
    #[arg(long, value_name = "NAME")]
    pub time: Option<String>,
    /// Absent: the file's name.
    #[arg(long, value_name = "ID")]
    pub sensor_id: Option<String>,
    /// Unix milliseconds of the first sample, where the file does not say it. Absent: 0.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub start: i64,
}

impl Export {
    /// # Errors
    /// A sentence; what was written by then is removed.
    pub fn run(self) -> Result<(), String> {
        let format = self.format.map_or_else(|| Format::of(&self.output), Ok)?;
        let out = File::create_new(&self.output)
            .map_err(|error| format!("cannot create {}: {error}", self.output.display()))?;
        let told = self.write(format, BufWriter::new(out)).inspect_err(|_| {
            // Half a file would pass for a whole one.
            let _ = std::fs::remove_file(&self.output);
        })?;
        crate::cli::out(&told);
        Ok(())
    }

    fn select(&self) -> Select {
        let micros = |period: Period| u64::try_from(period.0.as_micros()).unwrap_or(u64::MAX);
        Select {
            sensors: self.sensors.clone(),
            from_micros: self.from.map_or(0, micros),
            to_micros: self.to.map_or(u64::MAX, micros),
        }
    }

    fn write(&self, format: Format, mut out: BufWriter<File>) -> Result<String, String> {
        let select = self.select();
        let (passed, more) = match format {
            Format::Csv => {
                let mut table = table::Table::new(&mut out)?;
                let passed = each_row(&self.file, &select, &mut |row| table.add(row))?;
                table.finish()?;
                (passed, Vec::new())
            }
            Format::Parquet => {
                let about = [("source", self.file.display().to_string())];
                let mut file = parquet::Parquet::new(&mut out, &about)?;
                let passed = each_row(&self.file, &select, &mut |row| file.add(row))?;
                file.finish()?;
                (passed, Vec::new())
            }
            Format::Edf => self.write_edf(&select, &mut out)?,
        };
        out.flush().map_err(|error| format!("{}: {error}", self.output.display()))?;
        if passed.samples == 0 {
            return Err(self.nothing());
        }
        let mut lines = vec![format!(
            "{}: {} rows of {} samples",
            self.output.display(),
            passed.rows,
            passed.samples
        )];
        if passed.refused > 0 {
            lines.push(format!("{} samples left out: the engine had refused them", passed.refused));
        }
        if passed.cut {
            lines.push("the recording is cut: exported up to the end of what was written".into());
        }
        lines.extend(more);
        Ok(lines.join("\n"))
    }

    fn write_edf(
        &self,
        select: &Select,
        out: &mut dyn Write,
    ) -> Result<(Passed, Vec<String>), String> {
        let reader = Reader::open_without_state(&self.file)
            .map_err(|error| format!("{}: {error}", self.file.display()))?;
        let begin = reader.header().epoch_unix_ms + (reader.summary().first.0 / 1000) as i64;
        let end = begin.saturating_add(reader.summary().duration_ms() as i64);
        let window = (
            Timestamp(begin.saturating_sub(CLOCK_OFF_MS_MAX)),
            Timestamp(end.saturating_add(CLOCK_OFF_MS_MAX)),
        );
        drop(reader);
        let mut survey = edf::Survey::new(window);
        let passed = each_row(&self.file, select, &mut |row| survey.add(row))?;
        if passed.samples == 0 {
            return Err(self.nothing());
        }
        let mut file = edf::Edf::new(survey)?;
        each_row(&self.file, select, &mut |row| {
            file.add(row);
            Ok(())
        })?;
        let report = file.finish(out)?;
        let mut notes = vec![format!(
            "{} signals and {} annotations in {} records of one second; times are UTC",
            report.signal_count, report.annotation_count, report.record_count
        )];
        notes.extend(shortened(report.notes));
        Ok((passed, notes))
    }

    fn nothing(&self) -> String {
        let what =
            if self.sensors.is_empty() { "no samples" } else { "no samples of such sensors" };
        format!("{}: there are {what} in this time", self.file.display())
    }
}

/// A recording of hundreds of sensors could say as much of each.
const NOTE_COUNT_MAX: usize = 40;

fn shortened(mut notes: Vec<String>) -> Vec<String> {
    let more = notes.len().saturating_sub(NOTE_COUNT_MAX);
    notes.truncate(NOTE_COUNT_MAX);
    if more > 0 {
        notes.push(format!("and {more} more such lines"));
    }
    notes
}

impl ImportFile {
    /// # Errors
    /// A sentence; what was written by then is removed.
    pub fn run(self) -> Result<(), String> {
        let format = self.format.map_or_else(|| Format::of(&self.file), Ok)?;
        let fresh = !self.output.exists();
        let imported = match format {
            Format::Csv => sheet::import(&self),
            Format::Edf => self.import_edf(),
            Format::Parquet => Err("Parquet is written, not read; import CSV or EDF".into()),
        };
        let imported = imported.inspect_err(|_| {
            if fresh {
                let _ = std::fs::remove_file(&self.output);
            }
        })?;
        let mut lines = vec![format!(
            "{}: {} samples of {} sensors in {:.1} s, {} bytes",
            self.output.display(),
            imported.samples,
            imported.sensors,
            imported.seconds,
            imported.bytes
        )];
        lines.extend(shortened(imported.notes));
        crate::cli::out(&lines.join("\n"));
        Ok(())
    }

    /// What names sensors that have none.
    fn stem(&self) -> String {
        self.sensor_id.clone().unwrap_or_else(|| {
            self.file
                .file_stem()
                .map_or_else(|| "import".into(), |stem| stem.to_string_lossy().into())
        })
    }

    fn open(&self) -> Result<BufReader<File>, String> {
        File::open(&self.file)
            .map(BufReader::new)
            .map_err(|error| format!("cannot read {}: {error}", self.file.display()))
    }

    fn import_edf(&self) -> Result<Imported, String> {
        let name = self.file.display().to_string();
        let mut reader = edf_read::Reader::new(&name, self.open()?)?;
        let header = &reader.header;
        let mut notes = Vec::new();
        let mut import = Import::create(&self.output, &format!("import {name}"), header.start)?;
        let ours = header.recording.ends_with("Sensocto");
        let mut streams = Vec::new();
        for signal in &header.signals {
            if signal.is_annotations {
                streams.push(None);
                continue;
            }
            let rate = signal.per_record as f64 / header.record_seconds;
            let (sensor_id, attribute_id) =
                names(&self.stem(), &signal.label, &signal.transducer, ours);
            let rate_hz = rate.is_finite().then_some(rate);
            streams.push(Some(import.stream(&sensor_id, &attribute_id, rate_hz)?));
            let unit = if signal.dimension.is_empty() { "no unit" } else { &signal.dimension };
            notes.push(format!("{} is {sensor_id} {attribute_id} ({unit})", signal.label));
        }
        let mut said = Vec::new();
        let mut words_stream = None;
        while reader.next(&mut said)? {
            for said in &said {
                match said {
                    edf_read::Said::Value { at, signal, value } => {
                        if let Some(stream) = streams[*signal] {
                            import.add(stream, *at, Cell::float(*value).unwrap_or(Cell::NULL))?;
                        }
                    }
                    edf_read::Said::Words { at, words } => {
                        let stream = match words_stream {
                            Some(stream) => stream,
                            None => {
                                let sensor_id = format!("{}:annotations", self.stem());
                                *words_stream.insert(import.stream(
                                    &sensor_id,
                                    "annotation",
                                    None,
                                )?)
                            }
                        };
                        import.add_words(stream, *at, words)?;
                    }
                }
            }
        }
        if reader.is_cut() {
            notes.push("the file is cut: imported up to its last whole record".into());
        }
        import.finish(&self.output, notes)
    }
}

/// Which sensor and attribute a signal is. Files of our own say it in the transducer's field;
/// others have a label, by the EDF+ standard texts a kind and a specification (`ECG II`).
fn names(stem: &str, label: &str, transducer: &str, ours: bool) -> (String, String) {
    let mut words = transducer.split(' ').filter(|word| !word.is_empty());
    if ours && let (Some(sensor_id), Some(attribute_id)) = (words.next(), words.next()) {
        return match words.next() {
            None => (sensor_id.to_owned(), attribute_id.to_owned()),
            Some(field) => (sensor_id.to_owned(), format!("{attribute_id}.{field}")),
        };
    }
    let slug: String = label
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    let slug = slug.trim_matches('_').to_owned();
    let first = slug.split('_').next().unwrap_or_default();
    let attribute = match first {
        "ecg" | "ekg" => "ecg",
        "resp" | "respiration" | "thorax" | "abdomen" => "respiration",
        "sao2" | "spo2" => "spo2",
        "hr" | "heartrate" | "pulse" => "heartrate",
        "temp" | "temperature" => "temperature",
        "" => "signal",
        _ => slug.as_str(),
    };
    let suffix = if slug.is_empty() { "signal" } else { &slug };
    (format!("{stem}:{suffix}"), attribute.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_others_are_named_by_their_label() {
        let of = |label: &str| names("night", label, "AgAgCl electrode", false);
        assert_eq!(of("ECG II"), ("night:ecg_ii".into(), "ecg".into()));
        assert_eq!(of("Resp chest"), ("night:resp_chest".into(), "respiration".into()));
        assert_eq!(of("EEG Fpz-Cz"), ("night:eeg_fpz_cz".into(), "eeg_fpz_cz".into()));
        assert_eq!(of("  "), ("night:signal".into(), "signal".into()));
        let ours = names("x", "ada:imu x", "ada:imu imu accelerometer.x", true);
        assert_eq!(ours, ("ada:imu".into(), "imu.accelerometer.x".into()));
    }
}
