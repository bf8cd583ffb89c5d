//! What is kept comes back, cell for cell, and what is deleted is nowhere.

use std::fs;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
use components::cell::Cell;
use components::sample::Timestamp;
use futures_util::StreamExt;

use super::encode::{Format, Told};
use super::segment::{Summed, Tier};
use super::*;
use crate::clock::Now;
use crate::store::{Place, Readiness, StoreConfig, sections};

/// A history on made-up time, whose thread does nothing: the test does its work.
struct Archive {
    history: Arc<History>,
    ms: Arc<AtomicU64>,
    folder: PathBuf,
}

impl Archive {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("sensocto-history-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Self::again(folder)
    }

    fn again(folder: PathBuf) -> Self {
        let ms = Arc::new(AtomicU64::new(1_795_492_320_000));
        let time = Arc::clone(&ms);
        let clock = Clock::made_up(move || Now {
            engine: components::sample::EngineTime(0),
            unix_ms: time.load(Ordering::Relaxed) as i64,
        });
        let config = StoreConfig::new(Place::Folder(folder.clone()), sections(), clock.clone());
        let store = Store::start(config).unwrap();
        while *store.watch().borrow() != Readiness::Ready {
            std::thread::yield_now();
        }
        let history = History::start(
            Some(folder.join("history")),
            1 << 30,
            store,
            clock,
            &Supervisor::default(),
        )
        .unwrap();
        history.ending.store(true, Ordering::Release);
        let thread = lock(&history.thread).take().unwrap();
        thread.thread().unpark();
        thread.join().unwrap();
        history.hydrate().unwrap();
        Self { history, ms, folder }
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(future)
    }

    fn keep(&self, sensor_id: &str) -> Revision {
        self.block_on(self.history.keep(sensor_id, 24, 1 << 20, None)).unwrap()
    }

    /// Offers samples of one attribute as the tap would.
    fn offer(&self, sensor_id: &str, attribute_id: &str, samples: &[(i64, f64)]) {
        let stream = Stream { key: SensorKey::of(sensor_id), attribute_id: attribute_id.into() };
        let mut piece = Piece { streams: vec![Arc::new(stream)], ..Piece::default() };
        let feed = components::id::FeedId(components::id::Handle { slot: 0, generation: 0 });
        for (stamp, value) in samples {
            let cell = Cell::float(*value).unwrap();
            let payload = components::sample::Payload::Scalar(cell);
            piece.samples.push(feed, 0, Timestamp(*stamp), payload);
        }
        self.history.offer(piece);
    }

    fn work(&self) {
        self.history.work(&Arc::new(Shape::scalar()));
    }

    /// Takes what was offered, and after this time seals what is due.
    fn pass(&self, ms: u64) {
        self.work();
        self.ms.fetch_add(ms, Ordering::Relaxed);
        self.work();
    }

    fn samples(&self, sensor_id: &str, attribute_id: &str, range: Range<i64>) -> Vec<(i64, f64)> {
        let past = self.history.samples(sensor_id, attribute_id, &range).unwrap();
        let rows = past.forms.iter().flat_map(|(_, rows)| rows.stamps.iter().zip(&rows.cells));
        rows.map(|(stamp, cell)| (*stamp, f64::from_bits(*cell))).collect()
    }

    /// Every byte of every file below the folder of the past.
    fn bytes(&self) -> Vec<u8> {
        fn read(folder: &std::path::Path, bytes: &mut Vec<u8>) {
            for item in fs::read_dir(folder).into_iter().flatten() {
                let path = item.unwrap().path();
                if path.is_dir() {
                    read(&path, bytes);
                } else {
                    bytes.extend(fs::read(path).unwrap());
                }
            }
        }
        let mut bytes = Vec::new();
        read(&self.folder, &mut bytes);
        bytes
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.history.store.close();
    }
}

/// Four a second, from a made-up moment on.
fn wave(count: i64) -> Vec<(i64, f64)> {
    (0..count).map(|n| (n * 250, (n % 17) as f64 / 10.0)).collect()
}

#[test]
fn what_is_kept_comes_back_from_memory_and_from_the_disk_and_by_the_next_server() {
    let archive = Archive::new("back");
    let sent = wave(10_000);
    archive.offer("a", "ecg", &sent[..5_000]);
    archive.work();
    assert_eq!(archive.history.figures().lost, [0, 0, 0, 5_000], "nobody has asked for it");
    archive.keep("a");
    archive.offer("a", "ecg", &sent);
    archive.offer("b", "ecg", &sent);
    archive.work();
    assert_eq!(archive.samples("a", "ecg", 0..i64::MAX), sent);
    assert_eq!(archive.samples("a", "ecg", 1_000..2_000), sent[4..8]);
    assert!(archive.samples("a", "other", 0..i64::MAX).is_empty());
    let unknown = archive.history.samples("b", "ecg", &(0..1));
    assert_eq!(unknown.unwrap_err(), HistoryError::NotKept);
    archive.pass(shelf::SEAL_SLOW_MS as u64);
    assert_eq!(archive.samples("a", "ecg", 0..i64::MAX), sent);
    let folder = archive.folder.clone();
    drop(archive);
    let next = Archive::again(folder);
    assert_eq!(next.samples("a", "ecg", 0..i64::MAX), sent);
    let about = next.history.about("a").unwrap();
    assert_eq!((about.samples, &*about.attributes), (10_000, &["ecg".into()][..]));
    // It goes on behind what was there.
    next.offer("a", "ecg", &[(-5, 1.0)]);
    next.pass(shelf::SEAL_SLOW_MS as u64);
    assert_eq!(next.samples("a", "ecg", -10..1), [(-5, 1.0), (0, 0.0)], "late ones in their place");
}

#[test]
fn a_long_range_is_read_by_several_and_late_ones_are_in_their_place() {
    let archive = Archive::new("many");
    archive.keep("a");
    let mut sent = wave(70_000);
    archive.offer("a", "ecg", &sent);
    archive.work();
    assert_eq!(archive.samples("a", "ecg", 0..i64::MAX), sent);
    assert_eq!(archive.samples("a", "ecg", 250..17_499_750), sent[1..69_999]);
    archive.offer("a", "ecg", &[(250, 7.5)]);
    archive.pass(shelf::SEAL_SLOW_MS as u64);
    sent.insert(2, (250, 7.5));
    assert_eq!(archive.samples("a", "ecg", 0..i64::MAX), sent);
}

impl Archive {
    /// The answer as it is written whole, and in pieces if it is.
    fn answers(&self, format: Format, range: &Range<i64>) -> (Vec<u8>, Option<Vec<u8>>) {
        let past = self.history.samples("a", "ecg", range).unwrap();
        let told = Told { sensor_id: "a", attribute_id: "ecg", damaged: past.damaged };
        let whole = encode::samples(told, format, &past, None).unwrap().concat();
        let flow = self.history.flow("a", "ecg", range).unwrap();
        let pieces = flow.map(|flow| {
            let writer = flow.writer("a", "ecg", format).unwrap();
            let written = async { flow.pieces(writer).unwrap().collect::<Vec<_>>().await };
            let written = self.block_on(written).into_iter();
            written.map(Result::unwrap).collect::<Vec<_>>().concat()
        });
        (whole, pieces)
    }
}

/// The schema's metadata and all rows.
fn read_arrow(bytes: &[u8]) -> (String, Vec<(i64, f64)>) {
    let reader = arrow_ipc::reader::StreamReader::try_new(bytes, None).unwrap();
    let damaged = reader.schema().metadata()["damaged"].clone();
    let rows = reader.flat_map(|batch| {
        let batch = batch.unwrap();
        let times = batch.column(0).as_primitive::<TimestampMillisecondType>();
        let values = batch.column(1).as_primitive::<Float64Type>();
        times.values().iter().copied().zip(values.values().iter().copied()).collect::<Vec<_>>()
    });
    (damaged, rows.collect())
}

#[test]
fn a_long_answer_in_pieces_is_the_same_as_whole_and_tells_what_is_damaged() {
    let archive = Archive::new("pieces");
    archive.keep("a");
    // The last thousands are in no file yet.
    let sent = wave(150_000);
    archive.offer("a", "ecg", &sent);
    archive.work();
    for range in [0..i64::MAX, 250..sent[149_998].0, 0..sent[70_000].0] {
        let (whole, pieces) = archive.answers(Format::Json, &range);
        assert!(pieces.as_ref() == Some(&whole), "{range:?}");
        let (whole, pieces) = archive.answers(Format::Arrow, &range);
        let (damaged, rows) = read_arrow(&pieces.unwrap());
        assert!(rows == archive.samples("a", "ecg", range.clone()), "{range:?}");
        assert_eq!((damaged.as_str(), rows.len()), ("0", read_arrow(&whole).1.len()));
    }
    assert!(archive.answers(Format::Json, &(0..250_000)).1.is_none(), "a short one is whole");

    let found = lock(&archive.history.shelves)[&SensorKey::of("a")].find("ecg", &(0..i64::MAX));
    let (path, place) = found.places[7].clone();
    let of_samples = place.end - Tier::ALL.map(|tier| place.weight(tier).0).iter().sum::<u64>();
    let mut bytes = fs::read(&path).unwrap();
    bytes[of_samples as usize + 9] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (whole, pieces) = archive.answers(Format::Json, &(0..i64::MAX));
    assert!(pieces == Some(whole));
    let (damaged, rows) = read_arrow(&archive.answers(Format::Arrow, &(0..i64::MAX)).1.unwrap());
    assert_eq!(
        (damaged.as_str(), rows.len()),
        ("1", 150_000 - place.weight(Tier::Samples).1 as usize)
    );

    // One that came late lies in another segment, and in its place all the same.
    archive.offer("a", "ecg", &[(250, 7.5)]);
    archive.pass(shelf::SEAL_SLOW_MS as u64);
    assert!(archive.answers(Format::Json, &(0..i64::MAX)).1.is_none());
}

/// As a viewer goes back beyond what its ring gave it.
#[test]
fn pages_backwards_from_a_cursor_have_each_sample_once_though_three_share_a_stamp() {
    let archive = Archive::new("pages");
    archive.keep("a");
    let sent: Vec<(i64, f64)> = (0..10_000).map(|n| (n / 3 * 10, n as f64)).collect();
    archive.offer("a", "ecg", &sent);
    archive.pass(shelf::SEAL_SLOW_MS as u64);
    for (has_from, count) in [(9_901, 777), (9_902, 4_000), (9_903, 1), (4_097, 100_000), (1, 5)] {
        let stamp = sent[has_from].0;
        let have = sent[has_from..].iter().take_while(|(at, _)| *at == stamp).count() as u64;
        let mut cursor = Some(past::Cursor { before: stamp, have });
        let mut pages = Vec::new();
        while let Some(at) = cursor {
            let (page, older) = archive.history.before("a", "ecg", at, count).unwrap();
            let rows = page.forms.iter().flat_map(|(_, rows)| rows.stamps.iter().zip(&rows.cells));
            let rows: Vec<(i64, f64)> =
                rows.map(|(at, cell)| (*at, f64::from_bits(*cell))).collect();
            assert!(older.is_none() || (count..count + 3).contains(&rows.len()), "{}", rows.len());
            pages.push(rows);
            cursor = older;
            // One at a time it would take long.
            if pages.len() == 50 {
                break;
            }
        }
        let back: Vec<(i64, f64)> = pages.into_iter().rev().flatten().collect();
        assert_eq!(back, sent[has_from - back.len()..has_from]);
        assert!(cursor.is_some() || back.len() == has_from);
    }
    let none = archive.history.before("a", "ecg", past::Cursor { before: 0, have: 3 }, 10);
    assert!(none.unwrap().0.forms.is_empty());
    let unknown = archive.history.before("b", "ecg", past::Cursor { before: 0, have: 0 }, 10);
    assert_eq!(unknown.unwrap_err(), HistoryError::NotKept);
}

#[test]
fn long_views_are_what_the_samples_come_to_whichever_way_they_are_summed() {
    let archive = Archive::new("long");
    archive.keep("a");
    let sent = wave(40_000);
    for part in sent.chunks(999) {
        archive.offer("a", "ecg", part);
        archive.pass(shelf::SEAL_SLOW_MS as u64 + 1);
    }
    for (range, step) in [
        (0..9_999_000, 60_000),
        (0..9_960_000, 120_000),
        (3_000..90_000, 1_000),
        (250..7_777, 700),
        (0..60_000, 2_000),
    ] {
        let past = archive.history.summed("a", "ecg", &range, step).unwrap();
        let mut known = Summed::new();
        let within: Vec<_> = sent.iter().filter(|(stamp, _)| range.contains(stamp)).collect();
        for (stamp, value) in within {
            let sums = known.entry(stamp / step * step).or_insert_with(|| vec![segment::Sum::NONE]);
            sums[0].add(segment::Sum { min: *value, max: *value, sum: *value, count: 1.0 });
        }
        let [(_, summed)] = &past.forms[..] else { panic!("one form") };
        assert_eq!(summed.len(), known.len(), "{range:?} by {step}");
        for ((start, sums), (known_start, known)) in summed.iter().zip(&known) {
            let (sum, known) = (sums[0], known[0]);
            assert_eq!(
                (start, sum.min, sum.max, sum.count),
                (known_start, known.min, known.max, known.count)
            );
            assert!((sum.sum - known.sum).abs() < 1e-9 * known.count.max(1.0));
        }
    }
}

#[test]
fn what_is_deleted_is_in_no_file_any_more() {
    let archive = Archive::new("deleted");
    archive.keep("anna:marker");
    archive.keep("bert");
    // Bits that no lane and no zstd makes shorter: they are in the file as they are.
    let marker: Vec<(i64, f64)> = (0..500u64)
        .map(|n| {
            (
                n as i64,
                f64::from_bits(0x3FF0_0000_0000_0000 | n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12),
            )
        })
        .collect();
    archive.offer("anna:marker", "marked_attribute", &marker);
    archive.offer("bert", "other_attribute", &marker);
    archive.pass(shelf::SEAL_SLOW_MS as u64);
    let has = |bytes: &[u8], word: &str| {
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    };
    let bytes = archive.bytes();
    assert!(has(&bytes, "marked_attribute") && has(&bytes, "other_attribute"));
    assert!(!has(&bytes, "anna:marker"), "a name is nowhere");
    // Whoever holds the file sees it overwritten: it is not only out of the list.
    let folder = archive.folder.join("history").join(SensorKey::of("anna:marker").folder());
    let path = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let held = fs::File::open(path).unwrap();
    archive.block_on(archive.history.delete("anna:marker")).unwrap();
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut &held, &mut left).unwrap();
    assert!(!left.is_empty() && left.iter().all(|byte| *byte == 0));
    let bytes = archive.bytes();
    assert!(!has(&bytes, "marked_attribute") && has(&bytes, "other_attribute"));
    assert_eq!(
        archive.history.samples("anna:marker", "marked_attribute", &(0..9)).unwrap_err(),
        HistoryError::NotKept
    );
    assert_eq!(archive.samples("bert", "other_attribute", 0..i64::MAX), marker);
    let again = archive.block_on(archive.history.delete("anna:marker"));
    assert_eq!(again, Err(HistoryError::NotKept));
    let folder = archive.folder.clone();
    drop(archive);
    assert_eq!(Archive::again(folder).history.figures().sensors, 1, "nor does it come back");
}

#[test]
fn the_oldest_gives_way_by_size_and_by_age() {
    let archive = Archive::new("retained");
    archive.keep("a");
    // Noise, so that a megabyte is soon full.
    let noise = |from: i64| -> Vec<(i64, f64)> {
        let value = |n: i64| {
            f64::from_bits(
                0x3FF0_0000_0000_0000 | (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12,
            )
        };
        (from..from + 40_000).map(|n| (n, value(n))).collect()
    };
    for n in 0..20 {
        archive.offer("a", "x", &noise(n * 40_000));
        // A file spans an eighth of what is kept.
        archive.pass(3_600_000 * 3);
    }
    let about = archive.history.about("a").unwrap();
    assert!(about.bytes <= 1 << 20, "{about:?}");
    let kept = archive.samples("a", "x", 0..i64::MAX);
    assert!(!kept.is_empty() && kept[0].0 > 0, "the oldest has gone");
    assert_eq!(kept.last().unwrap().0, 20 * 40_000 - 1);
    archive.pass(3_600_000 * 48);
    assert_eq!(archive.samples("a", "x", 0..i64::MAX), [], "nor does what came last stay for ever");
    assert_eq!(archive.history.about("a").unwrap().bytes, 0);
    archive.offer("a", "x", &[(5, 5.0)]);
    archive.pass(60_000);
    assert_eq!(archive.samples("a", "x", 0..i64::MAX), [(5, 5.0)]);
}

#[test]
fn a_segment_that_rots_or_is_cut_is_left_out_and_told() {
    let archive = Archive::new("rots");
    archive.keep("a");
    for n in 0..3 {
        archive.offer(
            "a",
            "x",
            &wave(100).iter().map(|(t, v)| (t + n * 100_000, *v)).collect::<Vec<_>>(),
        );
        archive.pass(60_000);
    }
    let folder = archive.folder.join("history").join(SensorKey::of("a").folder());
    let path = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    let third = whole.len() / 3;
    for bit in 0..whole.len() * 8 {
        if bit % 97 != 0 {
            continue;
        }
        let mut rotten = whole.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &rotten).unwrap();
        let past = archive.history.samples("a", "x", &(0..i64::MAX));
        // The heads are known by heart; a part that is not what it was is left out.
        let rows: usize =
            past.as_ref().unwrap().forms.iter().map(|(_, rows)| rows.stamps.len()).sum();
        assert!(rows + past.unwrap().damaged as usize * 100 == 300, "bit {bit}");
    }
    fs::write(&path, &whole[..third * 2 + 20]).unwrap();
    let opened = Shelf::open(
        folder,
        HistoryRecord { keep_hours: 1, bytes_max: 1, since_unix_ms: 0, room: None },
    );
    let opened = opened.unwrap();
    assert_eq!((opened.weight().1, opened.damaged), (200, 1));
}

#[test]
fn what_waits_is_bounded_and_text_is_counted() {
    let archive = Archive::new("bounded");
    archive.keep("a");
    let many: Vec<(i64, f64)> = (0..WAITING_SAMPLE_COUNT_MAX as i64).map(|n| (n, 1.0)).collect();
    archive.offer("a", "x", &many);
    archive.offer("a", "x", &many[..7]);
    assert_eq!(archive.history.figures().lost, [7, 0, 0, 0]);
    archive.work();
    let conflict = archive.block_on(archive.history.keep("a", 1, 1, Some(Revision(0))));
    assert!(matches!(conflict, Err(HistoryError::Refused(Refused::Conflict { .. }))));
    let too_much = archive.block_on(archive.history.keep("b", 1, 1 << 30, None));
    assert_eq!(too_much, Err(HistoryError::NoRoom { bytes_max: 1 << 30 }));
}

/// Ends without a word, and begins again in the same folder.
fn killed(archive: Archive) -> Archive {
    let folder = archive.folder.clone();
    drop(archive);
    Archive::again(folder)
}

fn pending_files(archive: &Archive) -> Vec<PathBuf> {
    let items =
        fs::read_dir(archive.folder.join("history")).unwrap().map(|item| item.unwrap().path());
    let mut files: Vec<PathBuf> = items.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn what_was_shown_survives_a_kill_at_any_moment_and_comes_once() {
    let mut archive = Archive::new("kills");
    archive.keep("a");
    archive.keep("b");
    let sent = wave(20_000);
    // Few, many, some that fill a segment; sealed by time and by count, or not at all.
    let (mut at, mut kills) = (0, 0);
    for (count, pass_ms) in
        (0..48).map(|n: usize| ([1, 70, 700, 4_097][n % 4], [0, 50, 11_000, 61_000][n / 4 % 4]))
    {
        let until = (at + count).min(sent.len());
        archive.offer("a", "x", &sent[at..until]);
        archive.offer("b", "y", &sent[at..until]);
        at = until;
        archive.pass(pass_ms);
        assert_eq!(archive.samples("a", "x", 0..i64::MAX), sent[..at]);
        if count != 70 {
            archive = killed(archive);
            kills += 1;
            assert_eq!(archive.samples("a", "x", 0..i64::MAX), sent[..at], "after {kills} kills");
            assert_eq!(archive.samples("b", "y", 0..i64::MAX), sent[..at]);
        }
    }
    assert_eq!((kills, archive.history.figures().damaged), (36, 0));
    // It is out of the queue, and nobody has seen it yet: that is what a kill may take.
    archive.offer("a", "x", &[(9, 9.0)]);
    archive = killed(archive);
    assert_eq!(archive.samples("a", "x", 0..i64::MAX), sent[..at]);
    archive.block_on(archive.history.delete("b")).unwrap();
    archive = killed(archive);
    assert_eq!(archive.history.about("b"), None);
}

#[test]
fn of_what_was_cut_off_or_rots_before_it_was_sealed_the_rest_comes() {
    let archive = Archive::new("torn");
    archive.keep("a");
    let sent = wave(60);
    for part in sent.chunks(20) {
        archive.offer("a", "x", part);
        archive.work();
    }
    let folder = archive.folder.clone();
    let file = pending_files(&archive).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    drop(archive);
    let kept = |bytes: &[u8]| {
        for other in fs::read_dir(folder.join("history")).unwrap().map(|item| item.unwrap().path())
        {
            let _ = fs::remove_dir_all(&other).or_else(|_| fs::remove_file(&other));
        }
        fs::write(&file, bytes).unwrap();
        let archive = Archive::again(folder.clone());
        assert_eq!(pending_files(&archive), Vec::<PathBuf>::new(), "it is sealed, and gone");
        (archive.samples("a", "x", 0..i64::MAX), archive.history.figures().damaged)
    };
    assert_eq!(kept(&whole), (sent.clone(), 0));
    for cut in (0..whole.len()).step_by(61) {
        let entries = [0, 20, 40, 60];
        let (rows, damaged) = kept(&whole[..cut]);
        assert!(entries.contains(&rows.len()) && rows == sent[..rows.len()], "cut at {cut}");
        assert_eq!(damaged, 0, "a kill cuts");
    }
    for bit in (0..whole.len() * 8).step_by(331) {
        let mut rotten = whole.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        let (rows, damaged) = kept(&rotten);
        let length_is_longer = rows.len() < 60 && damaged == 0;
        assert!(rows.iter().all(|row| sent.contains(row)), "bit {bit}: nothing wrong is served");
        assert!(damaged > 0 || length_is_longer, "bit {bit}: {} rows", rows.len());
    }
}

#[test]
fn what_is_sealed_does_not_stay_pending_for_ever() {
    let archive = Archive::new("turns");
    archive.keep("a");
    let sent = wave(2_000);
    let mut most = 0;
    for part in sent.chunks(10) {
        archive.offer("a", "x", part);
        archive.pass(5_000);
        most = most.max(pending_files(&archive).len());
    }
    assert_eq!(most, 2, "the one that is written to, and the one before");
    let oldest = pending_files(&archive).remove(0);
    assert!(!oldest.ends_with("0000000001.pending"), "{oldest:?}");
    assert_eq!(archive.samples("a", "x", 0..i64::MAX), sent);
    assert_eq!(killed(archive).samples("a", "x", 0..i64::MAX), sent);
}
