//! What each peer address may do, and has open: one phone is behind one, a school or a fleet too
//! (`reference/reliability.md` T4, T12, T15).
//!
//! The address is the socket's own. Headers that say on whose behalf somebody speaks are not
//! believed. Behind a proxy on this machine everybody comes from loopback, which is why loopback
//! may do more.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::bucket::{Rate, SharedBucket};

/// Addresses that are remembered, so that hanging up does not fill a bucket: 16 bytes of address
/// and 72 of buckets and counts for each.
pub const ADDRESS_COUNT_MAX: usize = 65_536;

/// Loopback may do this much more: a load test with thousands of sockets, or all that a proxy
/// passes on.
const LOOPBACK_FACTOR: f64 = 100.0;

/// What is limited by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    Joins,
    Samples,
    /// Of messages, whatever is in them.
    Bytes,
    /// Words of viewers: what they look at, ask for, and tell devices.
    Attention,
}

impl Kind {
    pub const COUNT: usize = 4;
    pub const ALL: [Self; Self::COUNT] = [Self::Joins, Self::Samples, Self::Bytes, Self::Attention];

    /// The word in `/metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Joins => "joins",
            Self::Samples => "samples",
            Self::Bytes => "bytes",
            Self::Attention => "attention",
        }
    }
}

/// What one address that is not loopback may do, by [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AddressLimits(pub [Rate; Kind::COUNT]);

impl Default for AddressLimits {
    /// A fleet of eight thousand devices behind one address, as many as may be connected from it,
    /// each with a few sensors at 50 Hz, returns within seconds; a class of viewers with a page
    /// each says ten words a second.
    fn default() -> Self {
        Self([
            Rate { per_second: 1_000.0, burst: 20_000.0 },
            Rate { per_second: 500_000.0, burst: 1_000_000.0 },
            Rate { per_second: 64e6, burst: 128e6 },
            Rate { per_second: 2_000.0, burst: 10_000.0 },
        ])
    }
}

/// All addresses that are known.
#[derive(Debug)]
pub struct Addresses {
    known: Mutex<HashMap<IpAddr, Arc<Address>>>,
    limits: AddressLimits,
    count_max: usize,
    began: Instant,
    /// Made room for others. Whoever returns finds its buckets full again.
    forgotten: AtomicU64,
}

/// One address, shared by all that is open from it.
#[derive(Debug)]
pub struct Address {
    pub address: IpAddr,
    /// Connections that are open.
    open: AtomicUsize,
    seen_ns: AtomicU64,
    buckets: [SharedBucket; Kind::COUNT],
    limits: AddressLimits,
    began: Instant,
}

/// A connection's place among those of its address.
#[derive(Debug)]
pub struct AddressSeat(Arc<Address>);

impl Addresses {
    pub fn new(limits: AddressLimits, now: Instant) -> Self {
        Self::with_room(limits, now, ADDRESS_COUNT_MAX)
    }

    fn with_room(limits: AddressLimits, now: Instant, count_max: usize) -> Self {
        let (known, forgotten) = (Mutex::default(), AtomicU64::new(0));
        Self { known, limits, count_max, began: now, forgotten }
    }

    /// A place for a connection from this address, if it has fewer than `max`.
    pub fn take(&self, address: IpAddr, max: usize, now: Instant) -> Option<AddressSeat> {
        let address = network(address);
        let now_ns = since(self.began, now);
        let mut known = self.lock();
        if !known.contains_key(&address) && known.len() >= self.count_max {
            self.make_room(&mut known, now_ns);
        }
        let entry = known.entry(address).or_insert_with(|| {
            Arc::new(Address {
                address,
                open: AtomicUsize::new(0),
                seen_ns: AtomicU64::new(now_ns),
                buckets: Default::default(),
                limits: self.limits.of(address),
                began: self.began,
            })
        });
        // The table's lock is held wherever a place is taken; giving back only makes it fewer.
        if entry.open.load(Ordering::Relaxed) >= max {
            return None;
        }
        entry.open.fetch_add(1, Ordering::Relaxed);
        entry.seen_ns.store(now_ns, Ordering::Relaxed);
        Some(AddressSeat(Arc::clone(entry)))
    }

    /// Those go of whom nothing is open: whose buckets are full, and, if that is not enough, the
    /// quarter that has been away longest. Who is connected stays; connections have a bound of
    /// their own.
    fn make_room(&self, known: &mut HashMap<IpAddr, Arc<Address>>, now_ns: u64) {
        let is_open = |entry: &Address| entry.open.load(Ordering::Relaxed) > 0;
        let before = known.len();
        known.retain(|_, entry| is_open(entry) || !entry.is_rested(now_ns));
        if known.len() > self.count_max / 4 * 3 {
            let mut away: Vec<(u64, IpAddr)> = known
                .iter()
                .filter(|(_, entry)| !is_open(entry))
                .map(|(address, entry)| (entry.seen_ns.load(Ordering::Relaxed), *address))
                .collect();
            away.sort_unstable();
            for (_, address) in away.iter().take(self.count_max.div_ceil(4)) {
                known.remove(address);
            }
            let forgotten = away.len().min(self.count_max.div_ceil(4));
            self.forgotten.fetch_add(forgotten as u64, Ordering::Relaxed);
        }
        tracing::debug!(before, now = known.len(), "addresses made room");
    }

    /// Addresses that are remembered.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Addresses that made room before their buckets were full.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Address>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AddressLimits {
    /// So many times as much.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.map(|Rate { per_second, burst }| Rate {
            per_second: per_second * factor,
            burst: burst * factor,
        }))
    }

    fn of(&self, address: IpAddr) -> Self {
        if address.is_loopback() { self.times(LOOPBACK_FACTOR) } else { *self }
    }
}

impl Address {
    /// Takes `count` of this kind, if the address may have them at `now`.
    pub fn take(&self, kind: Kind, count: usize, now: Instant) -> bool {
        let bucket = &self.buckets[kind as usize];
        bucket.take(self.limits.0[kind as usize], since(self.began, now), count as f64)
    }

    fn is_rested(&self, now_ns: u64) -> bool {
        self.buckets.iter().all(|bucket| bucket.is_full(now_ns))
    }
}

impl AddressSeat {
    pub fn address(&self) -> &Arc<Address> {
        &self.0
    }
}

impl Drop for AddressSeat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn since(began: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(began).as_nanos() as u64
}

/// What is one customer's: an IPv4 address, or the 64 bits of an IPv6 address that a provider gives
/// out, of which whoever has one has 2^64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits(per_second: f64, burst: f64) -> AddressLimits {
        AddressLimits([Rate { per_second, burst }; Kind::COUNT])
    }

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let now = Instant::now();
        let addresses = Addresses::new(AddressLimits::default(), now);
        let one = addresses.take(ip(1), 1, now);
        assert!(one.is_some() && addresses.take(ip(1), 1, now).is_none());
        assert!(addresses.take(ip(2), 1, now).is_some());
        drop(one);
        assert!(addresses.take(ip(1), 1, now).is_some());
    }

    #[test]
    fn who_hangs_up_and_returns_finds_its_bucket_as_it_left_it() {
        let now = Instant::now();
        let addresses = Addresses::new(limits(1.0, 5.0), now);
        let take = |count, now| {
            let seat = addresses.take(ip(1), 9, now).unwrap();
            seat.address().take(Kind::Samples, count, now)
        };
        assert!(take(5, now) && !take(1, now));
        let later = now + Duration::from_secs(2);
        assert!(take(2, later) && !take(1, later));
        let seat = addresses.take(ip(1), 9, now).unwrap();
        assert!(seat.address().take(Kind::Joins, 5, later), "one kind is not another's");
    }

    #[test]
    fn loopback_may_do_a_hundred_times_as_much() {
        let now = Instant::now();
        let addresses = Addresses::new(limits(1.0, 5.0), now);
        let loopback = addresses.take([127, 0, 0, 2].into(), 9, now).unwrap();
        assert!(loopback.address().take(Kind::Bytes, 500, now));
        assert!(!loopback.address().take(Kind::Bytes, 1, now));
    }

    #[test]
    fn a_provider_customer_is_one_address_in_either_family() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::1"), "::1");
    }

    #[test]
    fn a_table_that_is_full_forgets_who_has_rested_then_who_was_away_longest() {
        let now = Instant::now();
        let addresses = Addresses::with_room(limits(1.0, 5.0), now, 4);
        let at = |seconds| now + Duration::from_secs(seconds);
        let open = addresses.take(ip(1), 9, at(0)).unwrap();
        assert!(open.address().take(Kind::Samples, 5, at(0)));
        for (n, seconds) in [(2, 1), (3, 2), (4, 3)] {
            let seat = addresses.take(ip(n), 9, at(seconds)).unwrap();
            assert!(seat.address().take(Kind::Samples, 5, at(seconds)));
        }
        // 2 was away longest. Nobody's bucket is full yet.
        assert!(addresses.take(ip(5), 9, at(3)).is_some());
        assert_eq!((addresses.count(), addresses.forgotten()), (4, 1));
        let again = addresses.take(ip(3), 9, at(3)).unwrap();
        assert!(!again.address().take(Kind::Samples, 5, at(3)), "3 is still known");
        drop(again);
        // By now all are full again but the one that is open, which stays.
        assert!(addresses.take(ip(6), 9, at(60)).is_some());
        assert_eq!((addresses.count(), addresses.forgotten()), (2, 1));
        assert!(addresses.take(ip(1), 1, at(60)).is_none(), "its connection is still counted");
    }
}
