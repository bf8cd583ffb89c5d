//! The two threads of a load run: one sends on time, one listens.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::dialect::{Dialect, Ear, Heard, Sample, Stamp};
use super::process::{Usage, usage};
use super::report::Report;
use crate::histogram::Histogram;

/// What may wait to be written to one device's socket before samples are given up, bytes.
const BACKLOG_BYTES_MAX: usize = 256 * 1024;

/// Rest of the sender between looks at the clock. Sends are at most this late on an idle machine.
const REST: Duration = Duration::from_micros(250);

/// How long viewers listen on after the last sample.
const DRAIN: Duration = Duration::from_millis(1500);

/// Threads that open connections before the run, and are gone when it begins.
const OPENER_COUNT: usize = 16;

/// Between signs of life, and between readings of what the server told each device.
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(15);
const READ_PERIOD: Duration = Duration::from_secs(1);

/// What to drive.
#[derive(Debug, Clone)]
pub struct Plan {
    pub devices: usize,
    pub sensors_per_device: usize,
    /// Samples per second of each sensor.
    pub rate_hz: f64,
    pub viewers: usize,
    /// Sensors that each viewer watches.
    pub watch: usize,
    pub warmup: Duration,
    pub period: Duration,
    /// Gather a sensor's samples for so long into one message.
    pub batch: Option<Duration>,
    pub server_pid: Option<u32>,
}

impl Plan {
    fn sensors(&self) -> usize {
        self.devices * self.sensors_per_device
    }

    /// The sensors of one viewer: neighbours, so that all are watched alike.
    fn watched(&self, viewer: usize) -> Vec<usize> {
        let count = self.watch.min(self.sensors());
        (0..count).map(|n| (viewer * count + n) % self.sensors()).collect()
    }
}

/// When samples count.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    from_micros: u64,
    to_micros: u64,
}

impl Window {
    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn holds(&self, micros: u64) -> bool {
        (self.from_micros..self.to_micros).contains(&micros)
    }
}

/// Drives a load as planned, in the server's language, and says what became of it.
pub fn drive(dialect: &dyn Dialect, plan: &Plan) -> Result<Report, String> {
    let per_device = plan.sensors_per_device;
    let opened = open_all(plan.devices, |device| {
        let sensors = device * per_device..(device + 1) * per_device;
        dialect.open_device(device, sensors).map_err(|why| format!("device {device}: {why}"))
    })?;
    let devices = opened.into_iter().map(Device::new).collect();
    let opened = open_all(plan.viewers, |viewer| {
        let opened = dialect.open_viewer(viewer, &plan.watched(viewer));
        opened.map_err(|why| format!("viewer {viewer}: {why}"))
    })?;
    let listener = |stream| (stream, Listener::new(dialect.ear(), plan.sensors()));
    let viewers = opened.into_iter().map(listener).collect();
    let warmup = plan.warmup.as_micros() as u64;
    let window = Window {
        began: Instant::now(),
        from_micros: warmup,
        to_micros: warmup + plan.period.as_micros() as u64,
    };
    let over = AtomicBool::new(false);
    let (sent, heard) = std::thread::scope(|scope| {
        let ears = scope.spawn(|| listen(viewers, window, &over));
        let sent = send(dialect, plan, devices, window);
        std::thread::sleep(DRAIN);
        over.store(true, Ordering::Relaxed);
        (sent, ears.join().unwrap_or_else(|_| Err("the listening thread broke".into())))
    });
    let heard = heard?;
    let expected = (0..plan.viewers)
        .flat_map(|viewer| plan.watched(viewer))
        .map(|sensor| sent.per_sensor[sensor])
        .sum();
    Ok(Report {
        seconds: plan.period.as_secs_f64(),
        offered: sent.offered,
        sent: sent.sent,
        refused: sent.refused,
        expected,
        delivered: heard.delivered,
        duplicates: heard.duplicates,
        gaps: heard.gaps,
        missed: heard.missed,
        age: heard.age,
        lateness: sent.lateness,
        usage: sent.usage,
        broken: sent.broken + heard.broken,
        broken_why: sent.broken_why.or(heard.broken_why),
    })
}

/// Opens connections side by side, in order and ready not to block. A server that takes a tenth
/// of a second to answer each, as mosquitto's WebSocket door does, would else take minutes.
fn open_all(
    count: usize,
    open: impl Fn(usize) -> Result<TcpStream, String> + Sync,
) -> Result<Vec<TcpStream>, String> {
    let share = count.div_ceil(OPENER_COUNT).max(1);
    let open_ready = |index| {
        let stream = open(index)?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(stream)
    };
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..count)
            .step_by(share)
            .map(|first| first..(first + share).min(count))
            .map(|range| scope.spawn(|| range.map(open_ready).collect::<Result<Vec<_>, String>>()))
            .collect();
        let mut all = Vec::with_capacity(count);
        for share in shares {
            all.extend(share.join().map_err(|_| "opening a connection broke".to_owned())??);
        }
        Ok(all)
    })
}

struct Device {
    stream: TcpStream,
    /// Bytes that the socket did not take yet.
    backlog: Vec<u8>,
    broken: bool,
}

impl Device {
    fn new(stream: TcpStream) -> Self {
        Self { stream, backlog: Vec::new(), broken: false }
    }

    fn write(&mut self, wire: &[u8]) -> Result<(), String> {
        if !self.backlog.is_empty() {
            self.backlog.extend_from_slice(wire);
            let backlog = std::mem::take(&mut self.backlog);
            return self.write_now(&backlog);
        }
        self.write_now(wire)
    }

    fn write_now(&mut self, mut wire: &[u8]) -> Result<(), String> {
        while !wire.is_empty() {
            match self.stream.write(wire) {
                Ok(count) => wire = &wire[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.backlog.extend_from_slice(wire);
                    return Ok(());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// What the server says to a device is taken and not listened to: an offered load is offered.
    fn read(&mut self, chunk: &mut [u8]) -> Result<(), String> {
        loop {
            match self.stream.read(chunk) {
                Ok(0) => return Err("the server closed a device's connection".into()),
                Ok(count) if count < chunk.len() => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

#[derive(Default)]
struct Sent {
    offered: u64,
    sent: u64,
    refused: u64,
    per_sensor: Vec<u64>,
    lateness: Histogram,
    usage: Option<(Usage, Usage)>,
    broken: u64,
    broken_why: Option<String>,
}

/// Sends every sensor's samples, evenly spread: of `n` messages in a period, the k-th at `k/n`.
fn send(dialect: &dyn Dialect, plan: &Plan, mut devices: Vec<Device>, window: Window) -> Sent {
    let sensors = plan.sensors();
    let per_message =
        plan.batch.map_or(1, |batch| (batch.as_secs_f64() * plan.rate_hz).round().max(1.0) as u64);
    let message_period = per_message as f64 * 1e6 / plan.rate_hz / sensors as f64;
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
        - (window.now() / 1000) as i64;
    let mut sent = Sent { per_sensor: vec![0; sensors], ..Sent::default() };
    let mut counts = vec![0_u64; sensors];
    let mut before = None;
    let (mut samples, mut wire, mut chunk) = (Vec::new(), Vec::new(), vec![0; 65_536]);
    let (mut message, mut served) = (0_u64, 0_u64);
    let housekeeping = devices.len() as f64 / READ_PERIOD.as_micros() as f64;
    let heartbeat_every = (HEARTBEAT_PERIOD.as_micros() / READ_PERIOD.as_micros()) as u64;
    loop {
        let now = window.now();
        if before.is_none() && now >= window.from_micros {
            before = plan.server_pid.map(usage);
        }
        if now >= window.to_micros {
            break;
        }
        while (message as f64 * message_period) as u64 <= now {
            let due = (message as f64 * message_period) as u64;
            let sensor = (message % sensors as u64) as usize;
            message += 1;
            let device = &mut devices[sensor / plan.sensors_per_device];
            let micros = window.now();
            let counted = window.holds(micros);
            if counted {
                sent.offered += per_message;
                sent.lateness.add(micros.saturating_sub(due));
            }
            if device.broken || device.backlog.len() > BACKLOG_BYTES_MAX {
                sent.refused += if counted { per_message } else { 0 };
                continue;
            }
            samples.clear();
            for _ in 0..per_message {
                let value = Stamp { micros, count: counts[sensor] }.value();
                samples.push(Sample { sensor, value, unix_ms: unix_ms + (micros / 1000) as i64 });
                counts[sensor] += 1;
            }
            wire.clear();
            dialect.write(&samples, &mut wire);
            match device.write(&wire) {
                Ok(()) if counted => {
                    sent.sent += per_message;
                    sent.per_sensor[sensor] += per_message;
                }
                Ok(()) => {}
                Err(why) => sent.lose(device, why),
            }
        }
        // Each device is looked after once a period, a few at a time.
        while (served as f64) < now as f64 * housekeeping {
            let count = devices.len() as u64;
            let device = &mut devices[(served % count) as usize];
            wire.clear();
            if served / count % heartbeat_every == heartbeat_every - 1 {
                dialect.heartbeat(&mut wire);
            }
            served += 1;
            if !device.broken
                && let Err(why) = device.read(&mut chunk).and_then(|()| device.write(&wire))
            {
                sent.lose(device, why);
            }
        }
        std::thread::sleep(REST);
    }
    sent.usage = before.flatten().zip(plan.server_pid.and_then(usage));
    // The sockets stay open until viewers have heard the last of it.
    std::thread::sleep(DRAIN / 2);
    sent
}

impl Sent {
    fn lose(&mut self, device: &mut Device, why: String) {
        device.broken = true;
        self.broken += 1;
        self.broken_why.get_or_insert(why);
    }
}

#[derive(Default)]
struct HeardAll {
    delivered: u64,
    duplicates: u64,
    gaps: u64,
    missed: u64,
    age: Histogram,
    broken: u64,
    broken_why: Option<String>,
}

/// One viewer's ear, and the last count it heard of each sensor.
struct Listener {
    ear: Box<dyn Ear>,
    last: Vec<Option<u64>>,
    wire: Vec<u8>,
}

impl Listener {
    fn new(ear: Box<dyn Ear>, sensors: usize) -> Self {
        Self { ear, last: vec![None; sensors], wire: Vec::new() }
    }

    /// Takes what was received into account.
    fn take(&mut self, window: Window, all: &mut HeardAll) -> Result<(), String> {
        let now = window.now();
        let last = &mut self.last;
        let used = self.ear.hear(&self.wire, &mut |heard| match heard {
            Heard::Sample { sensor, value } => {
                let stamp = Stamp::from_value(value);
                let Some(last) = last.get_mut(sensor) else { return };
                let ahead = last.map_or(1, |last| stamp.after(last));
                let counted = window.holds(stamp.micros);
                if ahead <= 0 {
                    all.duplicates += u64::from(counted);
                    return;
                }
                *last = Some(stamp.count);
                if counted {
                    all.gaps += ahead as u64 - 1;
                    all.delivered += 1;
                    all.age.add(now.saturating_sub(stamp.micros));
                }
            }
            Heard::Seed { sensor, value } => {
                if let Some(last) = last.get_mut(sensor) {
                    *last = Some(Stamp::from_value(value).count);
                }
            }
            Heard::Missed(count) => all.missed += count,
        })?;
        self.wire.drain(..used);
        Ok(())
    }
}

/// Listens to all viewers on one thread until `over`.
fn listen(
    viewers: Vec<(TcpStream, Listener)>,
    window: Window,
    over: &AtomicBool,
) -> Result<HeardAll, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let all = Mutex::new(HeardAll::default());
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for (stream, mut listener) in viewers {
            let stream = tokio::net::TcpStream::from_std(stream).map_err(|e| e.to_string())?;
            let all = &all;
            tasks.push(async move {
                let mut chunk = vec![0; 65_536];
                loop {
                    if stream.readable().await.is_err() {
                        return;
                    }
                    let taken = match stream.try_read(&mut chunk) {
                        Ok(0) => Err("the server closed a viewer's connection".into()),
                        Ok(count) => {
                            listener.wire.extend_from_slice(&chunk[..count]);
                            match all.lock() {
                                Ok(mut all) => listener.take(window, &mut all),
                                Err(_) => return,
                            }
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                        Err(error) => Err(error.to_string()),
                    };
                    if let Err(why) = taken {
                        if let Ok(mut all) = all.lock() {
                            all.broken += 1;
                            all.broken_why.get_or_insert(why);
                        }
                        return;
                    }
                }
            });
        }
        let listening = futures_util::future::join_all(tasks);
        let end = async {
            while !over.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            _ = listening => end_of(over).await,
            () = end => {}
        }
        Ok::<(), String>(())
    })?;
    all.into_inner().map_err(|_| "the listening thread broke".into())
}

/// Every viewer is gone; the run goes on to its end.
async fn end_of(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_share_the_sensors_evenly() {
        let plan = Plan {
            devices: 10,
            sensors_per_device: 2,
            rate_hz: 1.0,
            viewers: 4,
            watch: 5,
            warmup: Duration::ZERO,
            period: Duration::ZERO,
            batch: None,
            server_pid: None,
        };
        let mut watched = vec![0; plan.sensors()];
        (0..4).flat_map(|viewer| plan.watched(viewer)).for_each(|sensor| watched[sensor] += 1);
        assert_eq!(watched, [1; 20]);
        assert_eq!(Plan { watch: 500, ..plan }.watched(3).len(), 20);
    }

    struct Told(Vec<Heard>);

    impl Ear for Told {
        fn hear(&mut self, wire: &[u8], heard: &mut dyn FnMut(Heard)) -> Result<usize, String> {
            self.0.drain(..).for_each(heard);
            Ok(wire.len())
        }
    }

    #[test]
    fn what_is_missing_or_double_is_found() {
        let window = Window { began: Instant::now(), from_micros: 100, to_micros: 200 };
        let sample =
            |micros, count| Heard::Sample { sensor: 0, value: Stamp { micros, count }.value() };
        let seed = Heard::Seed { sensor: 0, value: Stamp { micros: 1, count: 4 }.value() };
        let told = vec![
            seed,
            sample(50, 5),
            sample(150, 6),
            sample(160, 9),
            sample(160, 9),
            sample(170, 10),
            sample(250, 11),
            Heard::Missed(2),
        ];
        let mut listener = Listener::new(Box::new(Told(told)), 1);
        let mut all = HeardAll::default();
        listener.take(window, &mut all).unwrap();
        assert_eq!((all.delivered, all.gaps, all.duplicates, all.missed), (3, 2, 1, 2));
    }
}
