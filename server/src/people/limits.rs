//! How often one address may knock at the doors where one can guess, and how that is said
//! (`reference/wire.md` 2.3: `x-ratelimit-*`, 429).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use components::sample::EngineTime;
use serde_json::json;

use crate::listen::Peer;
use crate::socket::Doors;

/// Rows that are remembered, of some 40 bytes.
const ROW_COUNT_MAX: usize = 65_536;

const MINUTE_MICROS: u64 = 60_000_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// Everything that is posted to `/api/auth/*`.
    Auth,
    SignIn,
    Register,
    Guest,
    /// Codes and tickets of rooms, from one address.
    Code,
    /// And from all of them.
    AnyCode,
    Search,
}

impl Door {
    pub const ALL: [Self; 7] = [
        Self::Auth,
        Self::SignIn,
        Self::Register,
        Self::Guest,
        Self::Code,
        Self::AnyCode,
        Self::Search,
    ];

    /// A minute, from one address, and as many at once.
    fn limit(self) -> u64 {
        match self {
            Self::Auth => 20,
            Self::SignIn | Self::Guest | Self::Code => 10,
            Self::AnyCode => 600,
            // Ten fast writers behind one address.
            Self::Search => 3000,
            Self::Register => 5,
        }
    }

    /// The word in `/metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::SignIn => "sign_in",
            Self::Register => "register",
            Self::Guest => "guest",
            Self::Code => "code",
            Self::AnyCode => "any_code",
            Self::Search => "search",
        }
    }
}

/// When the bucket of an address will be full again (GCRA, as [`SharedBucket`](crate::bucket)).
#[derive(Debug)]
pub struct Limits {
    rows: Mutex<HashMap<(IpAddr, Door), EngineTime>>,
    /// All limits are so many times as high.
    factor: u64,
    refused: [AtomicU64; Door::ALL.len()],
}

/// How an address stands at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub limit: u64,
    pub remaining: u64,
    /// Seconds until all of it is there again.
    pub reset_seconds: u64,
    /// Seconds until it may come again. `None`: it has come in.
    pub retry_seconds: Option<u64>,
}

impl Limits {
    pub fn new(factor: usize) -> Self {
        Self { rows: Mutex::default(), factor: factor as u64, refused: Default::default() }
    }

    pub fn knock(&self, from: IpAddr, door: Door, now: EngineTime) -> Standing {
        let limit = door.limit() * self.factor;
        let cost = (MINUTE_MICROS / limit).max(1);
        let mut rows = self.lock();
        make_room(&mut rows, now);
        let full_at = rows.entry((from, door)).or_insert(now);
        let debt = full_at.0.saturating_sub(now.0);
        let comes_in = debt + cost <= MINUTE_MICROS;
        let debt = if comes_in { debt + cost } else { debt };
        *full_at = EngineTime(now.0 + debt);
        if !comes_in {
            self.refused[door as usize].fetch_add(1, Ordering::Relaxed);
        }
        let seconds = |micros: u64| micros.div_ceil(1_000_000);
        Standing {
            limit,
            remaining: MINUTE_MICROS.saturating_sub(debt) / cost,
            reset_seconds: seconds(debt),
            retry_seconds: (!comes_in).then(|| seconds(debt + cost - MINUTE_MICROS).max(1)),
        }
    }

    /// Knocks at one door and, if it opens, at the one behind it; how it stands at the narrower. Who is
    /// refused at the first has knocked there only.
    pub fn knock_twice(
        &self,
        first: (IpAddr, Door),
        behind: (IpAddr, Door),
        now: EngineTime,
    ) -> Standing {
        let own = self.knock(first.0, first.1, now);
        if own.retry_seconds.is_some() {
            return own;
        }
        let all = self.knock(behind.0, behind.1, now);
        if all.retry_seconds.is_some() || all.remaining < own.remaining { all } else { own }
    }

    /// Knocks that were one too many, by [`Door`].
    pub fn refused(&self, door: Door) -> u64 {
        self.refused[door as usize].load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(IpAddr, Door), EngineTime>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever's bucket is full goes; if that is not enough, the quarter that is nearest to it, and who
/// is as near.
fn make_room(rows: &mut HashMap<(IpAddr, Door), EngineTime>, now: EngineTime) {
    if rows.len() < ROW_COUNT_MAX {
        return;
    }
    rows.retain(|_, full_at| *full_at > now);
    if rows.len() > ROW_COUNT_MAX / 4 * 3 {
        let mut all: Vec<EngineTime> = rows.values().copied().collect();
        let (_, bound, _) = all.select_nth_unstable(ROW_COUNT_MAX / 4);
        let bound = *bound;
        rows.retain(|_, full_at| *full_at > bound);
    }
}

impl Standing {
    /// Says it in the headers of an answer.
    pub fn say(&self, response: &mut Response) {
        let said = [
            ("x-ratelimit-limit", self.limit),
            ("x-ratelimit-remaining", self.remaining),
            ("x-ratelimit-reset", self.reset_seconds),
        ];
        for (name, number) in said {
            let value = HeaderValue::from(number);
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }

    /// The answer to who knocks too often.
    pub fn refuse(&self) -> Response {
        let mut response = too_many(self.retry_seconds.unwrap_or(1));
        self.say(&mut response);
        response
    }
}

/// Lets a request in if its address may come, and says in the answer how that stands.
pub(crate) async fn hold(
    doors: &Doors,
    request: Request,
    next: Next,
    knock: impl FnOnce(IpAddr) -> Standing,
) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().map(|peer| peer.0.address) else {
        tracing::error!("a request came from a listener that is not ours");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let standing = knock(doors.proxies.client(peer, request.headers()));
    if standing.retry_seconds.is_some() {
        return standing.refuse();
    }
    let mut response = next.run(request).await;
    standing.say(&mut response);
    response
}

/// 429, in the original's words.
pub fn too_many(retry_seconds: u64) -> Response {
    let body = json!({
        "ok": false,
        "error": "Too many requests",
        "message": "Rate limit exceeded. Please try again later.",
        "code": "rate_limited",
        "retry_after": retry_seconds,
    });
    let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_seconds));
    response
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
    fn an_address_knocks_so_often_a_minute_and_hears_when_it_may_again() {
        let limits = Limits::new(1);
        for n in 1..=10 {
            let standing = limits.knock(ip(1), Door::SignIn, at(0));
            assert_eq!((standing.limit, standing.remaining), (10, 10 - n));
            assert_eq!(standing.reset_seconds, 6 * n);
            assert_eq!(standing.retry_seconds, None);
        }
        let refused = limits.knock(ip(1), Door::SignIn, at(0));
        assert_eq!((refused.remaining, refused.retry_seconds), (0, Some(6)));
        assert_eq!(limits.knock(ip(1), Door::SignIn, at(5)).retry_seconds, Some(1));
        assert_eq!(limits.knock(ip(1), Door::SignIn, at(6)).retry_seconds, None);
        assert_eq!(limits.refused(Door::SignIn), 2);
        assert_eq!(limits.knock(ip(2), Door::SignIn, at(6)).remaining, 9, "each for itself");
        assert_eq!(limits.knock(ip(1), Door::Register, at(6)).remaining, 4, "and each door");
        let twice =
            |from, door| limits.knock_twice((ip(from), door), (ip(from), Door::Auth), at(6));
        let standing = twice(3, Door::Register);
        assert_eq!((standing.limit, standing.remaining), (5, 4));
        for _ in 0..16 {
            limits.knock(ip(3), Door::Auth, at(6));
        }
        let standing = twice(3, Door::SignIn);
        assert_eq!((standing.limit, standing.remaining), (20, 2), "the narrower is told");
        for _ in 0..2 {
            twice(3, Door::SignIn);
        }
        assert_eq!(twice(3, Door::SignIn).limit, 20);
        assert_eq!(limits.knock(ip(3), Door::SignIn, at(6)).remaining, 5, "it opened each time");
        assert_eq!(Limits::new(1_000_000).knock(ip(1), Door::AnyCode, at(0)).retry_seconds, None);
        assert_eq!(Limits::new(100).knock(ip(1), Door::SignIn, at(0)).limit, 1000);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let limits = Limits::new(1);
        for n in 0..ROW_COUNT_MAX as u32 + 10 {
            let from = IpAddr::from(n.to_be_bytes());
            // The later ones owe more.
            for _ in 0..=n / 40_000 {
                limits.knock(from, Door::SignIn, at(0));
            }
        }
        assert!(limits.lock().len() <= ROW_COUNT_MAX);
        let last = IpAddr::from((ROW_COUNT_MAX as u32).to_be_bytes());
        assert_eq!(limits.knock(last, Door::SignIn, at(0)).remaining, 7, "it is known still");
    }
}
