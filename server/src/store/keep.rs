//! `sensocto check`, `backup` and `restore`: a store that no server has open, from the command line.

use std::path::{Path, PathBuf};

use clap::Args;

use super::file::{FILE, Tally, copy_file, look_at};
use super::sections;

/// Read everything in a store, and say whether it is sound: exit status 0 if it is. Changes
/// nothing.
#[derive(Debug, Args)]
pub struct Check {
    /// The folder that the server is given as --data.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Check {
    /// # Errors
    /// What is wrong, where, and what to do.
    pub fn run(self) -> Result<(), String> {
        let path = self.data.join(FILE);
        let tally = look_at(&path, &sections()).map_err(|error| error.to_string())?;
        say(&path, "is sound", &tally);
        Ok(())
    }
}

/// Copy a store, and check the copy. A running server is asked with POST /api/store/backup
/// instead.
#[derive(Debug, Args)]
pub struct Backup {
    /// The folder that the server is given as --data.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The copy.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Let the copy take the place of a file that is there.
    #[arg(long)]
    replace: bool,
}

impl Backup {
    /// # Errors
    /// What is wrong, where, and what to do; there is no copy then.
    pub fn run(self) -> Result<(), String> {
        let from = self.data.join(FILE);
        let tally = copy_file(&from, &self.to, &sections(), self.replace);
        let tally = tally.map_err(|error| error.to_string())?;
        say(&self.to, "is a sound copy", &tally);
        Ok(())
    }
}

/// Make a store of a backup, once that has been found sound.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The folder that the server is given as --data.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Let it take the place of a store that is there.
    #[arg(long)]
    replace: bool,
}

impl Restore {
    /// # Errors
    /// What is wrong, where, and what to do; what was there is there still.
    pub fn run(self) -> Result<(), String> {
        let to = self.data.join(FILE);
        std::fs::create_dir_all(&self.data)
            .map_err(|error| format!("{}: {error}", self.data.display()))?;
        let tally = copy_file(&self.from, &to, &sections(), self.replace);
        let tally = tally.map_err(|error| error.to_string())?;
        say(&to, "is restored", &tally);
        Ok(())
    }
}

/// The answer, for people and scripts.
#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn say(path: &Path, what: &str, tally: &Tally) {
    println!("{} {what}, at revision {}", path.display(), tally.revision.0);
    for (table, count) in &tally.records {
        println!("  {table}: {count}");
    }
}
