//! A segment: some seconds of one attribute in one form, with what they come to by the second and by
//! the minute.
//!
//! | bytes | |
//! |---|---|
//! | 4 | `SHS1` |
//! | 4 | length of the head, little-endian |
//! | 8 | XXH3-64 of the head |
//! | head | [`HeadV1`] in postcard |
//! | parts | samples, seconds, minutes: packs, each with its length and XXH3-64 in the head |
//!
//! A second or a minute that a segment has only a part of is told by the next one, too: counts and
//! sums add up, and the reader adds them.

use std::ops::Range;
use std::sync::Arc;

use components::cell::{Cell, Leaf};
use components::shape::Shape;
use serde::{Deserialize, Serialize};
use simulator::recording::columns::{BadPack, Unpacker, pack};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 4] = *b"SHS1";
const FRONT_BYTES: usize = 16;
/// Bytes of a head: an attribute's name, and a skeleton.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Of a part; a sample has at most a few hundred cells.
const PART_BYTES_MAX: u32 = 256 << 20;

/// How fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Samples,
    Seconds,
    Minutes,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Samples, Self::Seconds, Self::Minutes];

    /// Milliseconds of one row, of what is summed up.
    fn period_ms(self) -> i64 {
        match self {
            Self::Samples => 1,
            Self::Seconds => 1_000,
            Self::Minutes => 60_000,
        }
    }
}

/// What is summed up of one leaf: four cells of a row.
const SUMMED: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    rows: u32,
    bytes: u32,
    sum: u64,
}

/// What a segment says of itself; frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeadV1 {
    attribute_id: Box<str>,
    skeleton: Vec<u8>,
    first: i64,
    last: i64,
    /// By our clock; stamps are the device's.
    sealed_unix_ms: i64,
    parts: [Part; 3],
}

/// Samples of one attribute in one form.
#[derive(Debug, Clone)]
pub struct Rows {
    pub shape: Arc<Shape>,
    pub stamps: Vec<i64>,
    /// Row after row.
    pub cells: Vec<u64>,
}

impl Rows {
    pub fn new(shape: Arc<Shape>) -> Self {
        Self { shape, stamps: Vec::new(), cells: Vec::new() }
    }

    /// Room for so many more.
    pub fn reserve(&mut self, count: usize) {
        self.stamps.reserve_exact(count);
        self.cells.reserve_exact(count * self.shape.width());
    }

    /// Of the rows from the `from`-th on, only those with stamps in `range`.
    pub fn retain(&mut self, from: usize, range: &Range<i64>) {
        let width = self.shape.width();
        let mut kept = from;
        for n in from..self.stamps.len() {
            if range.contains(&self.stamps[n]) {
                self.stamps[kept] = self.stamps[n];
                self.cells.copy_within(n * width..(n + 1) * width, kept * width);
                kept += 1;
            }
        }
        self.stamps.truncate(kept);
        self.cells.truncate(kept * width);
    }
}

/// Room that a reader of segments goes on using.
#[derive(Default)]
pub struct Scratch {
    pack: Vec<u8>,
    unpacker: Unpacker,
    stamps: Vec<i64>,
    cells: Vec<u64>,
}

/// Where a segment is in its file, and what of.
#[derive(Debug, Clone)]
pub struct Place {
    pub attribute_id: Arc<str>,
    pub shape: Arc<Shape>,
    pub first: i64,
    pub last: i64,
    pub sealed_unix_ms: i64,
    /// Of each tier: where its part begins in the file, its bytes, its rows, and their checksum.
    parts: [(u64, Part); 3],
    /// Where it ends.
    pub end: u64,
}

/// Why a segment is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged(pub String);

impl From<BadPack> for Damaged {
    fn from(BadPack(what): BadPack) -> Self {
        Self(what)
    }
}

/// Minimum, maximum, sum and count of a leaf, as they grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum {
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: f64,
}

impl Sum {
    pub const NONE: Self =
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, count: 0.0 };

    pub fn add(&mut self, other: Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.count += other.count;
    }

    /// `None`: not a number.
    fn of(cell: u64) -> Option<Self> {
        let value = match Cell(cell).leaf() {
            Leaf::Float(value) => value,
            Leaf::Integer(value) => value as f64,
            _ => return None,
        };
        value.is_finite().then_some(Self { min: value, max: value, sum: value, count: 1.0 })
    }

    fn cells(self) -> [u64; SUMMED] {
        match self.count > 0.0 {
            true => [self.min, self.max, self.sum, self.count].map(f64::to_bits),
            false => [0; SUMMED],
        }
    }
}

/// Rows by the start of their period, in the order of time; of each, one [`Sum`] a leaf.
pub type Summed = std::collections::BTreeMap<i64, Vec<Sum>>;

/// Adds samples to what they come to in periods of `period_ms`.
pub fn sum_up(rows: &Rows, period_ms: i64, range: &Range<i64>, summed: &mut Summed) {
    let width = rows.shape.width();
    for (stamp, cells) in rows.stamps.iter().zip(rows.cells.chunks_exact(width.max(1))) {
        if !range.contains(stamp) {
            continue;
        }
        let start = stamp.div_euclid(period_ms).saturating_mul(period_ms);
        let sums = summed.entry(start).or_insert_with(|| vec![Sum::NONE; width]);
        for (sum, &cell) in sums.iter_mut().zip(cells) {
            if let Some(one) = Sum::of(cell) {
                sum.add(one);
            }
        }
    }
}

/// The segment's bytes.
pub fn seal(attribute_id: &str, rows: &Rows, sealed_unix_ms: i64) -> Vec<u8> {
    let width = rows.shape.width();
    let packs = Tier::ALL.map(|tier| match tier {
        Tier::Samples => (rows.stamps.len(), pack(&rows.stamps, &rows.cells, width)),
        Tier::Seconds | Tier::Minutes => {
            let mut summed = Summed::new();
            sum_up(rows, tier.period_ms(), &(i64::MIN..i64::MAX), &mut summed);
            let stamps: Vec<i64> = summed.keys().copied().collect();
            let cells: Vec<u64> = summed.values().flatten().flat_map(|sum| sum.cells()).collect();
            (stamps.len(), pack(&stamps, &cells, width * SUMMED))
        }
    });
    let parts = packs.each_ref().map(|(rows, pack)| Part {
        rows: *rows as u32,
        bytes: pack.len() as u32,
        sum: xxh3_64(pack),
    });
    let head = HeadV1 {
        attribute_id: attribute_id.into(),
        skeleton: rows.shape.skeleton().to_vec(),
        first: rows.stamps.iter().copied().min().unwrap_or(0),
        last: rows.stamps.iter().copied().max().unwrap_or(0),
        sealed_unix_ms,
        parts,
    };
    let head = postcard::to_stdvec(&head).expect("a head is made of what postcard writes");
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&xxh3_64(&head).to_le_bytes());
    bytes.extend_from_slice(&head);
    packs.iter().for_each(|(_, pack)| bytes.extend_from_slice(pack));
    bytes
}

/// The segment whose front begins at `at`. `read` gives bytes of the file. `None`: it ends there.
///
/// # Errors
/// What is there is no segment, or was cut off.
pub fn place_at(
    at: u64,
    len: u64,
    read: &mut dyn FnMut(u64, &mut [u8]) -> std::io::Result<()>,
) -> Result<Option<Place>, Damaged> {
    if at == len {
        return Ok(None);
    }
    let cut = || Damaged(format!("it is cut off at byte {at}"));
    let mut front = [0; FRONT_BYTES];
    read(at, &mut front).map_err(|_| cut())?;
    let (magic, rest) = front.split_at(4);
    let (head_len, sum) = rest.split_at(4);
    let head_len = u32::from_le_bytes(head_len.try_into().unwrap_or_default()) as usize;
    if magic != MAGIC || head_len > HEAD_BYTES_MAX {
        return Err(Damaged(format!("there is no segment at byte {at}")));
    }
    let mut head = vec![0; head_len];
    read(at + FRONT_BYTES as u64, &mut head).map_err(|_| cut())?;
    if xxh3_64(&head).to_le_bytes() != *sum {
        return Err(Damaged(format!("the head at byte {at} is damaged")));
    }
    let head: HeadV1 = crate::store::record::frozen(&head).map_err(|what| Damaged(what.0))?;
    let mut place = at + (FRONT_BYTES + head_len) as u64;
    let parts = head.parts.map(|part| {
        let begins = place;
        place += u64::from(part.bytes.min(PART_BYTES_MAX));
        (begins, part)
    });
    if place > len {
        return Err(cut());
    }
    Ok(Some(Place {
        attribute_id: head.attribute_id.into(),
        shape: Arc::new(Shape::from_skeleton(&head.skeleton)),
        first: head.first,
        last: head.last,
        sealed_unix_ms: head.sealed_unix_ms,
        parts,
        end: place,
    }))
}

impl Place {
    /// Reads a tier's part, and holds it against its checksum.
    fn load(
        &self,
        tier: Tier,
        read: &mut dyn FnMut(u64, &mut [u8]) -> std::io::Result<()>,
        pack: &mut Vec<u8>,
    ) -> Result<(), Damaged> {
        let (begins, Part { bytes, sum, .. }) = self.parts[tier as usize];
        pack.resize(bytes as usize, 0);
        read(begins, pack).map_err(|error| Damaged(error.to_string()))?;
        if xxh3_64(pack) != sum {
            return Err(Damaged(format!("the part at byte {begins} is damaged")));
        }
        Ok(())
    }

    /// Whether a tier's part is what was written.
    ///
    /// # Errors
    /// It is not.
    pub fn verify(
        &self,
        tier: Tier,
        read: &mut dyn FnMut(u64, &mut [u8]) -> std::io::Result<()>,
        scratch: &mut Scratch,
    ) -> Result<(), Damaged> {
        self.load(tier, read, &mut scratch.pack)
    }

    /// Puts rows of a tier behind those that are there.
    fn part(
        &self,
        tier: Tier,
        read: &mut dyn FnMut(u64, &mut [u8]) -> std::io::Result<()>,
        (pack, unpacker): (&mut Vec<u8>, &mut Unpacker),
        (stamps, cells): (&mut Vec<i64>, &mut Vec<u64>),
    ) -> Result<(), Damaged> {
        self.load(tier, read, pack)?;
        let (_, Part { rows, .. }) = self.parts[tier as usize];
        let width = self.shape.width() * if tier == Tier::Samples { 1 } else { SUMMED };
        Ok(unpacker.unpack(pack, rows as usize, width, stamps, cells)?)
    }

    /// Puts its samples with stamps in `range` behind those in `into`, which are of the same form.
    ///
    /// # Errors
    /// They are not what was written; there is no more than before.
    pub fn rows(
        &self,
        range: &Range<i64>,
        read: &mut dyn FnMut(u64, &mut [u8]) -> std::io::Result<()>,
        scratch: &mut Scratch,
        into: &mut Rows,
    ) -> Result<(), Damaged> {
        let from = into.stamps.len();
        let Scratch { pack, unpacker, .. } = scratch;
        let Rows { stamps, cells, .. } = &mut *into;
        self.part(Tier::Samples, read, (pack, unpacker), (stamps, cells))?;
        if self.first < range.start || self.last >= range.end {
            into.retain(from, range);
        }
        Ok(())
    }

    /// Adds its seconds or minutes that begin in `range` to periods of `period_ms`, a multiple of
    /// theirs.
    ///
    /// # Errors
    /// They are not what was written.
    pub fn sums(
        &self,
        tier: Tier,
        period_ms: i64,
        range: &Range<i64>,
        read: &mut dyn FnMut(u64, &mut [u8]) -> std::io::Result<()>,
        scratch: &mut Scratch,
        summed: &mut Summed,
    ) -> Result<(), Damaged> {
        let Scratch { pack, unpacker, stamps, cells } = scratch;
        stamps.clear();
        cells.clear();
        self.part(tier, read, (pack, unpacker), (&mut *stamps, &mut *cells))?;
        let width = self.shape.width();
        let rows = cells.chunks_exact((width * SUMMED).max(1));
        for (stamp, cells) in stamps.iter().zip(rows) {
            if !range.contains(stamp) {
                continue;
            }
            let start = stamp.div_euclid(period_ms).saturating_mul(period_ms);
            let sums = summed.entry(start).or_insert_with(|| vec![Sum::NONE; width]);
            for (sum, cells) in sums.iter_mut().zip(cells.chunks_exact(SUMMED)) {
                let [min, max, total, count] = [0, 1, 2, 3].map(|n| f64::from_bits(cells[n]));
                if count > 0.0 {
                    sum.add(Sum { min, max, sum: total, count });
                }
            }
        }
        Ok(())
    }

    /// Bytes of the part of this tier, and its rows.
    pub fn weight(&self, tier: Tier) -> (u64, u64) {
        let (_, part) = self.parts[tier as usize];
        (u64::from(part.bytes), u64::from(part.rows))
    }
}
