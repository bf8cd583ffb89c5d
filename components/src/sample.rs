//! Samples on their way in: a batch as a structure of arrays, filled by a door, drained by the
//! tick, used again. One allocation grows to the size of the busiest tick and stays.

use std::sync::Arc;

use crate::cell::Cell;
use crate::id::FeedId;
use crate::shape::Shape;

/// Unix milliseconds as the device gave them. Not checked against our clock: devices may be
/// hours off, and are told apart from engine time by type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Timestamp(pub i64);

/// Engine time: microseconds since whatever the door calls the beginning. Monotonic, made up in
/// simulation, never read from a clock below the door.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct EngineTime(pub u64);

impl EngineTime {
    pub fn from_millis(ms: u64) -> Self {
        Self(ms * 1000)
    }

    pub fn plus_millis(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }
}

/// What a sample says.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// A bare number, boolean or null.
    Scalar(Cell),
    /// Leaves under a shape; `cells.len() == shape.width()`.
    Shaped { shape: &'a Arc<Shape>, cells: &'a [u64] },
    /// Anything else: the payload's JSON text, and any further members of the measurement as
    /// `,"key":value` text (empty when there are none), to be put behind it again on the way out.
    Text { payload: &'a str, extra: &'a str },
}

/// The text of a sample that is kept as text. See [`Payload::Text`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    text: Arc<str>,
    payload_bytes: u32,
}

impl Text {
    pub fn new(payload: &str, extra: &str) -> Self {
        let text =
            if extra.is_empty() { payload.into() } else { format!("{payload}{extra}").into() };
        Self { text, payload_bytes: payload.len() as u32 }
    }

    pub fn payload(&self) -> &str {
        &self.text[..self.payload_bytes as usize]
    }

    pub fn extra(&self) -> &str {
        &self.text[self.payload_bytes as usize..]
    }

    pub fn bytes(&self) -> usize {
        self.text.len()
    }
}

#[derive(Clone, Copy, Debug)]
struct Head {
    feed: FeedId,
    timestamp: Timestamp,
    /// A cell for a scalar, else where the words or the text are.
    value: u64,
    attribute: u16,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Scalar,
    /// `value` is an index into `shaped`.
    Shaped,
    /// `value` is an index into `texts`.
    Text,
}

/// Samples of many feeds, in order of arrival. A clone shares shapes and texts.
#[derive(Debug, Default, Clone)]
pub struct SampleBatch {
    heads: Vec<Head>,
    shaped: Vec<(Arc<Shape>, u32)>,
    cells: Vec<u64>,
    texts: Vec<Text>,
    text_bytes: usize,
}

impl SampleBatch {
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes this batch holds on to for its samples.
    pub fn bytes(&self) -> usize {
        self.heads.len() * size_of::<Head>()
            + self.shaped.len() * size_of::<(Arc<Shape>, u32)>()
            + self.cells.len() * 8
            + self.text_bytes
    }

    /// Adds one sample of the feed's `attribute`-th declared attribute.
    pub fn push(
        &mut self,
        feed: FeedId,
        attribute: u16,
        timestamp: Timestamp,
        payload: Payload<'_>,
    ) {
        let (form, value) = match payload {
            Payload::Scalar(cell) => (Form::Scalar, cell.0),
            Payload::Shaped { shape, cells } => {
                debug_assert_eq!(
                    cells.len(),
                    shape.width(),
                    "as many cells as the shape has holes"
                );
                self.shaped.push((Arc::clone(shape), self.cells.len() as u32));
                self.cells.extend_from_slice(cells);
                (Form::Shaped, self.shaped.len() as u64 - 1)
            }
            Payload::Text { payload, extra } => {
                self.texts.push(Text::new(payload, extra));
                self.text_bytes += payload.len() + extra.len();
                (Form::Text, self.texts.len() as u64 - 1)
            }
        };
        self.heads.push(Head { feed, timestamp, value, attribute, form });
    }

    /// The `index`-th sample: feed, attribute index, timestamp, payload.
    pub fn get(&self, index: usize) -> (FeedId, u16, Timestamp, Payload<'_>) {
        let head = &self.heads[index];
        let payload = match head.form {
            Form::Scalar => Payload::Scalar(Cell(head.value)),
            Form::Shaped => {
                let (shape, start) = &self.shaped[head.value as usize];
                let start = *start as usize;
                Payload::Shaped { shape, cells: &self.cells[start..start + shape.width()] }
            }
            Form::Text => {
                let text = &self.texts[head.value as usize];
                Payload::Text { payload: text.payload(), extra: text.extra() }
            }
        };
        (head.feed, head.attribute, head.timestamp, payload)
    }

    /// The feed and attribute of the `index`-th sample, without touching its payload.
    pub fn address(&self, index: usize) -> (FeedId, u16) {
        let head = &self.heads[index];
        (head.feed, head.attribute)
    }

    /// Moves everything of `other` behind what is here. `other` is empty afterwards and keeps
    /// its room.
    pub fn append(&mut self, other: &mut Self) {
        let (shaped, texts) = (self.shaped.len() as u64, self.texts.len() as u64);
        let cells = self.cells.len() as u32;
        self.heads.extend(other.heads.drain(..).map(|head| Head {
            value: match head.form {
                Form::Scalar => head.value,
                Form::Shaped => head.value + shaped,
                Form::Text => head.value + texts,
            },
            ..head
        }));
        self.shaped.extend(other.shaped.drain(..).map(|(shape, at)| (shape, at + cells)));
        self.cells.append(&mut other.cells);
        self.texts.append(&mut other.texts);
        self.text_bytes += std::mem::take(&mut other.text_bytes);
    }

    /// Copies everything of `other` behind what is here.
    pub fn extend_from(&mut self, other: &Self) {
        let (shaped, texts) = (self.shaped.len() as u64, self.texts.len() as u64);
        let cells = self.cells.len() as u32;
        if (shaped, texts) == (0, 0) {
            // Most are bare numbers, and go as they are.
            self.heads.extend_from_slice(&other.heads);
        } else {
            self.heads.extend(other.heads.iter().map(|head| Head {
                value: match head.form {
                    Form::Scalar => head.value,
                    Form::Shaped => head.value + shaped,
                    Form::Text => head.value + texts,
                },
                ..*head
            }));
        }
        self.shaped.extend(other.shaped.iter().map(|(shape, at)| (Arc::clone(shape), at + cells)));
        self.cells.extend_from_slice(&other.cells);
        self.texts.extend_from_slice(&other.texts);
        self.text_bytes += other.text_bytes;
    }

    /// Forgets the samples, keeps the room.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.shaped.clear();
        self.cells.clear();
        self.texts.clear();
        self.text_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Handle;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let feed = FeedId(Handle { slot: 3, generation: 1 });
        let shape = Arc::new(Shape::from_skeleton(b"[\x01,\x01]"));
        let cells = [Cell::integer(1).unwrap().0, Cell::float(2.5).unwrap().0];
        let mut batch = SampleBatch::default();
        batch.push(feed, 0, Timestamp(5), Payload::Scalar(Cell::integer(7).unwrap()));
        batch.push(feed, 1, Timestamp(6), Payload::Shaped { shape: &shape, cells: &cells });
        batch.push(
            feed,
            2,
            Timestamp(7),
            Payload::Text { payload: "\"a\"", extra: ",\"event\":\"press\"" },
        );

        let mut moved = SampleBatch::default();
        moved.extend_from(&batch);
        moved.extend_from(&batch);
        assert_eq!((moved.len(), moved.bytes()), (6, 2 * batch.bytes()));
        assert!(
            matches!(moved.get(4), (_, 1, Timestamp(6), Payload::Shaped { cells: c, .. }) if c == cells)
        );
        assert!(matches!(moved.get(5), (_, 2, _, Payload::Text { payload: "\"a\"", .. })));
        moved.clear();
        moved.append(&mut batch);
        assert!(batch.is_empty());
        assert_eq!(moved.len(), 3);
        assert!(
            matches!(moved.get(0), (f, 0, Timestamp(5), Payload::Scalar(c)) if f == feed && c.number() == Some(7.0))
        );
        assert!(
            matches!(moved.get(1), (_, 1, Timestamp(6), Payload::Shaped { cells: c, .. }) if c == cells)
        );
        assert!(matches!(
            moved.get(2),
            (_, 2, Timestamp(7), Payload::Text { payload: "\"a\"", extra: ",\"event\":\"press\"" })
        ));
    }
}
