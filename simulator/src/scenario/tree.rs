//! A scenario's text as a tree in which everything knows its line, whatever language it was in,
//! and the words with which a mistake in it is told.

use std::ops::RangeInclusive;

use super::error::{Mistake, no_such};
use crate::period;

/// One value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// YAML has it.
    Nothing,
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    /// TOML has it.
    Date(String),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    /// As it is in the file: an importer gives another name to what it knows.
    pub(super) shown: String,
    pub(super) line: usize,
}

impl Node {
    pub(super) fn new(line: usize, value: Value) -> Self {
        Self { line, value }
    }

    /// What it is, with its article.
    fn sort(&self) -> &'static str {
        match self.value {
            Value::Nothing => "nothing",
            Value::Flag(_) => "true or false",
            Value::Whole(_) | Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

impl Key {
    pub(super) fn new(line: usize, name: &str) -> Self {
        Self { name: name.to_owned(), shown: name.to_owned(), line }
    }
}

/// A number, or the range that it is drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Drawn {
    Is(f64),
    Between(f64, f64),
}

impl Drawn {
    pub(super) fn ends(self) -> (f64, f64) {
        match self {
            Self::Is(value) => (value, value),
            Self::Between(low, high) => (low, high),
        }
    }
}

/// A table that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    file: &'a str,
    /// The keys around it, as `people`; empty at the top.
    path: &'a str,
    pub(super) line: usize,
    pub(super) entries: &'a [(Key, Node)],
}

/// One of its values. `path` is its key and those around it.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    file: &'a str,
    pub(super) path: String,
    pub(super) node: &'a Node,
}

impl<'a> Table<'a> {
    /// The whole of a file.
    pub(super) fn top(file: &'a str, node: &'a Node) -> Result<Self, Mistake> {
        let field = Field { file, path: String::new(), node };
        match &node.value {
            Value::Table(entries) => Ok(Self { file, path: "", line: node.line, entries }),
            _ => Err(field.expected("a table")),
        }
    }

    /// The table of `field`.
    pub(super) fn of(field: &'a Field<'a>) -> Result<Self, Mistake> {
        match &field.node.value {
            Value::Table(entries) => {
                Ok(Self { file: field.file, path: &field.path, line: field.node.line, entries })
            }
            _ => Err(field.expected("a table")),
        }
    }

    /// Refuses the first key that is not one of `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Mistake> {
        match self.entries.iter().find(|(key, _)| !known.contains(&key.name.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                let mut shown: Vec<&str> = known.to_vec();
                shown.sort_unstable();
                Err(self.mistake_at(key, no_such("key", &key.shown, &shown)))
            }
        }
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a Key, Field<'a>)> + use<'a> {
        let (file, path) = (self.file, self.path);
        self.entries
            .iter()
            .map(move |(key, node)| (key, Field { file, path: joined(path, &key.shown), node }))
    }

    pub(super) fn field(&self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|(key, _)| key.name == name).map(|(_, field)| field)
    }

    pub(super) fn needed(&self, name: &str) -> Result<Field<'a>, Mistake> {
        self.field(name).ok_or_else(|| self.mistake(&format!("`{name}` is missing")))
    }

    /// About the table as a whole.
    pub(super) fn mistake(&self, what: &str) -> Mistake {
        Mistake {
            file: self.file.to_owned(),
            line: self.line,
            key: self.path.to_owned(),
            what: what.to_owned(),
        }
    }

    pub(super) fn mistake_at(&self, key: &Key, what: String) -> Mistake {
        let path = joined(self.path, &key.shown);
        Mistake { file: self.file.to_owned(), line: key.line, key: path, what }
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl<'a> Field<'a> {
    pub(super) fn mistake(&self, what: &str) -> Mistake {
        Mistake {
            file: self.file.to_owned(),
            line: self.node.line,
            key: self.path.clone(),
            what: what.to_owned(),
        }
    }

    pub(super) fn expected(&self, what: &str) -> Mistake {
        self.mistake(&format!("expected {what}, found {}", self.node.sort()))
    }

    pub(super) fn text(&self) -> Result<&'a str, Mistake> {
        match &self.node.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    /// One of `choices`.
    pub(super) fn word<'c>(&self, what: &str, choices: &[&'c str]) -> Result<&'c str, Mistake> {
        let text = self.text()?;
        choices
            .iter()
            .copied()
            .find(|&choice| choice == text)
            .ok_or_else(|| self.mistake(&format!("`{text}`: {}", no_such(what, text, choices))))
    }

    pub(super) fn flag(&self) -> Result<bool, Mistake> {
        match self.node.value {
            Value::Flag(flag) => Ok(flag),
            _ => Err(self.expected("true or false")),
        }
    }

    pub(super) fn whole(&self, range: RangeInclusive<i64>) -> Result<i64, Mistake> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        match self.node.value {
            Value::Whole(number) if range.contains(&number) => Ok(number),
            Value::Whole(number) => {
                Err(self.mistake(&format!("expected {wanted}, found {number}")))
            }
            Value::Number(number) => {
                Err(self.mistake(&format!("expected {wanted}, found {number}")))
            }
            _ => Err(self.expected(&wanted)),
        }
    }

    pub(super) fn number(&self, range: RangeInclusive<f64>, unit: &str) -> Result<f64, Mistake> {
        let space = if unit.is_empty() { "" } else { " " };
        let wanted = format!("a number from {} to {}{space}{unit}", range.start(), range.end());
        let number = match self.node.value {
            Value::Whole(number) => number as f64,
            Value::Number(number) => number,
            _ => return Err(self.expected(&wanted)),
        };
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(self.mistake(&format!("expected {wanted}, found {number}")))
        }
    }

    /// A number, or `[low, high]` to draw it from.
    pub(super) fn drawn(&self, range: RangeInclusive<f64>, unit: &str) -> Result<Drawn, Mistake> {
        if !matches!(self.node.value, Value::List(_)) {
            return self.number(range, unit).map(Drawn::Is);
        }
        let (low, high) = self.two(|field| field.number(range.clone(), unit))?;
        Ok(if low == high { Drawn::Is(low) } else { Drawn::Between(low, high) })
    }

    /// A time, or `[shortest, longest]`, in seconds; `"never"` is infinite.
    pub(super) fn seconds_range(&self) -> Result<(f64, f64), Mistake> {
        match self.node.value {
            Value::List(_) => self.two(Self::seconds),
            _ => self.seconds().map(|seconds| (seconds, seconds)),
        }
    }

    fn two(
        &self,
        read: impl Fn(&Field<'a>) -> Result<f64, Mistake>,
    ) -> Result<(f64, f64), Mistake> {
        let items = self.list()?;
        let [low, high] = items.as_slice() else {
            return Err(self.mistake(&format!(
                "expected one value, or two as [low, high]; found {}",
                items.len()
            )));
        };
        let (low, high) = (read(low)?, read(high)?);
        if low > high {
            return Err(self.mistake(&format!("the range is reversed: {low} is before {high}")));
        }
        Ok((low, high))
    }

    /// Seconds as a number, or a text as `"500ms"`, `"30s"`, `"2m"`, `"1h"`; `"never"` is
    /// infinite.
    pub(super) fn seconds(&self) -> Result<f64, Mistake> {
        const WANTED: &str = "seconds, or a time as \"500ms\", \"30s\", \"2m\", \"1h\"";
        /// Ten years.
        const SECONDS_MAX: f64 = 315_576_000.0;
        let seconds = match &self.node.value {
            Value::Whole(number) => *number as f64,
            Value::Number(number) => *number,
            Value::Text(text) if text == "never" => return Ok(f64::INFINITY),
            Value::Text(text) => {
                let wrong = || self.mistake(&format!("expected {WANTED}, found \"{text}\""));
                period::seconds(text).ok_or_else(wrong)?
            }
            _ => return Err(self.expected(WANTED)),
        };
        if (0.0..=SECONDS_MAX).contains(&seconds) {
            Ok(seconds)
        } else {
            Err(self.mistake(&format!("expected a time from 0 s to ten years, found {seconds} s")))
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Field<'a>>, Mistake> {
        match &self.node.value {
            Value::List(nodes) => Ok(nodes
                .iter()
                .map(|node| Field { file: self.file, path: self.path.clone(), node })
                .collect()),
            _ => Err(self.expected("a list")),
        }
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&self) -> Result<Vec<Field<'a>>, Mistake> {
        let items = match self.node.value {
            Value::Text(_) => vec![self.clone()],
            Value::List(_) => self.list()?,
            _ => return Err(self.expected("a list of texts")),
        };
        items.iter().try_for_each(|item| item.text().map(|_| ()))?;
        Ok(items)
    }
}
