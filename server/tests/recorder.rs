//! A running server is recorded while somebody watches, and the file replays bit for bit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Engine, EngineConfig, Inputs};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server::config::{Config, Given};
use server::house::House;
use simulator::record::{Lasting, Record};
use simulator::recording::{Hash, Reader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// How long a test waits for what must happen. Nothing is asserted about how long it took.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with a folder of its own.
struct Place {
    house: House,
    data: Folder,
}

/// Goes with all that is in it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Place {
    async fn new(name: &str, settings: &[(&str, &str)]) -> Self {
        Self::with(name, settings, |_| ()).await
    }

    async fn with(name: &str, settings: &[(&str, &str)], change: impl Fn(&mut Config)) -> Self {
        let data =
            Folder(std::env::temp_dir().join(format!("sensocto-{name}-{}", std::process::id())));
        let _ = std::fs::remove_dir_all(&data.0);
        let mut given = Given::default();
        given.flag("listen", "127.0.0.1:0").unwrap();
        given.flag("load", "normal").unwrap();
        given.flag("data", data.0.to_str().unwrap()).unwrap();
        for (key, value) in settings {
            given.flag(key, *value).unwrap();
        }
        let mut config = given.check().unwrap();
        change(&mut config);
        Self { house: House::open(config).await.unwrap(), data }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data.0.join("recordings").join(format!("{name}.mcap"))
    }

    async fn close(self) {
        self.close_but_keep().await;
    }

    async fn close_but_keep(self) -> Folder {
        timeout(PATIENCE, self.house.close()).await.unwrap();
        self.data
    }

    /// One HTTP request over a connection of its own: status, headers and body.
    async fn raw(&self, head: &str, body: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.house.address).await.unwrap();
        let request = format!(
            "{head}\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.house.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let headers = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = headers[9..12].parse().unwrap();
        (status, headers, answer[end + 4..].to_vec())
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let head = format!("{method} {path} HTTP/1.1\r\ncontent-type: application/json");
        let (status, _, body) = self.raw(&head, body).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn recordings(&self) -> Value {
        let (status, answer) = self.ask("GET", "/api/recordings", "").await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Asks until the recording that runs is as `wanted`.
    async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let waited = timeout(PATIENCE, async {
            loop {
                let answer = self.recordings().await;
                if wanted(&answer["recording"]) {
                    return answer["recording"].clone();
                }
            }
        });
        waited.await.expect("it comes to that")
    }
}

/// A viewer of everything; ends when it is dropped.
async fn watch(place: &Place) -> tokio::task::JoinHandle<()> {
    let wishes = json!({"sensors": "all", "quality": "high"}).to_string();
    let (status, minted) = place.ask("POST", "/api/viewers", &wishes).await;
    assert_eq!(status, 200, "{minted}");
    let topic = minted["topic"].as_str().unwrap().to_owned();
    let url = format!("ws://{}/socket/websocket?vsn=2.0.0", place.house.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let join = json!(["1", "1", topic, "phx_join", {}]).to_string();
    socket.send(Message::text(join)).await.unwrap();
    timeout(PATIENCE, socket.next()).await.expect("an answer").unwrap().unwrap();
    tokio::spawn(async move { while socket.next().await.is_some() {} })
}

/// Drives an engine with what is in the file: ticks, deliveries, the hash at the end, and whether
/// every proof on the way agreed.
fn replay(path: &Path, threads: usize) -> (u64, u64, u64, bool) {
    let mut reader = Reader::open(path).unwrap();
    let settings = reader.header().settings.clone();
    let config = EngineConfig { settings, threads, ..EngineConfig::default() };
    let snapshot = reader.header().snapshot.as_deref().expect("begun in the middle of a life");
    let mut engine = Engine::restore(config, snapshot).unwrap();
    let (mut inputs, mut hash) = (Inputs::default(), Hash::default());
    let (mut ticks, mut slices, mut agreed) = (0, 0, true);
    while let Some(now) = reader.next(&mut inputs).unwrap() {
        let deliveries = engine.tick(now, &mut inputs);
        hash.add(deliveries);
        ticks += 1;
        slices += deliveries.slices.len() as u64;
        agreed &= reader.proof().is_none_or(|proof| proof.agrees(hash.value()));
        inputs.busy.clear();
        inputs.refused.clear();
    }
    engine.audit().unwrap();
    (ticks, slices, hash.value(), agreed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_recorded_and_replays_bit_for_bit() {
    let place = Place::new("session", &[("simulate", "few")]).await;
    let early = watch(&place).await;
    let (status, begun) = place.ask("POST", "/api/recordings", r#"{"name":"demo"}"#).await;
    assert_eq!((status, &begun["name"], &begun["error"]), (201, &json!("demo"), &Value::Null));
    let (status, twice) = place.ask("POST", "/api/recordings", r#"{"name":"other"}"#).await;
    assert_eq!((status, &twice["code"]), (409, &json!("already_recording")));
    let (status, held) = place.ask("DELETE", "/api/recordings/demo", "").await;
    assert_eq!((status, &held["code"]), (409, &json!("being_recorded")));
    let late = watch(&place).await;
    // Some seconds, so that there are blocks on the disk.
    let running = place.until(|running| running["samples"].as_u64() > Some(8000)).await;
    assert!(running["elapsed_ms"].as_u64() > Some(0) && running["warning"].is_null(), "{running}");
    // What a crash would leave at this moment.
    let cut = place.data.0.join("cut.mcap");
    std::fs::copy(place.file("demo"), &cut).unwrap();
    early.abort();
    let (status, entry) = place.ask("POST", "/api/recordings/stop", "").await;
    assert_eq!(status, 200, "{entry}");
    assert_eq!((&entry["complete"], &entry["error"]), (&json!(true), &Value::Null));
    assert!(entry["sensors"].as_u64() >= Some(32), "those that were there count: {entry}");
    assert!(entry["created_at"].as_i64() > Some(1_600_000_000_000) && entry["duration_ms"] != 0);
    let (status, over) = place.ask("POST", "/api/recordings/stop", "").await;
    assert_eq!((status, &over["code"]), (409, &json!("not_recording")));
    late.abort();

    let listed = place.recordings().await;
    assert_eq!((&listed["recordings"][0], &listed["recording"]), (&entry, &Value::Null));
    let path = place.file("demo");
    for threads in [1, 2] {
        let (ticks, slices, hash, agreed) = replay(&path, threads);
        assert!(agreed && slices > 1000, "{slices} slices on {threads} thread(s)");
        assert_eq!(entry["hash"], format!("{hash:016x}"), "on {threads} thread(s)");
        assert_eq!(entry["ticks"], ticks);
    }
    let (ticks, _, _, agreed) = replay(&cut, 1);
    assert!(agreed && ticks > 0, "what is left of a cut file replays: {ticks} ticks");

    let (status, headers, body) = place.raw("GET /api/recordings/demo HTTP/1.1", "").await;
    assert_eq!(status, 200);
    assert!(headers.contains("attachment; filename=\"demo.mcap\""), "{headers}");
    assert!(headers.contains(&format!("content-length: {}", body.len())), "{headers}");
    assert!(body == std::fs::read(&path).unwrap(), "the download is the file");
    let (status, _) = place.ask("DELETE", "/api/recordings/demo", "").await;
    assert_eq!((status, path.exists()), (204, false));
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_never_a_path_and_an_order_needs_its_form() {
    let place = Place::new("names", &[("simulate", "none")]).await;
    std::fs::create_dir_all(&place.data.0).unwrap();
    let secret = place.data.0.join("secret.mcap");
    std::fs::write(&secret, "secret").unwrap();
    for name in ["../secret", "/etc/passwd", "", "a/b", "A", "a\\u0000", "..", "stop", "ä"] {
        let body = format!("{{\"name\":\"{name}\"}}");
        let (status, answer) = place.ask("POST", "/api/recordings", &body).await;
        assert_eq!((status, &answer["code"]), (400, &json!("bad_name")), "{name}");
    }
    for path in ["..%2fsecret", "%2fetc%2fpasswd", "a%00", "%ff", "A", "%2e%2e%2fsecret"] {
        for method in ["GET", "DELETE"] {
            let (status, answer) = place.ask(method, &format!("/api/recordings/{path}"), "").await;
            assert_eq!((status, &answer["code"]), (400, &json!("bad_name")), "{method} {path}");
        }
    }
    let (status, answer) = place.ask("GET", "/api/recordings/none", "").await;
    assert_eq!((status, &answer["code"]), (404, &json!("recording_not_found")));
    for (method, path) in [("PUT", ""), ("GET", "/stop"), ("DELETE", "/stop"), ("POST", "/none")] {
        let (status, answer) = place.ask(method, &format!("/api/recordings{path}"), "{}").await;
        assert_eq!((status, &answer["code"]), (405, &json!("method_not_allowed")), "{path}");
    }
    let bad = [
        ("[]", "bad_json"),
        ("{", "bad_json"),
        ("{\"name\":1}", "bad_value"),
        ("{\"nmae\":\"a\"}", "unknown_key"),
    ];
    for (body, code) in bad {
        let (status, answer) = place.ask("POST", "/api/recordings", body).await;
        assert_eq!((status, &answer["code"]), (400, &json!(code)), "{body}");
    }
    let (status, ..) = place.raw("POST /api/recordings HTTP/1.1", "{}").await;
    assert_eq!(status, 415, "a form of another page could send it without a content type");
    let foreign = "POST /api/recordings HTTP/1.1\r\norigin: http://evil.example\r\n\
                   content-type: application/json";
    assert_eq!(place.raw(foreign, "{}").await.0, 403);
    assert!(place.recordings().await["recording"].is_null());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_without_a_viewers_authority_records_or_takes_one_home() {
    let settings = [("simulate", "none"), ("auth", "strict"), ("viewer_tokens", "ada:secret")];
    let place = Place::new("authority", &settings).await;
    for (method, path) in [
        ("GET", "/api/recordings"),
        ("POST", "/api/recordings"),
        ("POST", "/api/recordings/stop"),
        ("GET", "/api/recordings/a"),
        ("DELETE", "/api/recordings/a"),
    ] {
        let (status, answer) = place.ask(method, path, "").await;
        assert_eq!((status, &answer["code"]), (401, &json!("unauthorized")), "{method} {path}");
    }
    let head = "GET /api/recordings HTTP/1.1\r\nauthorization: Bearer secret";
    assert_eq!(place.raw(head, "").await.0, 200);
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_down_finishes_its_recording() {
    let place = Place::new("down", &[("simulate", "few")]).await;
    let (status, begun) = place.ask("POST", "/api/recordings", "").await;
    assert_eq!(status, 201, "{begun}");
    let name = begun["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("rec-20"), "{name}");
    place.until(|running| running["samples"].as_u64() > Some(500)).await;
    let file = place.file(&name);
    let _data = place.close_but_keep().await;
    let reader = Reader::open(&file).unwrap();
    assert!(reader.summary().complete && reader.summary().samples > 500);
    let (_, _, hash, agreed) = replay(&file, 1);
    assert_eq!((Some(hash), agreed), (reader.summary().hash, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_has_taken_its_room_ends_and_says_so() {
    // Less than an operator can say.
    let small = |config: &mut Config| config.recording_bytes_max = 30_000;
    let place = Place::with("room", &[("simulate", "few")], small).await;
    place.ask("POST", "/api/recordings", r#"{"name":"full"}"#).await;
    let ended = place.until(|running| !running["error"].is_null()).await;
    assert!(ended["error"].as_str().unwrap().contains("`recording_mib_max`"), "{ended}");
    // It stays there to be seen; a new one may begin.
    let (status, _) = place.ask("POST", "/api/recordings", r#"{"name":"next"}"#).await;
    assert_eq!(status, 201);
    let listed = place.recordings().await;
    let full = &listed["recordings"][0];
    assert_eq!((&full["name"], &full["complete"]), (&json!("full"), &json!(true)), "{listed}");
    assert_eq!(full["error"], ended["error"], "the list says why, too");
    let (_, _, hash, agreed) = replay(&place.file("full"), 1);
    assert_eq!((&full["hash"], agreed), (&json!(format!("{hash:016x}")), true));
    place.close().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_whose_file_is_taken_away_says_so() {
    let place = Place::new("taken", &[("simulate", "few")]).await;
    place.ask("POST", "/api/recordings", r#"{"name":"gone"}"#).await;
    std::fs::remove_file(place.file("gone")).unwrap();
    let ended = place.until(|running| !running["error"].is_null()).await;
    assert_eq!(ended["error"], "somebody has taken its file away", "{ended}");
    let (status, _) = place.ask("POST", "/api/recordings", r#"{"name":"next"}"#).await;
    assert_eq!(status, 201, "and the next one may begin");
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_asked_for_and_taken_home_on_the_command_line() {
    let place = Place::new("command", &[("simulate", "few")]).await;
    let record = |name: &str, output| Record {
        to: format!("http://{}", place.house.address),
        name: Some(name.into()),
        period: Some(Lasting(Duration::from_millis(1500))),
        output,
        bearer_token: None,
    };
    let home = place.data.0.join("home.mcap");
    timeout(PATIENCE, record("taken", Some(home.clone())).run()).await.unwrap().unwrap();
    assert!(std::fs::read(&home).unwrap() == std::fs::read(place.file("taken")).unwrap());
    let (ticks, _, _, agreed) = replay(&home, 1);
    assert!(agreed && ticks > 0);
    let refused = timeout(PATIENCE, record("taken", None).run()).await.unwrap().unwrap_err();
    assert_eq!(refused, "there is a recording `taken` already");
    let refused = timeout(PATIENCE, record("../x", None).run()).await.unwrap().unwrap_err();
    assert!(refused.starts_with("a name is up to 64 of"), "{refused}");
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_nothing_begins() {
    let place = Place::new("full", &[("simulate", "none"), ("recordings_mib_max", "3")]).await;
    let (status, answer) = place.ask("POST", "/api/recordings", "{}").await;
    assert_eq!((status, &answer["code"]), (507, &json!("no_room")), "{answer}");
    assert_eq!(place.recordings().await["recordings"], json!([]));
    place.close().await;
}
