//! One server ends and the next begins, as a device and a viewer see it: real processes, a listening
//! socket that outlives them, and clients that come back.

use std::collections::{BTreeSet, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for what must happen. Nothing is asserted about how long it took.
const PATIENCE: Duration = Duration::from_secs(60);

/// Goes with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sensocto-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where servers listen, and the socket if it is held for them, as systemd does.
struct Door {
    socket: Option<TcpListener>,
    address: SocketAddr,
}

impl Door {
    fn new() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        Self { socket: Some(socket), address }
    }

    /// Of a server that has found a door of its own.
    fn of(server: &mut Server) -> Self {
        let mut line = String::new();
        let said = server.0.stdout.as_mut().expect("it may speak");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().parse().unwrap();
        Self { socket: None, address }
    }

    /// The real binary, with the socket as its third file; or one that takes over where the socket is
    /// another's.
    fn serve(&self, data: &Path) -> Server {
        let Some(socket) = &self.socket else {
            return Server(over(&self.address.to_string(), data).spawn().unwrap());
        };
        let socket = OwnedFd::from(socket.try_clone().unwrap());
        let line = "exec env LISTEN_PID=$$ LISTEN_FDS=1 \"$@\" 3<&0 </dev/null";
        let child = Command::new("sh")
            .args(["-c", line, "sh", env!("CARGO_BIN_EXE_sensocto"), "serve"])
            .args(["--simulate", "none", "--data"])
            .arg(data)
            .env("RUST_LOG", "warn")
            .env("SENSOCTO_LOAD", "normal")
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Server(child)
    }

    /// Once what is kept has been read.
    async fn is_ready(&self) {
        let asking = async { while self.ask("GET", "/health/ready", "").await.0 != 200 {} };
        timeout(PATIENCE, asking).await.expect("it is ready");
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let asking = async {
            // A connection that is never refused, whoever is behind it.
            let mut stream = TcpStream::connect(self.address).await.expect("not refused");
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                self.address,
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
            (status, serde_json::from_slice(&answer[end + 4..]).unwrap_or(Value::Null))
        };
        timeout(PATIENCE, asking).await.expect("an answer")
    }
}

/// The real binary, which takes over from the server that has the folder, if there is one.
fn over(listen: &str, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensocto"));
    command
        .args(["serve", "--simulate", "none", "--take-over", "--listen", listen, "--data"])
        .arg(data)
        .env("RUST_LOG", "warn")
        .env("SENSOCTO_LOAD", "normal")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

struct Server(Child);

impl Server {
    fn tell(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn wait(mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A socket. Whoever a server had accepted in its last moment is let go without an answer, and tries
/// again; nobody is refused.
async fn connect(door: &Door) -> Ws {
    let url = format!("ws://{}/socket/websocket?vsn=2.0.0", door.address);
    let connecting = async {
        loop {
            match tokio_tungstenite::connect_async(&url).await {
                Ok((ws, _)) => return ws,
                Err(Error::Io(error)) => {
                    assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused);
                }
                Err(Error::Protocol(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(PATIENCE, connecting).await.expect("a socket")
}

/// Says something; its answer, or `None` when the socket has ended before it.
async fn say(
    ws: &mut Ws,
    reference: &str,
    topic: &str,
    event: &str,
    payload: &Value,
) -> Option<Value> {
    let frame = json!(["1", reference, topic, event, payload]).to_string();
    ws.send(Message::text(frame)).await.ok()?;
    loop {
        match timeout(PATIENCE, ws.next()).await.expect("a word") {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame[1] == reference && frame[3] == "phx_reply" {
                    return Some(frame[4].clone());
                }
            }
            Some(Ok(Message::Close(frame))) => {
                assert_eq!(frame.map(|frame| u16::from(frame.code)), Some(1012));
                return None;
            }
            Some(Ok(_)) => {}
            _ => return None,
        }
    }
}

const TOPIC: &str = "sensocto:sensor:heart";

/// A device of the original that hears of each batch (its Unity client): numbered samples, the ones it
/// has not heard of sent again.
struct Device {
    ws: Option<Ws>,
    next: i64,
    /// Sent, and not answered yet.
    unheard: VecDeque<(String, Value)>,
    /// What was answered with ok.
    acknowledged: Vec<i64>,
    /// What was sent more than once, for want of an answer.
    resent: BTreeSet<i64>,
    sent: u64,
    /// From losing the server to being joined again, the longest of all.
    pause: Duration,
}

impl Device {
    fn new() -> Self {
        Self {
            ws: None,
            next: 0,
            unheard: VecDeque::new(),
            acknowledged: Vec::new(),
            resent: BTreeSet::new(),
            sent: 0,
            pause: Duration::ZERO,
        }
    }

    async fn come(&mut self, door: &Door) {
        let lost = Instant::now();
        let joined = async {
            loop {
                let mut ws = connect(door).await;
                let connector = json!({
                    "connector_id": "u", "connector_name": "u", "connector_type": "unity",
                    "features": [], "bearer_token": "",
                });
                let sensor = json!({
                    "connector_id": "u", "connector_name": "u", "sensor_id": "heart",
                    "sensor_name": "heart", "sensor_type": "ecg", "attributes": ["ecg"],
                    "sampling_rate": 250, "batch_size": 10, "bearer_token": "missing",
                });
                let first = say(&mut ws, "c", "sensocto:connector:u", "phx_join", &connector).await;
                let second = say(&mut ws, "j", TOPIC, "phx_join", &sensor).await;
                if first.is_some() && second.is_some_and(|answer| answer["status"] == "ok") {
                    return ws;
                }
            }
        };
        self.ws = Some(timeout(PATIENCE, joined).await.expect("it is let in"));
        self.pause = self.pause.max(lost.elapsed());
        for (reference, batch) in &self.unheard {
            let batch_list = batch.as_array().unwrap().iter();
            self.resent.extend(batch_list.map(|m| m["payload"].as_i64().unwrap()));
            let frame = json!(["1", reference, TOPIC, "measurements_batch", batch]).to_string();
            let _ = self.ws.as_mut().unwrap().send(Message::text(frame)).await;
        }
    }

    /// Ten more samples; then whatever has been answered by now.
    async fn measure(&mut self, door: &Door) {
        let numbers: Vec<i64> = (self.next..self.next + 10).collect();
        self.next += 10;
        self.sent += 1;
        let batch: Vec<Value> = numbers
            .iter()
            .map(|n| json!({"attribute_id": "ecg", "payload": n, "timestamp": n * 4}))
            .collect();
        let reference = self.sent.to_string();
        let frame = json!(["1", reference, TOPIC, "measurements_batch", batch]).to_string();
        self.unheard.push_back((reference, json!(batch)));
        if let Some(ws) = &mut self.ws {
            let _ = ws.send(Message::text(frame)).await;
        }
        self.listen(door, Duration::from_millis(1)).await;
    }

    /// Hears what comes within so long; when the server has gone, comes back.
    async fn listen(&mut self, door: &Door, patience: Duration) {
        let Some(ws) = &mut self.ws else { return self.come(door).await };
        let mut next = timeout(patience, ws.next()).await.ok();
        loop {
            match next {
                None => return,
                Some(Some(Ok(Message::Text(text)))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    let of = |(reference, _): &(String, Value)| frame[1] == **reference;
                    if frame[3] == "phx_reply"
                        && let Some(at) = self.unheard.iter().position(of)
                    {
                        assert_eq!(frame[4]["status"], "ok", "{frame}");
                        let (_, batch) = self.unheard.remove(at).unwrap();
                        let batch = batch.as_array().unwrap().iter();
                        self.acknowledged.extend(batch.map(|m| m["payload"].as_i64().unwrap()));
                    }
                }
                Some(Some(Ok(Message::Close(_)) | Err(_)) | None) => {
                    self.ws = None;
                    return self.come(door).await;
                }
                Some(Some(Ok(_))) => {}
            }
            next = self.ws.as_mut().and_then(|ws| ws.next().now_or_never());
        }
    }

    /// Until everything it has sent is answered.
    async fn settle(&mut self, door: &Door) {
        let until = Instant::now() + PATIENCE;
        while !self.unheard.is_empty() {
            self.listen(door, Duration::from_millis(50)).await;
            assert!(Instant::now() < until, "{} are not answered", self.unheard.len());
        }
    }
}

const PATH: &str = "/api/sensors/heart/history";

/// The numbers in the past of the sensor, in order.
async fn past_now(door: &Door) -> Vec<i64> {
    let path = format!("{PATH}?attribute=ecg&from=0&to=100000000");
    let (status, past) = door.ask("GET", &path, "").await;
    assert_eq!((status, &past["damaged"]), (200, &json!(0)), "{past}");
    let samples = past["samples"].as_array().unwrap().iter();
    let mut numbers: Vec<i64> = samples.map(|s| s[1].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// The same, as soon as all up to `count` are there.
async fn past(door: &Door, count: i64) -> Vec<i64> {
    let until = Instant::now() + PATIENCE;
    loop {
        let numbers = past_now(door).await;
        if numbers.last() == Some(&(count - 1)) || Instant::now() > until {
            return numbers;
        }
    }
}

/// Waits until what the device measures is being kept.
async fn keep(door: &Door, device: &mut Device) {
    let (status, kept) = door.ask("PUT", PATH, "{}").await;
    assert_eq!(status, 200, "{kept}");
    let until = Instant::now() + PATIENCE;
    loop {
        device.measure(door).await;
        device.settle(door).await;
        let path = format!("{PATH}?attribute=ecg&from=0&to=100000000");
        let (_, past) = door.ask("GET", &path, "").await;
        if past["samples"].as_array().is_some_and(|samples| !samples.is_empty()) {
            // From here on; what came before is of before.
            device.acknowledged.clear();
            return;
        }
        assert!(Instant::now() < until, "nothing is kept");
    }
}

/// What a JSON viewer gets of the sensor: each number once, in order, over any number of sockets.
struct Viewer {
    topic: String,
    got: Vec<i64>,
    /// Where the first seed of each socket began and ended.
    seeds: Vec<(i64, i64)>,
}

impl Viewer {
    async fn mint(door: &Door) -> Self {
        let wishes = r#"{"sensors":["heart"],"quality":"high"}"#;
        let (status, minted) = door.ask("POST", "/api/viewers", wishes).await;
        assert_eq!((status, &minted["durable"]), (200, &json!(true)), "{minted}");
        let topic = minted["topic"].as_str().unwrap().to_owned();
        Self { topic, got: Vec::new(), seeds: Vec::new() }
    }

    /// Joins with the token it has, and looks on until `last` has come or the server goes.
    async fn look(&mut self, door: &Door, last: i64) {
        let mut ws = connect(door).await;
        let joined = say(&mut ws, "v", &self.topic, "phx_join", &json!({})).await;
        let Some(joined) = joined else { return };
        assert_eq!(joined["status"], "ok", "{joined}");
        while self.got.last() != Some(&last) {
            let text = match timeout(PATIENCE, ws.next()).await.expect("a word") {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            };
            let frame: Value = serde_json::from_str(&text).unwrap();
            let list = match frame[3].as_str() {
                Some("composite_seed_data") => &frame[4]["data"],
                Some("sensor_batch") => {
                    assert_eq!(frame[4].get("missed"), None, "{frame}");
                    &frame[4]["batch"]["heart"]["ecg"]
                }
                _ => continue,
            };
            let Some(list) = list.as_array().filter(|list| !list.is_empty()) else { continue };
            let numbers: Vec<i64> = list.iter().map(|m| m["payload"].as_i64().unwrap()).collect();
            if frame[3] == "composite_seed_data" {
                self.seeds.push((numbers[0], numbers[numbers.len() - 1]));
            }
            // A seed begins in the past; from where it is known, it must be the same, and go on.
            for n in numbers {
                match self.got.last() {
                    Some(known) if n <= *known => assert!(self.got.contains(&n), "{n} came late"),
                    Some(known) => {
                        assert_eq!(n, known + 1, "a gap behind {known}");
                        self.got.push(n);
                    }
                    None => self.got.push(n),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing_and_whoever_looks_sees_no_gap() {
    let data = Folder::new("restart");
    let door = Door::new();
    let server = door.serve(&data.0);
    three_restarts(&data, door, server, true).await;
}

/// Nobody but the servers has the socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_takes_over_from_another_and_nothing_is_lost() {
    let data = Folder::new("over");
    let mut server = Server(over("127.0.0.1:0", &data.0).spawn().unwrap());
    let door = Door::of(&mut server);
    three_restarts(&data, door, server, false).await;
}

/// Three servers, one after the other; `are_told`: the one before is asked to end.
async fn three_restarts(data: &Folder, door: Door, mut server: Server, are_told: bool) {
    let door = Arc::new(door);
    let mut device = Device::new();
    device.come(&door).await;
    keep(&door, &mut device).await;
    let mut viewer = Viewer::mint(&door).await;
    let first = device.next;
    device.pause = Duration::ZERO;
    for round in 0..3 {
        let its_door = Arc::clone(&door);
        let watching = tokio::spawn(async move {
            viewer.look(&its_door, i64::MAX).await;
            viewer
        });
        for _ in 0..10 {
            device.measure(&door).await;
        }
        let before = device.next;
        // The next one is there before this one ends, and both have the door.
        let next = door.serve(&data.0);
        if are_told {
            server.tell("-TERM");
        }
        for _ in 0..20 {
            device.measure(&door).await;
        }
        assert!(server.wait(), "an orderly end");
        server = next;
        viewer = watching.await.unwrap();
        device.settle(&door).await;
        viewer.look(&door, device.next - 1).await;
        let (from, to) = *viewer.seeds.last().unwrap();
        assert!(from < before, "round {round}: the ring of before is there, from {from} to {to}");
    }
    let seen: Vec<i64> = viewer.got.iter().copied().filter(|n| *n >= first).collect();
    assert_eq!(seen, (first..device.next).collect::<Vec<_>>());
    let mut acknowledged = device.acknowledged.clone();
    acknowledged.sort_unstable();
    assert_eq!(acknowledged, (first..device.next).collect::<Vec<_>>());
    let kept = past(&door, device.next).await;
    let kept: Vec<i64> = kept.into_iter().filter(|n| *n >= first).collect();
    assert_eq!(kept, acknowledged, "each once, none missing");
    eprintln!("the longest pause of a device in three restarts: {:?}", device.pause);
    server.tell("-TERM");
    assert!(server.wait());
    let modes = std::fs::metadata(data.0.join("world.left")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&modes.permissions()) & 0o777, 0o600);
}

/// Until the server has said why it does not begin.
fn refused(mut command: Command) -> String {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_take_over_leaves_everything_as_it_was() {
    let data = Folder::new("not-over");
    let mut server = Server(over("127.0.0.1:0", &data.0).spawn().unwrap());
    let door = Door::of(&mut server);
    let why = refused(over("127.0.0.1:9", &data.0));
    assert!(why.contains(&format!("say `--listen {}`", door.address)), "{why}");
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_sensocto"));
    nowhere.args(["serve", "--take-over"]);
    let why = refused(nowhere);
    assert!(why.contains("`take_over`") && why.contains("it needs `data`"), "{why}");
    // Who comes and says nothing, or nonsense, is not given way to; nobody else can come.
    let path = data.0.join("hand-over");
    let modes = std::fs::metadata(&path).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&modes.permissions()) & 0o777, 0o600);
    for word in [&b""[..], b"x"] {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        std::io::Write::write_all(&mut stream, word).unwrap();
    }
    door.is_ready().await;

    // One that was killed leaves its socket lying about, and the next begins as usual.
    server.tell("-KILL");
    assert!(!server.wait());
    let mut next = Server(over("127.0.0.1:0", &data.0).spawn().unwrap());
    let door = Door::of(&mut next);
    door.is_ready().await;
    next.tell("-TERM");
    assert!(next.wait());
    assert!(!path.exists());
}

/// Rounds of kills: twenty here, and as many as `SENSOCTO_KILLS` says for who wants more (`docs/store.md` has
/// what two hundred came to).
fn kill_count() -> u64 {
    std::env::var("SENSOCTO_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_minus_nine_takes_nothing_that_was_answered_and_shown() {
    let data = Folder::new("nine");
    let door = Door::new();
    let mut device = Device::new();
    let (mut shown, mut tokens) = (BTreeSet::new(), Vec::new());
    for round in 0..kill_count() {
        let server = door.serve(&data.0);
        device.come(&door).await;
        if round == 0 {
            keep(&door, &mut device).await;
        }
        for token in &tokens {
            let (status, _) = door.ask("PATCH", &format!("/api/viewers/{token}"), "{}").await;
            assert_eq!(status, 200, "round {round}: a token that was durable");
        }
        // What a kill may take, and what it may not, is decided by what was said before.
        let known: BTreeSet<i64> = device.acknowledged.iter().copied().collect();
        let kept = past_now(&door).await;
        for n in known.intersection(&shown) {
            let count = kept.iter().filter(|kept| *kept == n).count();
            // An answer that a kill kept from the device has it send what was taken.
            let most = if device.resent.contains(n) { 2 } else { 1 };
            assert!((1..=most).contains(&count), "round {round}: {n} came {count} times");
        }
        // Any moment: behind a number of batches that differs, whatever is under way.
        let count = round.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
        for n in 0..count + 5 {
            device.measure(&door).await;
            if n % 8 == 4 {
                let wishes = r#"{"sensors":["heart"]}"#;
                let (_, minted) = door.ask("POST", "/api/viewers", wishes).await;
                assert_eq!(minted["durable"], true, "{minted}");
                tokens.extend(minted["token"].as_str().map(str::to_owned));
                shown = past_now(&door).await.into_iter().collect();
            }
        }
        server.tell("-KILL");
        assert!(!server.wait());
        // Its sockets are gone. Of the tokens, the first and the last are asked about.
        device.ws = None;
        if tokens.len() > 100 {
            tokens.drain(50..tokens.len() - 50);
        }
        let folder = data.0.display().to_string();
        let mut check = Command::new(env!("CARGO_BIN_EXE_sensocto"));
        let check = check.args(["check", "--data", &folder]).output().unwrap();
        assert!(check.status.success(), "round {round}: {check:?}");
    }
    let server = door.serve(&data.0);
    let kept = past_now(&door).await;
    let unique: BTreeSet<i64> = kept.iter().copied().collect();
    let answered: BTreeSet<i64> = device.acknowledged.iter().copied().collect();
    eprintln!(
        "{} kills: {} samples answered, of which {} had not come to the disk; {} came twice, unanswered",
        kill_count(),
        answered.len(),
        answered.difference(&unique).count(),
        kept.len() - unique.len()
    );
    drop(server);
}
