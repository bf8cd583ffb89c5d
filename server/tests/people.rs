//! People at the outer door: coming in, coming back, being sent away; and that a kill takes nobody's
//! account.

#[path = "people/answers.rs"]
mod answers;
#[path = "people/chat.rs"]
mod chat;
#[path = "people/consent.rs"]
mod consent;
#[path = "people/device_events.rs"]
mod device_events;
#[path = "people/devices.rs"]
mod devices;
#[path = "people/discovery.rs"]
mod discovery;
#[path = "people/documents.rs"]
mod documents;
#[path = "people/events.rs"]
mod events;
#[path = "people/limits.rs"]
mod limits;
#[path = "people/looks.rs"]
mod looks;
#[path = "people/mail.rs"]
mod mail;
#[path = "people/openapi.rs"]
mod openapi;
#[path = "people/room_history.rs"]
mod room_history;
#[path = "people/rooms.rs"]
mod rooms;
#[path = "people/search.rs"]
mod search;
#[path = "people/sessions.rs"]
mod sessions;
#[path = "people/simulated.rs"]
mod simulated;
#[path = "people/them.rs"]
mod them;
#[path = "people/world.rs"]
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server::config::Given;
use server::house::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for what must happen. Nothing is asserted about how long it took.
const PATIENCE: Duration = Duration::from_secs(30);

/// Goes with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sensocto-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn house(settings: &[(&str, &str)]) -> House {
    let mut given = Given::default();
    given.flag("listen", "127.0.0.1:0").unwrap();
    given.flag("simulate", "none").unwrap();
    given.flag("load", "normal").unwrap();
    for (key, value) in settings {
        given.flag(key, *value).unwrap();
    }
    House::open(given.check().unwrap()).await.unwrap()
}

/// An answer over HTTP.
struct Answer {
    status: u16,
    head: String,
    body: Value,
    /// The body as it came.
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head.lines().filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_else(|| panic!("{key} in {}", self.body))
    }
}

/// One HTTP request over a connection of its own, with these headers beside its usual ones.
async fn ask(house: &House, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    ask_at(house.address, method, path, headers, body).await
}

async fn ask_at(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    if !more.contains("content-type: ") {
        more.push_str("content-type: application/json\r\n");
    }
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
        text: body.to_owned(),
    }
}

async fn post(house: &House, path: &str, body: Value) -> Answer {
    ask(house, "POST", path, &[], &body.to_string()).await
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

async fn me(house: &House, token: &str) -> Answer {
    ask(house, "GET", "/api/me", &[&bearer(token)], "").await
}

const PASSWORD: &str = "correct horse";

async fn register(house: &House, email: &str) -> Answer {
    let answer =
        post(house, "/api/auth/register", json!({ "email": email, "password": PASSWORD })).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer
}

async fn sign_in(house: &House, email: &str, password: &str) -> Answer {
    post(house, "/api/auth/sign-in", json!({ "email": email, "password": password })).await
}

#[tokio::test]
async fn somebody_registers_is_known_and_goes() {
    let house = house(&[]).await;
    let come = register(&house, "Anna@Example.org").await;
    assert_eq!((&come.body["ok"], &come.body["durable"]), (&json!(true), &json!(false)));
    assert_eq!(come.header("cache-control"), Some("no-store"));
    let user = &come.body["user"];
    assert_eq!((&user["email"], &user["role"]), (&json!("anna@example.org"), &json!("person")));
    assert!(user["display_name"].as_str().unwrap().starts_with("Person "), "{user}");
    assert_eq!(user["id"].as_str().unwrap().len(), 36);
    let token = come.text("token");
    for (method, path) in
        [("GET", "/api/me"), ("GET", "/api/auth/verify"), ("POST", "/api/auth/verify")]
    {
        let known = ask(&house, method, path, &[&bearer(token)], "").await;
        assert_eq!(
            (known.status, &known.body),
            (200, &json!({ "ok": true, "user": user })),
            "{path}"
        );
    }
    let name = json!({ "display_name": "Änna <b>" }).to_string();
    let renamed = ask(&house, "PATCH", "/api/me", &[&bearer(token)], &name).await;
    assert_eq!(renamed.body["user"]["display_name"], "Änna <b>");
    let again = sign_in(&house, "anna@example.org", PASSWORD).await;
    assert_eq!((again.status, &again.body["user"]["id"]), (200, &user["id"]));
    let out = ask(&house, "POST", "/api/auth/sign-out", &[&bearer(token)], "").await;
    assert_eq!((out.status, &out.body["sessions_ended"]), (200, &json!(1)));
    assert_eq!(me(&house, token).await.status, 401);
    assert_eq!(me(&house, again.text("token")).await.status, 200, "another sign-in goes on");
    let gone = ask(&house, "DELETE", "/api/me", &[&bearer(again.text("token"))], "").await;
    assert_eq!(gone.status, 200);
    assert_eq!(sign_in(&house, "anna@example.org", PASSWORD).await.status, 401);
    house.close().await;
}

#[tokio::test]
async fn who_has_no_good_token_hears_which() {
    let house = house(&[]).await;
    let come = register(&house, "anna@example.org").await;
    let none = ask(&house, "GET", "/api/me", &[], "").await;
    assert_eq!(none.status, 401);
    assert_eq!(none.body["error"], "No authorization token provided");
    let (socket, refresh) = (come.text("socket_token"), come.text("refresh_token"));
    for token in ["x", "missing", "", socket, refresh] {
        let bad = me(&house, token).await;
        assert_eq!((bad.status, &bad.body["ok"]), (401, &json!(false)), "{token}");
        let said = "Token verification failed (token may be expired or invalid)";
        assert_eq!(bad.body["error"], said);
    }
    let basic = ask(&house, "GET", "/api/me", &["authorization: Basic YTpi"], "").await;
    assert_eq!(basic.status, 401);
    house.close().await;
}

#[tokio::test]
async fn a_page_comes_back_by_its_cookies_and_another_page_does_not_come_by_them() {
    let house = house(&[]).await;
    let come = register(&house, "anna@example.org").await;
    let cookies: Vec<&str> = come.headers("set-cookie").collect();
    let cookie = |name: &str, rest: &str| {
        let found = cookies.iter().find(|cookie| cookie.starts_with(name)).unwrap();
        assert!(found.ends_with(rest), "{found}");
        format!("cookie: {}", found.split(';').next().unwrap())
    };
    let access = cookie("sensocto_api_token=", "Path=/api; HttpOnly; Secure; SameSite=Lax");
    let refresh = cookie("sensocto_refresh=", "Path=/api/auth; HttpOnly; Secure; SameSite=Strict");
    assert_eq!(ask(&house, "GET", "/api/me", &[&access], "").await.status, 200);
    let evil = "origin: https://evil.example.org";
    assert_eq!(ask(&house, "GET", "/api/me", &[&access, evil], "").await.status, 401);
    for path in ["/api/auth/sign-out-everywhere", "/api/auth/refresh", "/api/auth/guest"] {
        let refused = ask(&house, "POST", path, &[&access, &refresh, evil], "{}").await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("origin_refused")));
    }
    let plain = [&*access, &*refresh, "content-type: text/plain"];
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "POST /api/auth/refresh HTTP/1.1\r\nhost: {}\r\n{}\r\ncontent-length: 2\r\nconnection: \
         close\r\n\r\n{{}}",
        house.address,
        plain.join("\r\n")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    let again = ask(&house, "POST", "/api/auth/refresh", &[&refresh], "").await;
    assert_eq!(again.status, 200);
    assert_ne!(again.text("token"), come.text("token"));
    // The cookie that was used is void, and whoever brings it again ends the session.
    let reused = ask(&house, "POST", "/api/auth/refresh", &[&refresh], "").await;
    assert_eq!((reused.status, &reused.body["error"]), (401, &json!("Invalid or expired token")));
    assert_eq!(me(&house, again.text("token")).await.status, 401);
    house.close().await;
}

#[tokio::test]
async fn guessing_is_answered_alike_and_slowed_down() {
    let house = house(&[("address_limit_factor", "100")]).await;
    register(&house, "anna@example.org").await;
    let mut bodies = Vec::new();
    for email in ["anna@example.org", "nobody@example.org"] {
        let mut wrong = 0;
        // A machine that is slower than the first waits meets a longer one.
        let slowed = loop {
            let answer = sign_in(&house, email, "wrong horse").await;
            if answer.status != 401 {
                break answer;
            }
            assert_eq!(answer.body["code"], "wrong_credentials");
            bodies.push(answer.body);
            wrong += 1;
            assert!(wrong < 20);
        };
        assert!(wrong >= 5);
        assert_eq!(slowed.status, 429, "{email}");
        assert!(slowed.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
        assert_eq!(slowed.body["error"], "Too many requests");
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    house.close().await;
}

#[tokio::test]
async fn an_address_that_knocks_too_often_hears_when_it_may_again() {
    let house = house(&[]).await;
    let guest = |from: u8| {
        let house = &house;
        async move {
            let forged = format!("x-forwarded-for: 198.51.100.{from}");
            ask(house, "POST", "/api/auth/guest", &[&forged], "{}").await
        }
    };
    let mut came = 0;
    // Another name in front does not make another address. While it waits for answers a slow machine
    // gains a knock every six seconds.
    let refused = loop {
        let come = guest(came).await;
        if come.status != 201 {
            break come;
        }
        assert_eq!(come.header("x-ratelimit-limit"), Some("10"));
        assert!(come.header("x-ratelimit-remaining").is_some());
        assert!(come.header("x-ratelimit-reset").is_some());
        came += 1;
        assert!(came < 100);
    };
    assert!(came >= 10, "{came}");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    let message = "Rate limit exceeded. Please try again later.";
    assert_eq!(refused.body["message"], message);
    assert_eq!(ask(&house, "GET", "/api/auth/verify", &[], "").await.status, 401, "never counted");
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_a_clear_error() {
    let house = house(&[("address_limit_factor", "100")]).await;
    let long = "x".repeat(300);
    let table = [
        ("/api/auth/register", "", 400, "bad_json"),
        ("/api/auth/register", "[]", 400, "bad_json"),
        ("/api/auth/register", "{\"email\":", 400, "bad_json"),
        ("/api/auth/register", r#"{"email":"a@b"}"#, 400, "bad_value"),
        ("/api/auth/register", r#"{"email":7,"password":"correct horse"}"#, 400, "bad_value"),
        ("/api/auth/register", r#"{"email":"a@b","password":"short"}"#, 400, "bad_value"),
        ("/api/auth/register", r#"{"email":"a","password":"correct horse"}"#, 400, "bad_value"),
        ("/api/auth/register", r#"{"email":"a@b","role":"administrator"}"#, 400, "unknown_key"),
        (
            "/api/auth/register",
            r#"{"email":"a@b","password":"correct horse","first_run_token":"x"}"#,
            403,
            "bad_first_run_token",
        ),
        ("/api/auth/sign-in", r#"{"email":"a@b","password":"\u0000"}"#, 401, "wrong_credentials"),
        ("/api/auth/guest", r#"{"display_name":"\n"}"#, 400, "bad_value"),
        ("/api/auth/guest", r#"{"display_name":"a\u202eb"}"#, 400, "bad_value"),
        ("/api/auth/refresh", "{}", 401, "unauthorized"),
        ("/api/auth/refresh", r#"{"refresh_token":"sr_x.y"}"#, 401, "unauthorized"),
        ("/api/auth/exchange", "{}", 400, "bad_value"),
        ("/api/auth/exchange", r#"{"token":"sx_x"}"#, 401, "unauthorized"),
        ("/api/auth/link", "{}", 401, "unauthorized"),
        ("/api/auth/sign-out", "{}", 401, "unauthorized"),
    ];
    for (path, body, status, code) in table {
        let answer = ask(&house, "POST", path, &[], body).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{path} {body}");
        assert_eq!(answer.body["ok"], false);
        assert!(answer.body["error"].is_string());
    }
    let huge = json!({ "email": format!("{long}@b"), "password": PASSWORD });
    assert_eq!(post(&house, "/api/auth/register", huge).await.status, 400);
    let huge = json!({ "email": "a@b", "password": long });
    assert_eq!(post(&house, "/api/auth/register", huge).await.status, 400);
    assert_eq!(ask(&house, "PUT", "/api/auth/guest", &[], "{}").await.status, 405);
    house.close().await;
}

#[tokio::test]
async fn where_tokens_decide_accounts_are_made_by_the_first_administrator_only() {
    let folder = Folder::new("first-run");
    let data = folder.0.to_str().unwrap();
    let house = house(&[("auth", "strict"), ("data", data)]).await;
    let closed = json!({ "email": "eve@example.org", "password": PASSWORD });
    let closed = post(&house, "/api/auth/register", closed).await;
    assert_eq!((closed.status, &closed.body["code"]), (403, &json!("registration_closed")));
    let closed = post(&house, "/api/auth/guest", json!({})).await;
    assert_eq!((closed.status, &closed.body["code"]), (403, &json!("guests_refused")));
    assert_eq!(ask(&house, "GET", "/api/recordings", &[], "").await.status, 401);
    let token = std::fs::read_to_string(folder.0.join("first-run-token")).unwrap();
    let first = json!({
        "email": "root@example.org", "password": PASSWORD, "first_run_token": token.trim(),
    });
    let root = post(&house, "/api/auth/register", first).await;
    assert_eq!((root.status, &root.body["user"]["role"]), (201, &json!("administrator")));
    assert_eq!(root.body["durable"], true);
    // An administrator may look at everything, and see what concerns everybody.
    let as_root = bearer(root.text("token"));
    for path in ["/api/recordings", "/api/system/dead-letters"] {
        assert_eq!(ask(&house, "GET", path, &[&as_root], "").await.status, 200, "{path}");
    }
    let minted = ask(&house, "POST", "/api/viewers", &[&as_root], r#"{"sensors":"all"}"#).await;
    assert_eq!(minted.status, 200);
    house.close().await;
    // Whoever is let in by `registration` is somebody, and sees nothing of others for that.
    let house = self::house(&[("auth", "strict"), ("registration", "true")]).await;
    let anna = register(&house, "anna@example.org").await;
    let as_anna = bearer(anna.text("token"));
    assert_eq!(ask(&house, "GET", "/api/me", &[&as_anna], "").await.status, 200);
    assert_eq!(ask(&house, "GET", "/api/recordings", &[&as_anna], "").await.status, 401);
    let minted = ask(&house, "POST", "/api/viewers", &[&as_anna], r#"{"sensors":"all"}"#).await;
    assert_eq!(minted.status, 401);
    house.close().await;
}

/// A channel that looks at everything, opened with a viewer's token.
async fn watch(house: &House, topic: &str) -> Ws {
    let url = format!("ws://{}/socket/websocket?vsn=2.0.0", house.address);
    let mut ws = tokio_tungstenite::connect_async(url).await.unwrap().0;
    let join = json!(["1", "1", topic, "phx_join", {}]).to_string();
    ws.send(Message::text(join)).await.unwrap();
    let reply = next_on(&mut ws, "phx_reply").await;
    assert_eq!(reply[4]["status"], "ok", "{reply}");
    ws
}

type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The next frame of this event.
async fn next_on(ws: &mut Ws, event: &str) -> Value {
    loop {
        let message = timeout(PATIENCE, ws.next()).await.unwrap().unwrap().unwrap();
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame[3] == event {
            return frame;
        }
    }
}

#[tokio::test]
async fn who_is_signed_out_sees_no_more_and_others_do() {
    let house = house(&[("address_limit_factor", "100")]).await;
    let anna = register(&house, "anna@example.org").await;
    let bert = register(&house, "bert@example.org").await;
    let mut channels = Vec::new();
    for who in [&anna, &bert] {
        let as_them = bearer(who.text("token"));
        let minted = ask(&house, "POST", "/api/viewers", &[&as_them], r#"{"sensors":"all"}"#).await;
        channels.push((minted.text("topic").to_owned(), watch(&house, minted.text("topic")).await));
    }
    let path = "/api/auth/sign-out-everywhere";
    let out = ask(&house, "POST", path, &[&bearer(anna.text("token"))], "").await;
    assert_eq!(out.status, 200);
    let closed = next_on(&mut channels[0].1, "phx_close").await;
    assert_eq!(closed[2], channels[0].0);
    // The other's still answers.
    let (topic, ws) = &mut channels[1];
    let ping = json!(["1", "2", topic, "ping", {}]).to_string();
    ws.send(Message::text(ping)).await.unwrap();
    assert_eq!(next_on(ws, "phx_reply").await[1], "2");
    house.close().await;
}

#[tokio::test]
async fn a_person_is_no_administrator() {
    let house = house(&[("admin_tokens", "root:secret")]).await;
    let anna = register(&house, "anna@example.org").await;
    let path = "/api/system/dead-letters";
    assert_eq!(ask(&house, "GET", path, &[&bearer(anna.text("token"))], "").await.status, 401);
    assert_eq!(ask(&house, "GET", path, &[&bearer("secret")], "").await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn an_account_is_there_after_a_restart_and_no_secret_is_in_the_folder() {
    let folder = Folder::new("people");
    let data = folder.0.to_str().unwrap();
    let first = house(&[("data", data)]).await;
    let come = register(&first, "anna@example.org").await;
    assert_eq!(come.body["durable"], true);
    let guest = post(&first, "/api/auth/guest", json!({ "display_name": "Eve" })).await;
    first.close().await;
    let second = house(&[("data", data)]).await;
    assert_eq!(me(&second, come.text("token")).await.body["user"], come.body["user"]);
    assert_eq!(me(&second, guest.text("token")).await.body["user"]["display_name"], "Eve");
    let refresh = json!({ "refresh_token": come.text("refresh_token") });
    assert_eq!(post(&second, "/api/auth/refresh", refresh).await.status, 200);
    assert_eq!(sign_in(&second, "anna@example.org", PASSWORD).await.status, 200);
    second.close().await;
    let secrets = [
        PASSWORD,
        come.text("token"),
        come.text("socket_token"),
        come.text("refresh_token").rsplit_once('.').unwrap().1,
        guest.text("token"),
    ];
    for file in std::fs::read_dir(&folder.0).unwrap() {
        let Ok(bytes) = std::fs::read(file.unwrap().path()) else { continue };
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert!(!found, "{secret}");
        }
    }
}

#[tokio::test]
async fn behind_a_proxy_of_ours_everybody_is_who_came_to_it() {
    let house = house(&[("proxies", "127.0.0.1")]).await;
    let guest = |from: &'static str| {
        let house = &house;
        async move {
            let said = format!("x-forwarded-for: {from}");
            ask(house, "POST", "/api/auth/guest", &[&said], "{}").await.status
        }
    };
    let mut came = 0;
    while guest("198.51.100.1").await == 201 {
        came += 1;
        assert!(came < 100);
    }
    assert!(came >= 10, "{came}");
    assert_eq!(guest("198.51.100.2").await, 201, "each for itself");
    // What stands further left was written by whoever came, not by our proxy.
    let mut refused = false;
    for _ in 0..100 {
        refused |= guest("203.0.113.9, 198.51.100.1").await == 429;
    }
    assert!(refused);
    // Nobody sits at this machine who comes from elsewhere.
    let path = "/api/system/dead-letters";
    let from = "x-forwarded-for: 198.51.100.1";
    assert_eq!(ask(&house, "GET", path, &[from], "").await.status, 403);
    assert_eq!(ask(&house, "GET", path, &[], "").await.status, 200);
    let hsts = "strict-transport-security";
    let by_tls = ask(&house, "GET", "/health/live", &["x-forwarded-proto: https"], "").await;
    assert!(by_tls.header(hsts).is_some());
    assert!(ask(&house, "GET", "/health/live", &[], "").await.header(hsts).is_none());
    house.close().await;
}

/// Where nothing is configured, who runs the server reads the link that a mail would bring.
#[tokio::test]
async fn a_magic_link_is_said_in_the_log_and_opens_once() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sensocto"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--simulate", "none"]);
    let folder = Folder::new("magic");
    command.arg("--data").arg(&folder.0).env("RUST_LOG", "info");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(server.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let address: SocketAddr = line.trim().strip_prefix("http://").unwrap().parse().unwrap();
    let words = json!({ "email": "anna@example.org", "password": PASSWORD }).to_string();
    let come = ask_at(address, "POST", "/api/auth/register", &[], &words).await;
    assert_eq!(come.status, 201, "{}", come.body);
    let mut answers = Vec::new();
    for email in ["nobody@example.org", "anna@example.org"] {
        let words = json!({ "email": email }).to_string();
        let answer = ask_at(address, "POST", "/api/auth/magic-link", &[], &words).await;
        answers.push((answer.status, answer.body));
    }
    assert_eq!(answers[0], (202, json!({ "ok": true, "expires_in": 600, "by": "log" })));
    assert_eq!(answers[0], answers[1], "who has an account is not told");
    let log = std::io::BufReader::new(server.stderr.take().unwrap());
    let token = std::io::BufRead::lines(log).map(Result::unwrap).find_map(|line| {
        assert!(!line.contains("nobody@example.org"), "{line}");
        let at = line.find("/#/enter/sm_")? + "/#/enter/".len();
        Some(line[at..at + 46].to_owned())
    });
    let words = json!({ "token": token.unwrap() }).to_string();
    let opened = ask_at(address, "POST", "/api/auth/exchange", &[], &words).await;
    assert_eq!((opened.status, &opened.body["user"]), (200, &come.body["user"]));
    let again = ask_at(address, "POST", "/api/auth/exchange", &[], &words).await;
    assert_eq!(again.status, 401);
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test]
async fn where_tokens_decide_there_is_no_magic_link_without_mail() {
    let house = house(&[("auth", "strict"), ("registration", "true")]).await;
    let answer = post(&house, "/api/auth/magic-link", json!({ "email": "a@b.c" })).await;
    assert_eq!((answer.status, answer.text("code")), (503, "no_mail"));
    house.close().await;
}
