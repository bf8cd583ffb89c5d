//! The store on disks that lie, fail, fill up and rot.

mod disk;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use serde::Deserialize;

use super::record::{Unreadable, frozen, unknown_version};
use super::*;
use crate::belongings::record::{ConnectorRecord, CredentialRecord, SensorRecord};
use crate::clock::Now;
use crate::consent::record::{GrantRecord, PrivacyRecord};
use crate::history::HistoryRecord;
use crate::history::rooms::RoomPastRecord;
use crate::people::record::{AccountRecord, SessionRecord};
use crate::rooms::chat::record::MessageRecord;
use crate::rooms::record::{RoomRecord, TicketKeyRecord};
use crate::viewer::keeping::TokenRecord;
use disk::Chance;
pub(super) use disk::Disk;

/// How long a test waits for what must happen. Nothing is asserted about how long it took.
const PATIENCE: Duration = Duration::from_secs(30);

/// A room as it might be, in its third version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
struct Room {
    name: String,
    seats: u32,
    open: bool,
}

#[derive(Deserialize, serde::Serialize)]
struct RoomV1 {
    name: String,
}

#[derive(Deserialize, serde::Serialize)]
struct RoomV2 {
    name: String,
    seats: u32,
}

#[derive(Deserialize)]
struct RoomV3 {
    name: String,
    seats: u32,
    open: bool,
}

impl From<RoomV1> for RoomV2 {
    fn from(RoomV1 { name }: RoomV1) -> Self {
        Self { name, seats: 10 }
    }
}

impl From<RoomV2> for RoomV3 {
    fn from(RoomV2 { name, seats }: RoomV2) -> Self {
        Self { name, seats, open: true }
    }
}

impl From<RoomV3> for Room {
    fn from(RoomV3 { name, seats, open }: RoomV3) -> Self {
        Self { name, seats, open }
    }
}

impl Record for Room {
    const TABLE: &'static str = "parlours";
    const SECTION: u16 = 9000;
    const VERSION: u16 = 3;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<RoomV1>(body).map(|v1| RoomV3::from(RoomV2::from(v1)).into()),
            2 => frozen::<RoomV2>(body).map(|v2| RoomV3::from(v2).into()),
            3 => frozen::<RoomV3>(body).map(Self::from),
            _ => Err(unknown_version(version)),
        }
    }
}

/// The same table, as an older program knows it.
#[derive(Debug, serde::Serialize)]
struct OldRoom {
    name: String,
}

impl Record for OldRoom {
    const TABLE: &'static str = Room::TABLE;
    const SECTION: u16 = Room::SECTION;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        match version {
            1 => frozen::<RoomV1>(body).map(|RoomV1 { name }| Self { name }),
            _ => Err(unknown_version(version)),
        }
    }
}

fn room(name: impl Into<String>) -> Room {
    Room { name: name.into(), seats: 3, open: false }
}

fn rooms() -> Vec<Section> {
    vec![Section::of::<Room>()]
}

fn config(place: Place) -> StoreConfig {
    let clock = Clock::made_up(|| Now { engine: components::sample::EngineTime(0), unix_ms: 7 });
    StoreConfig {
        retry_first: Duration::from_millis(1),
        rest: Duration::from_millis(5),
        scrub_period: Duration::from_secs(3600),
        ..StoreConfig::new(place, rooms(), clock)
    }
}

/// A store, and a thread that waits for it.
struct Bench {
    store: Store,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(config: StoreConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { store: Store::start(config).unwrap(), runtime }
    }

    fn on(disk: &Disk) -> Self {
        Self::new(config(Place::Disk(disk.clone())))
    }

    fn table(&self) -> Table<Room> {
        self.store.table()
    }

    fn until(&self, wanted: impl FnMut(&Readiness) -> bool) -> Readiness {
        let mut readiness = self.store.watch();
        self.runtime.block_on(async move { readiness.wait_for(wanted).await.unwrap().clone() })
    }

    fn until_ready(&self) {
        self.until(|readiness| *readiness == Readiness::Ready);
    }

    fn settled(&self) -> Readiness {
        self.until(|readiness| *readiness != Readiness::Hydrating)
    }

    fn trouble(&self) -> Trouble {
        match self.settled() {
            Readiness::Failed(error) => error.what.clone(),
            other => panic!("it should have failed, and is {other:?}"),
        }
    }

    fn commit(&self, changes: Vec<Change>) -> Result<Revision, Refused> {
        self.runtime.block_on(self.store.commit(changes))
    }

    fn put(&self, key: &[u8], name: impl Into<String>) -> Result<Revision, Refused> {
        self.commit(vec![self.table().put(key, &room(name), Expect::Any)])
    }

    /// What is served, by key; what is rotten is not.
    fn served(&self) -> BTreeMap<Vec<u8>, String> {
        let all = self.table().all().unwrap();
        all.into_iter().flatten().map(|entry| (entry.key.to_vec(), entry.record.name)).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.store.close();
    }
}

/// Goes with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("sensocto-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    fn place(&self) -> Place {
        Place::Folder(self.0.clone())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_changed_meanwhile_is_not_overwritten() {
    let bench = Bench::on(&Disk::default());
    let table = bench.table();
    let put =
        |key: &[u8], name: &str, expect| bench.commit(vec![table.put(key, &room(name), expect)]);
    let first = put(b"a", "one", Expect::Absent).unwrap();
    let found = Some(first);
    assert_eq!(put(b"a", "two", Expect::Absent), Err(Refused::Conflict { found }));
    let second = put(b"a", "two", Expect::At(first)).unwrap();
    assert!(second > first);
    let late = put(b"a", "late", Expect::At(first));
    assert_eq!(
        late,
        Err(Refused::Conflict { found: Some(second) }),
        "an older word comes too late"
    );
    assert_eq!(bench.served()[b"a".as_slice()], "two");
    bench.commit(vec![table.delete(b"a", Expect::At(second))]).unwrap();
    assert_eq!(put(b"a", "x", Expect::At(second)), Err(Refused::Conflict { found: None }));
    let third = put(b"a", "one", Expect::Absent).unwrap();
    assert!(third > second, "made anew, it is another record");
    assert_eq!(bench.store.report().refused, [0, 0, 3, 0, 0]);
}

#[test]
fn of_changes_that_belong_together_all_are_made_or_none() {
    let bench = Bench::on(&Disk::default());
    let table = bench.table();
    bench.put(b"b", "there").unwrap();
    let both = vec![
        table.put(b"a", &room("new"), Expect::Absent),
        table.put(b"b", &room("new"), Expect::Absent),
    ];
    assert!(matches!(bench.commit(both), Err(Refused::Conflict { .. })));
    assert_eq!(bench.served(), [(b"b".to_vec(), "there".to_owned())].into());
    let both = vec![table.put(b"a", &room("new"), Expect::Absent), table.delete(b"b", Expect::Any)];
    bench.commit(both).unwrap();
    assert_eq!(bench.served(), [(b"a".to_vec(), "new".to_owned())].into());
}

/// Pairs that are written together, over and over, until the power goes.
fn write_pairs(
    bench: &Bench,
    chance: &mut Chance,
    acknowledged: &mut BTreeMap<u64, u64>,
    asked: &mut BTreeMap<u64, u64>,
) {
    let table = bench.table();
    for _ in 0..1 + chance.below(12) {
        let (pair, value) = (chance.below(6), chance.next());
        let text = format!("{value:x}{}", "-".repeat(chance.below(3000) as usize));
        let key = |half: u8| [&pair.to_be_bytes()[..], &[half]].concat();
        let changes = vec![
            table.put(&key(0), &room(&*text), Expect::Any),
            table.put(&key(1), &room(&*text), Expect::Any),
        ];
        asked.insert(pair, value);
        if chance.below(4) == 0 {
            bench.store.write(changes).unwrap();
        } else {
            bench.commit(changes).unwrap();
            // Whatever waited was written with it.
            acknowledged.clone_from(asked);
        }
    }
}

fn value_of(text: &str) -> u64 {
    u64::from_str_radix(text.trim_end_matches('-'), 16).unwrap()
}

#[test]
fn what_was_acknowledged_outlives_a_power_cut_that_tears_pages() {
    for seed in 0..150 {
        let mut chance = Chance::new(seed);
        let mut disk = Disk::default();
        let (mut acknowledged, mut asked) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..3 {
            let bench = Bench::on(&disk);
            write_pairs(&bench, &mut chance, &mut acknowledged, &mut asked);
            disk = disk.cut_power(&mut chance);
            drop(bench);
            let again = Bench::on(&disk);
            again.until_ready();
            let served = again.served();
            for (pair, value) in &acknowledged {
                let half = |half: u8| served.get(&[&pair.to_be_bytes()[..], &[half]].concat());
                let (one, two) = (half(0).unwrap(), half(1).unwrap());
                assert_eq!(one, two, "seed {seed}: half of a pair");
                let served = value_of(one);
                assert!(served == *value || served == asked[pair], "seed {seed}: lost");
            }
            drop(again);
            let known = served.into_iter().map(|(key, text)| {
                (u64::from_be_bytes(key[..8].try_into().unwrap()), value_of(&text))
            });
            acknowledged = known.collect();
            asked.clone_from(&acknowledged);
        }
    }
}

#[test]
fn a_disk_that_forgets_syncs_never_has_us_serve_what_was_not_written() {
    let (mut sound, mut refused) = (0, 0);
    for seed in 0..150 {
        let mut chance = Chance::new(seed);
        let disk = Disk::default();
        let mut written: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
        let bench = Bench::on(&disk);
        bench.put(b"first", "first").unwrap();
        written.insert(b"first".to_vec(), vec!["first".to_owned()]);
        disk.lie();
        for n in 0..1 + chance.below(30) {
            let (key, text) = (chance.below(9).to_be_bytes(), format!("{n}-{}", chance.next()));
            bench.put(&key, &*text).unwrap();
            written.entry(key.to_vec()).or_default().push(text);
        }
        let disk = disk.cut_power(&mut chance);
        drop(bench);
        let again = Bench::on(&disk);
        match again.settled() {
            Readiness::Ready => {
                sound += 1;
                let served = again.served();
                assert!(served.contains_key(b"first".as_slice()), "seed {seed}: it was synced");
                for (key, text) in served {
                    assert!(written[&key].contains(&text), "seed {seed}: {text} was never written");
                }
            }
            Readiness::Failed(error) => {
                refused += 1;
                assert!(matches!(error.what, Trouble::Damaged(_) | Trouble::Foreign(_)), "{error}");
            }
            Readiness::Hydrating => unreachable!(),
        }
    }
    assert!(sound > 10 && refused > 10, "both happen: {sound}, {refused}");
}

#[test]
fn whichever_write_fails_nothing_is_lost_and_nothing_is_written_twice() {
    for seed in 0..120 {
        let mut chance = Chance::new(seed);
        let disk = Disk::default();
        let bench = Bench::on(&disk);
        bench.until_ready();
        disk.fail_after(seed % 40, ErrorKind::Other);
        let table = bench.table();
        let mut revision = bench.put(b"counter", "0").unwrap();
        for n in 1..=10 {
            // Compare-and-set: a change that is made twice would be refused the second time.
            let next = table.put(b"counter", &room(n.to_string()), Expect::At(revision));
            revision = bench.commit(vec![next]).expect("made once");
            let pad = "-".repeat(chance.below(9000) as usize);
            bench.put(&[n as u8], pad).unwrap();
        }
        bench.until_ready();
        assert_eq!(bench.served()[b"counter".as_slice()], "10", "seed {seed}");
        assert_eq!(bench.served().len(), 11);
    }
}

#[test]
fn a_full_disk_keeps_what_was_acknowledged_and_takes_what_waited_when_there_is_room() {
    let disk = Disk::default();
    let bench = Bench::on(&disk);
    bench.until_ready();
    disk.set_room(Some(disk.bytes().len() + 100_000));
    let table = bench.table();
    let mut asked = 0u64;
    while *bench.store.watch().borrow() == Readiness::Ready {
        let change = table.put(&asked.to_be_bytes(), &room("x".repeat(50_000)), Expect::Any);
        bench.store.write(vec![change]).unwrap();
        asked += 1;
        if asked.is_multiple_of(8) {
            std::thread::yield_now();
        }
        if asked > 800 {
            bench.until(|readiness| *readiness != Readiness::Ready);
        }
    }
    let Readiness::Failed(error) = bench.until(|r| matches!(r, Readiness::Failed(_))) else {
        unreachable!()
    };
    assert!(matches!(error.what, Trouble::Full(_)), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    assert_eq!(bench.table().all().unwrap_err(), ReadError::NotReady);
    disk.set_room(None);
    bench.until_ready();
    bench.put(b"last", "last").unwrap();
    assert_eq!(bench.served().len() as u64, asked + 1);
}

#[test]
fn while_the_disk_is_away_changes_wait_up_to_a_bound_and_are_then_refused() {
    let disk = Disk::default();
    let limits = StoreConfig { waiting_count_max: 10, ..config(Place::Disk(disk.clone())) };
    let bench = Bench::new(limits);
    bench.put(b"before", "before").unwrap();
    disk.set_dead(Some(ErrorKind::Other));
    let table = bench.table();
    let change = |n: u8| vec![table.put(&[n], &room("x"), Expect::Any)];
    // This one meets the disk, and is held until it is there again.
    bench.store.write(change(0)).unwrap();
    bench.until(|readiness| matches!(readiness, Readiness::Failed(_)));
    let taken = (1..=11).filter(|n| bench.store.write(change(*n)).is_ok()).count();
    assert_eq!(taken, 10);
    assert_eq!(bench.store.write(change(99)), Err(Refused::Full));
    let report = bench.store.report();
    assert_eq!((report.waiting_count, report.refused[0]), (10, 2));
    assert!(report.failures > 0);
    disk.set_dead(None);
    bench.until_ready();
    while bench.store.report().waiting_count > 0 {
        std::thread::yield_now();
    }
    bench.put(b"after", "after").unwrap();
    assert_eq!(bench.served().len(), 13, "before, after, and eleven that waited");
    assert_eq!(bench.store.report().waiting_count, 0);
}

#[test]
fn whoever_waits_when_the_store_ends_without_its_disk_hears_so() {
    let disk = Disk::default();
    disk.set_dead(Some(ErrorKind::ReadOnlyFilesystem));
    let bench = Bench::on(&disk);
    assert!(matches!(bench.trouble(), Trouble::ReadOnly(_)));
    let table = bench.table();
    let waiting = bench.store.commit(vec![table.put(b"a", &room("a"), Expect::Any)]);
    bench.store.close();
    assert_eq!(bench.runtime.block_on(waiting), Err(Refused::Closed));
    assert_eq!(bench.store.write(vec![table.delete(b"a", Expect::Any)]), Err(Refused::Closed));
}

/// A closed store of some records, and its bytes.
fn closed_store() -> (Vec<u8>, BTreeMap<Vec<u8>, String>) {
    let disk = Disk::default();
    let bench = Bench::on(&disk);
    for n in 0u64..300 {
        bench
            .store
            .write(vec![bench.table().put(
                &n.to_be_bytes(),
                &room("r".repeat(n as usize)),
                Expect::Any,
            )])
            .unwrap();
    }
    bench.put(b"last", "last").unwrap();
    let served = bench.served();
    drop(bench);
    (disk.bytes(), served)
}

#[test]
fn no_flipped_bit_is_served_as_data() {
    let (bytes, written) = closed_store();
    // Where something is: most of a small file of redb is empty.
    let full: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let mut chance = Chance::new(1);
    let (mut refused, mut unseen) = (0, 0);
    for n in 0..600 {
        let at = match n % 3 {
            0 => chance.below(bytes.len() as u64) as usize,
            1 => full[chance.below(full.len() as u64) as usize],
            // The header.
            _ => chance.below(320) as usize,
        };
        let bit = at * 8 + chance.below(8) as usize;
        let disk = Disk::of(bytes.clone());
        disk.flip(bit);
        match Place::Disk(disk.clone()).open(&rooms(), 0) {
            Err(_) => refused += 1,
            Ok(db) => {
                unseen += 1;
                drop(db);
                let bench = Bench::on(&disk);
                bench.until_ready();
                assert_eq!(bench.served(), written, "bit {bit} was flipped, and that was served");
            }
        }
    }
    assert!(refused > 200 && unseen > 50, "both happen: {refused}, {unseen}");
}

#[test]
fn a_damaged_store_is_told_where_and_left_as_it_is() {
    let (bytes, _) = closed_store();
    let at = bytes.windows(40).position(|window| window == [b'r'; 40]).unwrap();
    let disk = Disk::of(bytes);
    disk.flip(at * 8);
    let before = disk.bytes();
    let bench = Bench::on(&disk);
    let Readiness::Failed(error) = bench.settled() else { panic!("it should not be served") };
    let told = error.to_string();
    assert!(told.contains("table `parlours`, key 00000000"), "{told}");
    assert!(told.contains("checksum does not match") && told.contains("restore"), "{told}");
    assert!(bench.store.table::<Room>().all().is_err());
    drop(bench);
    assert_eq!(disk.bytes(), before);
}

#[test]
fn what_rots_under_a_running_server_is_found_by_the_scrubber_and_told() {
    let (bytes, written) = closed_store();
    let disk = Disk::of(bytes);
    let scrubbing =
        StoreConfig { scrub_period: Duration::ZERO, ..config(Place::Disk(disk.clone())) };
    let bench = Bench::new(scrubbing);
    bench.until_ready();
    let until = |wanted: &dyn Fn(&Report) -> bool| {
        let begun = std::time::Instant::now();
        loop {
            let report = bench.store.report();
            if wanted(&report) {
                return report;
            }
            assert!(begun.elapsed() < PATIENCE, "{report:?}");
            std::thread::yield_now();
        }
    };
    let well = until(&|report| report.walks > 2);
    assert_eq!(well.rotten, 0);
    assert!(well.scrubbed >= 2 * written.len() as u64);
    let bytes = disk.bytes();
    let at = bytes.windows(40).position(|window| window == [b'r'; 40]).unwrap();
    disk.flip(at * 8);
    let ill = until(&|report| report.rotten > 0);
    assert_eq!(ill.rotten_places.len(), 1);
    assert!(ill.rotten_places[0].0.starts_with("table `parlours`, key "), "{ill:?}");
}

#[test]
fn a_second_process_waits_for_the_first_and_touches_nothing() {
    let folder = Folder::new("second");
    let first = Bench::new(config(folder.place()));
    first.put(b"a", "first").unwrap();
    let second = Bench::new(config(folder.place()));
    assert_eq!(second.trouble(), Trouble::InUse);
    let error = look_at(&folder);
    assert!(error.unwrap_err().to_string().contains("POST /api/store/backup"));
    first.put(b"b", "first").unwrap();
    drop(first);
    second.until_ready();
    assert_eq!(second.served().len(), 2);
}

fn look_at(folder: &Folder) -> Result<Tally, StoreError> {
    file::look_at(&folder.file(), &rooms())
}

#[test]
fn what_is_somebody_elses_or_of_the_future_is_left_as_it_is() {
    let folder = Folder::new("foreign");
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("text", b"hello, world".repeat(4000)),
        ("zeros", vec![0; 100_000]),
    ];
    let redb = folder.0.join("other.redb");
    let db = redb::Database::create(&redb).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap().insert(1, 2).unwrap();
    txn.commit().unwrap();
    drop(db);
    cases.push(("another program's", fs::read(&redb).unwrap()));
    for (name, bytes) in cases {
        fs::write(folder.file(), &bytes).unwrap();
        let bench = Bench::new(config(folder.place()));
        assert!(matches!(bench.trouble(), Trouble::Foreign(_)), "{name}: {:?}", bench.trouble());
        drop(bench);
        assert_eq!(fs::read(folder.file()).unwrap(), bytes, "{name}");
        assert!(look_at(&folder).is_err());
    }
    fs::remove_file(folder.file()).unwrap();
    drop_into(&folder, "a", "of today");
    let bytes = fs::read(folder.file()).unwrap();
    for (what, sections) in
        [("a newer record", vec![Section::of::<OldRoom>()]), ("a newer table", sections())]
    {
        let old = StoreConfig { sections, ..config(folder.place()) };
        let bench = Bench::new(old);
        assert!(matches!(bench.trouble(), Trouble::Future(_)), "{what}: {:?}", bench.trouble());
        let Readiness::Failed(error) = bench.settled() else { unreachable!() };
        assert!(error.to_string().contains("newer version of sensocto"), "{error}");
        drop(bench);
        assert_eq!(fs::read(folder.file()).unwrap(), bytes, "{what}");
    }
}

/// Opens, puts, closes.
fn drop_into(folder: &Folder, key: &str, name: &str) {
    let bench = Bench::new(config(folder.place()));
    bench.put(key.as_bytes(), name).unwrap();
}

#[test]
fn records_of_every_older_version_are_read_and_become_todays_when_they_change() {
    let disk = Disk::default();
    let old = StoreConfig {
        sections: vec![Section::of::<OldRoom>()],
        ..config(Place::Disk(disk.clone()))
    };
    let old = Bench::new(old);
    let change =
        old.store.table::<OldRoom>().put(b"a", &OldRoom { name: "hall".into() }, Expect::Any);
    let revision = old.commit(vec![change]).unwrap();
    drop(old);
    let bench = Bench::on(&disk);
    bench.until_ready();
    let read = |bench: &Bench| bench.table().all().unwrap().remove(0).unwrap();
    let Entry { record, revision: found, .. } = read(&bench);
    assert_eq!(record, Room { name: "hall".into(), seats: 10, open: true });
    assert_eq!(found, revision);
    bench.commit(vec![bench.table().put(b"a", &record, Expect::At(revision))]).unwrap();
    assert_eq!(read(&bench).record, record);
}

/// The bytes of every version that was ever released stay readable: a file is added with each, and
/// none is ever changed.
#[test]
fn the_golden_bytes_of_every_release_are_read() {
    let hex = |text: &str| -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        digits
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    };
    let token = |text: &str| {
        let section = Section::of::<TokenRecord>();
        let bytes = hex(text);
        let (version, revision, body) = section.open(&[7; 32], &bytes).unwrap();
        (version, revision, TokenRecord::read(version, body).unwrap())
    };
    let (version, revision, record) = token(include_str!("tests/golden/viewer_token.v1.hex"));
    assert_eq!((version, revision), (1, Revision(5)));
    assert_eq!(record, TokenRecord::golden_v1());
    let (version, revision, record) = token(include_str!("tests/golden/viewer_token.v2.hex"));
    assert_eq!((version, revision), (2, Revision(5)));
    assert_eq!(record, TokenRecord::golden());
    let bytes = hex(include_str!("tests/golden/history.v1.hex"));
    let (version, _, body) = Section::of::<HistoryRecord>().open(&[7; 32], &bytes).unwrap();
    let first = HistoryRecord { room: None, ..golden_history() };
    assert_eq!((version, HistoryRecord::read(version, body).unwrap()), (1, first));
    let bytes = hex(include_str!("tests/golden/history.v2.hex"));
    let (version, _, body) = Section::of::<HistoryRecord>().open(&[7; 32], &bytes).unwrap();
    assert_eq!((version, HistoryRecord::read(version, body).unwrap()), (2, golden_history()));
    let bytes = hex(include_str!("tests/golden/room_history.v1.hex"));
    let (version, _, body) = Section::of::<RoomPastRecord>().open(&[7; 16], &bytes).unwrap();
    assert_eq!((version, RoomPastRecord::read(version, body).unwrap()), (1, GOLDEN_ROOM_PAST));
    let bytes = hex(include_str!("tests/golden/account.v1.hex"));
    let (version, _, body) = Section::of::<AccountRecord>().open(b"id", &bytes).unwrap();
    assert_eq!(
        (version, AccountRecord::read(version, body).unwrap()),
        (1, AccountRecord::golden())
    );
    let bytes = hex(include_str!("tests/golden/session.v1.hex"));
    let (version, _, body) = Section::of::<SessionRecord>().open(&[7; 16], &bytes).unwrap();
    assert_eq!(
        (version, SessionRecord::read(version, body).unwrap()),
        (1, SessionRecord::golden())
    );
    let bytes = hex(include_str!("tests/golden/room.v1.hex"));
    let (version, _, body) = Section::of::<RoomRecord>().open(&[7; 16], &bytes).unwrap();
    assert_eq!((version, RoomRecord::read(version, body).unwrap()), (1, RoomRecord::golden_v1()));
    let bytes = hex(include_str!("tests/golden/room.v2.hex"));
    let (version, _, body) = Section::of::<RoomRecord>().open(&[7; 16], &bytes).unwrap();
    assert_eq!((version, RoomRecord::read(version, body).unwrap()), (2, RoomRecord::golden()));
    let bytes = hex(include_str!("tests/golden/ticket_key.v1.hex"));
    let (version, _, body) = Section::of::<TicketKeyRecord>().open(b"key", &bytes).unwrap();
    let key = TicketKeyRecord { secret: [3; 32] };
    assert_eq!((version, TicketKeyRecord::read(version, body).unwrap()), (1, key));
    let bytes = hex(include_str!("tests/golden/message.v1.hex"));
    let (version, _, body) = Section::of::<MessageRecord>().open(&[7; 32], &bytes).unwrap();
    assert_eq!(
        (version, MessageRecord::read(version, body).unwrap()),
        (1, MessageRecord::golden())
    );
    let bytes = hex(include_str!("tests/golden/credential.v1.hex"));
    let (version, _, body) = Section::of::<CredentialRecord>().open(&[7; 16], &bytes).unwrap();
    assert_eq!(
        (version, CredentialRecord::read(version, body).unwrap()),
        (1, CredentialRecord::golden())
    );
    let bytes = hex(include_str!("tests/golden/sensor_owner.v1.hex"));
    let (version, _, body) = Section::of::<SensorRecord>().open(b"id", &bytes).unwrap();
    assert_eq!((version, SensorRecord::read(version, body).unwrap()), (1, SensorRecord::golden()));
    let bytes = hex(include_str!("tests/golden/connector.v1.hex"));
    let (version, _, body) = Section::of::<ConnectorRecord>().open(b"id", &bytes).unwrap();
    assert_eq!(
        (version, ConnectorRecord::read(version, body).unwrap()),
        (1, ConnectorRecord::golden())
    );
    let bytes = hex(include_str!("tests/golden/privacy.v1.hex"));
    let (version, _, body) = Section::of::<PrivacyRecord>().open(b"id", &bytes).unwrap();
    assert_eq!(
        (version, PrivacyRecord::read(version, body).unwrap()),
        (1, PrivacyRecord::golden())
    );
    let bytes = hex(include_str!("tests/golden/grant.v1.hex"));
    let (version, _, body) = Section::of::<GrantRecord>().open(&[7; 16], &bytes).unwrap();
    assert_eq!((version, GrantRecord::read(version, body).unwrap()), (1, GrantRecord::golden()));
    let stamp = hex(include_str!("tests/golden/stamp.v1.hex"));
    let stamp = file::read_stamp(Path::new("golden"), Some(&stamp)).unwrap();
    let record::Stamp { revision, made_by, made_unix_ms } = stamp;
    assert_eq!((revision, &*made_by, made_unix_ms), (300, "0.1.0", 1_795_492_320_999));
    // And a whole file of the first release.
    let folder = Folder::new("golden");
    fs::write(folder.file(), include_bytes!("tests/golden/store.v1.redb")).unwrap();
    let tally = file::look_at(&folder.file(), &sections()).unwrap();
    assert_eq!(tally.records, [("viewer_tokens".to_owned(), 1)]);
}

#[test]
fn looking_changes_nothing_not_even_after_a_kill() {
    let disk = Disk::default();
    let bench = Bench::on(&disk);
    bench.put(b"a", "a").unwrap();
    // As a kill leaves it: nothing was closed.
    let bytes = disk.bytes();
    drop(bench);
    let folder = Folder::new("look");
    fs::write(folder.file(), &bytes).unwrap();
    assert_eq!(look_at(&folder).unwrap().records, [("parlours".to_owned(), 1)]);
    assert_eq!(fs::read(folder.file()).unwrap(), bytes);
}

#[test]
fn a_copy_is_whole_while_others_write_and_takes_no_place_unasked() {
    let folder = Folder::new("copy");
    let bench = Bench::new(config(folder.place()));
    let table = bench.table();
    let pair = |n: u64| {
        let text = n.to_string();
        vec![
            table.put(b"one", &room(&*text), Expect::Any),
            table.put(b"two", &room(&*text), Expect::Any),
        ]
    };
    bench.commit(pair(0)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let copies: Vec<PathBuf> = (0..5).map(|n| folder.0.join(format!("copy-{n}"))).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1.. {
                bench.store.write(pair(n)).unwrap_or(());
                if done.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::yield_now();
            }
        });
        for copy in &copies {
            bench.store.backup(copy).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(bench.store.backup(&copies[0]).is_err(), "a file that is there is left");
    for copy in &copies {
        let other = Folder::new("restored");
        file::copy_file(copy, &other.file(), &rooms(), false).unwrap();
        let again = file::copy_file(copy, &other.file(), &rooms(), false).unwrap_err();
        assert_eq!(again.what, Trouble::Exists);
        file::copy_file(copy, &other.file(), &rooms(), true).unwrap();
        let restored = Bench::new(config(other.place()));
        restored.until_ready();
        let served = restored.served();
        assert_eq!(served[b"one".as_slice()], served[b"two".as_slice()]);
        let there = file::copy_file(copy, &other.file(), &rooms(), true).unwrap_err();
        assert_eq!(there.what, Trouble::InUse, "a server has it open");
    }
}

#[test]
fn what_is_damaged_is_not_copied_and_what_was_there_stays() {
    let (bytes, _) = closed_store();
    let folder = Folder::new("damaged");
    drop_into(&folder, "a", "good");
    let good = fs::read(folder.file()).unwrap();
    let bad = folder.0.join("bad");
    let at = bytes.windows(40).position(|window| window == [b'r'; 40]).unwrap();
    let mut rotten = bytes;
    rotten[at] ^= 1;
    fs::write(&bad, &rotten).unwrap();
    let error = file::copy_file(&bad, &folder.file(), &rooms(), true).unwrap_err();
    assert!(matches!(error.what, Trouble::Damaged(_)), "{error}");
    assert_eq!(fs::read(folder.file()).unwrap(), good);
    let left: Vec<_> =
        fs::read_dir(&folder.0).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing half done is left: {left:?}");
}

#[test]
fn a_store_that_was_never_finished_is_begun_anew() {
    let folder = Folder::new("unfinished");
    fs::write(folder.0.join(format!("{FILE}.new")), b"redb\x1A\x0A\xA9\x0D\x0A and no more")
        .unwrap();
    drop_into(&folder, "a", "a");
    assert_eq!(look_at(&folder).unwrap().records, [("parlours".to_owned(), 1)]);
    assert!(!folder.0.join(format!("{FILE}.new")).exists());
}

#[test]
fn what_is_in_memory_is_served_and_gone_with_the_store() {
    let bench = Bench::new(config(Place::Memory));
    bench.put(b"a", "a").unwrap();
    assert_eq!(bench.served().len(), 1);
    assert!(!bench.store.is_kept() && bench.store.report().path.is_none());
    let long = bench.commit(vec![bench.table().put(&[0; 257], &room("a"), Expect::Any)]);
    assert_eq!(long, Err(Refused::TooLarge));
}

const GOLDEN_ROOM_PAST: RoomPastRecord = RoomPastRecord { keep_hours: 24, bytes_max: 16 << 20 };

fn golden_history() -> HistoryRecord {
    let room = Some([9; 16]);
    HistoryRecord { keep_hours: 168, bytes_max: 256 << 20, since_unix_ms: 1_795_492_320_999, room }
}

/// Writes the golden files of a new version. To be run by hand, once, when one is released.
#[test]
#[ignore = "writes files of the repository"]
fn write_golden_files() {
    let hex =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests/golden");
    fs::create_dir_all(&folder).unwrap();
    let token =
        Section::of::<TokenRecord>().seal(&[7; 32], Revision(5), &body_of(&TokenRecord::golden()));
    fs::write(folder.join("viewer_token.v2.hex"), hex(&token)).unwrap();
    let stamp =
        record::Stamp { revision: 300, made_by: "0.1.0".into(), made_unix_ms: 1_795_492_320_999 };
    let stamp =
        Section::of::<record::Stamp>().seal(file::STAMP_KEY, Revision(300), &body_of(&stamp));
    let section = Section::of::<HistoryRecord>();
    let history = section.seal(&[7; 32], Revision(5), &body_of(&golden_history()));
    fs::write(folder.join("history.v2.hex"), hex(&history)).unwrap();
    let section = Section::of::<RoomPastRecord>();
    let room_past = section.seal(&[7; 16], Revision(16), &body_of(&GOLDEN_ROOM_PAST));
    fs::write(folder.join("room_history.v1.hex"), hex(&room_past)).unwrap();
    let account = AccountRecord::golden();
    let account = Section::of::<AccountRecord>().seal(b"id", Revision(6), &body_of(&account));
    fs::write(folder.join("account.v1.hex"), hex(&account)).unwrap();
    let session = SessionRecord::golden();
    let session = Section::of::<SessionRecord>().seal(&[7; 16], Revision(7), &body_of(&session));
    fs::write(folder.join("session.v1.hex"), hex(&session)).unwrap();
    let room = RoomRecord::golden();
    let room = Section::of::<RoomRecord>().seal(&[7; 16], Revision(8), &body_of(&room));
    fs::write(folder.join("room.v2.hex"), hex(&room)).unwrap();
    let key = TicketKeyRecord { secret: [3; 32] };
    let key = Section::of::<TicketKeyRecord>().seal(b"key", Revision(9), &body_of(&key));
    fs::write(folder.join("ticket_key.v1.hex"), hex(&key)).unwrap();
    let message = MessageRecord::golden();
    let message = Section::of::<MessageRecord>().seal(&[7; 32], Revision(10), &body_of(&message));
    fs::write(folder.join("message.v1.hex"), hex(&message)).unwrap();
    let credential = body_of(&CredentialRecord::golden());
    let credential = Section::of::<CredentialRecord>().seal(&[7; 16], Revision(11), &credential);
    fs::write(folder.join("credential.v1.hex"), hex(&credential)).unwrap();
    let sensor = body_of(&SensorRecord::golden());
    let sensor = Section::of::<SensorRecord>().seal(b"id", Revision(12), &sensor);
    fs::write(folder.join("sensor_owner.v1.hex"), hex(&sensor)).unwrap();
    let connector = body_of(&ConnectorRecord::golden());
    let connector = Section::of::<ConnectorRecord>().seal(b"id", Revision(13), &connector);
    fs::write(folder.join("connector.v1.hex"), hex(&connector)).unwrap();
    let privacy = body_of(&PrivacyRecord::golden());
    let privacy = Section::of::<PrivacyRecord>().seal(b"id", Revision(14), &privacy);
    fs::write(folder.join("privacy.v1.hex"), hex(&privacy)).unwrap();
    let grant = body_of(&GrantRecord::golden());
    let grant = Section::of::<GrantRecord>().seal(&[7; 16], Revision(15), &grant);
    fs::write(folder.join("grant.v1.hex"), hex(&grant)).unwrap();
    fs::write(folder.join("stamp.v1.hex"), hex(&stamp)).unwrap();
    let made = Folder::new("made");
    let bench = Bench::new(StoreConfig { sections: sections(), ..config(made.place()) });
    let table = bench.store.table::<TokenRecord>();
    bench.commit(vec![table.put(&[7; 32], &TokenRecord::golden(), Expect::Absent)]).unwrap();
    drop(bench);
    fs::copy(made.file(), folder.join("store.v1.redb")).unwrap();
}
