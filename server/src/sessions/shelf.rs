//! The folder of finished sessions: one folder each, with the files of its report.
//!
//! A session is there whole or not at all: its files are written beside it and moved in one step.
//! Names are those of recordings; nothing else is ever reached through one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use engine::sense::phasor::Phasor;
use engine::sense::significance::POOL_COUNT_MIN;
use serde_json::Value;
use simulator::synchrony::{NamedFile, Session};

use super::SessionError;
use crate::recorder::library::check_name;

/// Sessions that are kept.
pub const KEPT_COUNT_MAX: usize = 256;

/// Bytes of people from other sessions that are held at once, for pseudo-pairs.
const POOL_BYTES_MAX: usize = 64 << 20;

/// Bytes of one file that is read again: an hour of as many people as there may be takes half.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The files of a report, with what browsers are told they are.
pub const FILES: [(&str, &str); 4] = [
    ("report.json", "application/json"),
    ("report.csv", "text/csv; charset=utf-8"),
    ("signals.csv", "text/csv; charset=utf-8"),
    ("report.html", "text/html; charset=utf-8"),
];

/// What is written before it is moved to its place.
const PART: &str = ".part";

/// See the module. Its calls block.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder of a session that is there. No link is followed to it.
    fn find(&self, name: &str) -> Result<PathBuf, SessionError> {
        check_name(name).map_err(|_| SessionError::BadName)?;
        let path = self.folder.join(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Ok(path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Err(SessionError::NotFound { name: name.to_owned() }),
        }
    }

    /// Whether there is anything of this name.
    pub fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.folder.join(name)).is_ok()
    }

    /// The names of all, the newest first.
    pub fn names(&self) -> Result<Vec<String>, SessionError> {
        let items = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            items => items?,
        };
        let mut names = Vec::new();
        for item in items {
            let item = item?;
            let Ok(metadata) = item.metadata() else { continue };
            if let Some(name) = item.file_name().to_str()
                && metadata.is_dir()
                && check_name(name).is_ok()
            {
                names.push((metadata.modified().ok(), name.to_owned()));
            }
        }
        names.sort_by(|a, b| b.cmp(a));
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    pub fn count(&self) -> Result<usize, SessionError> {
        Ok(self.names()?.len())
    }

    /// Puts a report there.
    pub fn keep(&self, name: &str, files: &[NamedFile]) -> Result<(), SessionError> {
        let part = self.folder.join(format!("{PART}-{name}"));
        if let Err(error) = fs::remove_dir_all(&part)
            && error.kind() != io::ErrorKind::NotFound
        {
            // Left by a run that was killed.
            return Err(error.into());
        }
        fs::create_dir_all(&part)?;
        let written = files.iter().try_for_each(|(file, bytes)| {
            let mut file = File::create_new(part.join(file))?;
            file.write_all(bytes)?;
            file.sync_all()
        });
        let moved = written.and_then(|()| fs::rename(&part, self.folder.join(name)));
        if let Err(error) = moved {
            // What could not be written is of no use; that it cannot be taken away either, neither.
            let _ = fs::remove_dir_all(&part);
            return Err(error.into());
        }
        Ok(File::open(&self.folder)?.sync_all()?)
    }

    /// One of [`FILES`] of a session, and its length.
    pub fn open(&self, name: &str, file: &str) -> Result<(File, u64), SessionError> {
        let missing = || SessionError::NotFound { name: format!("{name}/{file}") };
        if !FILES.iter().any(|(known, _)| *known == file) {
            return Err(missing());
        }
        let path = self.find(name)?.join(file);
        if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            return Err(missing());
        }
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    }

    fn text(&self, name: &str, file: &str) -> Result<String, SessionError> {
        let (file, _) = self.open(name, file)?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    }

    /// What `report.json` says.
    pub fn report(&self, name: &str) -> Result<Value, SessionError> {
        serde_json::from_str(&self.text(name, "report.json")?)
            .map_err(|error| SessionError::Io(format!("{name}/report.json: {error}")))
    }

    pub fn delete(&self, name: &str) -> Result<(), SessionError> {
        Ok(fs::remove_dir_all(self.find(name)?)?)
    }

    /// People of other sessions of the same signal and condition, as long as this one at least, and
    /// none who is in it. What cannot be read is passed over.
    pub fn pool(&self, session: &Session) -> Vec<Vec<Phasor>> {
        let mut pool: Vec<Vec<Phasor>> = Vec::new();
        let mut bytes = 0;
        for name in self.names().unwrap_or_default() {
            let Ok(report) = self.report(&name) else { continue };
            let alike = report["signal"] == session.signal.name()
                && report["condition"] == session.condition.name()
                && report["steps"].as_u64().is_some_and(|steps| steps >= session.steps() as u64);
            if !alike {
                continue;
            }
            let Ok(text) = self.text(&name, "report.csv") else { continue };
            for (person, run) in phases(&text) {
                bytes += run.len() * size_of::<Phasor>();
                if bytes > POOL_BYTES_MAX {
                    return pool;
                }
                if !session.people.contains(&person) {
                    pool.push(run);
                }
            }
        }
        pool
    }
}

/// People from elsewhere without whom there are no pseudo-pairs.
pub fn pool_count_min(session: &Session) -> usize {
    POOL_COUNT_MIN.max(session.people.len())
}

/// Everybody's phasors of a `report.csv`; zeros where there was no phase.
fn phases(text: &str) -> Vec<(String, Vec<Phasor>)> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let Ok(head) = reader.headers() else { return Vec::new() };
    let mut people: Vec<(usize, String, Vec<Phasor>)> = head
        .iter()
        .enumerate()
        .filter_map(|(at, name)| Some((at, name.strip_prefix("phase ")?.to_owned(), Vec::new())))
        .collect();
    for row in reader.records() {
        let Ok(row) = row else { return Vec::new() };
        for (at, _, run) in &mut people {
            let angle = row.get(*at).and_then(|field| field.parse::<f64>().ok());
            let angle = angle.filter(|angle| angle.is_finite());
            run.push(angle.map_or(Phasor::ZERO, Phasor::from_angle));
        }
    }
    people.into_iter().map(|(_, name, run)| (name, run)).collect()
}

/// Removes what a run that was killed left half written.
pub fn sweep(folder: &Path) {
    let Ok(items) = fs::read_dir(folder) else { return };
    for item in items.flatten() {
        if item.file_name().to_string_lossy().starts_with(PART) {
            // It takes room and no more.
            let _ = fs::remove_dir_all(item.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use components::group::{Signal, Tier};
    use simulator::synchrony::Condition;

    use super::*;

    fn shelf(name: &str) -> (PathBuf, Shelf) {
        let folder =
            std::env::temp_dir().join(format!("sensocto-shelf-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        (folder.clone(), Shelf::new(folder))
    }

    fn files(steps: usize, who: &str) -> [NamedFile; 2] {
        let report = serde_json::json!({"signal": "breath", "condition": "free", "steps": steps});
        let mut text = format!("t,R,kappa,null95,measurable,phase {who},\"phase x,y\"\n");
        for step in 0..steps {
            text.push_str(&format!("{step},,,,1,0.5,\n"));
        }
        [("report.json", report.to_string().into_bytes()), ("report.csv", text.into_bytes())]
    }

    #[test]
    fn a_session_is_there_whole_or_not_at_all_and_nothing_else_is_reached() {
        let (folder, shelf) = shelf("whole");
        assert_eq!(shelf.names(), Ok(Vec::new()), "a folder that is not there is empty");
        fs::create_dir_all(folder.join(".part-a")).unwrap();
        fs::write(folder.join(".part-a/left"), "x").unwrap();
        shelf.keep("a", &files(3, "ada")).unwrap();
        assert_eq!(shelf.names(), Ok(vec!["a".to_owned()]));
        assert!(shelf.has("a") && !folder.join(".part-a").exists());
        assert_eq!(shelf.report("a").unwrap()["steps"], 3);
        assert!(shelf.keep("a", &files(4, "bea")).is_err(), "what is there stays");
        assert_eq!(shelf.report("a").unwrap()["steps"], 3);
        fs::write(folder.join("secret"), "s").unwrap();
        for (name, file) in
            [("a", "left"), ("a", "../secret"), ("..", "secret"), ("b", "report.json")]
        {
            assert!(shelf.open(name, file).is_err(), "{name}/{file}");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(&folder, folder.join("link")).unwrap();
        let missing = SessionError::NotFound { name: "link".into() };
        assert_eq!(shelf.delete("link"), Err(missing));
        fs::create_dir_all(folder.join(".part-b")).unwrap();
        sweep(&folder);
        assert!(!folder.join(".part-b").exists() && folder.join("a").exists());
        shelf.delete("a").unwrap();
        assert_eq!(shelf.names(), Ok(Vec::new()));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn strangers_are_people_of_other_sessions_of_the_same_kind() {
        let (folder, shelf) = shelf("pool");
        let session = |signal, condition, people: &[&str]| {
            let people = people.iter().map(|name| (*name).to_owned()).collect();
            Session::new("now", signal, Tier::Live, condition, people)
        };
        shelf.keep("a", &files(3, "ada")).unwrap();
        shelf.keep("b", &files(2, "bea")).unwrap();
        let free = |people: &[&str]| session(Signal::Breath, Condition::Free, people);
        assert_eq!(shelf.pool(&free(&["cid"])).len(), 4);
        assert_eq!(shelf.pool(&free(&["ada", "x,y"])).len(), 1);
        assert_eq!(shelf.pool(&session(Signal::HeartLow, Condition::Free, &[])).len(), 0);
        assert_eq!(shelf.pool(&session(Signal::Breath, Condition::Paced, &[])).len(), 0);
        let run = &shelf.pool(&free(&["bea", "x,y"]))[0];
        assert_eq!(run.len(), 3);
        assert!((run[0].angle() - 0.5).abs() < 1e-12);
        fs::write(folder.join("a/report.csv"), "t,phase ada\n1\n").unwrap();
        fs::write(folder.join("b/report.json"), "{").unwrap();
        assert_eq!(shelf.pool(&free(&[])), Vec::<Vec<Phasor>>::new(), "what cannot be read");
        fs::remove_dir_all(&folder).unwrap();
    }
}
