//! A ring: the recent past of one attribute, in two tiers, with a push count as cursor.
//!
//! Hot samples are the newest; when they exceed twice their limit, the older part moves to warm,
//! and warm forgets beyond its own limit (`reference/core.md` 6.3). Both tiers are one run of
//! words, so the move is a change of a number. A reader remembers how many pushes it has seen:
//! what it missed is a subtraction, and cannot be overlooked.

use std::collections::VecDeque;

use crate::attribute::Limits;
use crate::cell::{Cell, Leaf};
use crate::sample::{Text, Timestamp};

/// Samples of the first allocation. Most attributes of most sensors never need more at once.
const CAPACITY_MIN: u32 = 4;

/// See the module. Per sample: one word of timestamp and `width` cells.
#[derive(Debug)]
pub struct Ring {
    words: Box<[u64]>,
    /// Texts of the text cells in the ring, oldest first; boxed, since most rings have none.
    texts: Option<Box<Texts>>,
    /// Pushes since the beginning; the cursor of the newest sample is `count - 1`.
    count: u64,
    /// Samples that fit into `words`.
    capacity: u32,
    /// Where the oldest sample is.
    start: u32,
    len: u32,
    /// How many of the newest are hot.
    hot: u32,
    width: u16,
}

#[derive(Debug, Default)]
struct Texts {
    queue: VecDeque<Text>,
    /// Ordinal of the front of the queue; text cells hold ordinals.
    first: u64,
    bytes: usize,
}

/// A ring taken apart, to be made again elsewhere. See [`Ring::from_parts`].
#[derive(Debug, Default)]
pub struct RingParts {
    pub width: u16,
    /// Pushes ever.
    pub count: u64,
    /// How many of the newest are hot.
    pub hot: u32,
    /// Samples there is room for.
    pub capacity: u32,
    /// What is held, oldest first: timestamp, then cells, of each.
    pub words: Vec<u64>,
    pub texts: Option<TextParts>,
}

/// The texts of a ring taken apart.
#[derive(Debug, Default)]
pub struct TextParts {
    /// What the text cell of the oldest refers to; the next ones count on from it.
    pub first: u64,
    /// Texts there is room for.
    pub capacity: usize,
    /// Oldest first.
    pub queue: Vec<Text>,
}

/// What a write or a trim changed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Change {
    /// Samples that left at the old end.
    pub forgotten: u64,
    /// Bytes taken (or, negative, given back).
    pub bytes: i64,
}

/// Where a reader's range lies in the ring. See [`Ring::after`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Samples between the cursor and `from` that are gone.
    pub missed: u64,
    pub from: u64,
    pub to: u64,
}

impl Ring {
    /// An empty ring for samples of `width` cells. Takes no memory until the first push.
    pub fn new(width: u16) -> Self {
        assert!(width > 0, "a sample has at least one cell: a text has the one that refers to it");
        Self {
            words: Box::default(),
            texts: None,
            count: 0,
            capacity: 0,
            start: 0,
            len: 0,
            hot: 0,
            width,
        }
    }

    pub fn width(&self) -> usize {
        usize::from(self.width)
    }

    /// Pushes ever.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Samples held, hot and warm.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn hot_len(&self) -> usize {
        self.hot as usize
    }

    pub fn warm_len(&self) -> usize {
        (self.len - self.hot) as usize
    }

    /// The cursor of the oldest sample held.
    pub fn oldest(&self) -> u64 {
        self.count - u64::from(self.len)
    }

    /// Bytes held beyond the struct itself.
    pub fn bytes(&self) -> usize {
        self.words.len() * 8
            + self.texts.as_ref().map_or(0, |texts| {
                size_of::<Texts>() + texts.queue.capacity() * size_of::<Text>() + texts.bytes
            })
    }

    /// Samples there is room for.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The texts held, oldest first: the ordinal of the first, the room there is, and they.
    pub fn texts(&self) -> Option<(u64, usize, impl ExactSizeIterator<Item = &Text>)> {
        let texts = self.texts.as_deref()?;
        Some((texts.first, texts.queue.capacity(), texts.queue.iter()))
    }

    /// Puts a ring together, or says which of its promises the parts would break.
    pub fn from_parts(parts: RingParts) -> Result<Self, &'static str> {
        let RingParts { width, count, hot, capacity, mut words, texts } = parts;
        if width == 0 {
            return Err("a sample has no cell");
        }
        let stride = usize::from(width) + 1;
        let len = words.len() / stride;
        if !words.len().is_multiple_of(stride) || len > capacity as usize {
            return Err("a ring holds more than it has room for");
        }
        let len = len as u32;
        if u64::from(len) > count || hot > len {
            return Err("a ring holds more than was pushed");
        }
        let (first, text_count) =
            texts.as_ref().map_or((0, 0), |texts| (texts.first, texts.queue.len() as u64));
        texts_belong(words.chunks_exact(stride), first, text_count)?;
        words.resize(capacity as usize * stride, 0);
        let texts = texts.map(|parts| {
            let mut queue = VecDeque::with_capacity(parts.capacity.max(parts.queue.len()));
            queue.extend(parts.queue);
            let bytes = queue.iter().map(Text::bytes).sum();
            Box::new(Texts { queue, first: parts.first, bytes })
        });
        let words = words.into_boxed_slice();
        Ok(Self { words, texts, count, capacity, start: 0, len, hot, width })
    }

    /// Whether it keeps its promises: what a panic in the midst of a write may have broken.
    pub fn is_sound(&self) -> bool {
        let whole = self.len <= self.capacity
            && self.hot <= self.len
            && u64::from(self.len) <= self.count
            && (self.start < self.capacity || self.start == 0)
            && self.words.len() == self.capacity as usize * self.stride();
        let texts = self.texts.as_deref();
        let (first, count) = texts.map_or((0, 0), |texts| (texts.first, texts.queue.len()));
        let known = texts.map_or(0, |texts| texts.bytes);
        let bytes: usize = texts.iter().flat_map(|texts| &texts.queue).map(Text::bytes).sum();
        whole
            && known == bytes
            && texts_belong(self.words(self.oldest(), self.count), first, count as u64).is_ok()
    }

    /// What is left of it when all is forgotten: its width, and its count, so that a reader finds
    /// that it has missed what was there.
    pub fn emptied(&self) -> Self {
        Self { count: self.count, ..Self::new(self.width) }
    }

    fn stride(&self) -> usize {
        usize::from(self.width) + 1
    }

    /// Appends a sample of `width` cells. `may_grow` is false when memory is short: then the ring
    /// keeps to the room it has and forgets its oldest instead.
    pub fn push(
        &mut self,
        timestamp: Timestamp,
        cells: &[u64],
        limits: Limits,
        may_grow: bool,
    ) -> Change {
        debug_assert_eq!(cells.len(), self.width());
        let texts_before = if self.texts.is_some() { self.bytes() as i64 } else { 0 };
        let mut change = self.make_room(limits, may_grow);
        let stride = self.stride();
        let mut at = (self.start + self.len) as usize;
        if at >= self.capacity as usize {
            at -= self.capacity as usize;
        }
        let words = &mut self.words[at * stride..(at + 1) * stride];
        words[0] = timestamp.0 as u64;
        words[1..].copy_from_slice(cells);
        self.len += 1;
        self.hot += 1;
        self.count += 1;
        if self.texts.is_some() {
            change.bytes = self.bytes() as i64 - texts_before;
        }
        change
    }

    /// Appends a sample kept as text.
    pub fn push_text(
        &mut self,
        timestamp: Timestamp,
        text: Text,
        limits: Limits,
        may_grow: bool,
    ) -> Change {
        let before = self.bytes() as i64;
        let texts = self.texts.get_or_insert_default();
        let ordinal = texts.first + texts.queue.len() as u64;
        texts.bytes += text.bytes();
        texts.queue.push_back(text);
        let mut cells = smallvec::SmallVec::<[u64; 8]>::from_elem(0, self.width());
        cells[0] = Cell::text(ordinal).0;
        let mut change = self.push(timestamp, &cells, limits, may_grow);
        change.bytes = self.bytes() as i64 - before;
        change
    }

    /// Makes room for one more sample: moves between tiers, forgets, grows, in this order.
    fn make_room(&mut self, limits: Limits, may_grow: bool) -> Change {
        let mut change = Change::default();
        // As in the reference, counted as if the new sample were already there.
        if self.hot + 1 > 2 * limits.hot.max(1) {
            let hot = limits.hot.max(1);
            let warm = (self.len - self.hot + (self.hot + 1 - hot)).min(limits.warm);
            let forget = (self.len + 1).saturating_sub(hot + warm);
            change.forgotten += u64::from(forget);
            self.forget(forget);
            // The sample to come will be the newest of the `hot`.
            self.hot = (hot - 1).min(self.len);
        }
        if self.len == self.capacity {
            if may_grow || self.capacity == 0 {
                let most = 2 * limits.hot.max(1) + limits.warm;
                let capacity = (self.capacity * 2).max(CAPACITY_MIN).min(most.max(self.len + 1));
                change.bytes += self.reallocate(capacity);
            } else {
                self.forget(1);
                change.forgotten += 1;
            }
        }
        change
    }

    /// Cuts the ring to `limits` now, and gives back the memory. For when the load rises: waiting
    /// for the next write would free nothing of what is idle (`reference/core.md` W19).
    pub fn trim(&mut self, limits: Limits) -> Change {
        let before = self.bytes() as i64;
        let hot = if self.hot > 2 * limits.hot { limits.hot } else { self.hot };
        let warm = (self.len - hot).min(limits.warm);
        let forgotten = self.len - hot - warm;
        self.forget(forgotten);
        self.hot = hot;
        let fitting = self.len.max(CAPACITY_MIN);
        if self.capacity > fitting {
            self.reallocate(fitting);
        }
        if let Some(texts) = &mut self.texts {
            texts.queue.shrink_to_fit();
        }
        Change { forgotten: u64::from(forgotten), bytes: self.bytes() as i64 - before }
    }

    /// Forgets the `n` oldest.
    fn forget(&mut self, n: u32) {
        let n = n.min(self.len);
        if let Some(texts) = &mut self.texts {
            let stride = usize::from(self.width) + 1;
            for index in 0..n {
                let at = ((self.start + index) % self.capacity) as usize;
                if Cell(self.words[at * stride + 1]).is_text()
                    && let Some(text) = texts.queue.pop_front()
                {
                    texts.first += 1;
                    texts.bytes -= text.bytes();
                }
            }
        }
        self.len -= n;
        self.hot = self.hot.min(self.len);
        self.start = if self.len == 0 { 0 } else { (self.start + n) % self.capacity };
    }

    /// Moves the samples into a new run of `capacity`; returns the change in bytes.
    fn reallocate(&mut self, capacity: u32) -> i64 {
        debug_assert!(capacity >= self.len);
        let stride = self.stride();
        let mut words = vec![0; capacity as usize * stride].into_boxed_slice();
        let (first, second) = self.segments(0, self.len as usize);
        words[..first.len()].copy_from_slice(first);
        words[first.len()..first.len() + second.len()].copy_from_slice(second);
        let change = (words.len() as i64 - self.words.len() as i64) * 8;
        self.words = words;
        self.capacity = capacity;
        self.start = 0;
        change
    }

    /// The words of `n` samples from the `index`-th oldest, in the one or two runs they lie in.
    fn segments(&self, index: usize, n: usize) -> (&[u64], &[u64]) {
        let stride = self.stride();
        let capacity = self.capacity as usize;
        if capacity == 0 {
            return (&[], &[]);
        }
        let at = (self.start as usize + index) % capacity;
        let first = n.min(capacity - at);
        (&self.words[at * stride..(at + first) * stride], &self.words[..(n - first) * stride])
    }

    /// What a reader with `cursor` has ahead of it: everything up to now that is still held, and
    /// how much is not.
    pub fn after(&self, cursor: u64) -> Run {
        debug_assert!(cursor <= self.count, "a cursor cannot be ahead of its ring");
        let from = cursor.max(self.oldest());
        Run { missed: from - cursor, from, to: self.count }
    }

    /// The samples `from..to`, oldest first, as words: timestamp, then cells. The range must be
    /// held.
    pub fn words(&self, from: u64, to: u64) -> impl Iterator<Item = &[u64]> {
        let index = (from - self.oldest()) as usize;
        let (first, second) = self.segments(index, (to - from) as usize);
        let stride = self.stride();
        first.chunks_exact(stride).chain(second.chunks_exact(stride))
    }

    /// The text a text cell of this ring refers to.
    pub fn text(&self, cell: Cell) -> Option<&Text> {
        let texts = self.texts.as_deref()?;
        match cell.leaf() {
            Leaf::Text(ordinal) => texts.queue.get(ordinal.checked_sub(texts.first)? as usize),
            _ => None,
        }
    }
}

/// Whether these samples refer to `count` texts from the ordinal `first` on, in their order.
fn texts_belong<'a>(
    samples: impl Iterator<Item = &'a [u64]>,
    first: u64,
    count: u64,
) -> Result<(), &'static str> {
    let (mut ordinal, end) = (first, first.saturating_add(count));
    for sample in samples {
        if Cell(sample[1]).is_text() {
            if Cell(sample[1]) != Cell::text(ordinal) || ordinal >= end {
                return Err("a sample refers to a text that is not its own");
            }
            ordinal += 1;
        }
    }
    if ordinal == end { Ok(()) } else { Err("a ring holds a text of no sample") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::AttributeType;
    use crate::load::LoadLevel;
    use proptest::prelude::*;

    fn push(ring: &mut Ring, n: i64, limits: Limits) -> Change {
        ring.push(Timestamp(n), &[Cell::integer(n).unwrap().0], limits, true)
    }

    fn held(ring: &Ring) -> Vec<i64> {
        ring.words(ring.oldest(), ring.count()).map(|words| words[0] as i64).collect()
    }

    #[test]
    fn hot_runs_to_twice_its_limit_then_splits_to_warm() {
        // The reference's own example, at its own sizes: 500/1000, the 1001st write leaves 500
        // hot and 501 warm.
        let limits = Limits { hot: 500, warm: 1000 };
        let mut ring = Ring::new(1);
        for n in 0..1000 {
            assert_eq!(push(&mut ring, n, limits).forgotten, 0);
        }
        assert_eq!((ring.hot_len(), ring.warm_len()), (1000, 0));
        push(&mut ring, 1000, limits);
        assert_eq!((ring.hot_len(), ring.warm_len()), (500, 501));
    }

    #[test]
    fn an_ecg_never_holds_more_than_its_peak_and_always_its_newest() {
        let limits = AttributeType::Ecg.limits(LoadLevel::Normal);
        let mut ring = Ring::new(1);
        let mut forgotten = 0;
        for n in 0..5000 {
            forgotten += push(&mut ring, n, limits).forgotten;
            assert!(ring.len() <= 800, "2 x 150 + 500");
            assert_eq!(forgotten + ring.len() as u64, ring.count());
            assert_eq!(held(&ring), (ring.oldest() as i64..=n).collect::<Vec<_>>());
        }
        assert!(ring.len() >= 650, "a seed of 500 always fits: {}", ring.len());
    }

    #[test]
    fn a_pose_holds_at_most_two() {
        let limits = AttributeType::Skeleton.limits(LoadLevel::Normal);
        let mut ring = Ring::new(1);
        for n in 0..10 {
            push(&mut ring, n, limits);
            assert!((1..=2).contains(&ring.len()));
            assert_eq!(*held(&ring).last().unwrap(), n);
        }
    }

    #[test]
    fn a_rise_of_load_frees_at_once_and_without_a_write() {
        let mut ring = Ring::new(1);
        for n in 0..1000 {
            push(&mut ring, n, AttributeType::Ecg.limits(LoadLevel::Normal));
        }
        let before = ring.bytes();
        let change = ring.trim(AttributeType::Ecg.limits(LoadLevel::Critical));
        assert_eq!((ring.hot_len(), ring.warm_len()), (30, 25));
        assert_eq!(ring.bytes(), 55 * 16);
        assert_eq!(change.bytes, ring.bytes() as i64 - before as i64);
        assert_eq!(*held(&ring).last().unwrap(), 999);
    }

    #[test]
    fn a_ring_that_may_not_grow_forgets_its_oldest_instead() {
        let limits = AttributeType::Ecg.limits(LoadLevel::Normal);
        let mut ring = Ring::new(1);
        for n in 0..4 {
            push(&mut ring, n, limits);
        }
        let bytes = ring.bytes();
        for n in 4..20 {
            let change = ring.push(Timestamp(n), &[0], limits, false);
            assert_eq!(change, Change { forgotten: 1, bytes: 0 });
        }
        assert_eq!(ring.bytes(), bytes);
        assert_eq!(held(&ring), [16, 17, 18, 19]);
    }

    #[test]
    fn an_empty_ring_takes_no_memory() {
        assert_eq!(Ring::new(3).bytes(), 0);
        assert!(size_of::<Ring>() <= 64);
    }

    #[test]
    fn a_reader_that_fell_behind_is_told_how_far() {
        let limits = Limits { hot: 2, warm: 0 };
        let mut ring = Ring::new(1);
        for n in 0..100 {
            push(&mut ring, n, limits);
        }
        let run = ring.after(10);
        assert_eq!(run.missed, ring.oldest() - 10);
        assert_eq!(run.from + ring.len() as u64, run.to);
        assert_eq!(ring.after(100), Run { missed: 0, from: 100, to: 100 });
    }

    #[derive(Debug, Clone)]
    enum Act {
        Number,
        Text(String),
        NoGrow,
        Trim(LoadLevel),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        prop::collection::vec(
            prop_oneof![
                8 => Just(Act::Number),
                3 => "[a-z]{0,9}".prop_map(Act::Text),
                1 => Just(Act::NoGrow),
                1 => prop::sample::select(&LoadLevel::ALL[..]).prop_map(Act::Trim),
            ],
            0..600,
        )
    }

    proptest! {
        /// Against the plainest model there is: a list of everything ever pushed.
        #[test]
        fn a_ring_holds_the_tail_of_what_was_pushed(acts in acts()) {
            let kind = AttributeType::Numeric;
            let mut load = LoadLevel::Normal;
            let mut ring = Ring::new(1);
            let mut model: Vec<(i64, Option<String>)> = Vec::new();
            let (mut forgotten, mut bytes) = (0, 0);
            for act in acts {
                let n = model.len() as i64;
                let change = match act {
                    Act::Number | Act::NoGrow => {
                        model.push((n, None));
                        let grow = matches!(act, Act::Number);
                        ring.push(Timestamp(n), &[Cell::integer(n).unwrap().0], kind.limits(load), grow)
                    }
                    Act::Text(text) => {
                        model.push((n, Some(text.clone())));
                        ring.push_text(Timestamp(n), Text::new(&text, ""), kind.limits(load), true)
                    }
                    Act::Trim(level) => {
                        load = level;
                        ring.trim(kind.limits(load))
                    }
                };
                forgotten += change.forgotten;
                bytes += change.bytes;
                prop_assert_eq!(ring.count() as usize, model.len());
                prop_assert_eq!(forgotten + ring.len() as u64, ring.count());
                prop_assert_eq!(bytes, ring.bytes() as i64);
                let limits = kind.limits(load);
                prop_assert!(ring.len() as u32 <= 2 * limits.hot + limits.warm.max(100));
                let seen: Vec<_> = ring
                    .words(ring.oldest(), ring.count())
                    .map(|words| (words[0] as i64, ring.text(Cell(words[1])).map(|t| t.payload().to_owned())))
                    .collect();
                prop_assert_eq!(&seen[..], &model[model.len() - ring.len()..]);
            }
        }
    }
}
