//! What a server keeps outlives it: orderly ends, kills, a second server, copies and their return.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a test waits for what must happen. Nothing is asserted about how long it took.
const PATIENCE: Duration = Duration::from_secs(30);

/// Goes with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sensocto-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sensocto(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensocto"));
    command.args(args).env("RUST_LOG", "error");
    command
}

fn run(args: &[&str]) -> Output {
    sensocto(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Exit status 0, and what it said.
fn good(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    said(&output)
}

/// Another exit status, and what it said.
fn bad(args: &[&str]) -> String {
    let output = run(args);
    assert!(!output.status.success(), "{args:?}: {}", said(&output));
    said(&output)
}

/// The real binary, which can be killed.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: Option<&Path>) -> Self {
        let mut command = sensocto(&["serve", "--listen", "127.0.0.1:0", "--simulate", "none"]);
        // Two hundred kills mint more than are out at once by default.
        command.env("SENSOCTO_VIEWERS_MAX", "100000");
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("an address").to_owned();
        Self { child, address }
    }

    /// One HTTP request over a connection of its own: status and body. `None`: it has gone.
    fn try_ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let status = std::str::from_utf8(&answer[9..12]).ok()?.parse().ok()?;
        Some((status, answer[end + 4..].to_vec()))
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = self.try_ask(method, path, body).expect("it answers");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// A token that is on the disk. `None`: the server has gone, and has not said so.
    fn try_mint(&self) -> Option<String> {
        let wishes = r#"{"sensors":["anna:ecg"],"quality":"low"}"#;
        let (status, body) = self.try_ask("POST", "/api/viewers", wishes)?;
        let minted: Value = serde_json::from_slice(&body).ok()?;
        assert_eq!((status, &minted["durable"]), (200, &json!(true)), "{minted}");
        minted["token"].as_str().map(str::to_owned)
    }

    fn mint(&self) -> String {
        self.try_mint().expect("it answers")
    }

    fn knows(&self, token: &str) -> bool {
        match self.ask("PATCH", &format!("/api/viewers/{token}"), "{}").0 {
            200 => true,
            404 => false,
            status => panic!("{status}"),
        }
    }

    /// What is said of the store, once the engine ticks: live data does not wait for it.
    fn health(&self) -> Value {
        let begun = Instant::now();
        loop {
            let (status, health) = self.ask("GET", "/health/ready", "");
            if status == 200 {
                return health["checks"]["store"].clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{health}");
        }
    }

    fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let health = self.health();
            if wanted(&health) {
                return health;
            }
            assert!(begun.elapsed() < PATIENCE, "{health}");
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As an operator ends it.
    fn end(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_viewers_token_outlives_the_server() {
    let data = Folder::new("outlives");
    let server = Server::start(Some(&data.0));
    let (kept, taken_back) = (server.mint(), server.mint());
    server.ask("DELETE", &format!("/api/viewers/{taken_back}"), "");
    server.end();
    let server = Server::start(Some(&data.0));
    assert!(server.knows(&kept));
    assert!(!server.knows(&taken_back), "what was taken back stays so");
    assert!(!server.knows("guessed"));
    server.end();
    // Whoever reads the disk finds no key.
    let bytes = std::fs::read(data.0.join("store.redb")).unwrap();
    assert!(!bytes.windows(kept.len()).any(|window| window == kept.as_bytes()));
}

#[test]
fn without_a_folder_nothing_is_kept_and_everybody_is_told() {
    let server = Server::start(None);
    let (status, minted) = server.ask("POST", "/api/viewers", r#"{"sensors":"all"}"#);
    assert_eq!((status, &minted["durable"]), (200, &json!(false)));
    let health = server.health();
    assert_eq!((&health["state"], &health["kept"]), (&json!("ready"), &json!(false)));
    assert!(health["reason"].as_str().unwrap().contains("--data"), "{health}");
    let (status, refusal) = server.ask("POST", "/api/store/backup", "");
    assert_eq!((status, &refusal["code"]), (409, &json!("nothing_kept")));
}

#[test]
fn kill_minus_nine_at_any_moment_loses_nothing_that_was_acknowledged() {
    let data = Folder::new("kills");
    let mut known: Vec<String> = Vec::new();
    let folder = data.0.display().to_string();
    // `SENSOCTO_KILLS` says how many, for who wants more; docs/store.md has what 200 came to.
    let kills = std::env::var("SENSOCTO_KILLS").ok().and_then(|count| count.parse().ok());
    for round in 0..kills.unwrap_or(20u64) {
        let server = Server::start(Some(&data.0));
        // Those of the last kills, and some of all: in the end, all.
        let asked = known.iter().rev().take(200).chain(known.iter().step_by(37));
        for token in asked {
            assert!(server.knows(token), "round {round}");
        }
        let minted = Mutex::new(Vec::new());
        let count = AtomicUsize::new(0);
        // Any moment: behind a number of answers that differs, in the middle of others.
        let last = (round.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize + 1;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(token) = server.try_mint() {
                        minted.lock().unwrap().push(token);
                        count.fetch_add(1, Ordering::Release);
                    }
                });
            }
            while count.load(Ordering::Acquire) < last {
                std::thread::yield_now();
            }
            let pid = server.child.id().to_string();
            assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        });
        server.kill();
        known.extend(minted.into_inner().unwrap());
        assert!(good(&["check", "--data", &folder]).contains("is sound"));
    }
    let server = Server::start(Some(&data.0));
    assert!(known.iter().all(|token| server.knows(token)));
    assert!(known.len() > 20);
    eprintln!("{} tokens were acknowledged, and all are known", known.len());
}

#[test]
fn kill_minus_nine_takes_nobodys_account_and_no_refresh() {
    let data = Folder::new("accounts");
    let account =
        |round| format!(r#"{{"email":"p{round}@example.org","password":"correct horse"}}"#);
    let mut refresh: Option<String> = None;
    for round in 0..3 {
        let server = Server::start(Some(&data.0));
        server.until(|health| health["state"] == "ready");
        if let Some(token) = refresh.take() {
            let body = json!({ "refresh_token": token }).to_string();
            let (status, granted) = server.ask("POST", "/api/auth/refresh", &body);
            assert_eq!((status, &granted["durable"]), (200, &json!(true)), "{granted}");
            // What was given for it is void in the next server, too.
            refresh = Some(granted["refresh_token"].as_str().unwrap().to_owned());
        }
        for before in 0..round {
            let (status, body) = server.ask("POST", "/api/auth/sign-in", &account(before));
            assert_eq!(status, 200, "{body}");
        }
        let (status, granted) = server.ask("POST", "/api/auth/register", &account(round));
        assert_eq!((status, &granted["durable"]), (201, &json!(true)), "{granted}");
        refresh = refresh.or(granted["refresh_token"].as_str().map(str::to_owned));
        server.kill();
    }
}

#[test]
fn a_second_server_serves_without_the_store_until_the_first_has_gone() {
    let data = Folder::new("two");
    let first = Server::start(Some(&data.0));
    let token = first.mint();
    let second = Server::start(Some(&data.0));
    let health = second.until(|health| health["state"] == "failed");
    assert_eq!(health["healthy"], false);
    assert!(health["reason"].as_str().unwrap().contains("in use by another process"), "{health}");
    assert!(health["failures"].as_u64().unwrap() > 0);
    assert_eq!(second.ask("GET", "/health/ready", "").1["status"], "degraded");
    // It goes on, and what it mints is kept as soon as that can be.
    let (status, minted) = second.ask("POST", "/api/viewers", r#"{"sensors":"all"}"#);
    assert_eq!((status, &minted["durable"]), (200, &json!(false)));
    let folder = data.0.display().to_string();
    assert!(bad(&["check", "--data", &folder]).contains("in use"), "a server has it open");
    first.kill();
    second.until(|health| health["state"] == "ready" && health["waiting"] == 0);
    let known = Instant::now();
    while !second.knows(&token) {
        assert!(known.elapsed() < PATIENCE);
    }
    second.end();
    let third = Server::start(Some(&data.0));
    assert!(third.knows(minted["token"].as_str().unwrap()) && third.knows(&token));
}

#[test]
fn a_copy_taken_from_a_running_server_makes_another_that_knows_its_viewers() {
    let (data, other) = (Folder::new("from"), Folder::new("to"));
    let server = Server::start(Some(&data.0));
    let token = server.mint();
    let (status, copy) = server.try_ask("POST", "/api/store/backup", "").unwrap();
    assert_eq!(status, 200);
    let later = server.mint();
    let file = other.file("copy.redb");
    std::fs::write(&file, copy).unwrap();
    let into = other.file("data");
    assert!(good(&["restore", "--from", &file, "--data", &into]).contains("viewer_tokens: 1"));
    assert!(bad(&["restore", "--from", &file, "--data", &into]).contains("--replace"));
    good(&["restore", "--from", &file, "--data", &into, "--replace"]);
    let restored = Server::start(Some(Path::new(&into)));
    assert!(restored.knows(&token) && !restored.knows(&later));
    let running = bad(&["restore", "--from", &file, "--data", &into, "--replace"]);
    assert!(running.contains("in use"), "{running}");
    assert!(restored.knows(&token));
    let names = std::fs::read_dir(&data.0).unwrap().map(|item| item.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    let there = ["first-run-token", "hand-over", "lock", "store.redb"];
    assert_eq!(names, there, "nothing of the copy is left");
}

#[test]
fn check_and_backup_say_what_they_find_and_change_nothing() {
    let data = Folder::new("check");
    let folder = data.0.display().to_string();
    assert!(bad(&["check", "--data", &folder]).contains("there is no"));
    let server = Server::start(Some(&data.0));
    server.mint();
    server.kill();
    let file = data.0.join("store.redb");
    let before = std::fs::read(&file).unwrap();
    assert!(good(&["check", "--data", &folder]).contains("viewer_tokens: 1"));
    let copy = data.file("copy.redb");
    assert!(good(&["backup", "--data", &folder, "--to", &copy]).contains("is a sound copy"));
    assert!(bad(&["backup", "--data", &folder, "--to", &copy]).contains("--replace"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // A bit of the record rots.
    let mut rotten = before;
    let at = rotten.windows(8).position(|window| window == b"anna:ecg").unwrap();
    rotten[at] ^= 4;
    std::fs::write(&file, &rotten).unwrap();
    let told = bad(&["check", "--data", &folder]);
    assert!(told.contains("table `viewer_tokens`, key") && told.contains("restore"), "{told}");
    let another = data.file("another.redb");
    assert!(bad(&["backup", "--data", &folder, "--to", &another]).contains("damaged"));
    assert!(!Path::new(&another).exists());
    assert_eq!(std::fs::read(&file).unwrap(), rotten);
    // The server goes on without it, says so, and takes it back once it is whole.
    let server = Server::start(Some(&data.0));
    let health = server.until(|health| health["state"] == "failed");
    assert!(health["reason"].as_str().unwrap().contains("damaged"), "{health}");
    good(&["restore", "--from", &copy, "--data", &folder, "--replace"]);
    server.until(|health| health["state"] == "ready");
}
