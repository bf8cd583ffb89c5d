//! Load by real sockets: devices that send, viewers that listen, and what became of each sample.
//!
//! A sample's time and its signal say what it must be, so whoever receives it can tell whether it
//! is true, how old it is, and what is missing or double. See `docs/load.md`.

mod conduct;
pub mod dialect;
pub mod figures;
mod hear;
mod html;
mod knee;
mod listen;
mod metrics;
mod plan;
mod plot;
pub mod process;
mod report;
mod send;
pub mod sensocto;
mod shard;
mod truth;
mod walk;
pub mod websocket;
pub mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use components::viewer::Quality;

pub use conduct::Observed;
pub use html::page;
pub use knee::{Bounds, Knee, Verdict};
pub use plan::{Plan, Share, Surge};
pub use report::{Limit, Report, Step, machine};

use crate::address::Address;
use crate::cli::{Load, Scaled};
use crate::scenario::Scenario;
use conduct::{Crew, conduct, play_part};
use dialect::Dialect;
use knee::Search;
use metrics::Metrics;
use process::{Child, free_port};
use sensocto::Sensocto;
use world::{Scale, World};

/// How long a server may take to answer after it was started.
const START_TIME: Duration = Duration::from_secs(15);

/// Sockets that a process needs beside those of devices and viewers: files, pipes, looks at the
/// server, connections that are being made anew.
const SPARE_SOCKETS: usize = 64;

/// Connections from one address to one other: a machine's ephemeral ports (Linux: 32768 to 60999).
const PORT_COUNT: usize = 28_000;

/// Of a load that held, so much must have arrived.
const DELIVERED_PART_MIN: f64 = 0.999;

/// A generator that is later than this is the limit itself, µs.
const LATENESS_US_MAX: u64 = 20_000;

/// Of the viewers of a surge every so many-th has a battery that is nearly empty.
const SURGE_DIM_EVERY: usize = 4;

/// Viewers of a uniform load, and of a scenario without crowds, when nobody says.
const VIEWERS_DEFAULT: usize = 50;
const SCENARIO_VIEWERS_DEFAULT: usize = 10;

/// Drives a load as planned from this process, in the server's language, and says what became of
/// it.
pub fn drive(
    dialect: &Arc<dyn Dialect>,
    world: &Arc<World>,
    plan: &Plan,
    observed: &Observed,
) -> Result<Report, String> {
    let run = conduct(&Crew::Here { dialect, world }, plan, observed)?;
    let configuration = vec![("load".to_owned(), words(world, plan, "uniform"))];
    Ok(Report::new(run, plan, configuration, machine()))
}

/// What the command does.
pub(crate) fn run(args: &Load) -> Result<Option<Report>, String> {
    let job = Job::new(args)?;
    if let Some(share) = args.share {
        let (world, plan) = job.at(args.times, args.surge)?;
        let dialect = job.dialect(args.to.as_deref().unwrap_or_default())?;
        play_part(&dialect, &world, &plan, share);
        return Ok(None);
    }
    let report =
        if args.find_limit { job.find_limit()? } else { job.once(args.times, args.surge)? };
    Ok(Some(report))
}

/// Sensors, and viewers, of one load.
const CLIENT_COUNT_MAX: f64 = 1e7;
/// Processes of one load.
const PROCESS_COUNT_MAX: usize = 256;

/// What was asked for.
struct Job<'a> {
    args: &'a Load,
    scenario: Option<Scenario>,
    quality: Quality,
}

impl<'a> Job<'a> {
    fn new(args: &'a Load) -> Result<Self, String> {
        let none = args.devices == 0 || args.sensors_per_device == 0;
        let above_zero = |number: f64| number.is_finite() && number > 0.0;
        if none || !above_zero(args.rate) || !above_zero(args.times) {
            return Err("a load has at least one device, one sensor and a rate above zero".into());
        }
        let surge = args.surge.unwrap_or(1.0);
        if !(surge >= 1.0 && surge.is_finite()) {
            return Err("--surge: at least 1".into());
        }
        if args.surge.is_some() && args.scale == Scaled::Rate {
            return Err("--surge brings more devices and viewers: not with --scale rate".into());
        }
        let sensors = args.devices as f64 * args.sensors_per_device as f64;
        if sensors.max(args.viewers.unwrap_or(0) as f64) * args.times * surge > CLIENT_COUNT_MAX {
            return Err(format!("a load has at most {CLIENT_COUNT_MAX} sensors or viewers"));
        }
        if args.server_cores.is_some_and(|cores| !(0.1..=1024.0).contains(&cores)) {
            return Err("--server-cores: from 0.1 to 1024".into());
        }
        if !(1..=PROCESS_COUNT_MAX).contains(&args.processes) {
            return Err(format!("--processes: from 1 to {PROCESS_COUNT_MAX}"));
        }
        if args.period.0.is_zero() {
            return Err("--for: longer than nothing".into());
        }
        let quality = Quality::from_name(&args.quality).ok_or_else(|| {
            let names: Vec<&str> = Quality::ALL.iter().map(|quality| quality.name()).collect();
            format!("--quality {}: one of {}", args.quality, names.join(", "))
        })?;
        let scenario = args.scenario.as_deref().map(|name| Scenario::find(name, None));
        let scenario = scenario.transpose().map_err(|error| error.to_string())?;
        Ok(Self { args, scenario, quality })
    }

    /// The world and the plan at so many times the load, and in the middle so many times that.
    fn at(&self, times: f64, surge: Option<f64>) -> Result<(Arc<World>, Plan), String> {
        let args = self.args;
        let scale = match args.scale {
            Scaled::Devices => Scale { devices: times, rate: 1.0 },
            Scaled::Rate => Scale { devices: 1.0, rate: times },
        };
        let whole = |count: usize| ((count as f64 * scale.devices).round() as usize).max(1);
        let more = |count: usize| (count as f64 * surge.unwrap_or(1.0)).round() as usize;
        let world = match &self.scenario {
            Some(scenario) => World::of_scenario(scenario, self.seed(), scale),
            None => World::uniform(
                more(whole(args.devices)),
                args.sensors_per_device,
                args.rate * scale.rate,
                &args.attribute,
            ),
        };
        if world.sensors.is_empty() {
            return Err("there is nobody in this scenario: it puts no load on anything".into());
        }
        let mut crowds = self.scenario.as_ref().map_or(Vec::new(), |it| it.crowds.clone());
        crowds.iter_mut().for_each(|crowd| crowd.count = whole(crowd.count));
        let viewers = args.viewers.unwrap_or(match &self.scenario {
            None => VIEWERS_DEFAULT,
            Some(_) if crowds.is_empty() => SCENARIO_VIEWERS_DEFAULT,
            Some(_) => 0,
        });
        let viewers = if viewers == 0 { 0 } else { whole(viewers) };
        let plan = Plan {
            viewers: more(viewers),
            watch: args.watch,
            point: args.point.unwrap_or(usize::from(surge.is_some())),
            dim_every: if surge.is_some() { SURGE_DIM_EVERY } else { 0 },
            quality: self.quality,
            form: args.form,
            crowds,
            seed: self.seed(),
            warmup: args.warmup.0,
            period: args.period.0,
            batch: args.batch.map(Duration::from_millis),
            obey: args.obey,
            surge: surge.map(|_| Surge {
                devices: whole(args.devices),
                sensors: whole(args.devices) * args.sensors_per_device,
                viewers,
            }),
        };
        self.check_sockets(&world, &plan)?;
        Ok((Arc::new(world), plan))
    }

    fn seed(&self) -> u64 {
        self.args.seed.unwrap_or(self.scenario.as_ref().map_or(1, |scenario| scenario.seed))
    }

    /// Whether this machine can open so many.
    fn check_sockets(&self, world: &World, plan: &Plan) -> Result<(), String> {
        let viewers = plan.viewers + plan.crowds.iter().map(|crowd| crowd.count).sum::<usize>();
        let all = world.devices.len() + viewers;
        if all > PORT_COUNT {
            return Err(format!(
                "{} devices and {viewers} viewers are {all} connections; from one machine to one \
                 address there are ports for {PORT_COUNT}: put more sensors on a device, or less \
                 load",
                world.devices.len()
            ));
        }
        let needed = all.div_ceil(self.args.processes) + SPARE_SOCKETS;
        let may = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
        if needed as u64 > may {
            return Err(format!(
                "{} devices and {viewers} viewers need {needed} files in a process, and this one \
                 may open {may}: raise the limit (ulimit -n), or spread the run over {} \
                 --processes",
                world.devices.len(),
                all.div_ceil((may as usize).saturating_sub(SPARE_SOCKETS).max(1))
            ));
        }
        Ok(())
    }

    fn dialect(&self, to: &str) -> Result<Arc<dyn Dialect>, String> {
        Ok(Arc::new(Sensocto {
            address: Address::parse(to)?,
            token: self.args.bearer_token.clone(),
            viewer_token: self
                .args
                .viewer_token
                .clone()
                .unwrap_or_else(|| self.args.bearer_token.clone()),
        }))
    }

    /// One run.
    fn once(&self, times: f64, surge: Option<f64>) -> Result<Report, String> {
        let (world, plan) = self.at(times, surge)?;
        let started = match &self.args.to {
            Some(_) => None,
            None => {
                let program = own_program()?;
                let port = free_port()?;
                Some((
                    Child::sensocto(&program, port, self.args.server_cores)?,
                    format!("http://127.0.0.1:{port}"),
                ))
            }
        };
        let to = started.as_ref().map(|(_, to)| to).or(self.args.to.as_ref());
        let to = to.cloned().unwrap_or_default();
        let address = Address::parse(&to)?;
        match &started {
            Some((child, _)) => child.wait_for(&address.authority, START_TIME)?,
            // Once, and not from sixteen threads.
            None => drop(websocket::connect(&address.authority)?),
        }
        let metrics = Metrics::fetch(&address.authority).map(|_| address.authority.clone());
        let observed = Observed {
            pid: started.as_ref().map(|(child, _)| child.pid()).or(self.args.server_pid),
            metrics,
            progress: true,
        };
        let run = if self.args.processes == 1 {
            let dialect = self.dialect(&to)?;
            conduct(&Crew::Here { dialect: &dialect, world: &world }, &plan, &observed)?
        } else {
            let crew = Crew::Processes {
                program: own_program()?,
                arguments: self.args.arguments(&to, times, surge),
                count: self.args.processes,
            };
            conduct(&crew, &plan, &observed)?
        };
        let mut configuration = self.configuration(&world, &plan, times);
        configuration.extend(surge.map(|surge| ("surge".to_owned(), format!("{surge} times"))));
        Ok(Report::new(run, &plan, configuration, machine()))
    }

    /// Run after run, until the limit is known.
    fn find_limit(&self) -> Result<Report, String> {
        let bounds = Bounds {
            delivered_part_min: DELIVERED_PART_MIN,
            age_us_max: self.args.limit_age.0.as_micros() as u64,
            lateness_us_max: LATENESS_US_MAX,
        };
        let began = Instant::now();
        let (mut search, mut steps) = (Search::new(self.args.max_steps), Vec::new());
        while let Some(factor) = search.next() {
            if began.elapsed() > self.args.max_time.0 {
                crate::cli::tell("the search has used up its time (--max-time)");
                break;
            }
            let factor = factor * self.args.times;
            let step = match self.once(factor, None) {
                Ok(report) => Step {
                    factor,
                    verdict: report.verdict(&bounds),
                    report: Some(Box::new(report)),
                    why: None,
                },
                // That not even the first can be driven is an error, not a finding.
                Err(why) if steps.is_empty() => return Err(why),
                Err(why) => Step { factor, verdict: Verdict::Failed, report: None, why: Some(why) },
            };
            crate::cli::tell(&step.text());
            search.tell(factor / self.args.times, step.verdict);
            steps.push(step);
        }
        let knee = search.knee();
        let knee = Knee {
            held: knee.held.map(|held| held * self.args.times),
            failed: knee.failed.map(|(factor, why)| (factor * self.args.times, why)),
        };
        let limit = Limit { steps, knee, bounds };
        let shown = limit.best().or(limit.steps.last()).and_then(|step| step.report.as_deref());
        let mut report = shown.cloned().ok_or("no load could be driven")?;
        if let (Some(surge), Some(held)) = (self.args.surge, knee.held) {
            // From half of it to so many times all of it, and back.
            report = self.once(held / 2.0, Some(surge * 2.0))?;
        }
        report.limit = Some(limit);
        Ok(report)
    }

    fn configuration(&self, world: &World, plan: &Plan, times: f64) -> Vec<(String, String)> {
        let args = self.args;
        let name = self.scenario.as_ref().map_or("uniform", |scenario| scenario.name.as_str());
        let mut all = vec![("load".to_owned(), words(world, plan, name))];
        let mut add = |name: &str, value: String| all.push((name.to_owned(), value));
        add("scenario", name.to_owned());
        add("times", format!("{times:.3} ({})", args.scale.name()));
        add("seed", plan.seed.to_string());
        add("server", args.to.clone().unwrap_or_else(|| "started for this run".into()));
        add("processes", args.processes.to_string());
        let sends = match (plan.batch, plan.obey) {
            (_, true) => "as the server asks".into(),
            (Some(batch), _) => format!("batches of {} ms", batch.as_millis()),
            _ => "each sample by itself".into(),
        };
        add("devices send", sends);
        if plan.viewers > 0 {
            add(
                "viewers",
                format!(
                    "{} on {} sensors each, quality {}, {:?}",
                    plan.viewers,
                    plan.watch.min(world.sensors.len()),
                    plan.quality.name(),
                    plan.form
                ),
            );
        }
        for crowd in &plan.crowds {
            add(
                "crowd",
                format!(
                    "{}: {} on {} sensors each, quality {}, {:?}, {:?}",
                    crowd.name,
                    crowd.count,
                    crowd.watch,
                    crowd.quality.name(),
                    crowd.form,
                    crowd.network
                ),
            );
        }
        let afflicted = (0..world.devices.len()).filter(|n| world.is_afflicted(*n)).count();
        if afflicted > 0 {
            add("faults", format!("{afflicted} devices fail, or come and go, by plan"));
        }
        all
    }
}

/// The load in a line.
fn words(world: &World, plan: &Plan, name: &str) -> String {
    let viewers = plan.viewers + plan.crowds.iter().map(|crowd| crowd.count).sum::<usize>();
    format!(
        "{name}: {} devices, {} sensors, {:.0} samples/s, {viewers} viewers",
        world.devices.len(),
        world.sensors.len(),
        world.samples_per_second()
    )
}

fn own_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: Load,
    }

    #[test]
    fn a_load_that_no_machine_bears_is_refused_before_room_is_made() {
        let told = |words: &[&str]| {
            let line = Line::try_parse_from([&["load"], words].concat()).unwrap();
            Job::new(&line.load).map(|_| ())
        };
        assert_eq!(told(&["--devices=10000", "--processes=8"]), Ok(()));
        let most = Err("a load has at most 10000000 sensors or viewers".to_owned());
        for words in [
            &["--devices=18446744073709551615"][..],
            &["--sensors-per-device=18446744073709551615"],
            &["--viewers=18446744073709551615"],
            &["--times=1e300"],
            &["--surge=1e12"],
        ] {
            assert_eq!(told(words), most, "{words:?}");
        }
        for words in [&["--processes=0"], &["--processes=1000000"]] {
            assert_eq!(told(words), Err("--processes: from 1 to 256".into()), "{words:?}");
        }
    }
}
