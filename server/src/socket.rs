//! One WebSocket: the handshake, the task that reads, answers and writes, and its end
//! (`reference/wire.md` 1.1, 1.3).

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{self, Duration};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use components::class::{Class, SENSOR_SAMPLES_PER_SECOND};
use components::limits::BATCH_SAMPLE_COUNT_MAX;
use components::wire::phoenix::Vsn;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::{
    CloseFrame, Frame,
    coding::{Data, OpCode},
};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message as WsMessage, Utf8Bytes};
use tracing::Instrument;

use crate::address::{Address, Kind as Limited};
use crate::ages::{Ages, Stamp};
use crate::auth::{Auth, Forbidden, Mode, Unauthorized};
use crate::belongings::{Belongings, Bringer, Pass};
use crate::bucket::{Bucket, Rate};
use crate::can::Who;
use crate::channel::Channels;
use crate::complaints::panic_message;
use crate::consent::Consent;
use crate::crowd::Crowd;
use crate::dead_letters::DeadLetters;
use crate::device::{DeviceDesk, Events, SocketEvent};
use crate::discovery::Discovery;
use crate::gate::{HEARING_TIME, Limit};
use crate::gauge::Board;
use crate::history::History;
use crate::intake::Intake;
use crate::listen::{Connection, DoorCounts, Peer, asked_to_end};
use crate::origin::Origins;
use crate::outbox::{Letter, OutboxReader, Outgoing, Passage, outbox};
use crate::people::{self, People, Person, SessionId};
use crate::post::Post;
use crate::proxies::Proxies;
use crate::pump::PumpReport;
use crate::rooms::{Asker, RoomDesk};
use crate::search::Search;
use crate::store::Store;
use crate::supervise::Supervisor;
use crate::topics::Topics;
use crate::viewer::ViewerDesk;

/// Bytes of one message, and of one frame (`reference/reliability.md` T9).
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Read at once. Small, because every connection has it.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// Gathered before it is written without being asked to.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// What may wait in the write buffer: one full outbox and some replies.
const WRITE_BUFFER_BYTES_MAX: usize = crate::outbox::OUTBOX_BYTES_MAX + 1024 * 1024;

/// Messages taken from a socket before its answers are written and others have their turn.
const BURST_MESSAGE_COUNT_MAX: usize = 64;

/// Bytes taken from a socket before others have their turn, and before its answers are written: an
/// echo is as long as what it echoes. One message more may be taken.
const BURST_BYTES_MAX: usize = 64 * 1024;

/// Bytes taken from the outbox before they are written. The write deadline is one for all of them,
/// so that a small line has time for much, a piece at a time.
const FORWARD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a frame that count as one frame more: at 20,000 a second, 20 MB.
pub(crate) const FRAME_COST_BYTES: usize = 1024;

/// Closes a socket whose client does not read.
const SLOW_CLOSE_CODE: u16 = crate::mail::SLOW_CLOSE_CODE;

/// How a socket is closed when the server ends: whoever hears it comes back.
const PANICKED: End = End::Close { code: 1011, why: "internal error", garbled: false };
const SHUTTING_DOWN: End = End::Close { code: 1012, why: "shutting down", garbled: false };

/// Between two sockets that are told so, and for all of them.
const FAREWELL_US: u64 = 50;
const FAREWELLS_US_MAX: u64 = 500_000;

/// Read and thrown away behind a close, so that a client in the middle of a large message gets to
/// see why. One that goes on and on does not.
const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A viewer's lease is renewed by inbound traffic at most this often.
const RENEW_PERIOD: Duration = Duration::from_secs(5);

/// A connection may send this many frames a second, and this many at once; it is read no faster.
/// What costs more than a small frame counts for several: see [`FRAME_COST_BYTES`] and
/// [`Channels::take_cost`].
const FRAMES: Rate = Rate { per_second: 20_000.0, burst: 20_000.0 };

/// A connection may send this many samples a second, and this many at once; more are dropped.
const SAMPLES: Rate = Rate { per_second: 50_000.0, burst: 100_000.0 };

/// Words of viewers that a connection may say: a page says ten a second while the pointer moves, and
/// a program may speak for a hundred viewers.
const ATTENTION: Rate = Rate { per_second: 1_000.0, burst: 2_000.0 };

/// What one class of one sensor may send, of so many samples a second: at once two seconds' worth,
/// and in any case one whole batch, as of a device that was away.
pub const fn sensor_rate(per_second: f64) -> Rate {
    let batch = BATCH_SAMPLE_COUNT_MAX as f64;
    let two_seconds = 2.0 * per_second;
    Rate { per_second, burst: if two_seconds > batch { two_seconds } else { batch } }
}

/// How patient a socket is, and how generous.
#[derive(Debug, Clone)]
pub struct SocketLimits {
    /// A socket that sends nothing for so long is closed with 1002. An answer to our own ping is
    /// not a word of the client's.
    pub idle: Duration,
    /// Time between our pings.
    pub ping_period: Duration,
    /// A client that takes nothing for so long is let go.
    pub write_deadline: Duration,
    /// A client that does not answer a close for so long is dropped.
    pub close_deadline: Duration,
    /// Topics joined on one socket.
    pub topic_count_max: usize,
    pub frames: Rate,
    /// Beyond these, samples are dropped: of the connection, and of each class of each sensor.
    pub samples: Rate,
    pub sensor_samples: [Rate; Class::COUNT],
    /// Beyond this, words of viewers are refused.
    pub attention: Rate,
    /// Time from a `backpressure_config` until a device is held to it.
    pub hearing: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            ping_period: Duration::from_secs(20),
            write_deadline: Duration::from_secs(10),
            close_deadline: Duration::from_secs(5),
            topic_count_max: 1000,
            frames: FRAMES,
            samples: SAMPLES,
            sensor_samples: SENSOR_SAMPLES_PER_SECOND.map(sensor_rate),
            attention: ATTENTION,
            hearing: HEARING_TIME,
        }
    }
}

/// What all sockets share.
#[derive(Debug)]
pub struct Doors {
    pub limits: SocketLimits,
    pub auth: Auth,
    pub people: Arc<People>,
    /// Who carries mail, if somebody does.
    pub post: Option<Arc<Post>>,
    pub rooms: Arc<RoomDesk>,
    pub belongings: Arc<Belongings>,
    pub discovery: Arc<Discovery>,
    pub search: Arc<Search>,
    pub consent: Arc<Consent>,
    pub origins: Origins,
    pub proxies: Proxies,
    pub intake: Arc<Intake>,
    pub devices: Arc<DeviceDesk>,
    pub viewers: Arc<ViewerDesk>,
    pub topics: Topics,
    pub letters: Arc<DeadLetters>,
    pub store: Store,
    pub history: Arc<History>,
    pub counts: Counts,
    pub connections: Arc<DoorCounts>,
    pub pump: Arc<PumpReport>,
    pub ages: Arc<Ages>,
    pub board: Board,
    pub supervisor: Supervisor,
    /// True once the server is shutting down.
    pub shutdown: watch::Receiver<bool>,
}

impl Doors {
    /// The person who sends these headers, if it is one.
    pub(crate) fn person(&self, headers: &HeaderMap) -> Option<Person> {
        people::api::person(&self.people, &self.origins, headers)
    }

    /// Whether whoever sends these headers may look at everything: with a viewer's token, as an
    /// administrator, or as anybody where the mode asks for nothing; then in which session.
    pub(crate) fn viewer(&self, headers: &HeaderMap) -> Option<Option<SessionId>> {
        let person = self.person(headers);
        let is_one = person.as_ref().is_some_and(|it| it.role == people::Role::Administrator);
        let may = is_one || self.auth.viewer(authorization(headers)).is_ok();
        may.then(|| person.map(|person| person.session))
    }

    /// Whether they may see and do what concerns everybody ([`Auth::administrator`]).
    pub(crate) fn administrator(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<(), Forbidden> {
        let is_one = |person: &Person| person.role == people::Role::Administrator;
        if self.person(headers).as_ref().is_some_and(is_one) {
            return Ok(());
        }
        self.auth.administrator(authorization(headers), peer)
    }
}

impl Doors {
    /// Whoever sends these headers, to [`can`](crate::can).
    pub(crate) fn asker(&self, headers: &HeaderMap) -> Asker {
        self.asker_of(self.person(headers))
    }

    pub(crate) fn asker_of(&self, person: Option<Person>) -> Asker {
        let Some(Person { id, role, session }) = person else {
            let is_strict = self.auth.mode == Mode::Strict;
            let who = if is_strict { Who::Nobody } else { Who::Visitor };
            return Asker { who, id: None, session: None };
        };
        Asker { who: who(role), id: Some(id), session: Some(session) }
    }

    /// Whose device it is: by a credential, a person's access token, `guest:<id>:<access token>`, or a
    /// configured token, as the mode has it.
    pub(crate) fn device(&self, token: Option<&str>) -> Result<Comer, Unauthorized> {
        if let Some(token) = token.filter(|token| Belongings::is_credential(token)) {
            let bringer = self.belongings.bringer(token).ok_or(Unauthorized)?;
            let user = self.people.user(&bringer.account).ok_or(Unauthorized)?;
            let asker = Asker { who: who(user.role), id: Some(user.id), session: None };
            return Ok(Comer {
                owner: Arc::clone(&bringer.account),
                asker,
                bringer: Some(bringer),
            });
        }
        let of_guest = token.and_then(|it| it.strip_prefix("guest:")?.split_once(':'));
        let person = match of_guest {
            Some((id, token)) => self.people.by_access(token).filter(|person| *person.id == *id),
            None => token.and_then(|token| self.people.by_access(token)),
        };
        let owner = match &person {
            Some(person) => Arc::clone(&person.id),
            None => self.auth.device(token)?,
        };
        let bringer = person.as_ref().map(|person| Bringer {
            account: Arc::clone(&person.id),
            pass: Pass::Session(person.session),
        });
        Ok(Comer { owner, asker: self.asker_of(person), bringer })
    }
}

fn who(role: people::Role) -> Who {
    match role {
        people::Role::Guest => Who::Guest,
        people::Role::Person => Who::Person,
        people::Role::Administrator => Who::Administrator,
    }
}

/// Whoever brings a device.
pub(crate) struct Comer {
    /// To the engine.
    pub(crate) owner: Arc<str>,
    /// To rooms.
    pub(crate) asker: Asker,
    /// If it is somebody's.
    pub(crate) bringer: Option<Bringer>,
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

/// What the wire makes us drop without a word.
#[derive(Debug, Default)]
pub struct Counts {
    /// Measurements that lacked a key, or were not objects.
    pub incomplete: AtomicU64,
    /// Measurements answered with an error.
    pub refused: AtomicU64,
    /// Answers to what was said before a join was decided, more than were kept.
    pub answers: AtomicU64,
    /// Sockets opened since the beginning.
    pub sockets: AtomicU64,
    /// Sockets whose clients took nothing for longer than the write deadline.
    pub slow: AtomicU64,
    /// Sockets that fell behind with the engine's words.
    pub overruns: AtomicU64,
    pub crowd: Crowd,
    /// Messages of the pump and of other sockets, on their way to theirs.
    pub outboxes: Arc<Passage>,
    /// Frames that were given to the machine to send, and that were not before their socket ended.
    pub frames_written: AtomicU64,
    pub frames_unwritten: AtomicU64,
    /// What was beyond a rate, by whose limit it was and what is limited: joins, samples, bytes,
    /// words of viewers.
    pub limited: [[AtomicU64; Limited::COUNT]; Limit::COUNT],
    /// How sockets ended, by [`ENDS`].
    pub ends: [AtomicU64; ENDS.len()],
}

/// The names of [`Counts::ends`]: the codes we close with, then who ended it otherwise.
pub const ENDS: [&str; 9] =
    ["1002", "1007", "1009", "1011", "1012", "4008", "other", "closed_by_peer", "gone"];

impl Counts {
    /// Sockets that have ended.
    pub fn ended(&self) -> u64 {
        self.ends.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn limited(&self, limit: Limit, what: Limited, count: u64) {
        self.limited[limit as usize][what as usize].fetch_add(count, Ordering::Relaxed);
    }

    fn end(&self, end: End) {
        let name = match end {
            End::Close { code: 1002, .. } => "1002",
            End::Close { code: 1007, .. } => "1007",
            End::Close { code: 1009, .. } => "1009",
            End::Close { code: 1011, .. } => "1011",
            End::Close { code: 1012, .. } => "1012",
            End::Close { code: SLOW_CLOSE_CODE, .. } => "4008",
            End::Close { .. } => "other",
            End::ClosedByPeer => "closed_by_peer",
            End::Gone => "gone",
        };
        if let Some(index) = ENDS.iter().position(|known| *known == name) {
            self.ends[index].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `GET /socket/websocket`.
pub async fn open(State(doors): State<Arc<Doors>>, request: Request) -> Response {
    let vsn = request.uri().query().and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "vsn").last()
    });
    let version = Vsn::negotiate(vsn.as_ref().map(|(_, value)| &**value));
    // One that is none makes nobody of its bearer, as in the original: devices bring theirs as they
    // join.
    let token = request.uri().query().and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "token").last()
    });
    let person = token.and_then(|(_, token)| doors.people.by_socket(&token));
    let Some(version) = version else { return StatusCode::FORBIDDEN.into_response() };
    if !doors.origins.admit(request.headers()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(Peer(address)) = request.extensions().get::<Peer>().cloned() else {
        tracing::error!("a socket came from a listener that is not ours");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let asker = doors.asker_of(person);
    upgrade(request, move |ws| Socket::run(ws, doors, version, address, asker))
}

/// `GET /echo`: says back what it hears, for the Autobahn test suite.
#[cfg(feature = "autobahn")]
pub async fn echo(request: Request) -> Response {
    upgrade(request, |mut ws: Ws| async move {
        let end = loop {
            match ws.next().await {
                Some(Ok(message @ (WsMessage::Text(_) | WsMessage::Binary(_)))) => {
                    if ws.send(message).await.is_err() {
                        break End::Gone;
                    }
                }
                Some(Ok(WsMessage::Close(_))) => break End::ClosedByPeer,
                Some(Ok(_)) => {}
                Some(Err(error)) => break End::of(&error),
                None => break End::Gone,
            }
        };
        finish(ws, end, Duration::from_secs(5)).await;
    })
}

type Ws = WebSocketStream<Connection>;

/// Checks the handshake, answers it, and gives the socket to `run`. Extensions are never
/// negotiated.
fn upgrade<F, R>(mut request: Request, run: F) -> Response
where
    F: FnOnce(Ws) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let key = match handshake_key(&request) {
        Some(key) => derive_accept_key(key.as_bytes()),
        None => return StatusCode::BAD_REQUEST.into_response(),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Connection>>() else {
            tracing::error!("a socket came from a listener that is not ours");
            return;
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX))
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX);
        let (io, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
        let ws = WebSocketStream::from_partially_read(io, read, Role::Server, Some(config)).await;
        run(ws).await;
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, key)
        .body(Body::empty());
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn handshake_key(request: &Request) -> Option<String> {
    let headers = request.headers();
    let websocket = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(headers, header::CONNECTION, "upgrade")
        && has_token(headers, header::UPGRADE, "websocket")
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    (websocket && !key.is_empty()).then(|| key.to_owned())
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// How a socket comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// We close it, with this code. The bytes that come can no longer be read as frames when
    /// `garbled`.
    Close {
        code: u16,
        why: &'static str,
        garbled: bool,
    },
    ClosedByPeer,
    /// There is nobody any more.
    Gone,
}

impl End {
    pub(crate) fn close(code: u16, why: &'static str) -> Self {
        Self::Close { code, why, garbled: false }
    }

    /// What an error of the WebSocket layer deserves (`reference/wire.md` 1.3).
    fn of(error: &WsError) -> Self {
        let (code, why) = match error {
            WsError::Utf8(_) => (1007, "not UTF-8"),
            WsError::Capacity(_) => (1009, "too large"),
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Self::Gone,
            WsError::Protocol(_) => (1002, "protocol error"),
            _ => return Self::Gone,
        };
        Self::Close { code, why, garbled: true }
    }
}

/// Numbers sockets, so that a topic's members can be told apart.
static SOCKET_SERIAL: AtomicU64 = AtomicU64::new(0);

struct Socket {
    serial: u64,
    ws: Ws,
    channels: Channels,
    reader: OutboxReader,
    /// Of the letters that are being written: since when they wait, and what they carry.
    written: Vec<(time::Instant, Vec<Stamp>)>,
    doors: Arc<Doors>,
    heard_at: Instant,
    ping_at: Instant,
    ping_count: u32,
    renewed_at: Instant,
    frames: Bucket,
    /// Read nothing before: the client sends faster than it may.
    read_at: Option<Instant>,
}

impl Socket {
    async fn run(ws: Ws, doors: Arc<Doors>, version: Vsn, address: Arc<Address>, asker: Asker) {
        doors.counts.sockets.fetch_add(1, Ordering::Relaxed);
        let (outbox, reader) = outbox(&doors.counts.outboxes);
        let (events, heard) = Events::new();
        let serial = SOCKET_SERIAL.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut socket = Self {
            serial,
            ws,
            channels: Channels::new(
                Arc::clone(&doors),
                serial,
                version,
                outbox,
                events,
                address,
                asker,
            ),
            reader,
            written: Vec::new(),
            heard_at: now,
            ping_at: now + doors.limits.ping_period,
            ping_count: 0,
            renewed_at: now,
            frames: Bucket::new(doors.limits.frames, now),
            read_at: None,
            doors,
        };
        let span = tracing::info_span!("socket", serial);
        let served = AssertUnwindSafe(socket.serve(heard)).catch_unwind();
        let served = served.instrument(span.clone()).await;
        let panicked = served.as_ref().err().map(|panic| panic_message(&**panic).to_owned());
        let mut end = served.unwrap_or(PANICKED);
        if let Some(message) = panicked {
            span.in_scope(|| tracing::error!(message, "a socket's task has panicked"));
            socket.channels.abandon();
        }
        span.in_scope(|| tracing::debug!(?end, "socket ends"));
        socket.doors.counts.end(end);
        if end == SHUTTING_DOWN {
            end = socket.hear_out().await;
        }
        socket.channels.leave_all();
        let Self { ws, doors, channels, .. } = socket;
        doors.counts.frames_unwritten.fetch_add(channels.out.len() as u64, Ordering::Relaxed);
        finish(ws, end, doors.limits.close_deadline).await;
    }

    async fn serve(&mut self, mut heard: mpsc::Receiver<SocketEvent>) -> End {
        let mut shutdown = self.doors.shutdown.clone();
        // Made once: a future of its own for every wake-up would enter and leave a list each time.
        let (open, serial) = (Arc::clone(&self.doors.connections), self.serial);
        let ended = async move {
            asked_to_end(&mut shutdown).await;
            sleep(farewell_delay(serial, open.open.load(Ordering::Relaxed))).await;
        };
        tokio::pin!(ended);
        let timer = sleep_until(self.deadline());
        tokio::pin!(timer);
        loop {
            let deadline = self.deadline();
            // An earlier alarm only costs a look; moving it at every frame would cost more.
            if deadline < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                () = &mut ended => return SHUTTING_DOWN,
                message = self.ws.next(), if self.read_at.is_none() => {
                    if let Err(end) = self.burst(message) {
                        // What was answered before the end is still told.
                        let _ = self.flush().await;
                        return end;
                    }
                }
                Some(event) = heard.recv() => {
                    self.channels.event(event);
                    while let Ok(event) = heard.try_recv() {
                        self.channels.event(event);
                    }
                }
                Some(letter) = self.reader.recv() => {
                    let mut next = Some(letter);
                    let mut bytes = 0;
                    while let Some(letter) = next {
                        bytes += letter.message.bytes();
                        if let Some(end) = self.forward(letter) {
                            let _ = self.flush().await;
                            return end;
                        }
                        let more = bytes < FORWARD_BYTES_MAX;
                        next = if more { self.reader.try_recv() } else { None };
                    }
                }
                () = &mut timer => {}
            }
            if let Err(end) = self.act_on_time() {
                return end;
            }
            if self.channels.overrun() {
                self.channels.lose_event();
                self.doors.counts.overruns.fetch_add(1, Ordering::Relaxed);
                return End::close(1011, "too slow");
            }
            if let Err(end) = self.flush().await {
                return end;
            }
        }
    }

    /// The client is told that the server goes, and what it has sent before it heard so still comes
    /// in. One that hears of each measurement sends again what it has not heard of: of it, nothing
    /// more is taken.
    async fn hear_out(&mut self) -> End {
        let End::Close { code, why, .. } = SHUTTING_DOWN else { return End::Gone };
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(why) };
        let told = timeout(self.doors.limits.close_deadline, self.ws.close(Some(frame))).await;
        if !matches!(told, Ok(Ok(()))) {
            return End::Gone;
        }
        if self.channels.acknowledges() {
            return End::ClosedByPeer;
        }
        let until = Instant::now() + self.doors.limits.close_deadline;
        let mut left = DISCARD_BYTES_MAX;
        while let Ok(Some(Ok(message))) = timeout_at(until, self.ws.next()).await {
            left = left.saturating_sub(message.len() + 1);
            self.channels.begin_burst(Instant::now());
            let understood = match &message {
                WsMessage::Text(text) => self.channels.text(text).is_ok(),
                WsMessage::Binary(bytes) => self.channels.binary(bytes).is_ok(),
                WsMessage::Close(_) => break,
                _ => true,
            };
            self.channels.hand_over();
            // There is no way to answer.
            let unwritten = self.channels.out.drain(..).count() as u64;
            self.doors.counts.frames_unwritten.fetch_add(unwritten, Ordering::Relaxed);
            if !understood || left == 0 {
                return End::Gone;
            }
        }
        End::ClosedByPeer
    }

    /// The next moment something is due without a word from anybody.
    fn deadline(&self) -> Instant {
        let next = (self.heard_at + self.doors.limits.idle).min(self.ping_at);
        let next = self.channels.config_due().map_or(next, |due| due.min(next));
        self.read_at.map_or(next, |at| at.min(next))
    }

    fn act_on_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if now >= self.heard_at + self.doors.limits.idle {
            return Err(End::close(1002, "idle"));
        }
        if now >= self.ping_at {
            self.ping_count = self.ping_count.wrapping_add(1);
            self.channels.out.push(WsMessage::Ping(self.ping_payload()));
            self.ping_at = now + self.doors.limits.ping_period;
        }
        if self.read_at.is_some_and(|at| now >= at) {
            self.read_at = None;
        }
        self.channels.send_due_configs(now);
        Ok(())
    }

    fn ping_payload(&self) -> Bytes {
        Bytes::copy_from_slice(&self.ping_count.to_be_bytes())
    }

    /// Takes one message and all that are ready behind it, and hands their samples over at once.
    fn burst(&mut self, first: Option<Result<WsMessage, WsError>>) -> Result<(), End> {
        let now = Instant::now();
        self.channels.begin_burst(now);
        self.frames.fill(now);
        let mut next = Some(first);
        let mut outcome = Ok(());
        let mut bytes = 0;
        for taken in 1.. {
            let Some(message) = next else { break };
            let length = message.as_ref().and_then(|m| m.as_ref().ok()).map_or(0, WsMessage::len);
            bytes += length;
            outcome = self.message(message, now);
            if outcome.is_err() {
                break;
            }
            let cost = 1 + length / FRAME_COST_BYTES + self.channels.take_cost();
            if !self.frames.spend(cost as f64) {
                self.read_at = Some(self.frames.ready_at());
                break;
            }
            if taken == BURST_MESSAGE_COUNT_MAX || bytes >= BURST_BYTES_MAX {
                break;
            }
            next = self.ws.next().now_or_never();
        }
        self.channels.hand_over();
        if now >= self.renewed_at + RENEW_PERIOD {
            self.renewed_at = now;
            self.channels.renew_viewers();
        }
        outcome
    }

    fn message(
        &mut self,
        message: Option<Result<WsMessage, WsError>>,
        now: Instant,
    ) -> Result<(), End> {
        let message = match message {
            None => return Err(End::Gone),
            Some(Err(error)) => return Err(End::of(&error)),
            Some(Ok(message)) => message,
        };
        let understood = match &message {
            WsMessage::Text(text) => {
                self.heard_at = now;
                self.channels.text(text)
            }
            WsMessage::Binary(bytes) => {
                self.heard_at = now;
                self.channels.binary(bytes)
            }
            WsMessage::Close(_) => return Err(End::ClosedByPeer),
            WsMessage::Pong(payload) => {
                // Every library answers our pings by itself; that alone is no sign that anybody
                // is at home (the Rust SDK's `disconnect` leaves such a socket behind, H10).
                if *payload != self.ping_payload() {
                    self.heard_at = now;
                }
                return Ok(());
            }
            WsMessage::Ping(_) | WsMessage::Frame(_) => {
                self.heard_at = now;
                return Ok(());
            }
        };
        understood.map_err(|error| {
            tracing::debug!(%error, "socket said what is no message");
            End::close(error.close_code(), "not a message")
        })
    }

    fn forward(&mut self, letter: Letter) -> Option<End> {
        self.written.push((letter.queued, letter.stamps));
        match letter.message {
            Outgoing::Text(text) => self.channels.out.push(text_message(text.into())),
            Outgoing::Binary(bytes) => self.channels.out.push(WsMessage::Binary(bytes)),
            Outgoing::Close(code, why) => return Some(End::close(code, why)),
        }
        None
    }

    /// The client does not read. Should it begin to, it finds out why it was let go.
    fn slow(&self) -> End {
        self.doors.counts.slow.fetch_add(1, Ordering::Relaxed);
        End::close(SLOW_CLOSE_CODE, "slow")
    }

    /// Writes what is ready: many frames, one flush.
    async fn flush(&mut self) -> Result<(), End> {
        if self.channels.out.is_empty() {
            return Ok(());
        }
        let (ws, count) = (&mut self.ws, self.channels.out.len() as u64);
        let write = async {
            for message in self.channels.out.drain(..) {
                ws.feed(message).await?;
            }
            ws.flush().await
        };
        let written = timeout(self.doors.limits.write_deadline, write).await;
        let counts = &self.doors.counts;
        let counted = match written {
            Ok(Ok(())) => &counts.frames_written,
            _ => &counts.frames_unwritten,
        };
        counted.fetch_add(count, Ordering::Relaxed);
        match written {
            Ok(Ok(())) => {
                self.note_written();
                Ok(())
            }
            Ok(Err(WsError::Io(error))) if error.kind() == io::ErrorKind::TimedOut => {
                Err(self.slow())
            }
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(self.slow()),
        }
    }

    /// The kernel has all that was forwarded.
    fn note_written(&mut self) {
        if self.written.is_empty() {
            return;
        }
        let now = time::Instant::now();
        let waited = self
            .written
            .drain(..)
            .map(|(queued, stamps)| self.doors.ages.written(queued, &stamps, now));
        let slowest = waited.max().unwrap_or_default();
        self.reader.written(slowest);
    }
}

/// When a socket hears that the server goes. They do not all come back at once: a few at once, ten
/// thousand within half a second.
fn farewell_delay(serial: u64, open: u64) -> Duration {
    let whole_us = (open * FAREWELL_US).min(FAREWELLS_US_MAX);
    // Fibonacci hashing: neighbours come far apart.
    let within = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_micros((within * whole_us) >> 32)
}

/// A text message whose UTF-8 is our own work and is not looked at again.
pub(crate) fn text_message(bytes: Bytes) -> WsMessage {
    WsMessage::Frame(Frame::message(bytes, OpCode::Data(Data::Text), true))
}

/// Ends the conversation politely, within `limit`.
async fn finish(mut ws: Ws, end: End, limit: Duration) {
    let goodbye = async {
        match end {
            End::Gone => {}
            End::ClosedByPeer => drain(&mut ws).await,
            End::Close { code, why, garbled } => {
                let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(why) };
                if ws.close(Some(frame)).await.is_err() {
                    return;
                }
                if !garbled {
                    drain(&mut ws).await;
                    return;
                }
                // What still comes is thrown away: closing on unread bytes would reset the
                // connection, and the client might never see the code.
                let io = ws.get_mut();
                let _ = io.shutdown().await;
                let mut rest = [0; 4096];
                let mut left = DISCARD_BYTES_MAX;
                while left > 0 {
                    match io.read(&mut rest).await {
                        Ok(count) if count > 0 => left = left.saturating_sub(count),
                        _ => break,
                    }
                }
            }
        }
    };
    let _ = timeout(limit, goodbye).await;
}

/// Reads on until the client closes too, or has said too much.
async fn drain(ws: &mut Ws) {
    let mut left = DISCARD_BYTES_MAX;
    while left > 0
        && let Some(Ok(message)) = ws.next().await
    {
        left = left.saturating_sub(message.len() + 1);
    }
}
