//! The made-up gatherings one can ask for by name or by file: who is there, what they wear, who
//! watches, what goes wrong (`docs/scenarios.md`).

mod cast;
mod error;
mod library;
mod read;
mod template;
#[cfg(test)]
mod tests;
mod toml;
mod tree;
mod yaml;

use crate::crowd::CrowdSpec;
use crate::fault::FaultSpec;

pub use cast::{Cast, CastSensor, CastStream};
pub use error::{Mistake, ScenarioError};
pub use library::{Listed, Origin, Shipped, is_name, library, shipped};
use template::{Group, Schedule};

/// The scenario when none is named.
pub const DEFAULT: &str = "few";

/// Bytes of a scenario's file. The original's largest has 287 kB.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// People and places of one scenario.
pub const BODY_COUNT_MAX: usize = 200_000;

/// Sensors of one scenario: twice what one is shipped with.
pub const SENSOR_COUNT_MAX: usize = 200_000;

/// Attributes of all sensors of one scenario.
pub const STREAM_COUNT_MAX: usize = 1_000_000;

/// Viewers of one scenario.
pub const VIEWER_COUNT_MAX: usize = 100_000;

/// A gathering, checked: everything it names is there, and every number is one that can be.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name it was found by: that of its file.
    pub name: String,
    pub description: String,
    /// The seed when none is given.
    pub seed: u64,
    pub crowds: Vec<CrowdSpec>,
    pub faults: Vec<FaultSpec>,
    /// What the file says and nothing here means, as sentences.
    pub warnings: Vec<String>,
    groups: Vec<Group>,
    schedule: Schedule,
    text: String,
}

/// How large a scenario is.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub name: String,
    pub description: String,
    pub people: usize,
    pub sensors: usize,
    pub attributes: usize,
    /// With everyone there and nothing broken.
    pub samples_per_second: f64,
    pub viewers: usize,
}

impl Scenario {
    /// Reads TOML. `file` is what mistakes are said to be in; the scenario's name is its stem.
    pub fn parse_toml(file: &str, text: &str) -> Result<Self, ScenarioError> {
        limited(file, text)?;
        Ok(read::scenario(file, toml::parse(file, text)?, text.to_owned(), Vec::new())?)
    }

    /// Reads YAML of the original's form (`reference/collab.md` 21.8).
    pub fn parse_yaml(file: &str, text: &str) -> Result<Self, ScenarioError> {
        limited(file, text)?;
        let (tree, warnings) = yaml::parse(file, text)?;
        let text = toml::print(&tree);
        Ok(read::scenario(file, tree, text, warnings)?)
    }

    /// The scenario as TOML: its file, or what an imported one comes to.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            name: self.name.clone(),
            description: self.description.clone(),
            people: 0,
            sensors: 0,
            attributes: 0,
            samples_per_second: 0.0,
            viewers: self.crowds.iter().map(|crowd| crowd.count).sum(),
        };
        for group in &self.groups {
            summary.people += if group.are_people { group.count } else { 0 };
            summary.sensors += group.count * group.devices.len();
            for device in &group.devices {
                summary.attributes += group.count * device.attributes.len();
                let each: f64 = device.attributes.iter().map(|attribute| attribute.rate_hz).sum();
                summary.samples_per_second += group.count as f64 * each;
            }
        }
        summary
    }

    /// Everyone, drawn by `seed`: any process that has the scenario and the seed has the same.
    pub fn cast(&self, seed: u64) -> Cast {
        Cast::drawn(self, seed)
    }
}

fn limited(file: &str, text: &str) -> Result<(), ScenarioError> {
    if text.len() <= FILE_BYTES_MAX {
        return Ok(());
    }
    let what = format!("has {} bytes; a scenario has at most {FILE_BYTES_MAX}", text.len());
    Err(ScenarioError::Unreadable { file: file.to_owned(), what })
}
