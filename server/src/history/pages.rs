//! A viewer goes back beyond its seed, page by page, over its own channel (`docs/wire.md` 2.3).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};

use super::encode::{self, Format, Told};
use super::past::Cursor;
use super::{History, HistoryError, STEP_MS_MAX, blocking};
use crate::viewer::words;

/// Samples of one page, and if nobody says how many.
const PAGE_COUNT_MAX: u64 = 5_000;
const PAGE_COUNT: u64 = 1_000;

/// Periods of one page: two windows of the widest screen, a period for each column.
const PERIOD_COUNT_MAX: u64 = 10_000;
/// Seconds that are looked at for periods that are not of whole minutes.
const SECOND_COUNT_MAX: u64 = 400_000;

/// As it is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    sensor_id: String,
    attribute_id: String,
    before: Option<i64>,
    have: Option<u64>,
    count: Option<u64>,
    from: Option<i64>,
    to: Option<i64>,
    step: Option<i64>,
}

/// Which part of the past, of a sensor of its lens.
#[derive(Debug)]
pub(crate) struct PageWish {
    pub(crate) sensor_id: String,
    pub(crate) attribute_id: String,
    part: Part,
}

#[derive(Debug)]
enum Part {
    /// The last so many samples before those it has.
    Before { cursor: Cursor, count: u64 },
    /// What was summed up, by periods of `step_ms`.
    Periods { range: Range<i64>, step_ms: i64 },
}

impl Part {
    fn of(words: &Words) -> Result<Self, String> {
        match *words {
            Words {
                before: Some(before), have, count, from: None, to: None, step: None, ..
            } => {
                let (have, count) = (have.unwrap_or(0), count.unwrap_or(PAGE_COUNT));
                if !(1..=PAGE_COUNT_MAX).contains(&count) || have > PAGE_COUNT_MAX {
                    return Err(format!("count: from 1 to {PAGE_COUNT_MAX}, and have no more"));
                }
                Ok(Self::Before { cursor: Cursor { before, have }, count })
            }
            Words {
                from: Some(from),
                to: Some(to),
                step: Some(step_ms),
                before: None,
                have: None,
                count: None,
                ..
            } => {
                let of_seconds = [from, to, step_ms].iter().all(|n| n % 1_000 == 0);
                if from >= to || !of_seconds || !(1_000..=STEP_MS_MAX).contains(&step_ms) {
                    let what = "from before to, and step: milliseconds of whole seconds";
                    return Err(format!("{what}, step of a year at most"));
                }
                let (span_ms, step) = (to.abs_diff(from), step_ms.unsigned_abs());
                if span_ms / step > PERIOD_COUNT_MAX {
                    return Err(format!("step: at most {PERIOD_COUNT_MAX} of them at once"));
                }
                let of_minutes = [from, to, step_ms].iter().all(|n| n % 60_000 == 0);
                if !of_minutes && span_ms / 1_000 > SECOND_COUNT_MAX {
                    return Err(format!("beyond {SECOND_COUNT_MAX} s, whole minutes"));
                }
                Ok(Self::Periods { range: from..to, step_ms })
            }
            _ => Err("expected before, or from, to and step".into()),
        }
    }
}

impl PageWish {
    /// # Errors
    /// The reason, as on the wire.
    pub(crate) fn read(text: &str) -> Result<Self, Value> {
        let invalid = |what: String| json!({ "reason": "invalid_payload", "detail": what });
        let words: Words = words::read(text).map_err(|error| invalid(error.to_string()))?;
        let part = Part::of(&words).map_err(invalid)?;
        let Words { sensor_id, attribute_id, .. } = words;
        Ok(Self { sensor_id, attribute_id, part })
    }

    /// Samples or periods of the answer, at most.
    pub(crate) fn count(&self) -> u64 {
        match &self.part {
            Part::Before { count, .. } => *count,
            Part::Periods { range, step_ms } => {
                range.end.abs_diff(range.start) / step_ms.unsigned_abs()
            }
        }
    }
}

/// One page at a time is turned for a channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Arc<AtomicBool>);

impl Turn {
    /// `None`: one is being turned.
    pub(crate) fn take(&self) -> Option<Turning> {
        (!self.0.swap(true, Ordering::AcqRel)).then(|| Turning(Arc::clone(&self.0)))
    }
}

/// Until it is dropped.
#[derive(Debug)]
pub(crate) struct Turning(Arc<AtomicBool>);

impl Drop for Turning {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The page, as JSON.
///
/// # Errors
/// The reason, as on the wire.
pub(crate) async fn page(history: Arc<History>, wish: PageWish) -> Result<String, Value> {
    let read = blocking(move || {
        let PageWish { sensor_id, attribute_id, part } = &wish;
        let told = |damaged| Told { sensor_id, attribute_id, damaged };
        let pieces = match part {
            Part::Before { cursor, count } => {
                let count = *count as usize;
                let (past, older) = history.before(sensor_id, attribute_id, *cursor, count)?;
                let older = Some(("older", json!(older)));
                encode::samples(told(past.damaged), Format::Json, &past, older)?
            }
            Part::Periods { range, step_ms } => {
                let past = history.summed(sensor_id, attribute_id, range, *step_ms)?;
                encode::summed(told(past.damaged), Format::Json, *step_ms, &past)?
            }
        };
        Ok(String::from_utf8(pieces.concat()).unwrap_or_default())
    });
    let refused =
        |error: HistoryError| json!({ "reason": error.code(), "detail": error.to_string() });
    read.await.and_then(|page| page).map_err(refused)
}
