//! The binary `sensocto`: one command line, the runtime, and an orderly end.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use server::config::{self, Config, Given};
use server::gather::Gather;
use server::house::House;
use server::store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Real-time sensors, watched together.
#[derive(Debug, Parser)]
#[command(name = "sensocto", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (this is also what happens without a subcommand).
    Serve(Serve),
    /// Play recordings into a running server.
    Play(simulator::cli::Play),
    /// Put load on a running server and say how it held.
    Load(Box<simulator::cli::Load>),
    /// Write a recording as CSV, Parquet or EDF+.
    Export(simulator::exchange::Export),
    /// Make a recording of a CSV or EDF+ file.
    Import(simulator::exchange::ImportFile),
    /// Have a running server record itself.
    Record(simulator::record::Record),
    /// List the scenarios that `serve --simulate` knows, print one, or convert one.
    Scenarios(simulator::cli::Scenarios),
    /// Play a scenario as fast as this machine can, without a server; record it; say its hash.
    Simulate(simulator::simulate::Simulate),
    /// Drive the engine with a recording, and check that it gives back the same, bit for bit.
    Replay(simulator::replay::Replay),
    /// Start, stop and change the worlds that a running server simulates.
    Sim(simulator::sim::Sim),
    /// Read people's synchrony out of a CSV file, through the systems that run live.
    Synchrony(simulator::synchrony::Synchrony),
    /// Find the heart beats in a CSV file of raw ECG.
    Heart(simulator::synchrony::Heart),
    Check(store::keep::Check),
    Backup(store::keep::Backup),
    Restore(store::keep::Restore),
    /// Play made-up worlds against the engine, with everything that goes wrong, and check it.
    Swarm(simulator::swarm::cli::Swarm),
}

/// Every setting can also be in the configuration file, or in the environment in capitals behind
/// SENSOCTO_, as SENSOCTO_LISTEN. A flag wins over the environment, that over the file.
#[derive(Debug, Args, Default)]
struct Serve {
    /// Address and port to listen on [default: 127.0.0.1:4000].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where what is to last is kept. Without it recordings go to `data`, and viewers' tokens and
    /// whatever else a server remembers end with it.
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// If a server has that data folder, have its listening socket and let it end: nobody is refused
    /// in between. If none does, begin as usual.
    #[arg(long)]
    take_over: bool,
    /// Scenarios to simulate within the server, separated by commas: names, see `sensocto
    /// scenarios`, or files [default: few].
    #[arg(long, value_name = "SCENARIOS|none")]
    simulate: Option<String>,
    /// A recording to show in the browser, with a bar of its time; nobody is simulated then,
    /// unless --simulate says who.
    #[arg(long, value_name = "FILE")]
    replay: Option<String>,
    /// Whose tokens open the doors: strict (configured tokens), dev (those, and the word
    /// `missing`), open (anyone) [default: dev].
    #[arg(long, value_name = "strict|dev|open")]
    auth: Option<String>,
    /// A TOML file with settings; also SENSOCTO_CONFIG.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Web pages that may open sockets from elsewhere, as https://example.org; may be repeated.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Let anyone who can reach this machine in: auth dev or open on an address that is not
    /// loopback.
    #[arg(long)]
    allow_remote_unauthenticated: bool,
}

impl Serve {
    fn config(self) -> Result<Config, String> {
        let mut given = Given::default();
        if let Some(path) = self.config.or_else(config::file_from_environment) {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("`config`: cannot read {}: {error}", path.display()))?;
            given.file(path, &text).map_err(|error| error.to_string())?;
        }
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let flags = [
            ("listen", self.listen),
            ("data", self.data),
            ("simulate", self.simulate),
            ("replay", self.replay),
            ("auth", self.auth),
        ];
        given
            .environment(variables)
            .and_then(|()| {
                flags
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value?)))
                    .try_for_each(|(key, value)| given.flag(key, value))
            })
            .and_then(|()| {
                if self.origins.is_empty() { Ok(()) } else { given.flag("origins", self.origins) }
            })
            .and_then(|()| match self.allow_remote_unauthenticated {
                true => given.flag("allow_remote_unauthenticated", true),
                false => Ok(()),
            })
            .and_then(|()| match self.take_over {
                true => given.flag("take_over", true),
                false => Ok(()),
            })
            .and_then(|()| given.check())
            .map_err(|error| error.to_string())
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // As many sockets as the machine allows; with fewer, accepting fails and is counted.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let outcome = match cli.command {
        None => serve(cli.serve),
        Some(Command::Serve(serve_args)) => serve(serve_args),
        Some(Command::Play(play)) => block_on(play.run()).and_then(|outcome| outcome),
        Some(Command::Load(load)) => block_on((*load).run()).and_then(|outcome| outcome),
        Some(Command::Export(export)) => export.run(),
        Some(Command::Import(import)) => import.run(),
        Some(Command::Record(record)) => block_on(record.run()).and_then(|outcome| outcome),
        Some(Command::Scenarios(scenarios)) => scenarios.run(),
        Some(Command::Sim(sim)) => sim.run(),
        Some(Command::Simulate(simulate)) => simulate.run(),
        Some(Command::Replay(replay)) => replay.run(),
        Some(Command::Check(check)) => check.run(),
        Some(Command::Backup(backup)) => backup.run(),
        Some(Command::Restore(restore)) => restore.run(),
        Some(Command::Swarm(swarm)) => swarm.run(),
        Some(Command::Synchrony(synchrony)) => synchrony.run(),
        Some(Command::Heart(heart)) => heart.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("sensocto: {what}");
            ExitCode::FAILURE
        }
    }
}

/// Tasks of its own that a worker does before it looks whom other threads have woken. The pump wakes
/// viewers for what there is to write; their own sockets wake devices for what there is to read. Under
/// load there is always one more device to read, and whoever waits to be written to would wait for all.
const OTHERS_FIRST: u32 = 1;

fn block_on<F: Future>(future: F) -> Result<F::Output, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .map(|runtime| runtime.block_on(future))
        .map_err(|error| format!("cannot start: {error}"))
}

fn serve(args: Serve) -> Result<(), String> {
    let config = args.config()?;
    let mut inherited =
        server::listen::inherited().map_err(|error| format!("`LISTEN_FDS`: {error}"))?;
    log();
    if config.take_over && inherited.is_none() {
        inherited = server::hand_over::take(&config.data, config.listen)?;
    }
    std::panic::set_hook(Box::new(server::complaints::log_panic));
    // The pump has a thread of its own; what is left is for sockets.
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1));
    let gather = Gather::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .global_queue_interval(OTHERS_FIRST)
        .on_thread_park(move || gather.before_park())
        .enable_all()
        .build();
    runtime.map_err(|error| format!("cannot start: {error}"))?.block_on(run(config, inherited))
}

/// To stderr, as JSON when nobody watches.
fn log() {
    use std::io::IsTerminal;
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() { logger.init() } else { logger.json().init() }
}

async fn run(config: Config, inherited: Option<TcpListener>) -> Result<(), String> {
    let house = House::open_on(config, inherited).await?;
    announce(house.address);
    tokio::select! {
        () = asked_to_end() => {}
        () = house.taken_over() => {}
    }
    tracing::info!("shutting down");
    house.close().await;
    Ok(())
}

/// The one line on stdout, for people and scripts.
#[expect(clippy::print_stdout, reason = "the one line that is meant for stdout")]
fn announce(address: std::net::SocketAddr) {
    println!("http://{address}");
}

/// SIGTERM or SIGINT.
async fn asked_to_end() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
