//! `sensocto record`: has a running server record itself, shows how it goes, and takes the file
//! home.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use ureq::Agent;

use crate::Address;
use crate::cli::out;
use crate::period;

/// Have a running server record everything that crosses its engine's door.
#[derive(Debug, Clone, Args)]
pub struct Record {
    /// The server: http://host:port.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    pub to: String,
    /// What the recording is to be called: up to 64 of a-z, 0-9, dot, dash and underscore. Absent:
    /// the server names it after the time.
    #[arg(long)]
    pub name: Option<String>,
    /// How long to record, as 60s, 10m or 2h. Absent: until Ctrl-C.
    #[arg(long = "for", value_name = "TIME")]
    pub period: Option<Lasting>,
    /// Where to put a copy of the recording: a file or a folder. Absent: it stays on the server.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A viewer's token, if the server asks for one.
    #[arg(long, value_name = "TOKEN")]
    pub bearer_token: Option<String>,
}

/// How long a recording lasts: up to a week.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lasting(pub Duration);

const LASTING_SECONDS_MAX: f64 = 7.0 * 86_400.0;

impl FromStr for Lasting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match period::seconds(text) {
            Some(seconds) if seconds > 0.0 && seconds <= LASTING_SECONDS_MAX => {
                Ok(Self(Duration::from_secs_f64(seconds)))
            }
            _ => Err("a time such as 60s, 10m or 2h, up to a week".into()),
        }
    }
}

/// Between two lines about how it goes.
const EVERY: Duration = Duration::from_secs(1);

/// A server that has not answered for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// An answer takes no longer; that to the end of a long recording waits for the server's disk.
const ANSWER_MAX: Duration = Duration::from_secs(90);

impl Record {
    pub async fn run(self) -> Result<(), String> {
        let server = Arc::new(Server::new(&self.to, self.bearer_token.clone())?);
        let wish = match &self.name {
            Some(name) => json!({ "name": name }),
            None => json!({}),
        };
        let begun = server.ask("POST", "/api/recordings", &wish).await?;
        let name = begun["name"].as_str().ok_or("the server has not said a name")?.to_owned();
        let ended = self.attend(&server, &name).await;
        // Stopped by somebody else, it is in the list already.
        let entry = match server.ask("POST", "/api/recordings/stop", &json!({})).await {
            Ok(entry) if entry["name"] == *name => entry,
            outcome => match server.entry(&name).await? {
                Some(entry) => entry,
                None => return Err(outcome.err().unwrap_or_else(|| format!("{name} is gone"))),
            },
        };
        out(&told(&entry));
        if let Some(output) = &self.output {
            let path =
                if output.is_dir() { output.join(format!("{name}.mcap")) } else { output.clone() };
            let bytes = server.download(&name, path.clone()).await?;
            out(&format!("{} bytes in {}", bytes, path.display()));
        }
        match entry["error"].as_str() {
            Some(error) => Err(format!("the recording ended by itself: {error}")),
            None => ended,
        }
    }

    /// Shows how it goes until it is to end, or has ended.
    async fn attend(&self, server: &Arc<Server>, name: &str) -> Result<(), String> {
        let until = self.period.map(|Lasting(period)| Instant::now() + period);
        let mut line = Line { rewrites: std::io::stderr().is_terminal() };
        let mut heard = Instant::now();
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        let outcome = loop {
            let left = until
                .map_or(EVERY, |until| until.saturating_duration_since(Instant::now()).min(EVERY));
            if left.is_zero() {
                break Ok(());
            }
            tokio::select! {
                _ = &mut interrupt => break Ok(()),
                () = tokio::time::sleep(left) => {}
            }
            match server.ask("GET", "/api/recordings", &Value::Null).await {
                Ok(answer) => {
                    heard = Instant::now();
                    let running = &answer["recording"];
                    if running["name"] != *name {
                        break Err("somebody else has stopped the recording".into());
                    }
                    line.say(&progress(running));
                    if !running["error"].is_null() {
                        // The stop will tell.
                        break Ok(());
                    }
                }
                Err(error) if heard.elapsed() > SILENCE_MAX => break Err(error),
                Err(error) => line.say(&error),
            }
        };
        line.end();
        outcome
    }
}

/// One line on stderr, written over if somebody watches.
struct Line {
    rewrites: bool,
}

impl Line {
    fn say(&mut self, text: &str) {
        let mut stderr = std::io::stderr();
        let _ = if self.rewrites {
            write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{text}")
        };
    }

    fn end(&mut self) {
        if self.rewrites {
            let _ = writeln!(std::io::stderr());
        }
    }
}

fn progress(running: &Value) -> String {
    let number = |key: &str| running[key].as_u64().unwrap_or_default();
    let mut text = format!(
        "{:7.1} s  {} samples  {}",
        number("elapsed_ms") as f64 / 1000.0,
        number("samples"),
        size(number("bytes"))
    );
    for key in ["warning", "error"] {
        if let Some(what) = running[key].as_str() {
            text += &format!("  {key}: {what}");
        }
    }
    text
}

/// The entry, for people: the name first.
fn told(entry: &Value) -> String {
    let number = |key: &str| entry[key].as_u64().unwrap_or_default();
    let hash = match entry["hash"].as_str() {
        None => "no hash".to_owned(),
        // The hash is of what viewers were sent.
        Some("0000000000000000") => "nobody watched, nothing was delivered".to_owned(),
        Some(hash) => format!("hash {hash}"),
    };
    format!(
        "{}: {:.1} s, {} ticks, {} samples of {} sensors, {}, {}{}",
        entry["name"].as_str().unwrap_or_default(),
        number("duration_ms") as f64 / 1000.0,
        number("ticks"),
        number("samples"),
        number("sensors"),
        size(number("bytes")),
        hash,
        if entry["complete"] == true { "" } else { ", cut off" },
    )
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A server, asked over HTTP.
#[derive(Debug)]
struct Server {
    base: String,
    token: Option<String>,
    agent: Agent,
}

impl Server {
    fn new(to: &str, token: Option<String>) -> Result<Self, String> {
        let base = format!("http://{}", Address::parse(to)?.authority);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(ANSWER_MAX))
            .build()
            .into();
        Ok(Self { base, token, agent })
    }

    /// The answer's JSON, or the sentence that the server refused with.
    async fn ask(
        self: &Arc<Self>,
        method: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let (server, path, body) = (Arc::clone(self), path.to_owned(), body.to_string());
        blocking(move || server.ask_now(method, &path, &body)).await
    }

    fn ask_now(&self, method: &str, path: &str, body: &str) -> Result<Value, String> {
        let url = format!("{}{path}", self.base);
        let authorization = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let answer = if method == "POST" {
            let mut request = self.agent.post(&url).header("content-type", "application/json");
            if let Some(authorization) = &authorization {
                request = request.header("authorization", authorization);
            }
            request.send(body)
        } else {
            let mut request = self.agent.get(&url);
            if let Some(authorization) = &authorization {
                request = request.header("authorization", authorization);
            }
            request.call()
        };
        let mut answer = answer.map_err(|error| format!("{url}: {error}"))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(|error| format!("{url}: {error}"))?;
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        Err(match value["error"].as_str() {
            Some(error) => error.to_owned(),
            None => format!("{url}: {status}"),
        })
    }

    /// What the server lists under this name.
    async fn entry(self: &Arc<Self>, name: &str) -> Result<Option<Value>, String> {
        let answer = self.ask("GET", "/api/recordings", &Value::Null).await?;
        let mut entries = answer["recordings"].as_array().into_iter().flatten();
        Ok(entries.find(|entry| entry["name"] == *name).cloned())
    }

    /// Puts the whole file at `path`, or nothing; its length.
    async fn download(self: &Arc<Self>, name: &str, path: PathBuf) -> Result<u64, String> {
        let (server, url) = (Arc::clone(self), format!("{}/api/recordings/{name}", self.base));
        blocking(move || server.download_now(&url, &path)).await
    }

    fn download_now(&self, url: &str, path: &Path) -> Result<u64, String> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = request.call().map_err(|error| format!("{url}: {error}"))?;
        if !answer.status().is_success() {
            return Err(format!("{url}: {}", answer.status()));
        }
        let said = answer.headers().get("content-length").and_then(|n| n.to_str().ok());
        let said: Option<u64> = said.and_then(|n| n.parse().ok());
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let written = File::create(&part)
            .and_then(|mut file| {
                let bytes = std::io::copy(&mut answer.body_mut().as_reader(), &mut file)?;
                file.sync_all()?;
                Ok(bytes)
            })
            .and_then(|bytes| match said {
                Some(said) if said != bytes => Err(std::io::ErrorKind::UnexpectedEof.into()),
                _ => std::fs::rename(&part, path).map(|()| bytes),
            });
        written.map_err(|error| {
            let _ = std::fs::remove_file(&part);
            format!("{}: {error}; the recording is still on the server", path.display())
        })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_may_last_a_week() {
        for (text, ms) in [("60s", 60_000), ("2h", 7_200_000), ("1.5", 1_500), ("90m", 5_400_000)] {
            assert_eq!(text.parse(), Ok(Lasting(Duration::from_millis(ms))), "{text}");
        }
        for text in ["", "0s", "-1s", "8d", "169h", "nan", "inf"] {
            assert!(text.parse::<Lasting>().is_err(), "{text}");
        }
    }

    #[test]
    fn how_it_goes_is_one_line_with_what_is_wrong_at_its_end() {
        let mut running = json!({
            "elapsed_ms": 12_340, "samples": 5, "bytes": 1_234_567, "error": null, "warning": null,
        });
        assert_eq!(progress(&running), "   12.3 s  5 samples  1234.6 kB");
        running["warning"] = "no sample for 7 s".into();
        assert!(progress(&running).ends_with("kB  warning: no sample for 7 s"));
    }
}
