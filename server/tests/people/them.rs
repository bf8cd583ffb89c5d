//! Somebody, and how they speak: over HTTP and as a Phoenix client.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// Somebody who is signed in, and how they speak over HTTP and a socket.
pub(crate) struct Them {
    pub(crate) id: String,
    pub(crate) bearer: String,
    pub(crate) socket: String,
}

impl Them {
    pub(crate) fn of(come: &Answer) -> Self {
        Self {
            id: come.body["user"]["id"].as_str().unwrap().to_owned(),
            bearer: bearer(come.text("token")),
            socket: come.text("socket_token").to_owned(),
        }
    }

    /// Their access token.
    pub(crate) fn access(&self) -> &str {
        self.bearer.rsplit(' ').next().unwrap()
    }

    pub(crate) async fn person(house: &House, name: &str) -> Self {
        Self::of(&register(house, &format!("{name}@example.org")).await)
    }

    pub(crate) async fn guest(house: &House) -> Self {
        Self::of(&post(house, "/api/auth/guest", json!({})).await)
    }

    /// The first administrator of a house whose data are in this folder.
    pub(crate) async fn root(house: &House, folder: &Folder) -> Self {
        let token = std::fs::read_to_string(folder.0.join("first-run-token")).unwrap();
        let words = json!({
            "email": "root@example.org", "password": PASSWORD, "first_run_token": token.trim(),
        });
        Self::of(&post(house, "/api/auth/register", words).await)
    }

    pub(crate) async fn ask(&self, house: &House, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        ask(house, method, path, &[&self.bearer], &body).await
    }

    /// The same, and that it is done.
    pub(crate) async fn do_it(
        &self,
        house: &House,
        method: &str,
        path: &str,
        body: Value,
    ) -> Answer {
        let answer = self.ask(house, method, path, body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.body);
        answer
    }

    /// A room of theirs: its path and its code.
    pub(crate) async fn room(&self, house: &House, is_public: bool) -> (String, String) {
        let wishes = json!({ "name": "Chör", "is_public": is_public });
        let made = self.do_it(house, "POST", "/api/rooms", wishes).await;
        let id = made.body["room"]["id"].as_str().unwrap();
        (format!("/api/rooms/{id}"), made.text("join_code").to_owned())
    }
}

pub(crate) fn topic(path: &str) -> String {
    path.replace("/api/rooms/", "room:")
}

/// A Phoenix client of somebody, or of nobody.
pub(crate) struct Client {
    pub(crate) ws: Ws,
    reference: u64,
    /// By topic.
    join_refs: HashMap<String, String>,
    kept: Vec<Value>,
}

impl Client {
    pub(crate) async fn of(house: &House, socket_token: Option<&str>) -> Self {
        Self::at(house.address, socket_token).await
    }

    pub(crate) async fn at(address: SocketAddr, socket_token: Option<&str>) -> Self {
        let token = socket_token.map(|token| format!("&token={token}")).unwrap_or_default();
        let url = format!("ws://{address}/socket/websocket?vsn=2.0.0{token}");
        let ws = tokio_tungstenite::connect_async(url).await.unwrap().0;
        Self { ws, reference: 0, join_refs: HashMap::new(), kept: Vec::new() }
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.ws.next()).await.expect("something comes");
            if let Message::Text(text) = message.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The next message that is not text; what text came before it is kept.
    pub(crate) async fn bytes(&mut self) -> Vec<u8> {
        loop {
            match timeout(PATIENCE, self.ws.next())
                .await
                .expect("something comes")
                .unwrap()
                .unwrap()
            {
                Message::Binary(bytes) => return Self::behind_head(&bytes),
                Message::Text(text) => self.kept.push(serde_json::from_str(&text).unwrap()),
                _ => {}
            }
        }
    }

    /// A binary push without what Phoenix puts before it: kind, three lengths, three texts.
    fn behind_head(bytes: &[u8]) -> Vec<u8> {
        let lengths: usize = bytes[1..4].iter().map(|length| usize::from(*length)).sum();
        bytes[4 + lengths..].to_vec()
    }

    /// The first frame that is wanted, of what came or comes; what else came is kept.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        loop {
            let frame = self.next().await;
            if wanted(&frame) {
                return frame;
            }
            self.kept.push(frame);
        }
    }

    /// Says this, and does not wait; by which reference.
    pub(crate) async fn send(&mut self, topic: &str, event: &str, payload: &Value) -> String {
        self.reference += 1;
        let reference = self.reference.to_string();
        if event == "phx_join" {
            self.join_refs.insert(topic.to_owned(), reference.clone());
        }
        let join_ref = self.join_refs.get(topic);
        let frame = json!([join_ref, reference, topic, event, payload]).to_string();
        self.ws.send(Message::text(frame)).await.unwrap();
        reference
    }

    pub(crate) async fn ask(&mut self, topic: &str, event: &str, payload: Value) -> Value {
        let reference = self.send(topic, event, &payload).await;
        self.until(|frame| frame[3] == "phx_reply" && frame[1] == *reference).await[4].clone()
    }

    pub(crate) async fn join(&mut self, topic: &str) {
        self.join_with(topic, json!({})).await;
    }

    pub(crate) async fn join_with(&mut self, topic: &str, params: Value) {
        let reply = self.ask(topic, "phx_join", params).await;
        assert_eq!(reply["status"], "ok", "{topic} {reply}");
    }

    pub(crate) async fn refused(&mut self, topic: &str, payload: Value) -> Value {
        let reply = self.ask(topic, "phx_join", payload).await;
        assert_eq!(reply["status"], "error", "{topic} {reply}");
        reply["response"]["reason"].clone()
    }

    /// The payload of the next such event.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        self.until(|frame| frame[3] == name).await[4].clone()
    }

    /// Everything that came until the server had nothing more to say to this client.
    pub(crate) async fn all(&mut self) -> Vec<Value> {
        self.ask("phoenix", "heartbeat", json!({})).await;
        std::mem::take(&mut self.kept)
    }
}

pub(crate) async fn open_house() -> House {
    house(&[("address_limit_factor", "1000")]).await
}

/// What a device says of a sensor as it joins; its attribute is `hr`.
pub(crate) fn join_words(sensor_id: &str, token: &str) -> Value {
    json!({
        "connector_id": "c", "connector_name": "C", "sensor_id": sensor_id,
        "sensor_name": "Puls", "sensor_type": "heartrate", "attributes": ["hr"],
        "sampling_rate": 1, "batch_size": 1, "bearer_token": token,
    })
}

pub(crate) async fn measure(device: &mut Client, sensor_id: &str, value: u32) {
    let sample = json!({ "attribute_id": "hr", "payload": value, "timestamp": value });
    let frame = json!(["1", "9", format!("sensocto:sensor:{sensor_id}"), "measurement", sample]);
    device.ws.send(Message::text(frame.to_string())).await.unwrap();
}

/// Whether this value is somewhere in what a viewer hears.
pub(crate) fn has_value(heard: &Value, value: u32) -> bool {
    match heard {
        Value::Object(members) => {
            let own = members.get("payload").and_then(Value::as_f64);
            own == Some(f64::from(value)) || members.values().any(|it| has_value(it, value))
        }
        Value::Array(items) => items.iter().any(|it| has_value(it, value)),
        _ => false,
    }
}

/// The real binary, which can be killed.
pub(crate) struct Killable {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Killable {
    pub(crate) fn start(data: &Folder) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensocto"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--simulate", "none", "--data"]);
        command.arg(&data.0).env("RUST_LOG", "error");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("an address").parse().unwrap();
        Self { child, address }
    }

    pub(crate) async fn person(&self, name: &str) -> Them {
        let words = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        let words = words.to_string();
        let come = ask_at(self.address, "POST", "/api/auth/register", &[], &words).await;
        assert_eq!(come.body["durable"], true, "{}", come.body);
        Them::of(&come)
    }

    pub(crate) async fn ask(&self, them: &Them, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = ask_at(self.address, method, path, &[&them.bearer], &body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.body);
        answer
    }
}

/// Not asked, as by `kill -9`.
impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
