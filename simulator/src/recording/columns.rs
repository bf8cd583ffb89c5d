//! Samples of one form as columns, packed: the lanes of a recording's block, for whoever keeps
//! samples elsewhere.
//!
//! Time stamps are differences of differences, values lanes (see [`lane`](super::lane)), and all of
//! it goes through zstd, to which a device that keeps its pace is a long row of zeros.

use super::bytes::{Cursor, put_signed};
use super::lane;

/// Rows in one pack.
pub const ROW_COUNT_MAX: usize = 1 << 16;

/// Weighed on an ECG: 3 takes a tenth less than 1, at a third less speed; beyond, nothing is gained.
const LEVEL: i32 = 1;

/// Bytes that a row of one cell takes at most before zstd: a varint of ten for the stamp, a kind, a
/// raw cell.
const ROW_BYTES_MAX: usize = 10;
const CELL_BYTES_MAX: usize = 11;

/// Why a pack is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPack(pub String);

/// Packs rows of `width` cells each, row after row.
pub fn pack(stamps: &[i64], cells: &[u64], width: usize) -> Vec<u8> {
    assert_eq!(cells.len(), stamps.len() * width, "each row has all of its cells");
    let mut flat = Vec::with_capacity(stamps.len() * 2 * (1 + width));
    let (mut before, mut pace) = (0i64, 0i64);
    for &stamp in stamps {
        let step = stamp.wrapping_sub(before);
        put_signed(&mut flat, step.wrapping_sub(pace));
        (before, pace) = (stamp, step);
    }
    let mut scratch = lane::Scratch::default();
    let mut column = Vec::with_capacity(stamps.len());
    for n in 0..width {
        column.clear();
        column.extend(cells.iter().skip(n).step_by(width));
        lane::encode(&column, &mut scratch, &mut flat);
    }
    zstd::bulk::compress(&flat, LEVEL).expect("memory is all it needs")
}

/// Unpacks one pack after the other, in the same room: making it anew costs as much as what it is for.
pub struct Unpacker {
    zstd: zstd::bulk::Decompressor<'static>,
    flat: Vec<u8>,
}

impl Default for Unpacker {
    fn default() -> Self {
        let zstd = zstd::bulk::Decompressor::new().expect("memory is all it needs");
        Self { zstd, flat: Vec::new() }
    }
}

impl Unpacker {
    /// Puts stamps, and cells row after row, behind those that are there.
    ///
    /// # Errors
    /// It is not a pack of `count` rows of `width` cells; there is no more than before.
    pub fn unpack(
        &mut self,
        pack: &[u8],
        count: usize,
        width: usize,
        stamps: &mut Vec<i64>,
        cells: &mut Vec<u64>,
    ) -> Result<(), BadPack> {
        let before = (stamps.len(), cells.len());
        self.append(pack, count, width, stamps, cells).inspect_err(|_| {
            stamps.truncate(before.0);
            cells.truncate(before.1);
        })
    }

    fn append(
        &mut self,
        pack: &[u8],
        count: usize,
        width: usize,
        stamps: &mut Vec<i64>,
        cells: &mut Vec<u64>,
    ) -> Result<(), BadPack> {
        if count > ROW_COUNT_MAX {
            return Err(BadPack(format!("{count} rows are more than there may be")));
        }
        let Self { zstd, flat } = self;
        flat.clear();
        flat.reserve(count * (ROW_BYTES_MAX + CELL_BYTES_MAX * width) + 16 * (width + 1));
        zstd.decompress_to_buffer(pack, flat).map_err(|error| BadPack(error.to_string()))?;
        let mut cursor = Cursor::new(flat);
        let bad = |malformed: super::bytes::Malformed| BadPack(format!("it {}", malformed.0));
        stamps.reserve(count);
        let (mut stamp, mut pace) = (0i64, 0i64);
        let mut left = count;
        while left > 0 {
            // As long as the pace stays as it is.
            let steady = cursor.zeros(left);
            let from = stamp;
            stamps.extend((1..=steady as i64).map(|n| from.wrapping_add(pace.wrapping_mul(n))));
            stamp = from.wrapping_add(pace.wrapping_mul(steady as i64));
            left -= steady;
            if left > 0 {
                pace = pace.wrapping_add(cursor.signed().map_err(bad)?);
                stamp = stamp.wrapping_add(pace);
                stamps.push(stamp);
                left -= 1;
            }
        }
        let from = cells.len();
        cells.resize(from + count * width, 0);
        for n in 0..width {
            // Without a row there is no n-th cell to begin at.
            let places = cells.get_mut(from + n..).unwrap_or_default();
            lane::decode(&mut cursor, count, width, places).map_err(bad)?;
        }
        if cursor.is_empty() { Ok(()) } else { Err(BadPack("it goes on behind its end".into())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(pack: &[u8], count: usize, width: usize) -> Result<(Vec<i64>, Vec<u64>), BadPack> {
        // Behind what is there, which stays.
        let (mut stamps, mut cells) = (vec![5], vec![6]);
        let unpacked = Unpacker::default().unpack(pack, count, width, &mut stamps, &mut cells);
        assert_eq!((stamps.remove(0), cells.remove(0)), (5, 6));
        assert!(unpacked.is_ok() || stamps.is_empty() && cells.is_empty());
        unpacked.map(|()| (stamps, cells))
    }

    #[test]
    fn rows_come_back_and_a_steady_pace_costs_nothing() {
        let stamps: Vec<i64> = (0..1000).map(|n| 1_795_492_320_999 + n * 4).collect();
        let cells: Vec<u64> = (0..1000)
            .flat_map(|n| [(f64::from(n % 100) / 1e3).to_bits(), (f64::from(n) / 3.0).to_bits()])
            .collect();
        let packed = pack(&stamps, &cells, 2);
        assert_eq!(unpack(&packed, 1000, 2).unwrap(), (stamps.clone(), cells));
        let flat = vec![1.5f64.to_bits(); 1000];
        assert!(pack(&stamps, &flat, 1).len() < 60);
        assert_eq!(unpack(&pack(&[], &[], 3), 0, 3).unwrap(), (vec![], vec![]));
        let wild = [i64::MAX, i64::MIN, 0, -1];
        assert_eq!(unpack(&pack(&wild, &[7; 4], 1), 4, 1).unwrap().0, wild);
    }

    #[test]
    fn what_is_no_pack_is_refused() {
        let packed = pack(&[1, 2, 3], &[1.0f64.to_bits(); 3], 1);
        assert!(unpack(&packed, 4, 1).is_err() && unpack(&packed, 2, 1).is_err());
        assert!(unpack(&packed, 3, 2).is_err() && unpack(&packed, usize::MAX, 1).is_err());
        assert!(unpack(&packed[1..], 3, 1).is_err() && unpack(&[], 3, 1).is_err());
    }
}
