//! The sending thread of a run: every sample at its time, through whatever is wrong with its
//! device.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use components::limits::BATCH_SAMPLE_COUNT_MAX;
use components::sample::Timestamp;

use super::dialect::{Answer, Dialect, Paced, Sample};
use super::figures::{Count, Series};
use super::plan::{Plan, RunClock};
use super::truth::SentTimes;
use super::world::{World, Written};
use crate::batcher::{Batcher, Pacing};
use crate::chance::{hash, uniform};
use crate::fault::Faults;
use crate::signal::Memory;

/// What may wait to be written to one device's socket before samples are given up, bytes.
const BACKLOG_BYTES_MAX: usize = 256 * 1024;

/// Rest of the sender between looks at the clock. Sends are at most this late on an idle machine.
const REST: Duration = Duration::from_micros(250);

/// Samples between writes to sockets, when many are due at once.
const BURST: usize = 256;

/// Between signs of life of a device.
const HEARTBEAT_US: u64 = 15_000_000;

/// Between readings of what the server told each device.
const READ_US: u64 = 1_000_000;
const READ_OBEDIENT_US: u64 = 250_000;

/// As npm `phoenix` waits between attempts (`reference/wire.md` 1.4); the last for ever.
const BACKOFF_MS: [u64; 10] = [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000];

/// Threads that connect devices anew, and connections that may wait for them.
const REOPENER_COUNT: usize = 2;
const REOPENS_WAITING_MAX: usize = 256;

/// Samples that one sensor holds back while the server has it pause. Older ones go.
const HELD_COUNT_MAX: usize = BATCH_SAMPLE_COUNT_MAX;

/// What comes at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Sample {
        stream: usize,
        k: i64,
    },
    /// A sample that was held back on purpose.
    Again {
        stream: usize,
        k: i64,
    },
    /// A sensor's batch may be full of age.
    Flush {
        sensor: usize,
    },
    /// Look after a device.
    Serve {
        device: usize,
    },
    /// Connect it anew.
    Reopen {
        device: usize,
    },
}

/// What the sender needs of its run.
pub(super) struct Sender<'a> {
    pub dialect: &'a Arc<dyn Dialect>,
    pub world: &'a Arc<World>,
    pub plan: &'a Plan,
    pub clock: RunClock,
    pub sent: &'a SentTimes,
    pub figures: &'a Mutex<Series>,
    /// Connections of devices that are open.
    pub open: &'a AtomicUsize,
    /// Why a connection of a healthy device broke.
    pub why: &'a Mutex<Option<String>>,
}

/// One device's connection.
struct Line {
    device: usize,
    stream: Option<TcpStream>,
    /// Bytes that the socket did not take yet.
    backlog: Vec<u8>,
    /// Bytes from the server that are not whole yet.
    inbox: Vec<u8>,
    /// It has something to write.
    dirty: bool,
    afflicted: bool,
    /// A planned fault has disconnected it.
    away: bool,
    /// An opener is at it.
    opening: bool,
    attempts: usize,
    heartbeat_at: u64,
}

/// Samples of one sensor that wait for their batch.
#[derive(Default)]
struct Held {
    batcher: Batcher,
    samples: Vec<HeldSample>,
    text: String,
}

struct HeldSample {
    stream: usize,
    k: i64,
    unix_ms: i64,
    /// In the text: where the payload begins, where it ends, and where the further members end.
    spans: [usize; 3],
}

struct Sending<'a> {
    run: &'a Sender<'a>,
    /// Of this share's devices.
    lines: Vec<Line>,
    /// By device of the world: its line.
    line_of: Vec<Option<usize>>,
    /// By sensor of the world, when samples are gathered.
    held: Vec<Held>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    memories: Vec<Memory>,
    written: Written,
    wire: Vec<u8>,
    dirty: Vec<usize>,
    reopen: SyncSender<usize>,
    reopened: Receiver<(usize, Result<TcpStream, String>)>,
    /// Counted since the figures were last locked.
    now: u64,
}

impl Sender<'_> {
    /// Sends until the end of the plan. `devices` are this share's, connected. Gives the
    /// connections back, so that they stay open until viewers have heard the last.
    pub(super) fn send(&self, devices: Vec<(usize, Option<TcpStream>)>) -> Vec<TcpStream> {
        let (reopen, wanted) = sync_channel(REOPENS_WAITING_MAX);
        let (done, reopened) = sync_channel(REOPENS_WAITING_MAX);
        let wanted = Mutex::new(wanted);
        std::thread::scope(|scope| {
            for _ in 0..REOPENER_COUNT {
                let (wanted, done) = (&wanted, done.clone());
                scope.spawn(move || self.reopen_each(wanted, &done));
            }
            drop(done);
            let mut sending = Sending::new(self, devices, reopen, reopened);
            sending.run();
            sending.lines.into_iter().filter_map(|line| line.stream).collect()
        })
    }

    /// Connects the devices that are asked for, until nobody asks any more.
    fn reopen_each(
        &self,
        wanted: &Mutex<Receiver<usize>>,
        done: &SyncSender<(usize, Result<TcpStream, String>)>,
    ) {
        loop {
            let next = wanted.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(device) = next else { return };
            let opened = self.dialect.open_device(self.world, device).and_then(|stream| {
                stream.set_nonblocking(true).map_err(|error| error.to_string())?;
                Ok(stream)
            });
            if done.send((device, opened)).is_err() {
                return;
            }
        }
    }
}

impl<'a> Sending<'a> {
    fn new(
        run: &'a Sender<'a>,
        devices: Vec<(usize, Option<TcpStream>)>,
        reopen: SyncSender<usize>,
        reopened: Receiver<(usize, Result<TcpStream, String>)>,
    ) -> Self {
        let world = run.world;
        let mut line_of = vec![None; world.devices.len()];
        let mut events = BinaryHeap::new();
        let count = devices.len() as u64;
        let period_us = if run.plan.obey { READ_OBEDIENT_US } else { READ_US };
        let lines = devices.into_iter().enumerate().map(|(n, (device, stream))| {
            line_of[device] = Some(n);
            // Each is looked after once a period, one after the other.
            events.push(Reverse((n as u64 * period_us / count, Event::Serve { device })));
            for &sensor in &world.devices[device].sensors {
                for index in world.sensors[sensor].streams.clone() {
                    let began_ms = run.clock.began_unix_us.div_euclid(1000);
                    let awake_ms = (run.plan.awake_us(device).start / 1000) as i64;
                    let from = Timestamp(began_ms + awake_ms);
                    let k = world.streams[index].cadence.first_after(from);
                    let due = run.due(index, k);
                    events.push(Reverse((due, Event::Sample { stream: index, k })));
                }
            }
            Line {
                device,
                away: stream.is_none(),
                stream,
                backlog: Vec::new(),
                inbox: Vec::new(),
                dirty: false,
                afflicted: world.is_afflicted(device),
                opening: false,
                attempts: 0,
                heartbeat_at: HEARTBEAT_US + n as u64 * 1000,
            }
        });
        let lines: Vec<Line> = lines.collect();
        let open = lines.iter().filter(|line| line.stream.is_some()).count();
        run.open.store(open, Ordering::Relaxed);
        let gathers = run.plan.obey || run.plan.batch.is_some();
        let held = (0..if gathers { world.sensors.len() } else { 0 }).map(|_| {
            let mut held = Held::default();
            if let Some(window) = run.plan.batch {
                let window_ms = window.as_millis() as u64;
                held.batcher.pace(Pacing { window_ms, size: usize::MAX, paused: false });
            }
            held
        });
        Self {
            held: held.collect(),
            run,
            lines,
            line_of,
            events,
            memories: world.memories(),
            written: Written::default(),
            wire: Vec::new(),
            dirty: Vec::new(),
            reopen,
            reopened,
            now: 0,
        }
    }

    fn run(&mut self) {
        let end = self.run.plan.end_us();
        loop {
            self.now = self.run.clock.now();
            let until = self.now.min(end - 1);
            let mut burst = 0;
            while let Some(Reverse((due, _))) = self.events.peek()
                && *due <= until
            {
                let Some(Reverse((due, event))) = self.events.pop() else { break };
                self.meet(event, due);
                burst += 1;
                if burst % BURST == 0 {
                    self.write_out();
                }
            }
            self.write_out();
            self.take_reopened();
            if self.now >= end {
                // What was measured until now is sent with what there is.
                (0..self.held.len()).for_each(|sensor| self.flush(sensor, true));
                return self.write_out();
            }
            std::thread::sleep(REST);
        }
    }

    fn count(&self, count: Count) {
        self.figures(|figures, now| figures.at(now).add(count, 1));
    }

    fn figures(&self, note: impl FnOnce(&mut Series, u64)) {
        let mut figures = self.run.figures.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut figures, self.now);
    }

    fn meet(&mut self, event: Event, due: u64) {
        match event {
            Event::Sample { stream, k } => {
                self.now = self.run.clock.now();
                let next = self.run.due(stream, k + 1);
                let device = self.run.world.device_of(stream);
                if self.run.plan.awake_us(device).contains(&next) {
                    self.events.push(Reverse((next, Event::Sample { stream, k: k + 1 })));
                }
                self.sample(stream, k, due, true);
            }
            Event::Again { stream, k } => self.sample(stream, k, due, false),
            Event::Flush { sensor } => self.flush(sensor, false),
            Event::Serve { device } => self.serve(device),
            Event::Reopen { device } => {
                let Some(line) = self.line_of[device] else { return };
                if self.lines[line].stream.is_none() && !self.lines[line].opening {
                    self.lines[line].opening = true;
                    if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
                        self.reopen.try_send(device)
                    {
                        self.lines[line].opening = false;
                        self.events.push(Reverse((self.now + 50_000, Event::Reopen { device })));
                    }
                }
            }
        }
    }

    /// What is wrong with a device as it measures at this time; `None`: it is not there at all.
    fn faults(&self, line: usize, unix_ms: i64) -> Option<Faults> {
        if !self.lines[line].afflicted {
            return Some(Faults::default());
        }
        let since = unix_ms - self.run.clock.began_unix_us.div_euclid(1000);
        let (world, device) = (self.run.world, self.lines[line].device);
        world.is_present(device, since).then(|| world.faults_at(device, since))
    }

    fn sample(&mut self, stream: usize, k: i64, due: u64, first: bool) {
        let world = Arc::clone(self.run.world);
        let sensor = world.streams[stream].sensor;
        let Some(line) = self.line_of[world.sensors[sensor].device] else { return };
        let cadence = &world.streams[stream].cadence;
        let stamp = cadence.stamp(k).0;
        let Some(faults) = self.faults(line, stamp) else { return self.hang_up(line) };
        let afflicted = self.lines[line].afflicted;
        if first {
            let late = self.now.saturating_sub(due);
            self.figures(|figures, now| {
                let figures = figures.at(now);
                figures.add(Count::Offered, 1);
                figures.lateness.add(late);
            });
        }
        if !faults.connected {
            self.hang_up(line);
        }
        if !faults.connected || faults.silent {
            return self.count(Count::Withheld);
        }
        let chance = |n: u64, share: f64| {
            afflicted && share > 0.0 && {
                let seed = hash(self.run.plan.seed ^ stream as u64, k as u64);
                uniform(seed, n, 0.0, 1.0) < share
            }
        };
        if first {
            let behind_the_next =
                if chance(1, faults.reorder) { (1.5e6 / cadence.rate_hz()) as u64 } else { 0 };
            let held_back = behind_the_next + faults.delay_ms.max(0) as u64 * 1000;
            if held_back > 0 {
                self.events.push(Reverse((due + held_back, Event::Again { stream, k })));
                return self.count(Count::Delayed);
            }
        }
        let (twice, rubbish) = (chance(2, faults.duplicate), first && chance(3, faults.garbage));
        if self.lines[line].stream.is_none() || self.lines[line].backlog.len() > BACKLOG_BYTES_MAX {
            return self.count(if afflicted { Count::Withheld } else { Count::NotTaken });
        }
        world.measure(stream, k, &mut self.memories, &mut self.written);
        let unix_ms = stamp + faults.clock_offset_ms;
        if self.held.is_empty() {
            let sample = Sample {
                stream,
                unix_ms,
                payload: &self.written.payload,
                extra: &self.written.extra,
            };
            self.wire.clear();
            self.run.dialect.write(&world, &[sample], &mut self.wire);
            if twice {
                self.run.dialect.write(&world, &[sample], &mut self.wire);
            }
            self.run.sent.set(stream, k, self.now);
            self.post(line);
            self.count(Count::Sent);
        } else {
            self.hold(sensor, stream, k, unix_ms, if twice { 2 } else { 1 });
        }
        if twice {
            self.count(Count::Repeated);
        }
        if rubbish {
            self.wire.clear();
            let kind = hash(self.run.plan.seed, k as u64 ^ stream as u64);
            self.run.dialect.garbage(&world, sensor, kind, &mut self.wire);
            self.post(line);
            self.count(Count::Garbage);
        }
    }

    /// Puts a sample with those that wait for its sensor's batch.
    fn hold(&mut self, sensor: usize, stream: usize, k: i64, unix_ms: i64, times: usize) {
        let held = &mut self.held[sensor];
        let begins = held.samples.is_empty();
        for _ in 0..times {
            let start = held.text.len();
            held.text.push_str(&self.written.payload);
            let middle = held.text.len();
            held.text.push_str(&self.written.extra);
            let spans = [start, middle, held.text.len()];
            held.samples.push(HeldSample { stream, k, unix_ms, spans });
        }
        if held.samples.len() > HELD_COUNT_MAX {
            let gone = held.samples.len() - HELD_COUNT_MAX / 2;
            held.samples.drain(..gone);
            let mut figures = self.run.figures.lock().unwrap_or_else(PoisonError::into_inner);
            figures.at(self.now).add(Count::Withheld, gone as u64);
        }
        held.batcher.gather(times, self.now / 1000);
        if begins {
            self.flush_when_due(sensor);
        }
        self.flush(sensor, false);
    }

    fn flush_when_due(&mut self, sensor: usize) {
        if let Some(due_ms) = self.held[sensor].batcher.due_at_ms() {
            self.events.push(Reverse((due_ms * 1000, Event::Flush { sensor })));
        }
    }

    /// Sends a sensor's batch, if it is time or the last.
    fn flush(&mut self, sensor: usize, last: bool) {
        let held = &mut self.held[sensor];
        let now_ms = self.now / 1000;
        if (if last { held.batcher.take_rest() } else { held.batcher.take(now_ms) }) == 0 {
            return;
        }
        let Some(line) = self.line_of[self.run.world.sensors[sensor].device] else { return };
        let (samples, text) = (std::mem::take(&mut held.samples), std::mem::take(&mut held.text));
        let taken = self.lines[line].stream.is_some();
        let afflicted = self.lines[line].afflicted;
        self.wire.clear();
        for some in samples.chunks(BATCH_SAMPLE_COUNT_MAX / 8) {
            if !taken {
                break;
            }
            let said: Vec<Sample<'_>> = some
                .iter()
                .map(|held| {
                    let [start, middle, end] = held.spans;
                    self.run.sent.set(held.stream, held.k, self.now);
                    let (stream, unix_ms) = (held.stream, held.unix_ms);
                    let (payload, extra) = (&text[start..middle], &text[middle..end]);
                    Sample { stream, unix_ms, payload, extra }
                })
                .collect();
            self.run.dialect.write(self.run.world, &said, &mut self.wire);
        }
        self.post(line);
        let count = match (taken, afflicted) {
            (true, _) => Count::Sent,
            (false, true) => Count::Withheld,
            (false, false) => Count::NotTaken,
        };
        self.figures(|figures, now| figures.at(now).add(count, samples.len() as u64));
        let held = &mut self.held[sensor];
        (held.samples, held.text) = (samples, text);
        held.samples.clear();
        held.text.clear();
    }

    /// What is in `wire` is to go out on this line.
    fn post(&mut self, line: usize) {
        let at = &mut self.lines[line];
        at.backlog.extend_from_slice(&self.wire);
        if !std::mem::replace(&mut at.dirty, true) {
            self.dirty.push(line);
        }
    }

    fn write_out(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for line in dirty.drain(..) {
            self.lines[line].dirty = false;
            if let Err(why) = self.lines[line].write() {
                self.lose(line, &why);
            }
        }
        self.dirty = dirty;
    }

    /// Reads what the server said, shows a sign of life, follows the plan's faults, and writes
    /// what has waited.
    fn serve(&mut self, device: usize) {
        let period_us = if self.run.plan.obey { READ_OBEDIENT_US } else { READ_US };
        self.events.push(Reverse((self.now + period_us, Event::Serve { device })));
        let Some(line) = self.line_of[device] else { return };
        let unix_ms = (self.run.clock.began_unix_us + self.now as i64).div_euclid(1000);
        if !self.faults(line, unix_ms).is_some_and(|faults| faults.connected) {
            return self.hang_up(line);
        }
        if std::mem::take(&mut self.lines[line].away) {
            self.events.push(Reverse((self.now, Event::Reopen { device })));
        }
        if self.lines[line].stream.is_none() {
            return;
        }
        if self.now >= self.lines[line].heartbeat_at {
            self.lines[line].heartbeat_at = self.now + HEARTBEAT_US;
            self.wire.clear();
            self.run.dialect.heartbeat(&mut self.wire);
            self.post(line);
        }
        let read = self.lines[line].read();
        let mut answers = Vec::new();
        let inbox = std::mem::take(&mut self.lines[line].inbox);
        let told = self.run.dialect.answers(self.run.world, &inbox, &mut |answer| {
            answers.push(answer);
        });
        let inbox_left = told.as_ref().map_or(0, |used| inbox.len() - used);
        self.lines[line].inbox = inbox;
        let length = self.lines[line].inbox.len();
        self.lines[line].inbox.drain(..length - inbox_left);
        let mut over = None;
        for answer in answers {
            match answer {
                Answer::Refused(reason) => {
                    self.figures(|figures, now| figures.at(now).answer(&reason, 1));
                }
                Answer::Paced { sensor, pacing: Paced(pacing) } => {
                    if self.run.plan.obey {
                        self.held[sensor].batcher.pace(pacing);
                        self.flush_when_due(sensor);
                    }
                }
                Answer::Over(why) => over = Some(why),
            }
        }
        if let Some(why) = over.or(read.err()).or(told.err()) {
            self.lose(line, &why);
        } else if let Err(why) = self.lines[line].write() {
            self.lose(line, &why);
        }
    }

    /// A planned fault takes the connection.
    fn hang_up(&mut self, line: usize) {
        self.lines[line].away = true;
        self.drop_stream(line);
    }

    fn drop_stream(&mut self, line: usize) -> bool {
        let line = &mut self.lines[line];
        line.backlog.clear();
        line.inbox.clear();
        let had = line.stream.take().is_some();
        if had {
            self.run.open.fetch_sub(1, Ordering::Relaxed);
        }
        had
    }

    /// A connection ended without our doing, or because of what we sent on purpose.
    fn lose(&mut self, line: usize, why: &str) {
        if !self.drop_stream(line) {
            return;
        }
        let (device, afflicted) = (self.lines[line].device, self.lines[line].afflicted);
        let count = if afflicted { Count::FaultyBroken } else { Count::DevicesBroken };
        self.figures(|figures, now| {
            figures.at(now).add(count, 1);
            figures.at(now).answer(why, 1);
        });
        if !afflicted {
            let mut first = self.run.why.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| format!("device {device}: {why}"));
        }
        self.try_again(line);
    }

    fn try_again(&mut self, line: usize) {
        let line = &mut self.lines[line];
        let rest_ms = BACKOFF_MS[line.attempts.min(BACKOFF_MS.len() - 1)];
        line.attempts += 1;
        let device = line.device;
        self.events.push(Reverse((self.now + rest_ms * 1000, Event::Reopen { device })));
    }

    fn take_reopened(&mut self) {
        while let Ok((device, opened)) = self.reopened.try_recv() {
            let Some(line) = self.line_of[device] else { continue };
            self.lines[line].opening = false;
            match opened {
                Ok(_) if self.lines[line].away => {}
                Ok(stream) => {
                    self.lines[line].stream = Some(stream);
                    self.lines[line].attempts = 0;
                    self.run.open.fetch_add(1, Ordering::Relaxed);
                    self.count(Count::DevicesReopened);
                }
                Err(why) => {
                    self.figures(|figures, now| figures.at(now).answer(&why, 1));
                    self.try_again(line);
                }
            }
        }
    }
}

impl Sender<'_> {
    /// µs since the beginning at which a sample is to be sent.
    fn due(&self, stream: usize, k: i64) -> u64 {
        u64::try_from(self.world.due_us(stream, k) - self.clock.began_unix_us).unwrap_or(0)
    }
}

impl Line {
    fn write(&mut self) -> Result<(), String> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut at = 0;
        let outcome = loop {
            if at == self.backlog.len() {
                break Ok(());
            }
            match stream.write(&self.backlog[at..]) {
                Ok(count) => at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(format!("writing: {}", error.kind())),
            }
        };
        self.backlog.drain(..at);
        outcome
    }

    fn read(&mut self) -> Result<(), String> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut chunk = [0; 16_384];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Err("the server ended a device's connection".into()),
                Ok(count) => {
                    self.inbox.extend_from_slice(&chunk[..count]);
                    if count < chunk.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("reading: {}", error.kind())),
            }
        }
    }
}
