//! Reads EDF and EDF+ (see [`super::edf`]): header, signals, annotations. Every length in the file
//! is held against a limit before memory is taken for it.

use std::io::{ErrorKind, Read};

use components::sample::Timestamp;

use crate::calendar::{Date, TimeOfDay};

const SIGNAL_COUNT_MAX: usize = 4096;

/// Bytes of one data record. The standard recommends 61,440 at most; multichannel files of today
/// have more.
const RECORD_BYTES_MAX: usize = 16 << 20;

const RECORD_SECONDS_MAX: f64 = 86_400.0;

/// What is before the data.
#[derive(Debug)]
pub(crate) struct Header {
    pub start: Timestamp,
    /// Field "local recording identification".
    pub recording: String,
    pub record_seconds: f64,
    pub signals: Vec<Signal>,
    /// EDF+: annotations say when each record begins.
    plus: bool,
    record_bytes: usize,
    /// As the header says; `None`: it does not.
    record_count: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Signal {
    pub label: String,
    pub transducer: String,
    pub dimension: String,
    pub per_record: usize,
    pub is_annotations: bool,
    physical_min: f64,
    digital_min: f64,
    /// Physical units of one digital step.
    step: f64,
    /// Ten to the decimals that are worth keeping.
    scale: f64,
}

impl Signal {
    /// The physical value, rounded to a hundredth of a step.
    fn physical(&self, digital: i16) -> f64 {
        let value = self.physical_min + (f64::from(digital) - self.digital_min) * self.step;
        (value * self.scale).round() / self.scale
    }
}

/// A file being read.
pub(crate) struct Reader<R> {
    pub header: Header,
    input: R,
    file: String,
    record: u64,
    bytes: Vec<u8>,
}

/// What a record says, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Value { at: Timestamp, signal: usize, value: f64 },
    Words { at: Timestamp, words: String },
}

impl Said {
    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Value { at, .. } | Self::Words { at, .. } => *at,
        }
    }
}

impl<R: Read> Reader<R> {
    /// `file` is how errors call it.
    pub(crate) fn new(file: &str, mut input: R) -> Result<Self, String> {
        let wrong = |what: &str| format!("{file}: {what}");
        let mut fixed = [0; 256];
        input
            .read_exact(&mut fixed)
            .map_err(|_| wrong("shorter than the header of an EDF file"))?;
        if fixed[0] == 0xff {
            return Err(wrong("this is BDF (24 bits), not EDF"));
        }
        if &fixed[..8] != b"0       " {
            return Err(wrong("not an EDF file: it does not begin with version 0"));
        }
        let field = |from: usize, to: usize| latin(&fixed[from..to]);
        let number = |name: &str, text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|value| value.is_finite())
                .ok_or_else(|| wrong(&format!("the header's {name} is {text:?}, not a number")))
        };
        let (date, time) = (field(168, 176), field(176, 184));
        let start = Date::from_edf(&date)
            .zip(TimeOfDay::from_edf(&time))
            .and_then(|(date, time)| date.at(time))
            .ok_or_else(|| wrong(&format!("no such start of recording: {date:?} {time:?}")))?;
        let header_bytes = number("length", &field(184, 192))?;
        let count = number("number of signals", &field(252, 256))?;
        if count.fract() != 0.0 || !(1.0..=SIGNAL_COUNT_MAX as f64).contains(&count) {
            return Err(wrong(&format!("{count} signals; from 1 to {SIGNAL_COUNT_MAX} are read")));
        }
        let count = count as usize;
        if header_bytes != (256 * (count + 1)) as f64 {
            return Err(wrong(&format!(
                "the header says it has {header_bytes} bytes; {count} signals take {}",
                256 * (count + 1)
            )));
        }
        let record_seconds = number("duration of a record", &field(244, 252))?;
        if !(0.0..=RECORD_SECONDS_MAX).contains(&record_seconds) {
            return Err(wrong(&format!("a record of {record_seconds} seconds")));
        }
        let records = number("number of records", &field(236, 244))?;
        let mut rest = vec![0; 256 * count];
        input.read_exact(&mut rest).map_err(|_| wrong("it ends within the header"))?;
        let column = |before: usize, width: usize, n: usize| {
            let from = before * count + n * width;
            latin(&rest[from..from + width])
        };
        let mut signals = Vec::with_capacity(count);
        for n in 0..count {
            let label = column(0, 16, n);
            let of = |name: &str| format!("{name} of signal {} ({label:?})", n + 1);
            let [physical_min, physical_max, digital_min, digital_max] = [
                ("physical minimum", 104),
                ("physical maximum", 112),
                ("digital minimum", 120),
                ("digital maximum", 128),
            ]
            .map(|(name, before)| number(&of(name), &column(before, 8, n)));
            let (physical_min, physical_max) = (physical_min?, physical_max?);
            let (digital_min, digital_max) = (digital_min?, digital_max?);
            let per_record = number(&of("samples per record"), &column(216, 8, n))?;
            if per_record.fract() != 0.0
                || !(1.0..=(RECORD_BYTES_MAX / 2) as f64).contains(&per_record)
            {
                return Err(wrong(&format!("{} is {per_record}", of("samples per record"))));
            }
            let is_annotations = label == "EDF Annotations";
            let step = (physical_max - physical_min) / (digital_max - digital_min);
            if !is_annotations && (!step.is_finite() || step == 0.0) {
                return Err(wrong(&format!("{} is empty", of("range"))));
            }
            // The first power of ten that makes a hundredth of a step a whole number.
            let scale = std::iter::successors(Some(1.0), |scale| Some(scale * 10.0))
                .take(12)
                .find(|scale| step.abs() * scale >= 100.0)
                .unwrap_or(1e12);
            signals.push(Signal {
                transducer: column(16, 80, n),
                dimension: column(96, 8, n),
                per_record: per_record as usize,
                is_annotations,
                physical_min,
                digital_min,
                step,
                scale,
                label,
            });
        }
        let samples = signals.iter().map(|signal| signal.per_record).sum::<usize>();
        let record_bytes = samples.saturating_mul(2);
        if record_bytes > RECORD_BYTES_MAX {
            return Err(wrong(&format!(
                "a record of {record_bytes} bytes; up to {RECORD_BYTES_MAX} are read"
            )));
        }
        let header = Header {
            start,
            recording: field(88, 168),
            record_seconds,
            signals,
            plus: field(192, 236).starts_with("EDF+"),
            record_bytes,
            record_count: (records >= 0.0).then_some(records as u64),
        };
        Ok(Self {
            bytes: vec![0; header.record_bytes],
            header,
            input,
            file: file.to_owned(),
            record: 0,
        })
    }

    /// What the next record says, in order of time; `None` behind the last. A file that is cut
    /// within a record ends before it.
    pub(crate) fn next(&mut self, said: &mut Vec<Said>) -> Result<bool, String> {
        said.clear();
        if self.header.record_count.is_some_and(|count| self.record >= count) {
            return Ok(false);
        }
        match self.input.read_exact(&mut self.bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(format!("{}: {error}", self.file)),
        }
        let header = &self.header;
        let mut begin_seconds = self.record as f64 * header.record_seconds;
        self.record += 1;
        let start_ms = header.start.0;
        let at =
            |seconds: f64| Timestamp(start_ms.saturating_add((seconds * 1000.0).round() as i64));
        let (mut from, mut first_list) = (0, true);
        for signal in &header.signals {
            let bytes = &self.bytes[from..from + 2 * signal.per_record];
            from += bytes.len();
            if !signal.is_annotations {
                continue;
            }
            for list in bytes.split(|&byte| byte == 0).filter(|list| !list.is_empty()) {
                let mut parts = list.split(|&byte| byte == 0x14);
                let stamp = parts.next().unwrap_or_default();
                let onset = stamp.split(|&byte| byte == 0x15).next().unwrap_or_default();
                let Some(onset) = std::str::from_utf8(onset)
                    .ok()
                    .and_then(|onset| onset.parse::<f64>().ok())
                    .filter(|onset| onset.abs() < 1e9)
                else {
                    let record = self.record;
                    return Err(format!(
                        "{}: record {record}: an annotation without a time",
                        self.file
                    ));
                };
                if std::mem::take(&mut first_list) && header.plus {
                    begin_seconds = onset;
                }
                let words = parts.map(String::from_utf8_lossy).filter(|words| !words.is_empty());
                said.extend(words.map(|words| Said::Words { at: at(onset), words: words.into() }));
            }
        }
        let mut from = 0;
        for (n, signal) in header.signals.iter().enumerate() {
            let bytes = &self.bytes[from..from + 2 * signal.per_record];
            from += bytes.len();
            if signal.is_annotations {
                continue;
            }
            for (k, pair) in bytes.chunks_exact(2).enumerate() {
                let offset = k as f64 * header.record_seconds / signal.per_record as f64;
                said.push(Said::Value {
                    at: at(begin_seconds + offset),
                    signal: n,
                    value: signal.physical(i16::from_le_bytes([pair[0], pair[1]])),
                });
            }
        }
        said.sort_by_key(Said::at);
        Ok(true)
    }

    /// The last record was not there in full.
    pub(crate) fn is_cut(&self) -> bool {
        self.header.record_count.is_some_and(|count| self.record < count)
    }
}

/// A field of the header, without the spaces around it.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect::<String>().trim().to_owned()
}
