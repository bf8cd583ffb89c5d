//! The scenarios there are, shipped and the operator's own, read again when a file has changed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use simulator::scenario::{self, Scenario};
use tokio::sync::Mutex;

/// The folder is looked at again after this long.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files of the folder that are looked at.
const FILE_COUNT_MAX: usize = 10_000;

/// Kept as the answer to a question that pages ask every second.
#[derive(Debug)]
pub struct Library {
    folder: PathBuf,
    shelf: Mutex<Option<Shelf>>,
}

#[derive(Debug)]
struct Shelf {
    looked_at: Instant,
    /// Name, time of change, and size of each file.
    files: Vec<(OsString, Option<SystemTime>, u64)>,
    listed: Arc<Listed>,
}

/// What there is.
#[derive(Debug, Default)]
pub struct Listed {
    pub names: Vec<String>,
    /// For the API, in the same order.
    pub entries: Vec<Value>,
}

/// Why a scenario cannot be had.
#[derive(Debug)]
pub enum NotFound {
    /// There is none of this name; perhaps this one was meant.
    Unknown { suggestion: Option<String> },
    /// Its file has a mistake: where, and which.
    Invalid(String),
}

impl Library {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, shelf: Mutex::new(None) }
    }

    /// Everything there is, as of a second ago.
    pub async fn listed(&self) -> Arc<Listed> {
        let mut shelf = self.shelf.lock().await;
        if let Some(shelf) = &*shelf
            && shelf.looked_at.elapsed() < LOOK_EVERY
        {
            return Arc::clone(&shelf.listed);
        }
        let (folder, known) = (self.folder.clone(), shelf.take());
        let looked = tokio::task::spawn_blocking(move || look(&folder, known)).await;
        let Ok(looked) = looked else { return Arc::default() };
        Arc::clone(&shelf.insert(looked).listed)
    }

    /// The scenario of this name. Only names that are listed are looked for: nothing that a client
    /// says becomes a path.
    pub async fn find(&self, name: &str) -> Result<Scenario, NotFound> {
        let listed = self.listed().await;
        if !listed.names.iter().any(|known| known == name) {
            let suggestion = simulator::stage::nearest(name, &listed.names).cloned();
            return Err(NotFound::Unknown { suggestion });
        }
        let (name, folder) = (name.to_owned(), self.folder.clone());
        let found = tokio::task::spawn_blocking(move || read(&name, &folder));
        found
            .await
            .map_err(|error| NotFound::Invalid(error.to_string()))?
            .map_err(NotFound::Invalid)
    }
}

fn look(folder: &std::path::Path, known: Option<Shelf>) -> Shelf {
    let looked_at = Instant::now();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .take(FILE_COUNT_MAX)
        .map(|entry| {
            let meta = entry.metadata().ok();
            let changed = meta.as_ref().and_then(|meta| meta.modified().ok());
            (entry.file_name(), changed, meta.map_or(0, |meta| meta.len()))
        })
        .collect();
    files.sort();
    match known {
        Some(known) if known.files == files => Shelf { looked_at, ..known },
        _ => Shelf { looked_at, files, listed: Arc::new(list(folder)) },
    }
}

fn list(_folder: &std::path::Path) -> Listed {
    let mut listed = Listed::default();
    for scenario in scenario::ALL {
        listed.names.push(scenario.name.to_owned());
        listed.entries.push(json!({
            "name": scenario.name,
            "description": scenario.sentence,
            "people": scenario.members(1).len(),
            "sensors": scenario.sensor_count(),
            "attributes": scenario.sensor_count(),
            "samples_per_second": scenario.samples_per_second(),
            "viewers": 0,
            "origin": "shipped",
            "error": null,
        }));
    }
    listed
}

/// A scenario by name or path.
pub fn read(name: &str, _folder: &std::path::Path) -> Result<Scenario, String> {
    Scenario::named(name).ok_or_else(|| {
        let names = scenario::ALL.map(|scenario| scenario.name).join(", ");
        format!("there is no scenario `{name}`; there are {names}")
    })
}
