//! `/api/people`: whom somebody may know of, each with those of their rooms and live sensors that one may
//! know of, too. Whose a sensor is hears only who may see something of it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use crate::can::{Action, What, can};
use crate::people::AccountId;
use crate::refusal::Refusal;
use crate::rooms::{Asker, RoomError};
use crate::socket::Doors;

/// People that one answer has.
const PEOPLE_COUNT_MAX: usize = 500;

/// Rooms and sensors of each.
const ROOM_COUNT_MAX: usize = 50;
const SENSOR_COUNT_MAX: usize = 100;

type Person = (Box<str>, AccountId);

/// Everybody, by name.
pub(super) async fn people(
    State(doors): State<Arc<Doors>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asker = who(&doors, &headers)?;
    let mut ids = doors.people.ids();
    {
        let mut sight = doors.rooms.sight(&asker);
        ids.retain(|id| sight.person(id));
    }
    let named = ids.into_iter().filter_map(|id| Some((doors.people.display_name(&id)?, id)));
    let mut named: Vec<Person> = named.collect();
    named.sort_by_cached_key(|(name, id)| (name.to_lowercase(), Arc::clone(id)));
    let more = named.len() > PEOPLE_COUNT_MAX;
    named.truncate(PEOPLE_COUNT_MAX);
    Ok(Json(json!({ "people": told(&doors, &asker, &named), "more": more })).into_response())
}

/// One of them. Who may not be known of is not there.
pub(super) async fn person(
    State(doors): State<Arc<Doors>>,
    named: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let asker = who(&doors, &headers)?;
    let id = named.ok().map(|Path(id)| id);
    let id = id.filter(|id| doors.rooms.sight(&asker).person(id));
    let person = id.and_then(|id| Some((doors.people.display_name(&id)?, AccountId::from(id))));
    let told = person.and_then(|person| told(&doors, &asker, &[person]).pop());
    let none = || Refusal::new(StatusCode::NOT_FOUND, "not_found", "no such person");
    Ok(Json(json!({ "person": told.ok_or_else(none)? })).into_response())
}

fn who(doors: &Doors, headers: &HeaderMap) -> Result<Asker, Refusal> {
    let asker = doors.asker(headers);
    can(asker.who, Action::ListPublic, What::House).map_err(RoomError::Denied)?;
    Ok(asker)
}

fn told(doors: &Doors, asker: &Asker, people: &[Person]) -> Vec<Value> {
    let rooms: Vec<Vec<Value>> = {
        let mut sight = doors.rooms.sight(asker);
        people.iter().map(|(_, id)| sight.rooms_of(id)).collect()
    };
    let sensors = sensors(doors, asker, people);
    let told = people.iter().zip(rooms).map(|((name, id), mut rooms)| {
        let own = sensors.get(id).map_or(&[][..], Vec::as_slice);
        let live = own.iter().take(SENSOR_COUNT_MAX);
        let live = live.filter_map(|id| doors.rooms.directory.told_if_live(id));
        let room_count = rooms.len();
        rooms.truncate(ROOM_COUNT_MAX);
        json!({
            "user_id": **id,
            "display_name": **name,
            "room_count": room_count,
            "rooms": rooms,
            "sensor_count": own.len(),
            "sensors": live.collect::<Value>(),
        })
    });
    told.collect()
}

/// By whose they are, the live sensors that somebody finds and may see a signal of.
fn sensors(doors: &Doors, asker: &Asker, people: &[Person]) -> HashMap<AccountId, Vec<Arc<str>>> {
    let mut found: HashMap<AccountId, Vec<Arc<str>>> =
        people.iter().map(|(_, id)| (Arc::clone(id), Vec::new())).collect();
    let sight = doors.search.discovery.sight(asker);
    let directory = &doors.rooms.directory;
    for sensor_id in directory.versions().into_keys() {
        let is_found = sight.as_ref().is_none_or(|sight| sight.contains(&sensor_id));
        let owner = doors.belongings.owner(&sensor_id).filter(|_| is_found);
        let Some(own) = owner.and_then(|owner| found.get_mut(&owner)) else { continue };
        let is_shown = directory.attributes(&sensor_id).iter().any(|(id, kind)| {
            let circle = doors.consent.circle(&sensor_id, id, kind.name());
            circle.is_none_or(|circle| circle.has(asker.id.as_deref()))
        });
        if is_shown {
            own.push(sensor_id);
        }
    }
    found
}
