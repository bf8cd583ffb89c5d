//! The store on a disk: small durable writes from many askers and from one, and how long a server
//! that starts waits for what was kept.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use server::clock::Clock;
use server::store::record::{Record, Section, Unreadable, frozen, unknown_version};
use server::store::{Expect, Place, Readiness, Store, StoreConfig};

/// About what a room is.
#[derive(Debug, Serialize, Deserialize)]
struct Room {
    name: String,
    description: String,
    owner: u64,
    made_unix_ms: i64,
    public: bool,
}

impl Record for Room {
    const TABLE: &'static str = "rooms";
    const SECTION: u16 = 9000;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        if version == 1 { frozen(body) } else { Err(unknown_version(version)) }
    }
}

/// About what it is to be in one.
#[derive(Debug, Serialize, Deserialize)]
struct Membership {
    name: String,
    role: u8,
    since_unix_ms: i64,
}

impl Record for Membership {
    const TABLE: &'static str = "memberships";
    const SECTION: u16 = 9001;
    const VERSION: u16 = 1;

    fn read(version: u16, body: &[u8]) -> Result<Self, Unreadable> {
        if version == 1 { frozen(body) } else { Err(unknown_version(version)) }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub askers: usize,
    pub writes_per_second: f64,
    pub commits_per_second: f64,
    /// From asking to the answer that it is on the disk.
    pub median_ms: f64,
    pub p99_ms: f64,
    /// A file of its own, written and synced as often as that was possible: what the disk allows.
    pub syncs_per_second: f64,
}

fn config(folder: &Path) -> StoreConfig {
    let sections = vec![Section::of::<Room>(), Section::of::<Membership>()];
    StoreConfig::new(Place::Folder(folder.to_owned()), sections, Clock::system())
}

async fn until_ready(store: &Store) {
    let mut readiness = store.watch();
    let ready = readiness.wait_for(|readiness| *readiness != Readiness::Hydrating).await;
    let ready = ready.map(|readiness| readiness.clone());
    assert_eq!(ready.ok(), Some(Readiness::Ready), "the folder can be written");
}

fn room(n: u64) -> Room {
    Room {
        name: format!("room {n}"),
        description: "A quiet place to breathe together, on Thursdays.".into(),
        owner: n,
        made_unix_ms: 1_795_492_320_999,
        public: n.is_multiple_of(2),
    }
}

fn syncs_per_second(folder: &Path, lasting: Duration) -> f64 {
    use std::io::Write;
    let path = folder.join("syncs");
    let mut file = std::fs::File::create(&path).expect("the folder can be written");
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < lasting {
        file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).expect("it takes that");
        count += 1;
    }
    let _ = std::fs::remove_file(path);
    f64::from(count) / began.elapsed().as_secs_f64()
}

/// `askers` at once, each of whom waits for its record to be on the disk before the next.
pub fn writes(folder: &Path, askers: usize, lasting: Duration) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = Store::start(config(folder)).expect("a thread");
    let syncs_per_second = syncs_per_second(folder, lasting / 4);
    runtime.block_on(until_ready(&store));
    let before = store.report();
    let began = Instant::now();
    let local = tokio::task::LocalSet::new();
    let mut waits: Vec<f64> = local.block_on(&runtime, async {
        let asking = (0..askers as u64).map(|asker| {
            let store = store.clone();
            tokio::task::spawn_local(async move {
                let table = store.table::<Room>();
                let mut waits = Vec::new();
                for n in 0.. {
                    let key = [asker.to_be_bytes(), (n % 1000_u64).to_be_bytes()].concat();
                    let asked = Instant::now();
                    let change = table.put(&key, &room(n), Expect::Any);
                    store.commit(vec![change]).await.expect("it is taken");
                    waits.push(asked.elapsed().as_secs_f64() * 1e3);
                    if began.elapsed() > lasting {
                        break;
                    }
                }
                waits
            })
        });
        let asking: Vec<_> = asking.collect();
        let mut all = Vec::new();
        for one in asking {
            all.extend(one.await.expect("it ends"));
        }
        all
    });
    let seconds = began.elapsed().as_secs_f64();
    let after = store.report();
    store.close();
    waits.sort_by(f64::total_cmp);
    Figures {
        askers,
        writes_per_second: (after.changes - before.changes) as f64 / seconds,
        commits_per_second: (after.commits - before.commits) as f64 / seconds,
        median_ms: waits[waits.len() / 2],
        p99_ms: waits[waits.len() * 99 / 100],
        syncs_per_second,
    }
}

/// Fills a store, closes it, and opens it again. Milliseconds until it is ready, every page of it
/// looked over, and until every record is here; and bytes of the file.
pub fn hydration(folder: &Path, rooms: u64, memberships_per_room: u64) -> (f64, f64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = Store::start(config(folder)).expect("a thread");
    let (table, members) = (store.table::<Room>(), store.table::<Membership>());
    runtime.block_on(until_ready(&store));
    for n in 0..rooms {
        let mut changes = vec![table.put(&n.to_be_bytes(), &room(n), Expect::Any)];
        for member in 0..memberships_per_room {
            let key = [n.to_be_bytes(), (n * 31 + member).to_be_bytes()].concat();
            let record = Membership { name: format!("person {member}"), role: 1, since_unix_ms: 7 };
            changes.push(members.put(&key, &record, Expect::Any));
        }
        runtime
            .block_on(async {
                if n % 256 == 255 {
                    store.commit(changes).await.map(drop)
                } else {
                    store.write(changes)
                }
            })
            .expect("it is taken");
    }
    store.close();
    let bytes = std::fs::metadata(folder.join(server::store::FILE)).map_or(0, |file| file.len());
    let began = Instant::now();
    let store = Store::start(config(folder)).expect("a thread");
    runtime.block_on(until_ready(&store));
    let ready_ms = began.elapsed().as_secs_f64() * 1e3;
    let rooms_here = store.table::<Room>().all().expect("it is ready");
    let members_here = store.table::<Membership>().all().expect("it is ready");
    let here_ms = began.elapsed().as_secs_f64() * 1e3;
    assert_eq!(rooms_here.iter().flatten().count() as u64, rooms);
    assert_eq!(members_here.iter().flatten().count() as u64, rooms * memberships_per_room);
    store.close();
    (ready_ms, here_ms, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bench_runs() {
        let folder = std::env::temp_dir().join(format!("sensocto-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let figures = writes(&folder, 4, Duration::from_millis(40));
        assert!(figures.writes_per_second > 0.0 && figures.commits_per_second > 0.0);
        let _ = std::fs::remove_file(folder.join(server::store::FILE));
        let (ready_ms, here_ms, bytes) = hydration(&folder, 20, 3);
        assert!(ready_ms <= here_ms && bytes > 0);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
