//! A recording played back as a device would have sent it, through restarts of the server.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::address::Address;
use crate::batcher::{Batcher, Pacing};
use crate::cli::{Play, Speed, out};
use crate::csv;
use components::attribute::AttributeType;
use components::class::SENSOR_SAMPLES_PER_SECOND;
use components::limits::BATCH_SAMPLE_COUNT_MAX;
use components::load::LoadLevel;

/// Part of what a server takes of one class of one sensor that is sent at most, however fast it is
/// asked to play or was recorded: no two clocks agree.
const DOOR_PART: f64 = 0.9;

/// How often a second the ring of what is played may be filled anew. A viewer takes what is in it
/// each 32 ms at best; a ring that lasts 100 ms survives two flushes that come late. At 10,000
/// respiration samples a second a viewer missed three of five.
const RING_TURNS_PER_SECOND: f64 = 10.0;

/// How much faster than recorded it may be played in any case, so that a break can be made up for.
const CATCH_UP: f64 = 1.25;

/// Part of a ring that may be sent at once, when there is much to send; and by how much we may be
/// late ourselves without playing slower for it.
const RING_BURST: f64 = 0.25;
const LATE: Duration = Duration::from_millis(20);

/// Samples, and time, between barriers: what a break can make us send twice.
const BARRIER_SAMPLES: u64 = 500;
const BARRIER_PERIOD: Duration = Duration::from_secs(1);

const HEARTBEAT_PERIOD: Duration = Duration::from_secs(30);
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// As npm `phoenix` waits between attempts (`reference/wire.md` 1.4); the last for ever.
const BACKOFF_MS: [u64; 10] = [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000];

/// How long a server may stay away before playing is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Shortest rest between two looks at the clock, so that fast playing does not spin.
const REST: Duration = Duration::from_millis(2);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a session ended before the recording did.
enum Break {
    /// Try again.
    Lost(String),
    /// No use.
    Fatal(String),
}

pub(crate) async fn play(args: &Play) -> Result<(), String> {
    let address = Address::parse(&args.to)?;
    let values = read(&args.file, args.column.as_deref())?;
    let mut player = Player::new(args, values)?;
    let mut attempt = 0;
    let mut away_since = Instant::now();
    loop {
        let (confirmed, sessions) = (player.confirmed, player.sessions);
        match player.session(&address).await {
            Ok(()) => break,
            Err(Break::Fatal(why)) => return Err(why),
            Err(Break::Lost(why)) => {
                if player.confirmed > confirmed {
                    attempt = 0;
                }
                // A server that lets us in is not away, though it may have had us pause since.
                if player.sessions > sessions {
                    away_since = Instant::now();
                }
                let hopeless = player.sessions == 0 && attempt >= 3;
                if hopeless || away_since.elapsed() > PATIENCE {
                    let lost = player.next - player.confirmed;
                    return Err(format!(
                        "{}: {why}; {} samples confirmed, {lost} sent and not confirmed",
                        args.to, player.confirmed
                    ));
                }
                sleep(Duration::from_millis(BACKOFF_MS[attempt.min(BACKOFF_MS.len() - 1)])).await;
                attempt += 1;
            }
        }
    }
    out(&format!(
        "{} samples in {:.1} s, {} sent again after {} breaks, all confirmed",
        player.confirmed,
        player.began.elapsed().as_secs_f64(),
        player.resent,
        player.sessions - 1
    ));
    Ok(())
}

/// Samples of an attribute that a server keeps under this load.
fn ring_sample_count(attribute: &str, load: LoadLevel) -> f64 {
    let limits = AttributeType::resolve(Some(attribute), attribute, None).limits(load);
    // A pose keeps one; whoever plays numbers as poses wants to see the latest.
    f64::from((limits.hot + limits.warm).max(20))
}

/// Samples a second at most: no more than viewers get whole, but never slower than it was recorded.
fn hz_max(attribute: &str, rate_hz: f64, load: LoadLevel) -> f64 {
    let whole = ring_sample_count(attribute, load) * RING_TURNS_PER_SECOND;
    let class = AttributeType::resolve(Some(attribute), attribute, None).class();
    let taken = SENSOR_SAMPLES_PER_SECOND[class as usize] * DOOR_PART;
    whole.max(rate_hz * CATCH_UP).min(taken)
}

fn read(path: &Path, column: Option<&str>) -> Result<Vec<f64>, String> {
    let name = path.display().to_string();
    let size = std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
    if size > csv::FILE_BYTES_MAX {
        return Err(format!("{name}: {size} bytes, more than {}", csv::FILE_BYTES_MAX));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    csv::column(&name, &text, column)
}

/// The recording, how far it has been played, and what is known to have arrived.
struct Player {
    values: Vec<f64>,
    repeat: bool,
    rate_hz: f64,
    send_hz: f64,
    /// The server's, as it last said.
    load: LoadLevel,
    attribute: String,
    sensor_id: String,
    join: Value,
    connector_join: Value,
    connector_id: String,
    /// Unix ms of the first sample.
    start_ms: i64,
    began: Instant,
    /// Time spent paused. The recording's clock stood still.
    held: Duration,
    held_since: Option<Instant>,
    /// From this sample on, timestamps are later by this: the pauses before it.
    shifts: Vec<(u64, i64)>,
    batcher: Batcher,
    /// The next sample to gather, to send; samples before `confirmed` have arrived.
    gathered: u64,
    next: u64,
    confirmed: u64,
    furthest: u64,
    resent: u64,
    /// Times that a server let us in.
    sessions: u64,
}

impl Player {
    fn new(args: &Play, values: Vec<f64>) -> Result<Self, String> {
        if !(args.rate.is_finite() && args.rate > 0.0) {
            return Err(format!("--rate {}: a positive number of samples a second", args.rate));
        }
        if !components::attribute::is_attribute_id(&args.attribute) {
            return Err(format!(
                "--attribute {:?}: letters, digits, _ and -, 64 at most",
                args.attribute
            ));
        }
        let stem = args.file.file_stem().map_or("recording".into(), |stem| stem.to_string_lossy());
        let sensor_id = args.sensor_id.clone().unwrap_or_else(|| stem.to_string());
        let sensor_name = args.sensor_name.clone().unwrap_or_else(|| sensor_id.clone());
        let sensor_type = args.sensor_type.clone().unwrap_or_else(|| args.attribute.clone());
        let connector_id = format!("play:{sensor_id}");
        let speed_hz = match args.speed {
            Speed::Times(times) => args.rate * times,
            Speed::Max => f64::INFINITY,
        };
        let hz_max = hz_max(&args.attribute, args.rate, LoadLevel::Normal);
        let now_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        Ok(Self {
            join: json!({
                "connector_id": connector_id, "connector_name": sensor_name,
                "sensor_id": sensor_id, "sensor_name": sensor_name, "sensor_type": sensor_type,
                "attributes": [{"attribute_id": args.attribute, "attribute_type": args.attribute,
                                "sampling_rate": args.rate}],
                "sampling_rate": args.rate, "batch_size": 1, "bearer_token": args.token,
            }),
            connector_join: json!({
                "connector_id": connector_id, "connector_name": sensor_name,
                "connector_type": "simulator", "features": [], "bearer_token": args.token,
            }),
            values,
            repeat: args.repeat,
            rate_hz: args.rate,
            send_hz: speed_hz.min(hz_max),
            load: LoadLevel::Normal,
            attribute: args.attribute.clone(),
            sensor_id,
            connector_id,
            start_ms: args.start.unwrap_or(now_ms),
            began: Instant::now(),
            held: Duration::ZERO,
            held_since: None,
            shifts: vec![(0, 0)],
            batcher: Batcher::default(),
            gathered: 0,
            next: 0,
            confirmed: 0,
            furthest: 0,
            resent: 0,
            sessions: 0,
        })
    }

    fn end(&self) -> u64 {
        if self.repeat { u64::MAX } else { self.values.len() as u64 }
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Samples that should have been gathered by now.
    fn due(&self) -> u64 {
        let played = self.began.elapsed().saturating_sub(self.held);
        ((played.as_secs_f64() * self.send_hz) as u64).saturating_add(1).min(self.end())
    }

    fn timestamp(&self, index: u64) -> i64 {
        let (_, shift) = self.shifts[self.shifts.partition_point(|&(from, _)| from <= index) - 1];
        self.start_ms + (index as f64 * 1000.0 / self.rate_hz).round() as i64 + shift
    }

    fn measurement(&self, index: u64, text: &mut String) {
        use std::fmt::Write;
        let value = self.values[(index % self.values.len() as u64) as usize];
        // Writing into a string does not fail.
        let _ = write!(
            text,
            r#"{{"attribute_id":"{}","payload":{value},"timestamp":{}}}"#,
            self.attribute,
            self.timestamp(index)
        );
    }

    fn pace(&mut self, pacing: Pacing) {
        match (pacing.paused, self.held_since) {
            (true, None) => self.held_since = Some(Instant::now()),
            (false, Some(since)) => {
                self.held_since = None;
                self.held += since.elapsed();
                // What is measured from here on is measured later by the pause.
                self.shifts.push((self.gathered, self.held.as_millis() as i64));
            }
            _ => {}
        }
        self.batcher.pace(pacing);
    }

    /// Connects, joins, and plays from the last confirmed sample to the end.
    async fn session(&mut self, address: &Address) -> Result<(), Break> {
        let connected =
            timeout(ANSWER_TIME, tokio_tungstenite::connect_async(address.socket_url()));
        let (socket, _) = (connected.await.map_err(|_| Break::Lost("no answer".into()))?)
            .map_err(|error| Break::Lost(error.to_string()))?;
        let mut line = Line::new(socket);
        let topic = format!("sensocto:sensor:{}", self.sensor_id);
        self.join(
            &mut line,
            format!("sensocto:connector:{}", self.connector_id),
            self.connector_join.clone(),
        )
        .await?;
        let join_ref = self.join(&mut line, topic.clone(), self.join.clone()).await?;
        self.sessions += 1;
        self.next = self.confirmed;
        self.batcher = Batcher::default();
        self.pace(Pacing { paused: false, ..Pacing::DEFAULT });
        let waiting = (self.gathered - self.next) as usize;
        let now_ms = self.now_ms();
        self.batcher.gather(waiting, now_ms);

        let mut barriers: VecDeque<(String, u64)> = VecDeque::new();
        let (mut barrier_at, mut barrier_time) = (self.next, Instant::now());
        let mut heartbeat_at = Instant::now() + HEARTBEAT_PERIOD;
        let mut heartbeat: Option<String> = None;
        let mut allowed = 0.0_f64;
        let mut allowed_since = Instant::now();
        loop {
            // What was measured meanwhile waits; a pause stops measuring.
            if self.held_since.is_none() {
                let due = self.due();
                let now_ms = self.now_ms();
                self.batcher.gather((due - self.gathered.min(due)) as usize, now_ms);
                self.gathered = self.gathered.max(due);
            }
            // After a break there is much to send, and no faster than at any other time.
            let hz_max = hz_max(&self.attribute, self.rate_hz, self.load);
            let burst = (ring_sample_count(&self.attribute, self.load) * RING_BURST)
                .max(hz_max * LATE.as_secs_f64());
            allowed = (allowed + allowed_since.elapsed().as_secs_f64() * hz_max).min(burst);
            allowed_since = Instant::now();
            let now_ms = self.now_ms();
            let at_end = self.gathered == self.end();
            let ready = if at_end { self.batcher.take_rest() } else { self.batcher.take(now_ms) };
            let mut count = ready.min(allowed as usize);
            self.batcher
                .gather(ready - count, now_ms.saturating_sub(self.batcher.pacing().window_ms));
            allowed -= count as f64;
            while count > 0 {
                let some = count.min(BATCH_SAMPLE_COUNT_MAX / 8);
                self.send(&mut line, &join_ref, &topic, some as u64).await?;
                count -= some;
            }

            let all_sent = self.next == self.end();
            let far = self.next - barrier_at >= BARRIER_SAMPLES
                || barrier_time.elapsed() >= BARRIER_PERIOD
                || all_sent;
            if self.next > barrier_at && far {
                let reference = line.push(&join_ref, &topic, "ping", "{}").await?;
                barriers.push_back((reference, self.next));
                (barrier_at, barrier_time) = (self.next, Instant::now());
            }
            if self.confirmed == self.end() {
                return self.leave(&mut line, &join_ref, &topic).await;
            }
            if all_sent && barrier_time.elapsed() > ANSWER_TIME {
                return Err(Break::Lost("the last samples were not confirmed".into()));
            }
            if Instant::now() >= heartbeat_at {
                if heartbeat.is_some() {
                    return Err(Break::Lost("a heartbeat was not answered".into()));
                }
                line.send(Message::Ping(Vec::new().into())).await?;
                heartbeat = Some(line.push_free("phoenix", "heartbeat").await?);
                heartbeat_at = Instant::now() + HEARTBEAT_PERIOD;
            }
            line.flush().await?;

            let wake = self.wake(heartbeat_at);
            let word = tokio::select! {
                word = line.hear() => word?,
                () = sleep_until(wake) => continue,
            };
            match word {
                Word::Reply { reference, .. } if heartbeat.as_deref() == Some(&reference) => {
                    heartbeat = None;
                }
                Word::Reply { reference, error: None } => {
                    if let Some(at) = barriers.iter().position(|(barrier, _)| *barrier == reference)
                    {
                        self.confirmed = barriers[at].1;
                        barriers.drain(..=at);
                    }
                }
                Word::Reply { error: Some(reason), .. } if reason == "unmatched topic" => {
                    return Err(Break::Lost(reason));
                }
                Word::Reply { error: Some(reason), .. } => {
                    return Err(Break::Fatal(format!(
                        "the server refused a measurement: {reason}"
                    )));
                }
                Word::Event { topic: of, event, payload } if of == topic => match event.as_str() {
                    "backpressure_config" => {
                        let pacing = self.batcher.pacing().told(&payload);
                        self.pace(pacing);
                        let load = payload["system_load"].as_str();
                        let named = |level: &LoadLevel| load == Some(level.name());
                        self.load = LoadLevel::ALL.into_iter().find(named).unwrap_or(self.load);
                    }
                    "phx_close" | "phx_error" => return Err(Break::Lost(event)),
                    _ => {}
                },
                Word::Event { .. } | Word::Other => {}
            }
        }
    }

    /// When there is next something to do if the server says nothing.
    fn wake(&self, heartbeat_at: Instant) -> Instant {
        let soon = Instant::now() + REST;
        let mut wake = heartbeat_at.min(Instant::now() + BARRIER_PERIOD);
        if self.held_since.is_none() && self.gathered < self.end() {
            let due = Duration::from_secs_f64(self.gathered as f64 / self.send_hz);
            wake = wake.min(self.began + self.held + due);
        }
        if let Some(due_ms) = self.batcher.due_at_ms() {
            wake = wake.min(self.began + Duration::from_millis(due_ms));
        }
        wake.max(soon)
    }

    async fn join(
        &mut self,
        line: &mut Line,
        topic: String,
        payload: Value,
    ) -> Result<String, Break> {
        let reference = line.join(&topic, &payload.to_string()).await?;
        let answer = async {
            loop {
                if let Word::Reply { reference: of, error } = line.hear().await?
                    && of == reference
                {
                    return match error {
                        None => Ok(reference.clone()),
                        // A server that is starting may refuse what it took before.
                        Some(reason) if self.sessions > 0 => Err(Break::Lost(reason)),
                        Some(reason) => Err(Break::Fatal(format!("{topic} was refused: {reason}"))),
                    };
                }
            }
        };
        timeout(ANSWER_TIME, answer)
            .await
            .unwrap_or_else(|_| Err(Break::Lost(format!("no answer to joining {topic}"))))
    }

    async fn send(
        &mut self,
        line: &mut Line,
        join_ref: &str,
        topic: &str,
        count: u64,
    ) -> Result<(), Break> {
        let mut payload = String::with_capacity(count as usize * 80);
        if count == 1 {
            self.measurement(self.next, &mut payload);
        } else {
            for index in self.next..self.next + count {
                payload.push(if index == self.next { '[' } else { ',' });
                self.measurement(index, &mut payload);
            }
            payload.push(']');
        }
        let event = if count == 1 { "measurement" } else { "measurements_batch" };
        self.resent += self.furthest.saturating_sub(self.next).min(count);
        line.push(join_ref, topic, event, &payload).await?;
        self.next += count;
        self.furthest = self.furthest.max(self.next);
        Ok(())
    }

    async fn leave(&mut self, line: &mut Line, join_ref: &str, topic: &str) -> Result<(), Break> {
        // Everything has arrived: whatever goes wrong from here on does not matter.
        let farewell = async {
            let reference = line.push(join_ref, topic, "phx_leave", "{}").await?;
            line.flush().await?;
            while !matches!(line.hear().await?, Word::Reply { reference: of, .. } if of == reference)
            {
            }
            let _ = line.socket.close(None).await;
            Ok::<(), Break>(())
        };
        let _ = timeout(Duration::from_secs(2), farewell).await;
        Ok(())
    }
}

/// A word of the server.
enum Word {
    /// `error` is the reason when the status is not ok.
    Reply {
        reference: String,
        error: Option<String>,
    },
    Event {
        topic: String,
        event: String,
        payload: Value,
    },
    Other,
}

/// Phoenix channels, version 2, over one socket.
struct Line {
    socket: Socket,
    count: u64,
}

impl Line {
    fn new(socket: Socket) -> Self {
        Self { socket, count: 0 }
    }

    async fn join(&mut self, topic: &str, payload: &str) -> Result<String, Break> {
        let reference = (self.count + 1).to_string();
        self.push(&reference, topic, "phx_join", payload).await?;
        self.flush().await?;
        Ok(reference)
    }

    async fn push(
        &mut self,
        join_ref: &str,
        topic: &str,
        event: &str,
        payload: &str,
    ) -> Result<String, Break> {
        self.count += 1;
        let topic = Value::from(topic);
        let text = format!(r#"["{join_ref}","{}",{topic},"{event}",{payload}]"#, self.count);
        self.send(Message::text(text)).await?;
        Ok(self.count.to_string())
    }

    async fn push_free(&mut self, topic: &str, event: &str) -> Result<String, Break> {
        self.count += 1;
        self.send(Message::text(format!(r#"[null,"{}","{topic}","{event}",{{}}]"#, self.count)))
            .await?;
        Ok(self.count.to_string())
    }

    async fn send(&mut self, message: Message) -> Result<(), Break> {
        timeout(ANSWER_TIME, self.socket.feed(message))
            .await
            .map_err(|_| Break::Lost("the server does not read".into()))?
            .map_err(|error| Break::Lost(error.to_string()))
    }

    async fn flush(&mut self) -> Result<(), Break> {
        timeout(ANSWER_TIME, self.socket.flush())
            .await
            .map_err(|_| Break::Lost("the server does not read".into()))?
            .map_err(|error| Break::Lost(error.to_string()))
    }

    /// The next word. Nothing is lost when this is not waited for to its end.
    async fn hear(&mut self) -> Result<Word, Break> {
        match self.socket.next().await {
            None => Err(Break::Lost("the connection ended".into())),
            Some(Err(error)) => Err(Break::Lost(error.to_string())),
            Some(Ok(Message::Close(_))) => {
                Err(Break::Lost("the server closed the connection".into()))
            }
            Some(Ok(Message::Text(text))) => Ok(word(&text)),
            Some(Ok(_)) => Ok(Word::Other),
        }
    }
}

fn word(text: &str) -> Word {
    let Ok((_, reference, topic, event, payload)) =
        serde_json::from_str::<(Value, Value, String, String, Value)>(text)
    else {
        return Word::Other;
    };
    if event != "phx_reply" {
        return Word::Event { topic, event, payload };
    }
    let reference = reference.as_str().unwrap_or_default().to_owned();
    let error = (payload["status"] != "ok")
        .then(|| payload["response"]["reason"].as_str().unwrap_or("no reason given").to_owned());
    Word::Reply { reference, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn player(rate: f64) -> Player {
        let args = Play {
            file: "x/heart.csv".into(),
            rate,
            attribute: "ecg".into(),
            to: String::new(),
            column: None,
            sensor_id: None,
            sensor_name: None,
            sensor_type: None,
            speed: Speed::Times(1.0),
            repeat: false,
            token: "missing".into(),
            start_now: false,
            start: Some(1_000_000),
        };
        Player::new(&args, vec![2044.0, -0.245, 1.5]).ok().unwrap()
    }

    #[tokio::test]
    async fn timestamps_are_whole_and_do_not_drift() {
        let player = player(360.0);
        assert_eq!(
            (0..4).map(|n| player.timestamp(n)).collect::<Vec<_>>(),
            [1_000_000, 1_000_003, 1_000_006, 1_000_008]
        );
        assert_eq!(player.timestamp(360 * 3600), 1_000_000 + 3_600_000);
    }

    #[tokio::test]
    async fn a_pause_makes_later_samples_later_and_leaves_earlier_ones() {
        let mut player = player(1000.0);
        player.shifts.push((2, 500));
        assert_eq!((player.timestamp(1), player.timestamp(2)), (1_000_001, 1_000_502));
    }

    #[tokio::test]
    async fn a_measurement_is_what_a_device_sends() {
        let mut text = String::new();
        player(360.0).measurement(0, &mut text);
        assert_eq!(text, r#"{"attribute_id":"ecg","payload":2044,"timestamp":1000000}"#);
        text.clear();
        player(360.0).measurement(1, &mut text);
        assert_eq!(text, r#"{"attribute_id":"ecg","payload":-0.245,"timestamp":1000003}"#);
    }

    #[test]
    fn it_is_played_no_faster_than_viewers_get_all_of_it_and_never_slower_than_recorded() {
        let calm = |attribute, rate_hz| hz_max(attribute, rate_hz, LoadLevel::Normal);
        assert_eq!((calm("ecg", 360.0), calm("respiration", 25.0)), (6500.0, 1500.0));
        assert_eq!((calm("emg", 2000.0), calm("audio", 48_000.0)), (2500.0, 9_000.0));
        assert_eq!(calm("geolocation", 1.0), 90.0, "no more positions than a door takes");
        assert_eq!(calm("skeleton", 30.0), 200.0);
        let busy = |attribute, rate_hz| hz_max(attribute, rate_hz, LoadLevel::High);
        assert_eq!((busy("ecg", 360.0), busy("ecg", 2000.0)), (1600.0, 2500.0));
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let player = player(360.0);
        assert_eq!(player.sensor_id, "heart");
        assert!(matches!(word("nonsense"), Word::Other));
        let refused =
            r#"["1","1","t","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]"#;
        assert!(
            matches!(word(refused), Word::Reply { error: Some(reason), .. } if reason == "unauthorized")
        );
    }
}
