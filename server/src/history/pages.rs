//! A viewer goes back beyond its seed, page by page, over its own channel (`docs/wire.md` 2.3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};

use super::encode::{self, Format, Told};
use super::past::Cursor;
use super::{History, HistoryError, blocking};
use crate::viewer::words;

/// Samples of one page, and if nobody says how many.
pub(crate) const PAGE_COUNT_MAX: u64 = 5_000;
const PAGE_COUNT: u64 = 1_000;

/// Which samples, of a sensor of its lens: the last `count` before those it has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageWish {
    pub(crate) sensor_id: String,
    pub(crate) attribute_id: String,
    before: i64,
    #[serde(default)]
    have: u64,
    count: Option<u64>,
}

impl PageWish {
    /// # Errors
    /// The reason, as on the wire.
    pub(crate) fn read(text: &str) -> Result<Self, Value> {
        let invalid = |what: &str| json!({ "reason": "invalid_payload", "detail": what });
        let wish: Self = words::read(text).map_err(|error| invalid(&error.to_string()))?;
        if !(1..=PAGE_COUNT_MAX).contains(&wish.count()) || wish.have > PAGE_COUNT_MAX {
            let most = format!("count: from 1 to {PAGE_COUNT_MAX}, and have no more");
            return Err(invalid(&most));
        }
        Ok(wish)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.unwrap_or(PAGE_COUNT)
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
        let PageWish { sensor_id, attribute_id, before, have, .. } = &wish;
        let cursor = Cursor { before: *before, have: *have };
        let count = wish.count() as usize;
        let (past, older) = history.before(sensor_id, attribute_id, cursor, count)?;
        let told = Told { sensor_id, attribute_id, damaged: past.damaged };
        let pieces = encode::samples(told, Format::Json, &past, Some(("older", json!(older))))?;
        Ok(String::from_utf8(pieces.concat()).unwrap_or_default())
    });
    let refused =
        |error: HistoryError| json!({ "reason": error.code(), "detail": error.to_string() });
    read.await.and_then(|page| page).map_err(refused)
}
