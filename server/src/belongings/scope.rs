//! Which sensors a credential feeds.

use std::fmt;

use components::limits::NAME_BYTES_MAX;
use serde_json::{Value, json};

/// Ids that are named one by one.
const SCOPE_ID_COUNT_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All that are its owner's or nobody's.
    Any,
    /// Those of them whose ids begin so.
    Prefix(Box<str>),
    Ids(Vec<Box<str>>),
}

/// What names no sensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeError;

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`sensors`: expected \"any\", {{\"prefix\": a beginning}}, or a list of 1 to \
             {SCOPE_ID_COUNT_MAX} ids; each has 1 to {NAME_BYTES_MAX} bytes"
        )
    }
}

impl Scope {
    /// As [`told`](Self::told) says it.
    pub(super) fn read(said: &Value) -> Result<Self, ScopeError> {
        let name = |said: &Value| {
            let text = said.as_str().filter(|it| (1..=NAME_BYTES_MAX).contains(&it.len()));
            text.map(Box::from).ok_or(ScopeError)
        };
        match said {
            Value::String(word) if word == "any" => Ok(Self::Any),
            Value::Object(members) if members.len() == 1 => {
                members.get("prefix").ok_or(ScopeError).and_then(name).map(Self::Prefix)
            }
            Value::Array(ids) if (1..=SCOPE_ID_COUNT_MAX).contains(&ids.len()) => {
                ids.iter().map(name).collect::<Result<_, _>>().map(Self::Ids)
            }
            _ => Err(ScopeError),
        }
    }

    pub(super) fn told(&self) -> Value {
        match self {
            Self::Any => json!("any"),
            Self::Prefix(prefix) => json!({ "prefix": **prefix }),
            Self::Ids(ids) => ids.iter().map(|id| Value::from(&**id)).collect(),
        }
    }

    pub(super) fn has(&self, sensor_id: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => sensor_id.starts_with(&**prefix),
            Self::Ids(ids) => ids.iter().any(|id| **id == *sensor_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_what_it_names() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for (said, has, has_not) in [
            (json!("any"), "x", None),
            (json!({ "prefix": "anna:" }), "anna:ecg", Some("anna")),
            (json!(["a", "b"]), "b", Some("ab")),
        ] {
            let scope = Scope::read(&said).unwrap();
            assert!(scope.has(has));
            assert!(has_not.is_none_or(|id| !scope.has(id)), "{said}");
            assert_eq!(scope.told(), said);
        }
        for bad in [
            json!(null),
            json!("all"),
            json!([]),
            json!([""]),
            json!([7]),
            json!([long]),
            json!({}),
            json!({ "prefix": "" }),
            json!({ "prefix": 7 }),
            json!({ "prefix": "a", "ids": [] }),
            json!(vec!["x"; SCOPE_ID_COUNT_MAX + 1]),
        ] {
            assert_eq!(Scope::read(&bad), Err(ScopeError), "{bad}");
        }
    }
}
