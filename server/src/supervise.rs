//! What runs beside the engine for as long as the server does: each on its own, started again when it
//! panics as often as its budget says, and then left out for a while, without anybody else.
//!
//! Within the engine `systems/src/supervise.rs` does the same for systems; connections end by
//! themselves; before the store's disk is a [breaker](crate::breaker).

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use components::fault::Faults;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::complaints::panic_message;
use crate::metrics::Page;

/// So many panics within this time are made good at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub restarts: usize,
    pub within: Duration,
}

/// The seed's (1.2): of what stores, of what finds, of what everybody's rooms and accounts are, and of
/// what only advises.
pub const STORAGE: Budget = Budget { restarts: 3, within: Duration::from_secs(5) };
pub const REGISTRY: Budget = Budget { restarts: 5, within: Duration::from_secs(5) };
pub const DOMAIN: Budget = Budget { restarts: 5, within: Duration::from_secs(10) };
pub const ADVICE: Budget = Budget { restarts: 10, within: Duration::from_secs(60) };

/// What is beyond its budget is left out for so long, then twice as long each time.
const REST_FIRST: Duration = Duration::from_secs(10);
const REST_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct State {
    /// Those that count still.
    panics: VecDeque<Instant>,
    panic_count: u64,
    message: String,
    /// The next time it is left out; its past is forgotten once it has run for as long.
    rest: Duration,
    off_until: Option<Instant>,
}

/// One task, or thread.
#[derive(Debug)]
struct Group {
    name: &'static str,
    /// Its failpoint, struck at each start, and by some in each of their rounds.
    point: &'static str,
    budget: Budget,
    state: Mutex<State>,
}

impl Group {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has panicked; how long it is left out.
    fn panicked(&self, now: Instant, message: &str) -> Duration {
        let mut state = self.lock();
        if state.off_until.is_some_and(|until| now >= until + state.rest) {
            state.rest = REST_FIRST;
        }
        state.panic_count += 1;
        message.clone_into(&mut state.message);
        state.panics.push_back(now);
        let Budget { restarts, within } = self.budget;
        while state.panics.front().is_some_and(|first| now.duration_since(*first) > within) {
            state.panics.pop_front();
        }
        if state.panics.len() <= restarts {
            return Duration::ZERO;
        }
        state.panics.clear();
        let rest = state.rest;
        state.off_until = Some(now + rest);
        state.rest = (rest * 2).min(REST_MAX);
        rest
    }

    fn is_off(&self, now: Instant) -> bool {
        self.lock().off_until.is_some_and(|until| now < until)
    }

    /// One run; how long to wait before the next. `None`: it has come to its end.
    fn after(&self, run: Result<(), Box<dyn std::any::Any + Send>>) -> Option<Duration> {
        let panic = run.err()?;
        let message = panic_message(&*panic);
        let wait = self.panicked(Instant::now(), message);
        let (task, wait_ms) = (self.name, wait.as_millis() as u64);
        tracing::error!(task, message, wait_ms, "a task has panicked and is started again");
        Some(wait)
    }
}

/// Everything that is watched over.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    groups: Arc<Mutex<Vec<Arc<Group>>>>,
    faults: Faults,
}

impl Supervisor {
    pub fn new(faults: Faults) -> Self {
        Self { groups: Arc::default(), faults }
    }

    fn add(&self, name: &'static str, point: &'static str, budget: Budget) -> Arc<Group> {
        let state = State {
            panics: VecDeque::new(),
            panic_count: 0,
            message: String::new(),
            rest: REST_FIRST,
            off_until: None,
        };
        let group = Arc::new(Group { name, point, budget, state: Mutex::new(state) });
        self.lock().push(Arc::clone(&group));
        group
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Group>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `who`'s task until it ends or the server does.
    pub fn keep<T, F>(
        &self,
        (name, point): (&'static str, &'static str),
        budget: Budget,
        shutdown: &watch::Receiver<bool>,
        who: &Arc<T>,
        task: fn(Arc<T>, watch::Receiver<bool>) -> F,
    ) where
        T: Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let group = self.add(name, point, budget);
        let (faults, who, mut shutdown) = (self.faults.clone(), Arc::clone(who), shutdown.clone());
        tokio::spawn(async move {
            loop {
                let run = async {
                    faults.strike(group.point, 0);
                    task(Arc::clone(&who), shutdown.clone()).await;
                };
                let run = AssertUnwindSafe(run).catch_unwind().await;
                let Some(wait) = group.after(run) else { return };
                if timeout(wait, shutdown.wait_for(|down| *down)).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// The same for what has a thread of its own, which this is; `work` calls what it is given in each
    /// of its rounds. `is_over`: the server ends.
    pub fn keep_here(
        &self,
        (name, point): (&'static str, &'static str),
        budget: Budget,
        is_over: impl Fn() -> bool,
        work: impl Fn(&dyn Fn()),
    ) {
        let group = self.add(name, point, budget);
        loop {
            let run = catch_unwind(AssertUnwindSafe(|| {
                let round = || self.faults.strike(group.point, 0);
                round();
                work(&round);
            }));
            let Some(wait) = group.after(run) else { return };
            let until = Instant::now() + wait;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                if is_over() {
                    break;
                }
                std::thread::park_timeout(left);
            }
            if is_over() && wait > Duration::ZERO {
                // What panics again and again does so at the end, too.
                return;
            }
        }
    }

    /// Its part of `/health/ready`.
    pub fn health(&self) -> Value {
        let now = Instant::now();
        let groups = self.lock();
        let off: Vec<&str> = groups.iter().filter(|g| g.is_off(now)).map(|g| g.name).collect();
        let panicked: serde_json::Map<String, Value> = groups
            .iter()
            .filter_map(|group| {
                let state = group.lock();
                let told = json!({ "panics": state.panic_count, "message": state.message });
                (state.panic_count > 0).then(|| (group.name.to_owned(), told))
            })
            .collect();
        json!({ "healthy": off.is_empty(), "off": off, "panicked": panicked })
    }

    /// Its part of `/metrics`.
    pub(crate) fn measure(&self, page: &mut Page) {
        let now = Instant::now();
        let groups = self.lock();
        page.head("task_panics_total", "counter", "Panics of what runs beside the engine.");
        for group in &*groups {
            page.sample("task_panics_total", &[("task", group.name)], group.lock().panic_count);
        }
        page.head("task_off", "gauge", "Whether it is left out for a while: 1 or 0.");
        for group in &*groups {
            page.sample("task_off", &[("task", group.name)], u8::from(group.is_off(now)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn group(budget: Budget) -> Arc<Group> {
        Supervisor::default().add("chat", "task.chat", budget)
    }

    /// Panics in each of its runs until it has been run so often, and then waits for the end.
    struct Clumsy {
        runs: AtomicUsize,
        clumsy: usize,
        settled: Notify,
    }

    impl Clumsy {
        async fn work(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
            let run = self.runs.fetch_add(1, Ordering::Relaxed);
            assert!(run >= self.clumsy, "clumsy");
            self.settled.notify_one();
            let _ = shutdown.wait_for(|down| *down).await;
        }
    }

    #[tokio::test]
    async fn what_panics_is_run_again_and_told() {
        let supervisor = Supervisor::default();
        let (down, shutdown) = watch::channel(false);
        let clumsy = Clumsy { runs: AtomicUsize::new(0), clumsy: 3, settled: Notify::new() };
        let clumsy = Arc::new(clumsy);
        supervisor.keep(("clumsy", "task.clumsy"), DOMAIN, &shutdown, &clumsy, Clumsy::work);
        let patience = Duration::from_secs(30);
        timeout(patience, clumsy.settled.notified()).await.expect("it is run a fourth time");
        assert_eq!(clumsy.runs.load(Ordering::Relaxed), 4);
        let told = supervisor.health();
        assert_eq!(told["panicked"]["clumsy"], json!({ "panics": 3, "message": "clumsy" }));
        assert_eq!((&told["healthy"], &told["off"]), (&json!(true), &json!([])));
        down.send(true).expect("it hears of the end");
    }

    #[test]
    fn within_its_budget_it_is_started_again_at_once_for_ever() {
        let (group, began) = (group(DOMAIN), Instant::now());
        for n in 0..1000 {
            assert_eq!(group.panicked(began + 3 * SECOND * n, "no"), Duration::ZERO);
        }
        assert_eq!(group.lock().panic_count, 1000);
        assert!(!group.is_off(began + 3000 * SECOND));
    }

    #[test]
    fn beyond_it_it_rests_twice_as_long_each_time_until_it_has_run_for_as_long() {
        let (group, began) = (group(STORAGE), Instant::now());
        let mut now = began;
        let mut rests = Vec::new();
        for _ in 0..8 {
            let waits: Vec<Duration> = (0..4).map(|_| group.panicked(now, "no")).collect();
            assert_eq!(waits[..3], [Duration::ZERO; 3]);
            assert!(group.is_off(now) && !group.is_off(now + waits[3]));
            rests.push(waits[3].as_secs());
            now += waits[3] + SECOND;
        }
        assert_eq!(rests, [10, 20, 40, 80, 160, 320, 600, 600]);
        now += 2 * REST_MAX;
        let waits: Vec<Duration> = (0..4).map(|_| group.panicked(now, "no")).collect();
        assert_eq!(waits[3], REST_FIRST, "its past is forgotten");
    }
}
