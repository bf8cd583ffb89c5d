//! Load by real sockets: devices that send, viewers that listen, and what became of each sample.
//!
//! Two threads at most. A sample's value says when it was sent and how many its sensor had sent
//! before, so whoever receives it knows its age, and what is missing or double.

pub mod dialect;
mod drive;
pub mod process;
mod report;
pub mod sensocto;
pub mod websocket;

use std::time::Duration;

pub use drive::{Plan, drive};
pub use report::Report;

use crate::address::Address;
use crate::cli::Load;
use process::{Child, free_port};
use sensocto::Sensocto;

/// How long a server may take to answer after it was started.
const START_TIME: Duration = Duration::from_secs(15);

pub(crate) fn run(args: &Load) -> Result<Report, String> {
    if args.devices == 0 || args.sensors_per_device == 0 || args.rate.is_nan() || args.rate <= 0.0 {
        return Err("a load has at least one device, one sensor and a rate above zero".into());
    }
    let started = match &args.to {
        Some(_) => None,
        None => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let port = free_port()?;
            Some((Child::sensocto(&program, port)?, format!("http://127.0.0.1:{port}")))
        }
    };
    let to = started.as_ref().map(|(_, to)| to).or(args.to.as_ref()).cloned().unwrap_or_default();
    let address = Address::parse(&to)?;
    if let Some((child, _)) = &started {
        child.wait_for(&address.authority, START_TIME)?;
    }
    let dialect = Sensocto {
        address,
        attribute: args.attribute.clone(),
        token: args.bearer_token.clone(),
        quality: args.quality.clone(),
        rate_hz: args.rate,
        form: args.form,
    };
    drive(
        &dialect,
        &Plan {
            devices: args.devices,
            sensors_per_device: args.sensors_per_device,
            rate_hz: args.rate,
            viewers: args.viewers,
            watch: args.watch,
            warmup: args.warmup.0,
            period: args.period.0,
            batch: args.batch.map(Duration::from_millis),
            server_pid: started.as_ref().map(|(child, _)| child.pid()).or(args.server_pid),
        },
    )
}
