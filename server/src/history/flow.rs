//! A long range of samples as an answer that begins before all of it is unpacked: several threads unpack
//! and write stretches of it, and each is sent when those before it were.
//!
//! Whether a segment is damaged stands in the answer's head, so all are held against their checksums
//! first. One that is damaged only behind that breaks the answer off.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use components::shape::Shape;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc::{self, Receiver};

use super::encode::{Format, Told, Writer};
use super::past::{Past, SHARED_ROW_COUNT, each, sort, thread_count, unpack};
use super::segment::{Place, Rows, Scratch, Tier};
use super::shelf::Found;
use super::{History, HistoryError};

/// Rows of one stretch, at least: a batch of an Arrow stream.
const STRETCH_ROW_COUNT: u64 = 1 << 15;

/// Samples of one form, in stretches that lie one behind the other.
#[derive(Debug)]
pub(super) struct Flow {
    shape: Arc<Shape>,
    stretches: Vec<Vec<(Arc<Path>, Place)>>,
    /// Behind them, what is not sealed yet.
    rows: Rows,
    range: Range<i64>,
    /// Segments that were found damaged, and are left out.
    damaged: u64,
}

impl History {
    /// The same as [`History::samples`], where there are many, of one form, and segments do not overlap;
    /// else `None`. Blocks.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub(super) fn flow(
        &self,
        sensor_id: &str,
        attribute_id: &str,
        range: &Range<i64>,
    ) -> Result<Option<Flow>, HistoryError> {
        let (Found { places, rows }, count) =
            self.find(sensor_id, attribute_id, Tier::Samples, range)?;
        let Some((_, first)) = places.first().filter(|_| count >= SHARED_ROW_COUNT) else {
            return Ok(None);
        };
        let shape = Arc::clone(&first.shape);
        let mut rows = rows.unwrap_or_else(|| Rows::new(Arc::clone(&shape)));
        rows.retain(0, range);
        sort(&mut rows);
        let is_one_form = places.iter().all(|(_, place)| place.shape == shape)
            && (rows.shape == shape || rows.stamps.is_empty());
        let last = places.last().map_or(i64::MIN, |(_, place)| place.last);
        let is_in_order = places.windows(2).all(|two| two[0].1.last <= two[1].1.first)
            && rows.stamps.first().is_none_or(|first| last <= *first);
        if !is_one_form || !is_in_order {
            return Ok(None);
        }
        let mut stretches: Vec<Vec<(Arc<Path>, Place)>> = Vec::new();
        let (mut scratch, mut room) = (Scratch::default(), 0);
        let damaged = each(&places, |nth, place, read| {
            place.verify(Tier::Samples, read, &mut scratch)?;
            if room == 0 {
                stretches.push(Vec::new());
                room = STRETCH_ROW_COUNT;
            }
            room = room.saturating_sub(place.weight(Tier::Samples).1);
            if let Some(stretch) = stretches.last_mut() {
                stretch.push(places[nth].clone());
            }
            Ok(())
        });
        self.damaged.fetch_add(damaged, Ordering::Relaxed);
        Ok(Some(Flow { shape, stretches, rows, range: range.clone(), damaged }))
    }
}

impl Flow {
    /// What writes it; `None`: in this form it is not in pieces.
    pub(super) fn writer(
        &self,
        sensor_id: &str,
        attribute_id: &str,
        format: Format,
    ) -> Option<Writer> {
        let told = Told { sensor_id, attribute_id, damaged: self.damaged };
        Writer::new(told, format, &self.shape)
    }

    /// The answer, piece by piece. What is written and not sent yet waits in memory: a reader that is
    /// slow holds no thread.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn pieces(
        self,
        writer: Writer,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>, HistoryError> {
        let (head, end) = writer.ends()?;
        let last = writer.write(self.rows.clone())?;
        // The first sample of JSON has no comma before it.
        let mut comma = usize::from(matches!(writer, Writer::Json { .. }));
        let writer = Arc::new(writer);
        let count = self.stretches.len();
        let threads = thread_count().min(count).max(1);
        let flow = Arc::new(self);
        let hear: Vec<Receiver<io::Result<Bytes>>> = (0..threads)
            .map(|first| {
                let (send, hear) = mpsc::channel(count.div_ceil(threads).max(1));
                let (flow, writer) = (Arc::clone(&flow), Arc::clone(&writer));
                tokio::task::spawn_blocking(move || {
                    for nth in (first..count).step_by(threads) {
                        let piece = flow.stretch(nth).and_then(|rows| {
                            writer.write(rows).map_err(|error| io::Error::other(error.to_string()))
                        });
                        // Nobody hears any more, or nothing more can be said.
                        if piece.is_err() | send.try_send(piece).is_err() {
                            break;
                        }
                    }
                });
                hear
            })
            .collect();
        let stretches = stream::unfold((hear, 0), move |(mut hear, nth)| async move {
            let lane = nth % hear.len();
            if nth >= count {
                return None;
            }
            // A thread that has panicked says nothing.
            let broken = || Err(io::Error::other("a stretch of the past could not be read"));
            let piece = hear[lane].recv().await.unwrap_or_else(broken);
            let next = if piece.is_ok() { nth + 1 } else { count };
            Some((piece, (hear, next)))
        });
        let pieces = stretches.chain(stream::iter([Ok(last)])).map(move |piece| {
            let piece: Bytes = piece?;
            Ok(if piece.is_empty() { piece } else { piece.slice(std::mem::take(&mut comma)..) })
        });
        Ok(stream::iter([Ok(head)]).chain(pieces).chain(stream::iter([Ok(end)])))
    }

    fn stretch(&self, nth: usize) -> io::Result<Rows> {
        let Past { forms, damaged } = unpack(&self.stretches[nth], &self.range);
        let mut forms = forms.into_iter();
        match (forms.next(), damaged) {
            (_, 1..) => Err(io::Error::other("a segment was damaged while it was read")),
            (None, 0) => Ok(Rows::new(Arc::clone(&self.shape))),
            (Some((_, mut rows)), 0) => {
                sort(&mut rows);
                Ok(rows)
            }
        }
    }
}
