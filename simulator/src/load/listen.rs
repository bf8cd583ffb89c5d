//! The listening thread of a run: viewers who come, look around, read or do not, and go.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::TcpStream as StdStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use components::attention::Battery;
use components::viewer::Quality;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::dialect::{Dialect, Ear};
use super::figures::{Count, Series};
use super::plan::{Plan, RunClock, Script};
use super::truth::{Checker, Progress};
use super::world::World;
use crate::crowd::Act;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 65_536;

/// Between signs of life of a viewer.
const HEARTBEAT_US: u64 = 15_000_000;

/// A server that takes a viewer's words no sooner than this does not take them.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// How long a viewer must have looked at the same for what it has not heard to count as lost.
const SETTLED_US: u64 = 3_000_000;

/// Connections that may be on their way at once.
const OPENING_COUNT_MAX: usize = 16;

/// What the listener needs of its run.
pub(super) struct Listener<'a> {
    pub dialect: &'a Arc<dyn Dialect>,
    pub world: &'a Arc<World>,
    pub plan: &'a Plan,
    pub clock: RunClock,
    pub figures: &'a Mutex<Series>,
    /// Connections of viewers that are open.
    pub open: &'a AtomicUsize,
    /// Why a viewer's connection broke.
    pub why: &'a Mutex<Option<String>>,
    /// Nothing more is sent, and what was has had time to arrive.
    pub over: &'a AtomicBool,
}

/// A connection and what hears on it, before the run begins.
pub(super) type Opened = (StdStream, Box<dyn Ear>);

/// A viewer that is there.
struct Seat {
    stream: TcpStream,
    ear: Box<dyn Ear>,
    progress: Progress,
    /// Bytes that are not a whole message yet.
    wire: Vec<u8>,
    /// Sensors on screen; `None`: all of the lens.
    visible: Option<HashSet<usize>>,
    hidden: bool,
    quality: Quality,
    /// When it last looked at something else.
    looked_at: u64,
    reads: bool,
}

impl Listener<'_> {
    /// Listens until it is over. Scripts come with the connection of a viewer that is there from
    /// the beginning.
    pub(super) fn listen(
        &self,
        viewers: Vec<(Script, Option<Opened>)>,
        checker: Checker,
    ) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(OPENING_COUNT_MAX)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let checker = RefCell::new(checker);
        let chunk = RefCell::new(vec![0; CHUNK_BYTES]);
        runtime.block_on(async {
            let tasks = viewers.into_iter().map(|(script, opened)| {
                let (checker, chunk) = (&checker, &chunk);
                async move { self.play(script, opened, checker, chunk).await }
            });
            futures_util::future::join_all(tasks).await;
        });
        Ok(())
    }

    fn count(&self, count: Count) {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.at(self.clock.now()).add(count, 1);
    }

    fn broke(&self, number: usize, why: String) {
        self.count(Count::ViewersBroken);
        let mut first = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| format!("viewer {number}: {why}"));
    }

    /// One viewer, from the beginning to the end.
    async fn play(
        &self,
        script: Script,
        opened: Option<Opened>,
        checker: &RefCell<Checker>,
        chunk: &RefCell<Vec<u8>>,
    ) {
        let mut seat = opened.and_then(|opened| self.seat(&script, opened));
        let mut acts = script.acts.iter().peekable();
        if let (Some(seat), Some((_, Act::Arrive { sensors, .. }))) = (&mut seat, acts.peek()) {
            seat.visible =
                script.guest.visible.is_some().then(|| sensors.iter().copied().collect());
            acts.next();
        }
        let mut heartbeat_at = HEARTBEAT_US + script.guest.number as u64 * 1000;
        while !self.over.load(Ordering::Relaxed) {
            // The end is looked for often enough.
            let act_at = acts.peek().map_or(u64::MAX, |(ms, _)| (*ms).max(0) as u64 * 1000);
            let wake = act_at.min(heartbeat_at).min(self.clock.now() + 200_000);
            let wake = sleep_until(Instant::from_std(self.clock.instant(wake)));
            let reading = seat.as_ref().filter(|seat| seat.reads);
            let heard = match reading {
                Some(seat) => tokio::select! {
                    biased;
                    ready = seat.stream.readable() => Some(ready.map_err(|e| e.to_string())),
                    () = wake => None,
                },
                None => {
                    wake.await;
                    None
                }
            };
            if let (Some(ready), Some(there)) = (heard, &mut seat) {
                let taken = ready.and_then(|()| self.read(there, checker, chunk));
                if let Err(why) = taken {
                    self.leave(&mut seat);
                    self.lost(&script, why);
                }
            }
            let now = self.clock.now();
            if now >= heartbeat_at {
                heartbeat_at = now + HEARTBEAT_US;
                let said = self.say(&mut seat, |ear, wire| ear.heartbeat(wire)).await;
                self.or_lost(&script, &mut seat, said);
            }
            while let Some((_, act)) = acts.next_if(|(ms, _)| (*ms).max(0) as u64 * 1000 <= now) {
                let done = self.act(&script, act, &mut seat).await;
                self.or_lost(&script, &mut seat, done);
            }
        }
        self.end(&script, seat, checker, chunk);
    }

    fn seat(&self, script: &Script, (stream, ear): Opened) -> Option<Seat> {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                self.broke(script.guest.number, error.to_string());
                return None;
            }
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        self.count(Count::ViewersCame);
        Some(Seat {
            stream,
            ear,
            progress: Progress::new(script.slow),
            wire: Vec::new(),
            visible: None,
            hidden: false,
            quality: script.guest.quality,
            looked_at: self.clock.now(),
            reads: true,
        })
    }

    fn leave(&self, seat: &mut Option<Seat>) {
        if seat.take().is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A connection ended without our doing.
    fn lost(&self, script: &Script, why: String) {
        if script.slow {
            self.count(Count::ViewersLetGo);
        } else {
            self.broke(script.guest.number, why);
        }
    }

    fn or_lost(&self, script: &Script, seat: &mut Option<Seat>, done: Result<(), String>) {
        if let Err(why) = done {
            self.leave(seat);
            self.lost(script, why);
        }
    }

    async fn act(&self, script: &Script, act: &Act, seat: &mut Option<Seat>) -> Result<(), String> {
        let now = self.clock.now();
        match act {
            Act::Arrive { sensors, quality } => {
                let (dialect, world) = (Arc::clone(self.dialect), Arc::clone(self.world));
                let mut guest = script.guest.clone();
                guest.quality = *quality;
                guest.visible = guest.visible.is_some().then(|| sensors.clone());
                let opening = move || dialect.open_viewer(&world, &guest);
                let opened = tokio::task::spawn_blocking(opening).await;
                let opened = opened.map_err(|error| error.to_string())??;
                *seat = self.seat(script, opened);
                if let Some(seat) = seat {
                    let moves = script.guest.visible.is_some();
                    seat.visible = moves.then(|| sensors.iter().copied().collect());
                }
            }
            Act::Attend(attention) => {
                if let Some(seat) = seat.as_mut() {
                    let ids = attention.visible.as_ref();
                    let known = |ids: &Vec<Box<str>>| {
                        ids.iter().filter_map(|id| self.world.sensor(id)).collect()
                    };
                    seat.visible = ids.map(known);
                    let close = [&attention.hovered, &attention.focused, &attention.pinned];
                    let close = close.into_iter().flatten();
                    seat.progress
                        .point(close.filter_map(|it| self.world.sensor(&it.sensor_id)).collect());
                    seat.progress.dim = attention.battery == Battery::Critical;
                    seat.hidden = attention.hidden;
                    seat.looked_at = now;
                }
                return self.say(seat, |ear, wire| ear.attend(attention, wire)).await;
            }
            Act::SetQuality(quality) => {
                if let Some(seat) = seat.as_mut() {
                    (seat.quality, seat.looked_at) = (*quality, now);
                }
                return self.say(seat, |ear, wire| ear.set_quality(quality.name(), wire)).await;
            }
            Act::Stall => seat.iter_mut().for_each(|seat| seat.reads = false),
            Act::Flow => seat.iter_mut().for_each(|seat| seat.reads = true),
            Act::Leave => {
                if seat.is_some() {
                    self.count(Count::ViewersLeft);
                }
                self.leave(seat);
            }
        }
        Ok(())
    }

    async fn say(
        &self,
        seat: &mut Option<Seat>,
        words: impl FnOnce(&mut dyn Ear, &mut Vec<u8>),
    ) -> Result<(), String> {
        let Some(seat) = seat else { return Ok(()) };
        let mut wire = Vec::new();
        words(&mut *seat.ear, &mut wire);
        match timeout(WRITE_TIME, seat.stream.write_all(&wire)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("writing: {}", error.kind())),
            Err(_) => Err("the server does not read what a viewer says".into()),
        }
    }

    /// Takes what there is to read, once.
    fn read(
        &self,
        seat: &mut Seat,
        checker: &RefCell<Checker>,
        chunk: &RefCell<Vec<u8>>,
    ) -> Result<(), String> {
        let mut chunk = chunk.borrow_mut();
        let count = match seat.stream.try_read(&mut chunk) {
            Ok(0) => return Err("the server ended a viewer's connection".into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(format!("reading: {}", error.kind())),
        };
        seat.wire.extend_from_slice(&chunk[..count]);
        let now = self.clock.now();
        let mut checker = checker.borrow_mut();
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = &mut seat.progress;
        let used = seat.ear.hear(self.world, &seat.wire, &mut |heard| {
            checker.take(heard, now, progress, &mut figures);
        })?;
        seat.wire.drain(..used);
        Ok(())
    }

    /// The run is over: what has this viewer not heard, and was it let go?
    fn end(
        &self,
        script: &Script,
        seat: Option<Seat>,
        checker: &RefCell<Checker>,
        chunk: &RefCell<Vec<u8>>,
    ) {
        let Some(mut seat) = seat else { return };
        if script.slow {
            // A server that let it go has ended the connection behind all that waits to be read.
            let mut some = Seat { ear: Box::new(Deaf), ..seat };
            for _ in 0..1024 {
                match self.read(&mut some, checker, chunk) {
                    Ok(()) if some.wire.is_empty() => break,
                    Ok(()) => some.wire.clear(),
                    Err(_) => return self.count(Count::ViewersLetGo),
                }
            }
            return;
        }
        let end = self.plan.end_us();
        let looks = !seat.hidden && !matches!(seat.quality, Quality::Paused);
        // What the server had devices hold back was never sent.
        if !looks || self.plan.obey || seat.looked_at + SETTLED_US > end {
            return;
        }
        let sensors = match (seat.visible.take(), &script.guest.lens) {
            (Some(visible), _) => visible,
            (None, Some(lens)) => lens.iter().copied().collect(),
            (None, None) => return,
        };
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let looked_at = seat.looked_at;
        let whole = !seat.quality.digests();
        checker.borrow().tail(&seat.progress, &sensors, whole, looked_at..end, &mut figures);
    }
}

/// Hears nothing, and leaves everything where it is.
struct Deaf;

impl Ear for Deaf {
    fn hear(
        &mut self,
        _world: &World,
        _wire: &[u8],
        _heard: &mut dyn FnMut(super::dialect::Heard<'_>),
    ) -> Result<usize, String> {
        Ok(0)
    }

    fn heartbeat(&mut self, _wire: &mut Vec<u8>) {}
}
