//! What could not be delivered, and why: the last of it, for an administrator to look at
//! (`reference/core.md` 19, "No dead-letter handling"). Ledgers count everything; this says whose it
//! was.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use components::class::Class;
use components::ledger::{Ledger, Reason};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::orders::{clip, error, let_administrators_in};
use crate::socket::Doors;

/// Letters that are kept.
pub const LETTER_COUNT_MAX: usize = 1024;

/// Bytes of their names and details.
pub const LETTER_BYTES_MAX: usize = 128 * 1024;

/// Bytes of one detail.
const DETAIL_BYTES_MAX: usize = 160;

/// Letters in an answer, unless fewer are asked for.
const SHOWN_COUNT_MAX: usize = LETTER_COUNT_MAX;

/// What is known of something that went no further.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// A name of [`Reason`], or what else happened.
    pub reason: &'static str,
    pub class: Option<Class>,
    pub sensor_id: Option<&'a str>,
    pub attribute_id: Option<&'a str>,
    /// Samples, unless the detail says what else.
    pub count: u64,
    pub detail: &'a str,
}

#[derive(Debug)]
struct Kept {
    unix_ms: i64,
    reason: &'static str,
    class: Option<Class>,
    sensor_id: Option<Arc<str>>,
    attribute_id: Option<Box<str>>,
    count: u64,
    detail: Box<str>,
}

impl Kept {
    fn bytes(&self) -> usize {
        let name = self.sensor_id.as_ref().map_or(0, |id| id.len());
        let attribute = self.attribute_id.as_ref().map_or(0, |id| id.len());
        name + attribute + self.detail.len()
    }

    fn json(&self) -> Value {
        json!({
            "at": self.unix_ms,
            "reason": self.reason,
            "class": self.class.map(Class::name),
            "sensor_id": self.sensor_id.as_deref(),
            "attribute_id": self.attribute_id,
            "count": self.count,
            "detail": self.detail,
        })
    }
}

/// What letters of one second have in common.
type Key = (&'static str, Option<Arc<str>>);

#[derive(Debug, Default)]
struct Ring {
    letters: VecDeque<Kept>,
    bytes: usize,
    /// Letters that made room for newer ones.
    overwritten: u64,
    /// Of this second, in unix time: where each of its letters is, counted from the first ever.
    second: i64,
    of_second: HashMap<Key, u64>,
}

impl Ring {
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.letters.pop_front() {
            self.bytes -= oldest.bytes();
            self.overwritten += 1;
        }
    }
}

/// The last [`LETTER_COUNT_MAX`] of them, those of one reason and sensor within one second as one.
#[derive(Debug, Default)]
pub struct DeadLetters {
    ring: Mutex<Ring>,
}

impl DeadLetters {
    /// Keeps a letter of this time.
    pub fn note(&self, unix_ms: i64, letter: DeadLetter<'_>) {
        if letter.count == 0 {
            return;
        }
        let mut ring = self.lock();
        let ring = &mut *ring;
        let second = unix_ms.div_euclid(1000);
        if ring.second != second {
            ring.second = second;
            ring.of_second.clear();
        }
        let key: Key = (letter.reason, letter.sensor_id.map(Arc::from));
        let place = ring.of_second.get(&key).and_then(|at| at.checked_sub(ring.overwritten));
        if let Some(kept) = place.and_then(|place| ring.letters.get_mut(place as usize)) {
            kept.count += letter.count;
            kept.class = kept.class.filter(|class| Some(*class) == letter.class);
            if kept.attribute_id.as_deref() != letter.attribute_id
                && let Some(attribute_id) = kept.attribute_id.take()
            {
                ring.bytes -= attribute_id.len();
            }
            return;
        }
        let detail = &letter.detail[..letter.detail.floor_char_boundary(DETAIL_BYTES_MAX)];
        let kept = Kept {
            unix_ms,
            reason: letter.reason,
            class: letter.class,
            sensor_id: key.1.clone(),
            attribute_id: letter.attribute_id.map(Into::into),
            count: letter.count,
            detail: detail.into(),
        };
        ring.bytes += kept.bytes();
        ring.of_second.insert(key, ring.overwritten + ring.letters.len() as u64);
        ring.letters.push_back(kept);
        while ring.letters.len() > LETTER_COUNT_MAX || ring.bytes > LETTER_BYTES_MAX {
            ring.forget_oldest();
        }
    }

    /// Keeps what a ledger of the engine has dropped since an earlier look. What aged in a ring has
    /// come to its ordinary end, and what a door refused it has noted itself.
    pub fn note_ledger(&self, unix_ms: i64, name: &str, before: &Ledger, now: &Ledger) {
        for reason in Reason::ALL {
            if reason == Reason::Aged || Reason::OF_DOOR.contains(&reason) {
                continue;
            }
            let count = now.dropped(reason).saturating_sub(before.dropped(reason));
            let letter = DeadLetter {
                reason: reason.name(),
                class: None,
                sensor_id: None,
                attribute_id: None,
                count,
                detail: name,
            };
            self.note(unix_ms, letter);
        }
    }

    /// Letters that made room for newer ones.
    pub fn overwritten(&self) -> u64 {
        self.lock().overwritten
    }

    /// Letters that are kept.
    pub fn count(&self) -> usize {
        self.lock().letters.len()
    }

    /// The newest first, of this reason and class.
    fn shown(&self, wish: &Wish, class: Option<Class>) -> Value {
        let ring = self.lock();
        let letters: Vec<Value> = ring
            .letters
            .iter()
            .rev()
            .filter(|kept| wish.reason.as_deref().is_none_or(|reason| kept.reason == reason))
            .filter(|kept| class.is_none() || kept.class == class)
            .take(wish.limit.unwrap_or(SHOWN_COUNT_MAX))
            .map(Kept::json)
            .collect();
        json!({
            "capacity": LETTER_COUNT_MAX,
            "dropped_before": ring.overwritten,
            "letters": letters,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of it is to be shown.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    reason: Option<String>,
    class: Option<String>,
    limit: Option<usize>,
}

/// `GET /api/system/dead-letters`, for administrators.
pub fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/api/system/dead-letters", get(show))
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), let_administrators_in))
        .with_state(doors)
}

async fn show(
    State(doors): State<Arc<Doors>>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Response {
    let wish = match wish {
        Ok(Query(wish)) => wish,
        Err(rejection) => {
            let problem = format!("{}; there are reason, class and limit", rejection.body_text());
            return error(StatusCode::BAD_REQUEST, "bad_value", &problem).into_response();
        }
    };
    let class = match wish.class.as_deref().map(|name| Class::from_name(name).ok_or(name)) {
        None => None,
        Some(Ok(class)) => Some(class),
        Some(Err(name)) => {
            let classes = Class::ALL.map(Class::name).join(", ");
            let problem = format!("`class`: `{}`: there are {classes}", clip(name));
            return error(StatusCode::BAD_REQUEST, "bad_value", &problem).into_response();
        }
    };
    let letters = doors.letters.shown(&wish, class);
    ([(header::CACHE_CONTROL, "no-store")], Json(letters)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(reason: &'static str, sensor_id: &'static str, count: u64) -> DeadLetter<'static> {
        DeadLetter {
            reason,
            class: Some(Class::Bio),
            sensor_id: Some(sensor_id),
            attribute_id: Some("ecg"),
            count,
            detail: "x",
        }
    }

    fn all(letters: &DeadLetters) -> Vec<(i64, String, String, u64)> {
        let shown = letters.shown(&Wish::default(), None);
        let one = |letter: &Value| {
            let text = |key: &str| letter[key].as_str().unwrap_or("-").to_owned();
            let (at, count) = (letter["at"].as_i64().unwrap(), letter["count"].as_u64().unwrap());
            (at, text("reason"), text("sensor_id"), count)
        };
        shown["letters"].as_array().unwrap().iter().map(one).collect()
    }

    #[test]
    fn one_reason_of_one_sensor_within_a_second_is_one_letter() {
        let letters = DeadLetters::default();
        letters.note(1_000, letter("paced", "s", 3));
        letters.note(1_500, letter("paced", "t", 1));
        letters.note(1_999, letter("paced", "s", 4));
        letters.note(1_999, letter("shed", "s", 1));
        letters.note(2_000, letter("paced", "s", 5));
        letters.note(2_000, letter("paced", "s", 0));
        let expected =
            [(2_000, "paced", "s", 5), (1_999, "shed", "s", 1), (1_500, "paced", "t", 1)];
        let known: Vec<_> = expected
            .into_iter()
            .chain([(1_000, "paced", "s", 7)])
            .map(|(at, reason, sensor, count)| (at, reason.to_owned(), sensor.to_owned(), count))
            .collect();
        assert_eq!(all(&letters), known);
    }

    #[test]
    fn what_differs_within_one_letter_is_not_said() {
        let letters = DeadLetters::default();
        letters.note(0, letter("paced", "s", 1));
        let other = DeadLetter {
            class: Some(Class::Motion),
            attribute_id: Some("imu"),
            ..letter("paced", "s", 1)
        };
        letters.note(0, other);
        letters.note(0, letter("paced", "s", 1));
        let shown = letters.shown(&Wish::default(), None);
        let one = &shown["letters"][0];
        assert_eq!((&one["class"], &one["attribute_id"]), (&Value::Null, &Value::Null));
        assert_eq!((&one["count"], &one["detail"]), (&json!(3), &json!("x")));
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let letters = DeadLetters::default();
        for second in 0..LETTER_COUNT_MAX as i64 + 5 {
            letters.note(second * 1000, letter("paced", "s", 1));
        }
        assert_eq!((letters.count(), letters.overwritten()), (LETTER_COUNT_MAX, 5));
        assert_eq!(all(&letters).last().unwrap().0, 5_000);
        let shown = letters.shown(&Wish::default(), None);
        assert_eq!((&shown["dropped_before"], &shown["capacity"]), (&json!(5), &json!(1024)));
        // One that was overwritten within its own second begins anew.
        let many = DeadLetters::default();
        let names: Vec<String> = (0..=LETTER_COUNT_MAX).map(|n| n.to_string()).collect();
        for name in names.iter().chain([&names[0]]) {
            many.note(0, DeadLetter { sensor_id: Some(name), ..letter("paced", "", 1) });
        }
        assert_eq!(all(&many)[0], (0, "paced".to_owned(), "0".to_owned(), 1));
        assert_eq!(many.overwritten(), 2);
    }

    #[test]
    fn long_names_and_details_are_bounded_in_bytes() {
        let letters = DeadLetters::default();
        let (name, detail) = ("ä".repeat(64), "ö".repeat(1000));
        for second in 0..LETTER_COUNT_MAX as i64 {
            let long =
                DeadLetter { sensor_id: Some(&name), detail: &detail, ..letter("paced", "", 1) };
            letters.note(second * 1000, long);
        }
        let ring = letters.lock();
        let bytes: usize = ring.letters.iter().map(Kept::bytes).sum();
        assert_eq!(bytes, ring.bytes);
        assert!(bytes <= LETTER_BYTES_MAX && bytes > LETTER_BYTES_MAX / 2, "{bytes}");
        assert_eq!(ring.letters[0].detail.len(), DETAIL_BYTES_MAX);
    }

    #[test]
    fn what_the_engine_drops_is_kept_but_for_ordinary_ends() {
        let letters = DeadLetters::default();
        let before = Ledger::default();
        let mut now = Ledger::default();
        for (n, reason) in Reason::ALL.into_iter().enumerate() {
            now.drop(reason, n as u64 + 1);
        }
        letters.note_ledger(0, "store", &before, &now);
        letters.note_ledger(0, "store", &now, &now);
        let mut reasons: Vec<String> = all(&letters).into_iter().map(|letter| letter.1).collect();
        reasons.reverse();
        let known =
            ["trimmed", "sensor_gone", "unknown_feed", "overrun", "paused", "viewer_gone", "fault"];
        assert_eq!(reasons, known);
    }

    #[test]
    fn letters_are_chosen_by_reason_and_class_the_newest_first() {
        let letters = DeadLetters::default();
        letters.note(0, letter("paced", "a", 1));
        letters.note(0, letter("shed", "b", 1));
        letters.note(0, DeadLetter { class: Some(Class::Location), ..letter("shed", "c", 1) });
        letters.note(0, letter("shed", "d", 1));
        let sensors = |reason: Option<&str>, class, limit| {
            let wish = Wish { reason: reason.map(Into::into), class: None, limit };
            let shown = letters.shown(&wish, class);
            let letters = shown["letters"].as_array().unwrap().clone();
            letters.iter().map(|l| l["sensor_id"].as_str().unwrap().to_owned()).collect::<String>()
        };
        assert_eq!(sensors(None, None, None), "dcba");
        assert_eq!(sensors(Some("shed"), None, Some(2)), "dc");
        assert_eq!(sensors(Some("shed"), Some(Class::Location), None), "c");
        assert_eq!(sensors(Some("nonsense"), None, None), "");
    }
}
