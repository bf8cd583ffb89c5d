//! Guessing a password is slowed down, then locked out: by whose it is and where it comes from, and
//! by whose it is alone. It is the same for an address that nobody has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use components::sample::EngineTime;
use sha2::{Digest as _, Sha256};

/// Wrong passwords in a row that cost nothing: from one address, and from all.
const FREE_COUNT: u32 = 5;
const FREE_COUNT_ANYWHERE: u32 = 50;

/// Each one more doubles the wait, from a second to this.
const WAIT_SECONDS_MAX: u64 = 15 * 60;

/// Whoever has been quiet for so long begins anew.
const FORGOTTEN_SECONDS: u64 = 3600;

/// Rows that are remembered, of 56 bytes. Each costs whoever makes it one of few attempts a minute.
const ROW_COUNT_MAX: usize = 65_536;

#[derive(Debug, Clone, Copy)]
struct Row {
    count: u32,
    last: EngineTime,
    /// Nothing is looked at before.
    until: EngineTime,
}

#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<[u8; 16], Row>>);

impl Guesses {
    /// A password is about to be looked at; it counts as wrong until it is known to be
    /// [right](Self::right), so that a hundred at once are a hundred.
    ///
    /// # Errors
    /// It is not looked at; the time to wait.
    pub(super) fn begin(&self, email: &str, from: IpAddr, now: EngineTime) -> Result<(), Duration> {
        let mut rows = self.lock();
        let rules = rules(email, from);
        let waits = rules.iter().filter_map(|(key, _)| {
            let row = rows.get(key)?;
            let left = row.until.0.saturating_sub(now.0);
            (left > 0).then_some(Duration::from_micros(left))
        });
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        make_room(&mut rows, now);
        for (key, free) in rules {
            let row = rows.entry(key).or_insert(Row { count: 0, last: now, until: now });
            if is_forgotten(row, now) {
                row.count = 0;
            }
            row.count = row.count.saturating_add(1);
            row.last = now;
            if row.count >= free {
                let doublings = (row.count - free).min(20);
                let seconds = (1u64 << doublings).min(WAIT_SECONDS_MAX);
                row.until = now.plus_millis(seconds * 1000);
                if row.count == free {
                    tracing::warn!(%from, "passwords are being guessed, and that is slowed down");
                }
            }
        }
        Ok(())
    }

    /// It was the right one.
    pub(super) fn right(&self, email: &str, from: IpAddr) {
        let mut rows = self.lock();
        for (key, free) in rules(email, from) {
            if free == FREE_COUNT {
                rows.remove(&key);
            } else if let Some(row) = rows.get_mut(&key) {
                row.count = row.count.saturating_sub(1);
                if row.count < free {
                    row.until = row.last;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 16], Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_forgotten(row: &Row, now: EngineTime) -> bool {
    now.0.saturating_sub(row.last.0) > FORGOTTEN_SECONDS * 1_000_000
}

/// Whoever has been quiet goes; if that is not enough, the quarter that has been quiet longest.
fn make_room(rows: &mut HashMap<[u8; 16], Row>, now: EngineTime) {
    if rows.len() + 2 <= ROW_COUNT_MAX {
        return;
    }
    rows.retain(|_, row| !is_forgotten(row, now));
    if rows.len() > ROW_COUNT_MAX / 4 * 3 {
        let mut quiet: Vec<(EngineTime, [u8; 16])> =
            rows.iter().map(|(key, row)| (row.last, *key)).collect();
        quiet.sort_unstable();
        for (_, key) in quiet.iter().take(ROW_COUNT_MAX / 4) {
            rows.remove(key);
        }
    }
}

/// What an attempt counts for, and how many of each are free.
fn rules(email: &str, from: IpAddr) -> [([u8; 16], u32); 2] {
    let key = |from: Option<IpAddr>| {
        let mut hash = Sha256::new();
        hash.update(email.as_bytes());
        hash.update([0]);
        if let Some(from) = from {
            hash.update(from.to_string().as_bytes());
        }
        let whole: [u8; 32] = hash.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&whole[..16]);
        key
    };
    [(key(Some(from)), FREE_COUNT), (key(None), FREE_COUNT_ANYWHERE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn at(seconds: u64) -> EngineTime {
        EngineTime(seconds * 1_000_000)
    }

    #[test]
    fn five_are_free_then_each_doubles_the_wait_up_to_a_quarter_of_an_hour() {
        let guesses = Guesses::default();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..18 {
            while let Err(wait) = guesses.begin("a@b", ip(1), now) {
                waits.push(wait.as_secs());
                now = now.plus_millis(wait.as_millis() as u64);
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert!(guesses.begin("other@b", ip(1), now).is_ok(), "another's is not slowed down");
        assert!(guesses.begin("a@b", ip(2), now).is_ok(), "nor is whoever comes from elsewhere");
    }

    #[test]
    fn the_right_one_or_an_hour_of_quiet_begins_anew() {
        let guesses = Guesses::default();
        let spend = |now| (0..FREE_COUNT).for_each(|_| guesses.begin("a@b", ip(1), now).unwrap());
        spend(at(0));
        assert!(guesses.begin("a@b", ip(1), at(0)).is_err());
        guesses.right("a@b", ip(1));
        spend(at(0));
        assert!(guesses.begin("a@b", ip(1), at(0)).is_err());
        spend(at(FORGOTTEN_SECONDS + 1));
        assert!(guesses.begin("a@b", ip(1), at(FORGOTTEN_SECONDS + 1)).is_err());
    }

    #[test]
    fn one_account_from_many_addresses_is_slowed_down_too() {
        let guesses = Guesses::default();
        for from in 0..FREE_COUNT_ANYWHERE {
            assert!(guesses.begin("a@b", ip(from as u8), at(0)).is_ok());
        }
        assert!(guesses.begin("a@b", ip(200), at(0)).is_err());
        assert!(guesses.begin("c@d", ip(200), at(0)).is_ok());
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let guesses = Guesses::default();
        for n in 0..ROW_COUNT_MAX {
            guesses.begin(&n.to_string(), ip(1), at(n as u64 / 100)).unwrap();
        }
        assert!(guesses.lock().len() <= ROW_COUNT_MAX);
        let last = (ROW_COUNT_MAX - 1).to_string();
        let now = at(ROW_COUNT_MAX as u64 / 100);
        for _ in 1..FREE_COUNT {
            guesses.begin(&last, ip(1), now).unwrap();
        }
        assert!(guesses.begin(&last, ip(1), now).is_err(), "who was here last is known still");
    }
}
