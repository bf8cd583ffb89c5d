//! Who is watched together: for each sensor the few that viewers turn to while, or soon after,
//! they watch it.
//!
//! The few are found without counting all pairs: a sensor has eight places, and a newcomer wears
//! down the weakest until nothing is left of it, then takes its place (after Misra and Gries 1982,
//! who wear down all at once). So chance comers contend for one place, counts are never too high,
//! and they fade with time, not with use. (`reference/core.md` 12.7.)

use rustc_hash::FxHashMap;

use super::{Key, count32, faded, finite, least, write32};
use crate::snapshot::bytes::{Read, Reader, Writer, broken};

/// Sensors that are known at once. When one more comes, one of those that were looked at least
/// goes.
pub const SENSOR_COUNT_MAX: usize = 16_384;
/// Places for what is watched with one sensor.
pub const PEER_COUNT_MAX: usize = 8;
/// Who has more than this in view says nothing about any two of them.
pub const BESIDE_COUNT_MAX: usize = 32;
/// What a newcomer takes from the weakest: twenty of them have one place, and who comes twice
/// before they are through stays.
const WEAR: f32 = 0.05;
/// Seconds until a count has faded to half.
const HALF_LIFE_S: f64 = 7.0 * 86_400.0;
/// Looks that the doubt at the beginning weighs.
const DOUBT_LOOKS: f32 = 4.0;
/// Strengths below are not reported (`reference/core.md` 12.7 has 0.3 for its saturating count).
const STRENGTH_MIN: f64 = 0.1;
/// Sensors among which the one to go is chosen.
const CANDIDATE_COUNT: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Peer {
    key: Key,
    count: f32,
}

#[derive(Debug, Clone, PartialEq)]
struct Company {
    key: Key,
    /// When the counts were last faded.
    as_of_s: f64,
    /// Looks at this sensor.
    looks: f32,
    peers: [Peer; PEER_COUNT_MAX],
}

/// Which sensors go together. Times are seconds from any beginning.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Correlation {
    companies: Vec<Company>,
    places: FxHashMap<Key, u32>,
    /// From where the next to go is sought.
    hand: usize,
}

impl Correlation {
    /// A viewer turns to `key` while it watches `beside`, or just after: each of these has led to
    /// it once more. Says nothing if there are more than [`BESIDE_COUNT_MAX`] of them.
    pub fn look(&mut self, key: Key, beside: &[Key], now_s: f64) {
        if !now_s.is_finite() {
            return;
        }
        self.company(key, now_s).looks += 1.0;
        if beside.len() > BESIDE_COUNT_MAX {
            return;
        }
        for &before in beside.iter().filter(|&&before| before != key) {
            self.company(before, now_s).meet(key);
        }
    }

    /// What is likely looked at by those who look at `key`, with how likely: at most
    /// [`PEER_COUNT_MAX`], none below [`STRENGTH_MIN`].
    pub fn peers(&self, key: Key) -> impl Iterator<Item = (Key, f64)> {
        let company = self.places.get(&key).map(|&place| &self.companies[place as usize]);
        company.into_iter().flat_map(|company| {
            let looks = company.looks + DOUBT_LOOKS;
            let strength = move |peer: &Peer| f64::from(peer.count / looks).min(1.0);
            let known = company.peers.iter().map(move |peer| (peer.key, strength(peer)));
            known.filter(|&(_, strength)| strength >= STRENGTH_MIN)
        })
    }

    /// How strongly the two go together, 0 to 1, in whichever order.
    pub fn strength(&self, one: Key, other: Key) -> f64 {
        let led = |from: Key, to: Key| {
            self.peers(from).find(|&(key, _)| key == to).map_or(0.0, |(_, strength)| strength)
        };
        led(one, other).max(led(other, one))
    }

    /// Sensors known.
    pub fn len(&self) -> usize {
        self.companies.len()
    }

    pub fn is_empty(&self) -> bool {
        self.companies.is_empty()
    }

    /// Pairs that are strong enough to be reported. Walks everything.
    pub fn pair_count(&self) -> usize {
        self.companies.iter().map(|company| self.peers(company.key).count()).sum()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.count(self.hand);
        out.count(self.companies.len());
        for Company { key, as_of_s, looks, peers } in &self.companies {
            out.bits(*key);
            out.float(*as_of_s);
            write32(out, *looks);
            for Peer { key, count } in peers {
                out.bits(*key);
                write32(out, *count);
            }
        }
    }

    pub(crate) fn read(bytes: &mut Reader<'_>) -> Read<Self> {
        let mut it = Self { hand: bytes.number32()? as usize, ..Self::default() };
        let count = bytes.count(17 + 9 * PEER_COUNT_MAX)?;
        if count > SENSOR_COUNT_MAX {
            return broken(format!("{count} sensors have company"));
        }
        for place in 0..count {
            let key = bytes.bits()?;
            let (as_of_s, looks) = (finite(bytes)?, count32(bytes)?);
            let mut peers = [Peer::default(); PEER_COUNT_MAX];
            for peer in &mut peers {
                *peer = Peer { key: bytes.bits()?, count: count32(bytes)? };
            }
            if it.places.insert(key, place as u32).is_some() {
                return broken("a sensor has company twice");
            }
            it.companies.push(Company { key, as_of_s, looks, peers });
        }
        Ok(it)
    }

    /// The company of `key`, faded to now; a new one if need be.
    fn company(&mut self, key: Key, now_s: f64) -> &mut Company {
        let place = match self.places.get(&key) {
            Some(&place) => place as usize,
            None => self.place_for(key, now_s),
        };
        let company = &mut self.companies[place];
        let kept = faded(now_s - company.as_of_s, HALF_LIFE_S) as f32;
        company.looks *= kept;
        for peer in &mut company.peers {
            peer.count *= kept;
        }
        company.as_of_s = company.as_of_s.max(now_s);
        company
    }

    fn place_for(&mut self, key: Key, now_s: f64) -> usize {
        let company =
            Company { key, as_of_s: now_s, looks: 0.0, peers: [Peer::default(); PEER_COUNT_MAX] };
        let place = if self.companies.len() < SENSOR_COUNT_MAX {
            self.companies.push(company);
            self.companies.len() - 1
        } else {
            let looks = |place: usize| {
                let company = &self.companies[place];
                f64::from(company.looks) * faded(now_s - company.as_of_s, HALF_LIFE_S)
            };
            let place = least(&mut self.hand, SENSOR_COUNT_MAX, CANDIDATE_COUNT, looks);
            self.places.remove(&self.companies[place].key);
            self.companies[place] = company;
            place
        };
        self.places.insert(key, place as u32);
        place
    }
}

impl Company {
    fn meet(&mut self, key: Key) {
        // A free place has count 0.
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.count > 0.0 && peer.key == key) {
            peer.count += 1.0;
            return;
        }
        let weakest = (self.peers.iter_mut())
            .min_by(|a, b| a.count.total_cmp(&b.count))
            .expect("there are eight");
        if weakest.count < WEAR {
            *weakest = Peer { key, count: 1.0 };
        } else {
            weakest.count -= WEAR;
        }
    }
}

#[cfg(test)]
mod tests;
