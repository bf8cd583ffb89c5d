//! What a model may be told: its parameters with their ranges, and the values that were chosen.

use std::fmt;

use super::Model;

/// One thing that can be said about a model or a person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    pub name: &'static str,
    /// Empty where there is none.
    pub unit: &'static str,
    pub sort: Sort,
    pub sentence: &'static str,
}

/// What a parameter takes, and what it is when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sort {
    /// A finite number from `min` to `max`, both included.
    Number {
        min: f64,
        max: f64,
        default: f64,
    },
    Word {
        choices: &'static [&'static str],
        default: &'static str,
    },
    Flag {
        default: bool,
    },
}

impl Parameter {
    pub(crate) const fn number(
        name: &'static str,
        unit: &'static str,
        (min, max): (f64, f64),
        default: f64,
        sentence: &'static str,
    ) -> Self {
        Self { name, unit, sort: Sort::Number { min, max, default }, sentence }
    }

    pub(crate) const fn word(
        name: &'static str,
        choices: &'static [&'static str],
        default: &'static str,
        sentence: &'static str,
    ) -> Self {
        Self { name, unit: "", sort: Sort::Word { choices, default }, sentence }
    }

    pub(crate) const fn flag(name: &'static str, default: bool, sentence: &'static str) -> Self {
        Self { name, unit: "", sort: Sort::Flag { default }, sentence }
    }

    /// The parameter of this name.
    pub(crate) fn find(
        parameters: &'static [Self],
        name: &str,
    ) -> Result<&'static Self, GivenError> {
        parameters.iter().find(|parameter| parameter.name == name).ok_or_else(|| {
            GivenError::Unknown {
                name: name.to_owned(),
                known: parameters.iter().map(|parameter| parameter.name).collect(),
            }
        })
    }

    /// `value`, if this parameter takes it.
    pub(crate) fn check_number(&'static self, value: f64) -> Result<f64, GivenError> {
        match self.sort {
            Sort::Number { min, max, .. } if value >= min && value <= max => Ok(value),
            Sort::Number { min, max, .. } => {
                Err(GivenError::OutOfRange { name: self.name, unit: self.unit, value, min, max })
            }
            sort => Err(GivenError::WrongSort { name: self.name, sort }),
        }
    }

    /// The choice that reads `value`.
    pub(crate) fn check_word(&'static self, value: &str) -> Result<&'static str, GivenError> {
        match self.sort {
            Sort::Word { choices, .. } => {
                choices.iter().copied().find(|&choice| choice == value).ok_or_else(|| {
                    GivenError::NoChoice { name: self.name, value: value.to_owned(), choices }
                })
            }
            sort => Err(GivenError::WrongSort { name: self.name, sort }),
        }
    }
}

/// Why a value was refused. Its text is a sentence for whoever wrote the value.
#[derive(Debug, Clone, PartialEq)]
pub enum GivenError {
    Unknown { name: String, known: Vec<&'static str> },
    OutOfRange { name: &'static str, unit: &'static str, value: f64, min: f64, max: f64 },
    NoChoice { name: &'static str, value: String, choices: &'static [&'static str] },
    WrongSort { name: &'static str, sort: Sort },
}

impl fmt::Display for GivenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known } if known.is_empty() => {
                write!(f, "`{name}` is not known: there is nothing to choose here")
            }
            Self::Unknown { name, known } => {
                write!(f, "`{name}` is not known; there are {}", known.join(", "))
            }
            Self::OutOfRange { name, unit, value, min, max } => {
                let space = if unit.is_empty() { "" } else { " " };
                write!(f, "`{name}` is {value}, and must be from {min} to {max}{space}{unit}")
            }
            Self::NoChoice { name, value, choices } => {
                write!(f, "`{name}` is \"{value}\", and must be one of {}", choices.join(", "))
            }
            Self::WrongSort { name, sort } => {
                let wanted = match sort {
                    Sort::Number { .. } => "a number",
                    Sort::Word { .. } => "a word",
                    Sort::Flag { .. } => "true or false",
                };
                write!(f, "`{name}` must be {wanted}")
            }
        }
    }
}

impl std::error::Error for GivenError {}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Number(f64),
    Word(&'static str),
    Flag(bool),
}

/// Checked values for the parameters of one model; what is not given has its default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    values: Vec<(&'static str, Value)>,
}

impl Given {
    pub fn set_number(&mut self, model: &Model, name: &str, value: f64) -> Result<(), GivenError> {
        let parameter = Parameter::find(model.parameters, name)?;
        let value = parameter.check_number(value)?;
        self.put(parameter.name, Value::Number(value));
        Ok(())
    }

    pub fn set_word(&mut self, model: &Model, name: &str, value: &str) -> Result<(), GivenError> {
        let parameter = Parameter::find(model.parameters, name)?;
        let value = parameter.check_word(value)?;
        self.put(parameter.name, Value::Word(value));
        Ok(())
    }

    pub fn set_flag(&mut self, model: &Model, name: &str, value: bool) -> Result<(), GivenError> {
        let parameter = Parameter::find(model.parameters, name)?;
        let Sort::Flag { .. } = parameter.sort else {
            return Err(GivenError::WrongSort { name: parameter.name, sort: parameter.sort });
        };
        self.put(parameter.name, Value::Flag(value));
        Ok(())
    }

    fn put(&mut self, name: &'static str, value: Value) {
        self.values.retain(|&(old, _)| old != name);
        self.values.push((name, value));
    }

    fn get(&self, name: &str) -> Option<Value> {
        self.values.iter().find(|&&(given, _)| given == name).map(|&(_, value)| value)
    }
}

/// What a model is built of: the values that were given, and the defaults for the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen<'a> {
    pub(super) parameters: &'static [Parameter],
    pub(super) given: &'a Given,
}

impl Chosen<'_> {
    fn default(&self, name: &str) -> Value {
        let parameter = self.parameters.iter().find(|parameter| parameter.name == name);
        match parameter.map(|parameter| parameter.sort) {
            Some(Sort::Number { default, .. }) => Value::Number(default),
            Some(Sort::Word { default, .. }) => Value::Word(default),
            Some(Sort::Flag { default }) => Value::Flag(default),
            None => panic!("a model asks for `{name}`, which it does not declare"),
        }
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        match self.given.get(name).unwrap_or_else(|| self.default(name)) {
            Value::Number(value) => value,
            _ => panic!("`{name}` is not a number"),
        }
    }

    /// The number, if it was given.
    pub(crate) fn given_number(&self, name: &str) -> Option<f64> {
        self.given.get(name).map(|_| self.number(name))
    }

    pub(crate) fn word(&self, name: &str) -> &'static str {
        match self.given.get(name).unwrap_or_else(|| self.default(name)) {
            Value::Word(value) => value,
            _ => panic!("`{name}` is not a word"),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.given.get(name).unwrap_or_else(|| self.default(name)) {
            Value::Flag(value) => value,
            _ => panic!("`{name}` is not a flag"),
        }
    }
}
