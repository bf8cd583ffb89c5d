//! What is wrong with a scenario, told so that it can be found: the file, the line, the key.

use std::fmt;

use crate::nearest::nearest;

/// Names that a list of what there is goes up to.
const LIST_COUNT_MAX: usize = 60;

/// A scenario that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScenarioError {
    /// There is none of this name.
    NotFound { name: String, what: String },
    /// The file is there and cannot be read.
    Unreadable { file: String, what: String },
    /// A mistake in it.
    Invalid(Mistake),
}

/// A mistake in a scenario's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The key and those around it, as `people.heart_rate`; empty for the file as a whole.
    pub key: String,
    pub what: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { name, what } => write!(f, "scenario `{name}`: {what}"),
            Self::Unreadable { file, what } => write!(f, "{file}: {what}"),
            Self::Invalid(mistake) => mistake.fmt(f),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for ScenarioError {}

impl From<Mistake> for ScenarioError {
    fn from(mistake: Mistake) -> Self {
        Self::Invalid(mistake)
    }
}

/// "there is no such key; did you mean `rate`?", or what there is if nothing is near.
pub(super) fn no_such(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("there is no such {what}; did you mean `{meant}`?"),
        None if known.is_empty() => format!("there is no such {what}; there are none"),
        None => {
            let listed = &known[..known.len().min(LIST_COUNT_MAX)];
            let more = if listed.len() < known.len() { ", .." } else { "" };
            format!("there is no such {what}; there are {}{more}", listed.join(", "))
        }
    }
}
