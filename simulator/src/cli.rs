//! The simulator's subcommands. Being built: the names and signatures below are final.

/// Plays recordings into a running server.
#[derive(Debug, clap::Args)]
pub struct Play {}

impl Play {
    pub async fn run(self) -> Result<(), String> {
        Err("not built yet".into())
    }
}

/// Puts load on a running server and says how it held.
#[derive(Debug, clap::Args)]
pub struct Load {}

impl Load {
    pub async fn run(self) -> Result<(), String> {
        Err("not built yet".into())
    }
}

/// Lists the scenarios that `serve --simulate` knows.
#[derive(Debug, clap::Args)]
pub struct Scenarios {}

impl Scenarios {
    pub fn run(self) -> Result<(), String> {
        Err("not built yet".into())
    }
}
