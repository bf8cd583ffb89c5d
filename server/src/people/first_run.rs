//! Who becomes the first administrator: whoever can read what only the operator can.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::secret::{self, Digest};

/// In the data folder, while there is no administrator.
const FILE: &str = "first-run-token";

#[derive(Debug)]
pub(super) struct FirstRun {
    /// `None`: nothing is kept, and the token is said in the log.
    folder: Option<PathBuf>,
    /// `None`: there is an administrator.
    token: Mutex<Option<Digest>>,
}

impl FirstRun {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, token: Mutex::default() }
    }

    /// There is no administrator: makes a token, and puts it where the operator finds it.
    pub(super) fn offer(&self) {
        let Ok(token) = secret::token() else { return };
        *self.lock() = Some(Digest::of(&token));
        match &self.folder {
            None => tracing::info!(
                %token,
                "there is no administrator: the first to register with this `first_run_token` is one"
            ),
            Some(folder) => {
                let path = folder.join(FILE);
                let path_said = path.display();
                match write(&path, &token) {
                    Ok(()) => tracing::info!(
                        path = %path_said,
                        "there is no administrator: the first to register with the \
                         `first_run_token` of this file is one"
                    ),
                    Err(error) => tracing::error!(
                        path = %path_said,
                        %error,
                        "the token of the first administrator cannot be written"
                    ),
                }
            }
        }
    }

    pub(super) fn is(&self, token: &str) -> bool {
        *self.lock() == Some(Digest::of(token))
    }

    /// Whether it is the token; nobody has it behind this.
    pub(super) fn take(&self, token: &str) -> bool {
        let mut there = self.lock();
        let is = *there == Some(Digest::of(token));
        if is {
            *there = None;
            if let Some(folder) = &self.folder
                && let Err(error) = fs::remove_file(folder.join(FILE))
            {
                tracing::warn!(%error, "the used token of the first administrator is still there");
            }
        }
        is
    }

    fn lock(&self) -> MutexGuard<'_, Option<Digest>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For its owner only, anew: whoever may have opened an older one has nothing.
fn write(path: &std::path::Path, token: &str) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    writeln!(options.open(path)?, "{token}")
}
