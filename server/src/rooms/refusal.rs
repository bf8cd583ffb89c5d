//! Why something is not done with a room, over HTTP.

use axum::http::StatusCode;

use super::RoomError;
use super::chat::ChatError;
use super::document::DocumentError;
use crate::can::Denied;
use crate::refusal::{Refusal, sentence};
use crate::viewer::DeskError;

impl From<RoomError> for Refusal {
    fn from(error: RoomError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            RoomError::Denied(Denied::SignIn) => Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Missing or invalid authorization",
            ),
            RoomError::Denied(Denied::NotFound) => {
                Self::new(StatusCode::NOT_FOUND, "not_found", "Room not found")
            }
            RoomError::Denied(Denied::Forbidden(why)) => {
                Self::new(StatusCode::FORBIDDEN, why, sentence(why))
            }
            RoomError::Hydrating => Self::new(
                unavailable,
                "hydrating",
                "what is kept of rooms is not here yet: look at /health/ready",
            ),
            RoomError::Word(error) => {
                Self::new(StatusCode::BAD_REQUEST, "bad_value", &error.to_string())
            }
            RoomError::TooMany(what) => {
                let what = format!("there are as many {what} as may be");
                Self::new(StatusCode::CONFLICT, "too_many", &what)
            }
            RoomError::Sensor(why) => Self::new(StatusCode::CONFLICT, why, sentence(why)),
            RoomError::Ticket(error) => {
                let what = format!("Invalid ticket: {}", error.why());
                Self::new(StatusCode::BAD_REQUEST, "bad_ticket", &what)
            }
            RoomError::Document(error) => {
                let status = match error {
                    DocumentError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
                    DocumentError::Changed { .. } => StatusCode::CONFLICT,
                    DocumentError::Owner
                    | DocumentError::Members
                    | DocumentError::SensorOfOthers(_)
                    | DocumentError::Signature(_)
                    | DocumentError::Protected(_) => StatusCode::FORBIDDEN,
                    _ => StatusCode::BAD_REQUEST,
                };
                Self::new(status, error.code(), &error.to_string())
            }
            RoomError::Chat(error) => {
                let status = match error {
                    ChatError::Empty | ChatError::TooLong | ChatError::Unseen => {
                        StatusCode::BAD_REQUEST
                    }
                    ChatError::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
                    ChatError::Full => unavailable,
                    ChatError::NoSuchMessage => StatusCode::NOT_FOUND,
                };
                let retry_ms = match error {
                    ChatError::TooFast { retry_ms } => Some(retry_ms),
                    _ => None,
                };
                Self { retry_ms, ..Self::new(status, error.reason(), &error.to_string()) }
            }
            RoomError::NoRandom | RoomError::Desk(DeskError::NoRandom) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "no_random", "no random bytes")
            }
            RoomError::Refused(refused) => {
                Self::new(unavailable, "store_unavailable", &refused.to_string())
            }
            RoomError::Desk(DeskError::TooMany) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "too many viewers")
            }
            RoomError::Desk(_) => Self::new(unavailable, "busy", "busy"),
        }
    }
}
