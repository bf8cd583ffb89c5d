//! The scenarios there are, shipped and the operator's own, read again when a file has changed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use simulator::scenario::{self, Listed, Scenario, ScenarioError};
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
    listed: Arc<Vec<Value>>,
}

impl Library {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, shelf: Mutex::new(None) }
    }

    /// Everything there is, for the API, as of a second ago.
    pub async fn listed(&self) -> Arc<Vec<Value>> {
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

    /// The scenario of this name, as its file is now. A name is never a path.
    pub async fn find(&self, name: &str) -> Result<Scenario, ScenarioError> {
        let (name, folder) = (name.to_owned(), self.folder.clone());
        let file = name.clone();
        let found =
            tokio::task::spawn_blocking(move || Scenario::named(&name, Some(&folder))).await;
        found.unwrap_or_else(|problem| {
            Err(ScenarioError::Unreadable { file, what: problem.to_string() })
        })
    }
}

fn look(folder: &Path, known: Option<Shelf>) -> Shelf {
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
        _ => {
            let listed = scenario::library(Some(folder)).into_iter().map(entry).collect();
            Shelf { looked_at, files, listed: Arc::new(listed) }
        }
    }
}

fn entry(listed: Listed) -> Value {
    let Listed { name, origin, outcome } = listed;
    match outcome {
        Ok(summary) => json!({
            "name": name,
            "description": summary.description,
            "people": summary.people,
            "sensors": summary.sensors,
            "attributes": summary.attributes,
            "samples_per_second": summary.samples_per_second,
            "viewers": summary.viewers,
            "origin": origin.name(),
            "error": null,
        }),
        Err(problem) => json!({
            "name": name,
            "description": "",
            "people": 0,
            "sensors": 0,
            "attributes": 0,
            "samples_per_second": 0,
            "viewers": 0,
            "origin": origin.name(),
            "error": problem.to_string(),
        }),
    }
}
