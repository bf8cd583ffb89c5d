//! Conducts a run: its parts set going together, here or in processes of their own, their figures
//! added up, the server looked at meanwhile, and progress told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::dialect::Dialect;
use super::figures::{Count, Figures, Series};
use super::metrics::Metrics;
use super::plan::{Plan, RunClock, Share, unix_us};
use super::process::{Usage, usage};
use super::shard::{self, Told};
use super::world::World;

/// How long all parts may take to open their connections.
const READY_TIME: Duration = Duration::from_secs(300);

/// Between the word to begin and the beginning: every part has heard it by then.
const GO_AHEAD_US: i64 = 300_000;

/// How much longer than planned a part may take to its end.
const END_TIME: Duration = Duration::from_secs(60);

/// Words of the parts that may wait to be heard.
const TOLD_COUNT_MAX: usize = 1024;

/// Between looks at the server, and at the least between lines of progress.
const PROBE_PERIOD: Duration = Duration::from_secs(1);

/// Between lines of progress when nobody watches.
const LOG_PERIOD_S: u64 = 5;

/// Whoever plays the run.
pub(super) enum Crew<'a> {
    /// This process.
    Here { dialect: &'a Arc<dyn Dialect>, world: &'a Arc<World> },
    /// So many processes of this program; each is given these arguments and its share.
    Processes { program: PathBuf, arguments: Vec<String>, count: usize },
}

/// What is looked at beside the run.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The server's process.
    pub pid: Option<u32>,
    /// Where its `/metrics` are, `host:port`.
    pub metrics: Option<String>,
    /// Lines of progress on stderr.
    pub progress: bool,
}

/// The server at one moment.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// µs since the beginning of the run.
    pub at: u64,
    pub usage: Option<Usage>,
    pub metrics: Option<Metrics>,
}

/// Everything a run told.
#[derive(Debug, Default)]
pub(super) struct Conducted {
    pub began_unix_us: i64,
    pub series: Series,
    /// By second: connections of devices and viewers.
    pub connections: BTreeMap<usize, (usize, usize)>,
    pub probes: Vec<Probe>,
    /// Why the first connection broke that should not have.
    pub why: Option<String>,
    /// Parts that ended before their time, and how.
    pub dead: Vec<String>,
}

/// A word, and whose.
type Word = (usize, Told);

/// Plays a run to its end.
pub(super) fn conduct(
    crew: &Crew<'_>,
    plan: &Plan,
    observed: &Observed,
) -> Result<Conducted, String> {
    let (told, words) = sync_channel::<Word>(TOLD_COUNT_MAX);
    match crew {
        Crew::Here { dialect, world } => std::thread::scope(|scope| {
            let (go, wait) = sync_channel::<i64>(1);
            scope.spawn(move || {
                let go = move || wait.recv().map_err(|_| "the run was called off".to_owned());
                shard::play(dialect, world, plan, Share::WHOLE, go, &|word| {
                    // Nobody listens any more once the run is called off.
                    let _ = told.send((0, word));
                });
            });
            let mut go = Some(go);
            let begin = |at| go.take().is_some_and(|go| go.send(at).is_ok());
            follow(1, plan, observed, &words, begin)
        }),
        Crew::Processes { program, arguments, count } => {
            let mut children = Vec::new();
            for index in 0..*count {
                let share = format!("{index}/{count}");
                children.push(Part::start(program, arguments, &share, index, told.clone())?);
            }
            drop(told);
            let begin = |at| children.iter_mut().all(|child| child.begin(at));
            follow(*count, plan, observed, &words, begin)
        }
    }
}

/// A part in a process of its own. Ends with us.
struct Part {
    child: Child,
    stdin: ChildStdin,
}

impl Part {
    fn start(
        program: &PathBuf,
        arguments: &[String],
        share: &str,
        index: usize,
        told: SyncSender<Word>,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", program.display());
        let mut child = Command::new(program)
            .args(arguments)
            .args(["--share", share])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        let streams = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = streams.ok_or("a process without pipes")?;
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let word = Told::from_json(&line)
                    .unwrap_or_else(|| Told::Failed(format!("it said {line:?}")));
                if told.send((index, word)).is_err() {
                    return;
                }
            }
            let _ = told.send((index, Told::Failed("its process ended".into())));
        });
        Ok(Self { child, stdin })
    }

    fn begin(&mut self, at: i64) -> bool {
        writeln!(self.stdin, "{at}").and_then(|()| self.stdin.flush()).is_ok()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays one part, as the process that was started for it: begins when told so on stdin, and
/// tells on stdout.
pub(super) fn play_part(dialect: &Arc<dyn Dialect>, world: &Arc<World>, plan: &Plan, share: Share) {
    let go = || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
        line.trim().parse().map_err(|_| "the run was called off".to_owned())
    };
    shard::play(dialect, world, plan, share, go, &|word| {
        crate::cli::out(&word.to_json().to_string());
    });
}

/// Hears the parts to their end.
fn follow(
    parts: usize,
    plan: &Plan,
    observed: &Observed,
    words: &Receiver<Word>,
    mut begin: impl FnMut(i64) -> bool,
) -> Result<Conducted, String> {
    let waiting_since = Instant::now();
    let mut ready = 0;
    while ready < parts {
        match words.recv_timeout(READY_TIME.saturating_sub(waiting_since.elapsed())) {
            Ok((_, Told::Ready)) => ready += 1,
            Ok((_, Told::Failed(why))) => return Err(why),
            Ok(_) => {}
            Err(_) => {
                let seconds = READY_TIME.as_secs();
                return Err(format!("not all connections were open after {seconds} s"));
            }
        }
    }
    let began_unix_us = unix_us() + GO_AHEAD_US;
    if !begin(began_unix_us) {
        return Err("a process ended before the run began".into());
    }
    let clock = RunClock::beginning_at(began_unix_us);
    let (probes, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let mut run = Conducted { began_unix_us, ..Conducted::default() };
    std::thread::scope(|scope| {
        scope.spawn(|| watch(observed, clock, &probes, &over));
        hear(parts, plan, observed, clock, words, &probes, &mut run);
        over.store(true, Ordering::Relaxed);
    });
    run.probes = probes.into_inner().unwrap_or_else(PoisonError::into_inner);
    if run.dead.len() == parts {
        return Err(run.dead.swap_remove(0));
    }
    Ok(run)
}

fn hear(
    parts: usize,
    plan: &Plan,
    observed: &Observed,
    clock: RunClock,
    words: &Receiver<Word>,
    probes: &Mutex<Vec<Probe>>,
    run: &mut Conducted,
) {
    let deadline = clock.instant(plan.end_us()) + END_TIME;
    let mut open = vec![(0, 0); parts];
    let mut done = vec![false; parts];
    let mut line = observed.progress.then(|| Line::new(clock));
    while !done.iter().all(|done| *done) {
        let word = match words.recv_timeout(Duration::from_millis(100)) {
            Ok(word) => Some(word),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match word {
            Some((part, Told::Counted { seconds, devices, viewers })) => {
                for (second, figures) in &seconds {
                    run.series.merge(*second, figures);
                    if let Some(line) = &mut line {
                        line.recent.merge(figures);
                    }
                }
                open[part] = (devices, viewers);
                let second = (clock.now() / 1_000_000) as usize;
                let sum = open.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
                run.connections.insert(second, sum);
            }
            Some((part, Told::Done { why })) => {
                done[part] = true;
                run.why = run.why.take().or(why);
            }
            Some((part, Told::Failed(why))) if !done[part] => {
                done[part] = true;
                open[part] = (0, 0);
                run.dead.push(if parts == 1 { why } else { format!("process {part}: {why}") });
            }
            _ => {}
        }
        if let Some(line) = &mut line {
            line.tell(probes);
        }
        if Instant::now() > deadline {
            let late = (0..parts).filter(|part| !done[*part]);
            run.dead.extend(late.map(|part| format!("part {part} did not come to its end")));
            return;
        }
    }
}

/// Looks at the server once a second, at whole seconds of the run.
fn watch(observed: &Observed, clock: RunClock, probes: &Mutex<Vec<Probe>>, over: &AtomicBool) {
    if observed.pid.is_none() && observed.metrics.is_none() {
        return;
    }
    let mut next = 0;
    while !over.load(Ordering::Relaxed) {
        let wait = clock.instant(next).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait.min(Duration::from_millis(100)));
            continue;
        }
        let at = clock.now();
        let usage = observed.pid.and_then(usage);
        let metrics = observed.metrics.as_deref().and_then(Metrics::fetch);
        let probe = Probe { at, usage, metrics };
        probes.lock().unwrap_or_else(PoisonError::into_inner).push(probe);
        let period = PROBE_PERIOD.as_micros() as u64;
        next = (clock.now() / period + 1) * period;
    }
}

/// Progress on stderr.
struct Line {
    clock: RunClock,
    period_s: u64,
    terminal: bool,
    next_at: u64,
    told_at: u64,
    /// Since the last line.
    recent: Figures,
}

impl Line {
    fn new(clock: RunClock) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let period_s = if terminal { 1 } else { LOG_PERIOD_S };
        let next_at = period_s * 1_000_000;
        Self { clock, period_s, terminal, next_at, told_at: 0, recent: Figures::default() }
    }

    fn tell(&mut self, probes: &Mutex<Vec<Probe>>) {
        let now = self.clock.now();
        if now < self.next_at {
            return;
        }
        let seconds = (now - self.told_at) as f64 / 1e6;
        let probes = probes.lock().unwrap_or_else(PoisonError::into_inner);
        let text = progress(now, seconds, &self.recent, &probes, self.period_s as usize);
        drop(probes);
        let mut stderr = std::io::stderr();
        // On a terminal each line replaces the one before.
        let _ = match self.terminal {
            true => write!(stderr, "\r\x1b[2K{text}"),
            false => writeln!(stderr, "{text}"),
        };
        let _ = stderr.flush();
        self.recent = Figures::default();
        self.told_at = now;
        self.next_at = now + self.period_s * 1_000_000;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.terminal {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// One line of progress about the last `seconds`.
fn progress(
    now: u64,
    seconds: f64,
    recent: &Figures,
    probes: &[Probe],
    probes_back: usize,
) -> String {
    let rate = |count: u64| (count as f64 / seconds).round();
    let live = recent.of(Count::Delivered) + recent.of(Count::Latest);
    let lost = recent.of(Count::Missed) + recent.of(Count::Gaps) + recent.of(Count::NotTaken);
    let mut text =
        format!("{:4} s  offered {}/s", now / 1_000_000, rate(recent.of(Count::Offered)));
    let last = probes.last();
    let before = probes.len().checked_sub(probes_back + 1).and_then(|at| probes.get(at));
    if let Some((before, after)) = before.zip(last) {
        let elapsed = after.at.saturating_sub(before.at) as f64 / 1e6;
        let metrics = before.metrics.as_ref().zip(after.metrics.as_ref());
        if let Some(accepted) = metrics.and_then(|(b, a)| a.accepted_since(b)) {
            text.push_str(&format!("  accepted {}/s", (accepted / elapsed).round()));
        }
        if let Some((b, a)) = before.usage.zip(after.usage) {
            let cpu = 100.0 * (a.cpu_seconds - b.cpu_seconds) / elapsed;
            let mib = a.resident_kib as f64 / 1024.0;
            text.push_str(&format!("  server {cpu:.0} % {mib:.0} MiB"));
        }
    }
    let ms = |part| recent.age.quantile(part) as f64 / 1000.0;
    text.push_str(&format!(
        "  delivered {}/s  p50 {:.1} ms  p99 {:.1} ms  lost {lost}",
        rate(live),
        ms(0.5),
        ms(0.99)
    ));
    let wrong = recent.of(Count::Wrong);
    if wrong > 0 {
        text.push_str(&format!("  WRONG {wrong}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress_says_what_happened_since_the_last() {
        let mut recent = Figures::default();
        recent.add(Count::Offered, 50_000);
        recent.add(Count::Delivered, 49_990);
        recent.add(Count::Latest, 5_010);
        recent.add(Count::Missed, 10);
        (0..100).for_each(|_| recent.age.add(20_000));
        let usage = |cpu_seconds| Some(Usage { cpu_seconds, resident_kib: 65_536 });
        let probe = |at, cpu| Probe { at, usage: usage(cpu), metrics: None };
        let probes = [probe(0, 1.0), probe(5_000_000, 3.5)];
        let text = progress(5_000_000, 5.0, &recent, &probes, 1);
        assert_eq!(
            text,
            "   5 s  offered 10000/s  server 50 % 64 MiB  delivered 11000/s  p50 20.0 ms  p99 20.0 ms  lost 10"
        );
        recent.add(Count::Wrong, 2);
        assert!(progress(5_000_000, 5.0, &recent, &[], 1).ends_with("WRONG 2"));
    }
}
