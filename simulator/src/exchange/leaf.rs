//! The leaves of a payload with their names: `{"accelerometer":{"x":1}}` has the field
//! `accelerometer.x`, a bare number the field without a name.

use components::cell::{Cell, Leaf as CellLeaf};
use components::shape::Shape;
use serde_json::Value as Json;

/// What one leaf says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Number(f64),
    /// A string's words, or `true` and `false`.
    Text(&'a str),
    Null,
}

/// The leaves of all payloads of one shape.
#[derive(Debug)]
pub(crate) struct Leaves(Vec<Leaf>);

#[derive(Debug, PartialEq)]
struct Leaf {
    field: String,
    source: Source,
}

#[derive(Debug, PartialEq)]
enum Source {
    /// The n-th cell of the sample.
    Cell(usize),
    /// A string that every payload of the shape has.
    Constant(String),
}

/// Stands for a hole in a skeleton (`components::shape`).
const HOLE: u8 = 0x01;

impl Leaves {
    /// In the order of the payload's text, as far as JSON objects have one: by name within an
    /// object. `None`: the skeleton is not that of a JSON text.
    pub(crate) fn of(shape: &Shape) -> Option<Self> {
        // Each hole becomes its own number: then the tree says where it went.
        let (mut text, mut holes) = (Vec::new(), 0);
        for &byte in shape.skeleton() {
            if byte == HOLE {
                text.extend_from_slice(holes.to_string().as_bytes());
                holes += 1;
            } else {
                text.push(byte);
            }
        }
        let tree: Json = serde_json::from_slice(&text).ok()?;
        let mut leaves = Vec::new();
        walk(&tree, &mut String::new(), &mut |field, leaf| {
            let source = match leaf {
                Json::Number(n) => Source::Cell(n.as_u64().unwrap_or(u64::MAX) as usize),
                Json::String(text) => Source::Constant(text.clone()),
                _ => return,
            };
            leaves.push(Leaf { field: field.to_owned(), source });
        });
        Some(Self(leaves))
    }

    /// Each field and what it says in the sample with these cells.
    pub(crate) fn each<'a>(
        &'a self,
        cells: &'a [u64],
    ) -> impl Iterator<Item = (&'a str, Value<'a>)> + 'a {
        self.0.iter().map(|leaf| {
            let value = match &leaf.source {
                Source::Constant(text) => Value::Text(text),
                Source::Cell(n) => cells.get(*n).map_or(Value::Null, |&cell| said(Cell(cell))),
            };
            (leaf.field.as_str(), value)
        })
    }
}

pub(crate) fn said(cell: Cell) -> Value<'static> {
    match cell.leaf() {
        CellLeaf::Float(value) => Value::Number(value),
        CellLeaf::Integer(value) => Value::Number(value as f64),
        CellLeaf::True => Value::Text("true"),
        CellLeaf::False => Value::Text("false"),
        CellLeaf::Null | CellLeaf::Text(_) => Value::Null,
    }
}

/// The leaves of one payload that is kept as text, and of what rode along with it (`,"key":value`,
/// whose fields begin with a `+`).
pub(crate) fn each_of_text(payload: &str, extra: &str, visit: &mut dyn FnMut(&str, Value<'_>)) {
    let mut told = |field: &str, leaf: &Json| match leaf {
        Json::Number(n) => visit(field, n.as_f64().map_or(Value::Null, Value::Number)),
        Json::String(text) => visit(field, Value::Text(text)),
        Json::Bool(true) => visit(field, Value::Text("true")),
        Json::Bool(false) => visit(field, Value::Text("false")),
        _ => visit(field, Value::Null),
    };
    match serde_json::from_str::<Json>(payload) {
        Ok(tree) => walk(&tree, &mut String::new(), &mut told),
        Err(_) => told("", &Json::String(payload.to_owned())),
    }
    if let Some(members) = extra.strip_prefix(',')
        && let Ok(tree) = serde_json::from_str::<Json>(&format!("{{{members}}}"))
    {
        walk(&tree, &mut String::from("+"), &mut told);
    }
}

/// Visits every leaf below `tree`; `path` is the field so far.
fn walk(tree: &Json, path: &mut String, visit: &mut dyn FnMut(&str, &Json)) {
    let length = path.len();
    let mut step = |name: &str, child: &Json| {
        if !path.is_empty() && path != "+" {
            path.push('.');
        }
        path.push_str(name);
        walk(child, path, visit);
        path.truncate(length);
    };
    match tree {
        Json::Object(members) => members.iter().for_each(|(name, child)| step(name, child)),
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(n, child)| step(&n.to_string(), child));
        }
        leaf => visit(path, leaf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(payload: &str) -> Vec<(String, String)> {
        let (mut skeleton, mut cells) = (Vec::new(), Vec::new());
        assert!(components::shape::split(payload, &mut skeleton, &mut cells));
        let leaves = Leaves::of(&Shape::from_skeleton(&skeleton)).unwrap();
        leaves.each(&cells).map(|(field, value)| (field.to_owned(), format!("{value:?}"))).collect()
    }

    #[test]
    fn a_payload_has_a_field_for_each_leaf() {
        let said = leaves(r#"{"level":81.5,"charging":"no","list":[1,{"z":-2}],"on":true}"#);
        let said: Vec<(&str, &str)> =
            said.iter().map(|(field, value)| (field.as_str(), value.as_str())).collect();
        let mut expected = vec![
            ("charging", "Text(\"no\")"),
            ("level", "Number(81.5)"),
            ("list.0", "Number(1.0)"),
            ("list.1.z", "Number(-2.0)"),
            ("on", "Text(\"true\")"),
        ];
        expected.sort_unstable();
        let mut sorted = said;
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
        assert_eq!(leaves("72.5"), [(String::new(), "Number(72.5)".to_owned())]);
    }

    #[test]
    fn text_and_what_rode_along_have_fields_too() {
        let mut said = Vec::new();
        each_of_text(r#"{"artist":"A"}"#, r#","event":"press""#, &mut |field, value| {
            said.push((field.to_owned(), format!("{value:?}")));
        });
        let text = |field: &str, word: &str| (field.to_owned(), format!("Text({word:?})"));
        assert_eq!(said, [text("artist", "A"), text("+event", "press")]);
        let mut bare = Vec::new();
        each_of_text("not json", "", &mut |field, value| {
            bare.push((field.to_owned(), format!("{value:?}")));
        });
        assert_eq!(bare, [text("", "not json")]);
    }
}
