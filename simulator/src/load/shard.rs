//! One process's part of a run: its connections opened, its threads set going, and each second a
//! word of what they counted.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::dialect::Dialect;
use super::figures::{Figures, Series};
use super::listen::{Listener, Opened};
use super::plan::{Plan, RunClock, Share};
use super::send::Sender;
use super::truth::{Checker, SentTimes};
use super::world::World;
use crate::crowd::Act;

/// How long viewers listen on after the last sample.
const DRAIN: Duration = Duration::from_millis(1500);

/// Between two words to whoever conducts the run.
const TELL_PERIOD: Duration = Duration::from_millis(500);

/// Threads that open connections before the run, and are gone when it begins.
const OPENER_COUNT: usize = 16;

/// A word of a part of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    /// All connections are open.
    Ready,
    /// What was counted since the last word, by second, and the connections that are open.
    Counted {
        seconds: Vec<(usize, Figures)>,
        devices: usize,
        viewers: usize,
    },
    /// It is over; why the first connection broke that should not have.
    Done {
        why: Option<String>,
    },
    Failed(String),
}

impl Told {
    /// One line for another process.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Ready => json!("ready"),
            Self::Counted { seconds, devices, viewers } => {
                let seconds: Vec<Value> =
                    seconds.iter().map(|(second, f)| json!([second, f.to_json()])).collect();
                json!({"seconds": seconds, "devices": devices, "viewers": viewers})
            }
            Self::Done { why } => json!({"done": true, "why": why}),
            Self::Failed(why) => json!({"failed": why}),
        }
    }

    pub(super) fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        if value == "ready" {
            return Some(Self::Ready);
        }
        if let Some(why) = value["failed"].as_str() {
            return Some(Self::Failed(why.to_owned()));
        }
        if value["done"] == true {
            return Some(Self::Done { why: value["why"].as_str().map(str::to_owned) });
        }
        let seconds = value["seconds"]
            .as_array()?
            .iter()
            .map(|entry| Some((entry[0].as_u64()? as usize, Figures::from_json(&entry[1])?)));
        Some(Self::Counted {
            seconds: seconds.collect::<Option<_>>()?,
            devices: value["devices"].as_u64()? as usize,
            viewers: value["viewers"].as_u64()? as usize,
        })
    }
}

/// Plays a part of a run. `go` waits for the word to begin and gives the time at which to, unix
/// µs; `tell` takes what becomes of it.
pub(super) fn play(
    dialect: &Arc<dyn Dialect>,
    world: &Arc<World>,
    plan: &Plan,
    share: Share,
    go: impl FnOnce() -> Result<i64, String>,
    tell: &(dyn Fn(Told) + Sync),
) {
    match try_play(dialect, world, plan, share, go, tell) {
        Ok(why) => tell(Told::Done { why }),
        Err(why) => tell(Told::Failed(why)),
    }
}

fn try_play(
    dialect: &Arc<dyn Dialect>,
    world: &Arc<World>,
    plan: &Plan,
    share: Share,
    go: impl FnOnce() -> Result<i64, String>,
    tell: &(dyn Fn(Told) + Sync),
) -> Result<Option<String>, String> {
    let mine: Vec<usize> = (0..world.devices.len()).filter(|device| share.has(*device)).collect();
    let devices: Vec<(usize, Option<TcpStream>)> = open_all(&mine, |device| {
        if !world.is_present(*device, 0) {
            return Ok((*device, None));
        }
        let stream =
            dialect.open_device(world, *device).map_err(|why| format!("device {device}: {why}"))?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok((*device, Some(stream)))
    })?;
    let mut scripts = plan.scripts(world);
    scripts.retain(|script| share.has(script.guest.number));
    let opened: Vec<Option<Opened>> = open_all(&scripts, |script| {
        let Some((..=0, Act::Arrive { sensors, quality })) = script.acts.first() else {
            return Ok(None);
        };
        let mut guest = script.guest.clone();
        guest.quality = *quality;
        guest.visible = guest.visible.is_some().then(|| sensors.clone());
        let opened = dialect.open_viewer(world, &guest);
        opened.map(Some).map_err(|why| format!("viewer {}: {why}", guest.number))
    })?;
    tell(Told::Ready);
    let clock = RunClock::beginning_at(go()?);

    let (sent_figures, heard_figures) = (Mutex::new(Series::default()), Mutex::default());
    let (devices_open, viewers_open) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (why, over, gone) = (Mutex::new(None), AtomicBool::new(false), AtomicBool::new(false));
    let sent = Arc::new(SentTimes::new(world));
    let checker = Checker::new(world, &sent, clock.began_unix_us);
    let sender = Sender {
        dialect,
        world,
        plan,
        clock,
        sent: &sent,
        figures: &sent_figures,
        open: &devices_open,
        why: &why,
    };
    let listener = Listener {
        dialect,
        world,
        plan,
        clock,
        figures: &heard_figures,
        open: &viewers_open,
        why: &why,
        over: &over,
    };
    let count = || {
        let mut merged = take(&sent_figures);
        take(&heard_figures).seconds().for_each(|(second, f)| merged.merge(second, f));
        tell(Told::Counted {
            seconds: merged.seconds().map(|(second, f)| (second, f.clone())).collect(),
            devices: devices_open.load(Ordering::Relaxed),
            viewers: viewers_open.load(Ordering::Relaxed),
        });
    };
    let heard = std::thread::scope(|scope| {
        let ears = scope.spawn(|| {
            let viewers = scripts.into_iter().zip(opened).collect();
            let heard = listener.listen(viewers, checker);
            gone.store(true, Ordering::Relaxed);
            heard
        });
        scope.spawn(|| {
            let streams = sender.send(devices);
            // The sockets stay open until viewers have heard the last of it.
            std::thread::sleep(DRAIN);
            over.store(true, Ordering::Relaxed);
            drop(streams);
        });
        while !gone.load(Ordering::Relaxed) || !over.load(Ordering::Relaxed) {
            std::thread::sleep(TELL_PERIOD);
            count();
        }
        ears.join().unwrap_or_else(|_| Err("the listening thread broke".into()))
    });
    count();
    heard?;
    Ok(why.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn take(figures: &Mutex<Series>) -> Series {
    std::mem::take(&mut *figures.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Opens connections side by side, in order. A server that takes a tenth of a second to answer
/// each, as mosquitto's WebSocket door does, would else take minutes.
fn open_all<T: Sync, U: Send>(
    all: &[T],
    open: impl Fn(&T) -> Result<U, String> + Sync,
) -> Result<Vec<U>, String> {
    let share = all.len().div_ceil(OPENER_COUNT).max(1);
    std::thread::scope(|scope| {
        let shares: Vec<_> = all
            .chunks(share)
            .map(|some| scope.spawn(|| some.iter().map(&open).collect::<Result<Vec<U>, _>>()))
            .collect();
        let mut opened = Vec::with_capacity(all.len());
        for share in shares {
            opened.extend(share.join().map_err(|_| "opening a connection broke".to_owned())??);
        }
        Ok(opened)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::figures::Count;

    #[test]
    fn what_a_part_tells_comes_back() {
        let mut figures = Figures::default();
        figures.add(Count::Sent, 5);
        figures.age.add(1200);
        for told in [
            Told::Ready,
            Told::Counted { seconds: vec![(3, figures)], devices: 7, viewers: 2 },
            Told::Done { why: None },
            Told::Done { why: Some("x".into()) },
            Told::Failed("no".into()),
        ] {
            assert_eq!(Told::from_json(&told.to_json().to_string()), Some(told));
        }
        for text in ["", "{}", "[]", r#"{"seconds":[[1]],"devices":1,"viewers":1}"#, "\"red\""] {
            assert_eq!(Told::from_json(text), None);
        }
    }

    #[test]
    fn connections_are_opened_in_order_and_one_failure_is_told() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(open_all(&all, |n| Ok(*n)).unwrap(), all);
        let opened = open_all(&all, |n| if *n == 60 { Err("no".to_owned()) } else { Ok(*n) });
        assert_eq!(opened, Err("no".into()));
    }
}
