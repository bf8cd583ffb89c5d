//! Where scenarios are found: those that are shipped, and an operator's own folder.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::error::no_such;
use super::{FILE_BYTES_MAX, Scenario, ScenarioError, Summary};

/// Files of an operator's folder that are looked at.
const OWN_COUNT_MAX: usize = 1000;

/// Letters of a name.
const NAME_BYTES_MAX: usize = 64;

/// How a file of a scenario may end; the first wins where two have one name.
const ENDINGS: [&str; 3] = ["toml", "yaml", "yml"];

/// A scenario that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    pub name: &'static str,
    /// TOML.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../scenarios/", $name, ".toml")),
        }),*]
    };
}

/// Every shipped scenario, by name.
const SHIPPED: &[Shipped] = shipped![
    "breathing-circle",
    "coral-reef",
    "crowd",
    "cyclists",
    "few",
    "gaze-small",
    "gaze-study",
    "hundred",
    "hundred-thousand",
    "large-group",
    "larger-group",
    "massive-study",
    "none",
    "pose-demo",
    "river",
    "single-person",
    "small-group",
    "storm",
    "ten-thousand",
];

/// Every shipped scenario, by name.
pub fn shipped() -> &'static [Shipped] {
    SHIPPED
}

/// They are always the same, and the largest takes a while to check.
static SHIPPED_LIST: LazyLock<Vec<Listed>> = LazyLock::new(|| {
    let listed = |shipped: &Shipped| Listed {
        name: shipped.name.to_owned(),
        origin: Origin::Shipped,
        outcome: Scenario::of_shipped(shipped).map(|scenario| scenario.summary()),
    };
    SHIPPED.iter().map(listed).collect()
});

/// Whose a scenario is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Shipped,
    /// A file in the operator's folder.
    Yours,
}

impl Origin {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Yours => "yours",
        }
    }
}

/// One line of the list of scenarios.
#[derive(Debug, Clone)]
pub struct Listed {
    pub name: String,
    pub origin: Origin,
    pub outcome: Result<Summary, ScenarioError>,
}

/// Every scenario that has a name: the shipped ones and those of `folder`, which replace shipped
/// ones of their name. A folder that is not there has none.
pub fn library(folder: Option<&Path>) -> Vec<Listed> {
    let own = folder.map_or(Vec::new(), own_names);
    let shipped = SHIPPED_LIST.iter().filter(|listed| !own.contains(&listed.name));
    let mut all: Vec<Listed> = shipped.cloned().collect();
    all.extend(own.into_iter().map(|name| {
        let outcome = Scenario::named(&name, folder).map(|scenario| scenario.summary());
        Listed { name, origin: Origin::Yours, outcome }
    }));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Whether this may name a scenario: a letter or digit, then up to 63 of those and `.`, `_`, `-`,
/// all lower case. Nothing else ever becomes part of a path.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && plain(name.as_bytes()[0])
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

fn own_names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let path = entry.path();
            let ending = path.extension()?.to_str()?;
            let name = path.file_stem()?.to_str()?;
            (ENDINGS.contains(&ending) && is_name(name)).then(|| name.to_owned())
        })
        .take(OWN_COUNT_MAX)
        .collect();
    names.sort();
    names.dedup();
    names
}

impl Scenario {
    /// The scenario of this name: from `folder`, or a shipped one. A name is never a path: this
    /// is what may be asked for from outside.
    pub fn named(name: &str, folder: Option<&Path>) -> Result<Self, ScenarioError> {
        if let Some(folder) = folder.filter(|_| is_name(name)) {
            for ending in ENDINGS {
                let path = folder.join(format!("{name}.{ending}"));
                if path.is_file() {
                    return Self::read(&path);
                }
            }
        }
        if let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == name) {
            return Self::of_shipped(shipped);
        }
        let own = folder.map_or(Vec::new(), own_names);
        let mut known: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        known.extend(own.iter().map(String::as_str));
        known.sort_unstable();
        known.dedup();
        let what = no_such("scenario", name, &known);
        Err(ScenarioError::NotFound { name: name.to_owned(), what })
    }

    /// As [`named`](Self::named), or the file at this path, which is one if it has a `/` or ends
    /// in `.toml`, `.yaml` or `.yml`. For whoever may read this machine's files.
    pub fn find(name_or_path: &str, folder: Option<&Path>) -> Result<Self, ScenarioError> {
        let path = PathBuf::from(name_or_path);
        let ending = path.extension().and_then(|ending| ending.to_str());
        let is_path = name_or_path.contains(std::path::is_separator)
            || ending.is_some_and(|ending| ENDINGS.contains(&ending));
        if is_path { Self::read(&path) } else { Self::named(name_or_path, folder) }
    }

    /// The file at this path; YAML if it ends so, else TOML.
    fn read(path: &Path) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        let unreadable = |what: String| ScenarioError::Unreadable { file: file.clone(), what };
        let cannot = |error: std::io::Error| unreadable(format!("cannot be read: {error}"));
        // A pipe would be waited for, and a device may have no end.
        if !std::fs::metadata(path).map_err(cannot)?.is_file() {
            return Err(unreadable("is not a file".into()));
        }
        let mut bytes = Vec::new();
        let mut limited = File::open(path).map_err(cannot)?.take(FILE_BYTES_MAX as u64 + 1);
        limited.read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(unreadable(format!("has more than {FILE_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            unreadable(format!("is not UTF-8 text: byte {at} belongs to no letter"))
        })?;
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("yaml" | "yml") => Self::parse_yaml(&file, &text),
            _ => Self::parse_toml(&file, &text),
        }
    }

    fn of_shipped(shipped: &Shipped) -> Result<Self, ScenarioError> {
        Self::parse_toml(&format!("{}.toml", shipped.name), shipped.text)
    }
}
