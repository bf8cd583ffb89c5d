//! The store's thread: opens the file, writes everything that waits in one transaction, tries again
//! when the disk fails, and walks slowly through what is there.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, ReadableTable, TableError, WriteTransaction};

use super::error::{StoreError, Trouble};
use super::file::{STAMP_KEY, body_of, contained, definition, place_of, read_stamp, stamp, told};
use super::record::{Record, Revision, Section, Stamp};
use super::{Change, Expect, Inner, Job, Readiness, Refused, Rotten, StoreConfig, lock};
use crate::breaker::State;

/// Before the first retry.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(250);

/// Between two slices of the scrubber's walk.
pub(super) const SCRUB_PERIOD: Duration = Duration::from_secs(10);

/// Values in one slice: some ten milliseconds in which nothing else is written.
const SCRUB_COUNT: usize = 4096;

/// Changes in one transaction, and their bytes: what a disk takes in a fraction of a second.
const BATCH_COUNT_MAX: usize = 8192;
const BATCH_BYTES_MAX: usize = 16 << 20;

/// What is being written, until it is on the disk.
#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    outcomes: Vec<Result<Revision, Refused>>,
    /// The newest revision it gives. A commit that failed may have landed all the same; the file
    /// knows.
    last: Option<Revision>,
}

enum Gathered {
    Jobs(Vec<Job>),
    Idle,
    End,
}

/// Until the store is closed.
pub(super) fn run(inner: &Arc<Inner>) {
    let mut batch = Batch::default();
    let mut scrubber = Scrubber::new(inner.config.scrub_period);
    let mut tries = 0;
    loop {
        let passed = lock(&inner.breaker).pass(Instant::now());
        let wait = match passed {
            Err(rest) => rest,
            Ok(()) => match serve(inner, &mut batch, &mut scrubber, &mut tries) {
                Ok(()) => return,
                Err(error) => {
                    inner.counts.failures.fetch_add(1, Ordering::Relaxed);
                    let wait = fail(inner, tries);
                    tries += 1;
                    let retry_ms = wait.as_millis() as u64;
                    tracing::error!(%error, retry_ms, "the store has failed");
                    inner.readiness.send_replace(Readiness::Failed(Arc::new(error)));
                    wait
                }
            },
        };
        if inner.wait_to_retry(wait) {
            give_up(inner, &mut batch);
            return;
        }
    }
}

/// Tells the breaker; how long to wait now.
fn fail(inner: &Inner, tries: u32) -> Duration {
    let mut breaker = lock(&inner.breaker);
    breaker.fail(Instant::now());
    let StoreConfig { retry_first, rest, .. } = inner.config;
    match breaker.state() {
        State::Closed => retry_after(retry_first, rest, tries, chance()),
        // Behind its rest, so that many servers on one disk do not come back at once.
        State::Open { .. } | State::HalfOpen => rest.mul_f64(1.0 + 0.25 * chance()),
    }
}

/// Opens the file and serves until the end (`Ok`), or until it fails.
fn serve(
    inner: &Arc<Inner>,
    batch: &mut Batch,
    scrubber: &mut Scrubber,
    tries: &mut u32,
) -> Result<(), StoreError> {
    let path = inner.config.place.path();
    let unix_ms = inner.config.clock.now().unix_ms;
    contained(&path, || strike(inner, &path, "store.open"))?;
    let db = Arc::new(inner.config.place.open(&inner.config.sections, unix_ms)?);
    let served = contained(&path, || {
        if !batch.jobs.is_empty() {
            write(inner, &path, &db, batch)?;
        }
        *lock(&inner.db) = Some(Arc::clone(&db));
        lock(&inner.breaker).succeed();
        inner.readiness.send_replace(Readiness::Ready);
        *tries = 0;
        loop {
            scrubber.walk(inner);
            match inner.gather(scrubber.due()) {
                Gathered::End => return Ok(()),
                Gathered::Idle => {}
                Gathered::Jobs(jobs) => {
                    batch.jobs = jobs;
                    write(inner, &path, &db, batch)?;
                }
            }
        }
    });
    *lock(&inner.db) = None;
    // A reader may hold it a moment longer; then the file is in use until that one is done. One
    // that has met damage may panic over it once more.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
    served
}

/// Nobody will come back for what waits.
fn give_up(inner: &Inner, batch: &mut Batch) {
    let mut jobs = std::mem::take(&mut batch.jobs);
    {
        let mut queue = lock(&inner.queue);
        jobs.extend(queue.jobs.drain(..));
        (queue.count, queue.bytes, queue.awaited) = (0, 0, 0);
    }
    let lost: usize = jobs.iter().map(|job| job.changes.len()).sum();
    if lost > 0 {
        tracing::error!(changes = lost, "the store ends, and these were never written");
    }
    for job in jobs {
        let refused = inner.refuse(Refused::Closed);
        if let Some(answer) = job.answer {
            let _ = answer.send(Err(refused));
        }
    }
}

/// Each twice as long as the one before, by a quarter more or less, so that many servers on one
/// disk do not come back at once. `chance` is from 0 to 1.
fn retry_after(first: Duration, most: Duration, tries: u32, chance: f64) -> Duration {
    let wait = first.saturating_mul(1 << tries.min(16)).min(most);
    wait.mul_f64(0.75 + 0.5 * chance)
}

fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without chance, all wait equally long.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

impl Inner {
    /// Whether the store is to end.
    fn wait_to_retry(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut queue = lock(&self.queue);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if queue.closing || left.is_zero() {
                return queue.closing;
            }
            queue = self.bell.wait_timeout(queue, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    /// Waits for something to do, and then a little for more of it, unless somebody waits for it.
    fn gather(&self, idle_until: Instant) -> Gathered {
        let mut queue = lock(&self.queue);
        let wait = |queue, until: Instant| {
            let left = until.saturating_duration_since(Instant::now());
            self.bell.wait_timeout(queue, left).unwrap_or_else(|e| e.into_inner()).0
        };
        while queue.jobs.is_empty() {
            if queue.closing {
                return Gathered::End;
            }
            if Instant::now() >= idle_until {
                return Gathered::Idle;
            }
            queue = wait(queue, idle_until);
        }
        let until = Instant::now() + self.config.gather;
        while queue.awaited == 0
            && !queue.closing
            && queue.count < BATCH_COUNT_MAX
            && queue.bytes < BATCH_BYTES_MAX
            && Instant::now() < until
        {
            queue = wait(queue, until);
        }
        let mut jobs = Vec::new();
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_COUNT_MAX && bytes < BATCH_BYTES_MAX {
            let Some(job) = queue.jobs.pop_front() else { break };
            count += job.changes.len();
            bytes += job.bytes;
            queue.awaited -= usize::from(job.answer.is_some());
            jobs.push(job);
        }
        queue.count -= count;
        queue.bytes -= bytes;
        Gathered::Jobs(jobs)
    }
}

/// Puts the batch on the disk and answers; on an error it stays, to be written again.
fn write(inner: &Inner, path: &Path, db: &Database, batch: &mut Batch) -> Result<(), StoreError> {
    if !has_landed(path, db, batch)? {
        commit(inner, path, db, batch)?;
    }
    batch.last = None;
    for (job, outcome) in batch.jobs.drain(..).zip(batch.outcomes.drain(..)) {
        let outcome = match outcome {
            Ok(revision) => {
                inner.counts.changes.fetch_add(job.changes.len() as u64, Ordering::Relaxed);
                Ok(revision)
            }
            Err(refused) => Err(inner.refuse(refused)),
        };
        if let Some(answer) = job.answer {
            let _ = answer.send(outcome);
        }
    }
    Ok(())
}

/// Whether the file has what a commit that failed was to put there.
fn has_landed(path: &Path, db: &Database, batch: &Batch) -> Result<bool, StoreError> {
    let Some(Revision(last)) = batch.last else { return Ok(false) };
    let txn = told(path, db.begin_read())?;
    Ok(stamp(path, &txn)?.revision == last)
}

fn commit(inner: &Inner, path: &Path, db: &Database, batch: &mut Batch) -> Result<(), StoreError> {
    let _span = tracing::debug_span!("commit", changes = batch.jobs.len()).entered();
    batch.outcomes.clear();
    let mut txn = told(path, db.begin_write())?;
    // The next opening after a kill need not walk the whole file to mend it, and the commit is in
    // two phases: a torn page is never mistaken for a whole one.
    txn.set_quick_repair(true);
    {
        let mut stamps = told(path, txn.open_table(definition(Stamp::TABLE)))?;
        let mut stamp = {
            let value = told(path, stamps.get(STAMP_KEY))?;
            read_stamp(path, value.as_ref().map(|value| value.value()))?
        };
        let before = stamp.revision;
        let mut tables = Tables { inner, path, txn: &txn, open: HashMap::new() };
        for job in &batch.jobs {
            let outcome = match tables.refusal(job)? {
                Some(refused) => Err(refused),
                None => Ok(tables.make(job, &mut stamp.revision)?),
            };
            batch.outcomes.push(outcome);
        }
        strike(inner, path, "store.commit")?;
        if stamp.revision == before {
            // Nothing is to be written.
            return Ok(());
        }
        batch.last = Some(Revision(stamp.revision));
        let section = Section::of::<Stamp>();
        let value = section.seal(STAMP_KEY, Revision(stamp.revision), &body_of(&stamp));
        told(path, stamps.insert(STAMP_KEY, &*value).map(drop))?;
    }
    told(path, txn.commit())?;
    inner.counts.commits.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// A failpoint: its error is the disk's.
fn strike(inner: &Inner, path: &Path, point: &'static str) -> Result<(), StoreError> {
    let struck = inner.config.faults.pass(point, 0);
    struck.map_err(|injected| StoreError::new(path, Trouble::Io(injected.to_string())))
}

/// The tables that a transaction has opened.
struct Tables<'a> {
    inner: &'a Inner,
    path: &'a Path,
    txn: &'a WriteTransaction,
    open: HashMap<&'static str, OpenTable<'a>>,
}

type OpenTable<'a> = (Section, redb::Table<'a, &'static [u8], &'static [u8]>);

impl<'a> Tables<'a> {
    fn of(&mut self, change: &Change) -> Result<&mut OpenTable<'a>, StoreError> {
        match self.open.entry(change.table) {
            Slot::Occupied(there) => Ok(there.into_mut()),
            Slot::Vacant(place) => {
                let table = told(self.path, self.txn.open_table(definition(change.table)))?;
                Ok(place.insert((self.inner.section(change.table), table)))
            }
        }
    }

    /// Why a job is not done: its changes were made for something else than what is there.
    fn refusal(&mut self, job: &Job) -> Result<Option<Refused>, StoreError> {
        let (inner, path) = (self.inner, self.path);
        for change in &job.changes {
            let expected = match change.expect {
                Expect::Any => continue,
                Expect::Absent => None,
                Expect::At(revision) => Some(revision),
            };
            let (section, table) = self.of(change)?;
            let value = told(path, table.get(&*change.key))?;
            let found = value.as_ref().map(|value| section.open(&change.key, value.value()));
            let found = match found.transpose() {
                Ok(found) => found.map(|(_, revision, _)| revision),
                Err(rot) => {
                    inner.note_rot(&Rotten { place: place_of(section, &change.key), rot });
                    return Ok(Some(Refused::Rotten));
                }
            };
            if found != expected {
                return Ok(Some(Refused::Conflict { found }));
            }
        }
        Ok(None)
    }

    /// Makes the changes of a job, each with a revision of its own; the last of them.
    fn make(&mut self, job: &Job, newest: &mut u64) -> Result<Revision, StoreError> {
        let path = self.path;
        for change in &job.changes {
            *newest += 1;
            let (section, table) = self.of(change)?;
            match &change.body {
                Some(body) => {
                    let value = section.seal(&change.key, Revision(*newest), body);
                    told(path, table.insert(&*change.key, &*value).map(drop))?;
                }
                None => told(path, table.remove(&*change.key).map(drop))?,
            }
        }
        Ok(Revision(*newest))
    }
}

impl Inner {
    fn section(&self, table: &str) -> Section {
        let section = self.config.sections.iter().find(|section| section.table == table);
        *section.expect("changes are made by tables of this store")
    }
}

/// Looks at every value again and again, slowly: what nobody reads rots unseen.
struct Scrubber {
    period: Duration,
    due: Instant,
    section: usize,
    /// Behind which the walk goes on.
    key: Option<Vec<u8>>,
}

impl Scrubber {
    fn new(period: Duration) -> Self {
        Self { period, due: Instant::now() + period, section: 0, key: None }
    }

    fn due(&self) -> Instant {
        self.due
    }

    /// A slice of the walk, if it is time for one. Reads the file itself, not redb's memory of it.
    fn walk(&mut self, inner: &Inner) {
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + self.period;
        let path = inner.config.place.path();
        let looked = inner.config.place.look().and_then(|db| match db {
            None => Ok(()),
            Some(db) => contained(&path, || self.slice(inner, &path, &db)),
        });
        if let Err(error) = looked {
            let rot = super::Rot::Unreadable(error.to_string());
            inner.note_rot(&Rotten { place: "the file".into(), rot });
        }
    }

    fn slice(&mut self, inner: &Inner, path: &Path, db: &Database) -> Result<(), StoreError> {
        let txn = told(path, db.begin_read())?;
        let mut left = SCRUB_COUNT;
        while let Some(section) = inner.config.sections.get(self.section) {
            let table = match txn.open_table(definition(section.table)) {
                Err(TableError::TableDoesNotExist(_)) => None,
                table => Some(told(path, table)?),
            };
            let from = self.key.take();
            let from = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            if let Some(table) = table {
                for row in told(path, table.range::<&[u8]>((from, Bound::Unbounded)))? {
                    let (key, value) = told(path, row)?;
                    inner.counts.scrubbed.fetch_add(1, Ordering::Relaxed);
                    if let Err(rot) = section.check(key.value(), value.value()) {
                        let place = place_of(section, key.value());
                        inner.note_rot(&Rotten { place, rot });
                    }
                    left -= 1;
                    if left == 0 {
                        self.key = Some(key.value().to_vec());
                        return Ok(());
                    }
                }
            }
            self.section += 1;
        }
        self.section = 0;
        inner.counts.walks.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_retry_waits_twice_as_long_with_a_bound_and_some_chance() {
        let first = Duration::from_millis(200);
        let most = Duration::from_secs(5);
        let middle = |tries| retry_after(first, most, tries, 0.5);
        assert_eq!([0, 1, 2].map(middle), [200, 400, 800].map(Duration::from_millis));
        assert_eq!(middle(40), most);
        assert_eq!(retry_after(first, most, 0, 0.0), Duration::from_millis(150));
        assert_eq!(retry_after(first, most, 0, 1.0), Duration::from_millis(250));
    }
}
