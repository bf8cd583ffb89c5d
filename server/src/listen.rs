//! The accept loop: how many may be connected, how long they may take, and what is no request
//! (`reference/reliability.md` T14, T15, T16).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::middleware::AddExtension;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};
use tower::Layer;

use crate::address::{Address, AddressLimits, AddressSeat, Addresses};

/// Bytes of one request's head, and of hyper's read buffer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Connections the kernel may hold for us to accept.
const BACKLOG: u32 = 1024;

/// What the kernel keeps for a peer in each direction. By itself it would grow to 4 MB and more: two
/// hundred viewers that read nothing took 800 MB, and kept it after they were let go. At a distance
/// of 100 ms this still carries 2.5 MB/s.
const KERNEL_BUFFER_BYTES: u32 = 256 * 1024;

/// Pause after an accept that failed for want of descriptors: they come back as others leave.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Failed accepts are told at most this often; all are counted.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct ListenLimits {
    pub connection_count_max: usize,
    pub connection_count_per_address_max: usize,
    /// What may be done from one address on all its connections.
    pub address: AddressLimits,
    /// A request's head must be complete within this time, and the next begin.
    pub head_deadline: Duration,
    /// A peer that takes none of what we write for so long is dropped.
    pub write_deadline: Duration,
    /// Time that a shutdown leaves to what is under way; who comes back waits no longer than this for
    /// one who does not answer.
    pub drain: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            connection_count_max: 16_384,
            // A fleet behind one address, or a load test, is ordinary here.
            connection_count_per_address_max: 8_192,
            address: AddressLimits::default(),
            head_deadline: Duration::from_secs(5),
            write_deadline: Duration::from_secs(10),
            drain: Duration::from_secs(1),
        }
    }
}

/// What happens at the door.
#[derive(Debug, Default)]
pub struct DoorCounts {
    pub accepted: AtomicU64,
    /// Turned away without a word: too many connections, in all or from one address.
    pub turned_away: AtomicU64,
    /// The machine had no descriptor, or no memory, to accept with.
    pub failed: AtomicU64,
    /// Connections that are open.
    pub open: AtomicU64,
    /// Addresses that are remembered.
    pub addresses: AtomicU64,
    /// Addresses that made room for others before their rates were forgotten anyway.
    pub addresses_forgotten: AtomicU64,
}

/// Who is at the other end, as an extension of each request. Not what its headers say.
#[derive(Debug, Clone)]
pub struct Peer(pub Arc<Address>);

/// Binds with SO_REUSEADDR, so that a restart does not wait for the last run's connections.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Inherited by what is accepted. The kernel doubles them.
    socket.set_send_buffer_size(KERNEL_BUFFER_BYTES)?;
    socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The listening socket that whoever started us holds for us (`LISTEN_FDS`), if it does: connections
/// wait in it while one server ends and the next begins. Call it once, before there are other threads.
///
/// # Errors
/// What is held for us is no TCP socket that listens.
pub fn inherited() -> io::Result<Option<std::net::TcpListener>> {
    let Some(listener) = listenfd::ListenFd::from_env().take_tcp_listener(0)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    let socket = socket2::SockRef::from(&listener);
    socket.set_send_buffer_size(KERNEL_BUFFER_BYTES as usize)?;
    socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES as usize)?;
    Ok(Some(listener))
}

/// Accepts until `shutdown` turns true, then gives what is under way `drain` to end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ListenLimits,
    counts: Arc<DoorCounts>,
    shutdown: watch::Receiver<bool>,
) {
    let mut complained = None;
    let places = Arc::new(Semaphore::new(limits.connection_count_max));
    let addresses = Addresses::new(limits.address, tokio::time::Instant::now());
    let mut down = shutdown.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = asked_to_end(&mut down) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                // Twenty times a second for as long as it lasts would bury what else there is.
                if complained.is_none_or(|at: Instant| at.elapsed() > COMPLAINT_PERIOD) {
                    complained = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept");
                }
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        // Beyond the limits, the cheapest answer is none.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            counts.turned_away.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%peer, "too many connections");
            continue;
        };
        let most = limits.connection_count_per_address_max;
        let seat = addresses.take(peer.ip(), most, tokio::time::Instant::now());
        counts.addresses.store(addresses.count() as u64, Ordering::Relaxed);
        counts.addresses_forgotten.store(addresses.forgotten(), Ordering::Relaxed);
        let Some(seat) = seat else {
            counts.turned_away.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%peer, "too many connections from this address");
            continue;
        };
        // Without it words come later; no reason to turn anybody away.
        let _ = stream.set_nodelay(true);
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        counts.open.fetch_add(1, Ordering::Relaxed);
        let router = Extension(Peer(Arc::clone(seat.address()))).layer(router.clone());
        let connection = Connection {
            counts: Arc::clone(&counts),
            stream,
            write_deadline: limits.write_deadline,
            stalled: None,
            stuck: false,
            scan: Scan::default(),
            _held: (place, seat),
        };
        tokio::spawn(converse(connection, router, limits.clone(), shutdown.clone()));
    }
    drop(listener);
    let all = limits.connection_count_max as u32;
    if timeout(limits.drain, places.acquire_many(all)).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

/// Returns once the server is to end.
pub(crate) async fn asked_to_end(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the one who would ask is gone, which is an end as well.
    let _ = shutdown.wait_for(|down| *down).await;
}

async fn converse(
    connection: Connection,
    router: AddExtension<Router, Peer>,
    limits: ListenLimits,
    mut shutdown: watch::Receiver<bool>,
) {
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_deadline)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router))
        .with_upgrades();
    tokio::pin!(conversation);
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = asked_to_end(&mut shutdown) => {
            conversation.as_mut().graceful_shutdown();
            match timeout(limits.drain, conversation).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ends");
    }
}

/// One accepted connection. Holds its place in the counts until it is gone, whoever holds it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    write_deadline: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// It has taken nothing for the write deadline, and nothing since.
    stuck: bool,
    scan: Scan,
    counts: Arc<DoorCounts>,
    _held: (OwnedSemaphorePermit, AddressSeat),
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.stuck || self.stalled.is_some() {
            // What it did not take would be the kernel's to keep, for minutes. No matter if not.
            let _ = self.stream.set_zero_linger();
        }
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Passes on what the stream said to a write, unless it has stalled for too long.
    fn watch_stall<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            self.stuck = false;
            return written;
        }
        let deadline = self.write_deadline;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(deadline)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => {
                // Whoever would still say why, has as long again.
                self.stalled = None;
                self.stuck = true;
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if !matches!(this.scan, Scan::Pass)
            && matches!(read, Poll::Ready(Ok(())))
            && let Err(Malformed) = this.scan.take(&buf.filled()[before..])
        {
            // hyper answers what it cannot parse with 400 and closes; let it do so here too.
            buf.filled_mut()[before..].fill(0);
            this.scan = Scan::Pass;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch_stall(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch_stall(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Looks over the heads of requests as they come, for what hyper lets pass and a proxy may read
/// differently: a bare LF, both a length and an encoding, no Host or several.
#[derive(Debug)]
enum Scan {
    /// Within a head; its bytes so far.
    Head(Vec<u8>),
    /// A body or a WebSocket follows; no further head comes on this connection
    /// (`http` closes it behind the answer).
    Pass,
}

impl Default for Scan {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Malformed;

impl Scan {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        for &byte in bytes {
            let Self::Head(head) = self else { return Ok(()) };
            if byte == b'\n' && head.last() != Some(&b'\r') {
                return Err(Malformed);
            }
            head.push(byte);
            if head == b"\r\n" {
                head.clear();
            } else if head.ends_with(b"\r\n\r\n") {
                if check_head(head)? {
                    *self = Self::Pass;
                } else {
                    head.clear();
                }
            } else if head.len() > HEAD_BYTES_MAX {
                // hyper refuses it for its size.
                *self = Self::Pass;
            }
        }
        Ok(())
    }
}

/// Whether something other than a further head follows.
fn check_head(head: &[u8]) -> Result<bool, Malformed> {
    let mut lines =
        head.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let request_line = lines.next().unwrap_or_default();
    let (mut hosts, mut length, mut encoding, mut upgrade) = (0, false, false, false);
    for line in lines {
        let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
        match line[..colon].to_ascii_lowercase().as_slice() {
            b"host" => hosts += 1,
            b"content-length" => length = true,
            b"transfer-encoding" => encoding = true,
            b"upgrade" => upgrade = true,
            _ => {}
        }
    }
    let host_needed = request_line.ends_with(b"HTTP/1.1");
    if (length && encoding) || hosts > 1 || (host_needed && hosts == 0) {
        return Err(Malformed);
    }
    Ok(length || encoding || upgrade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(parts: &[&str]) -> Result<bool, Malformed> {
        let mut scan = Scan::default();
        for part in parts {
            scan.take(part.as_bytes())?;
        }
        Ok(matches!(scan, Scan::Pass))
    }

    #[test]
    fn what_two_readers_could_read_differently_is_malformed() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
        ] {
            assert_eq!(scan(&[head]), Err(Malformed), "{head:?}");
            let bytes: Vec<String> = head.chars().map(String::from).collect();
            assert_eq!(scan(&bytes.iter().map(String::as_str).collect::<Vec<_>>()), Err(Malformed));
        }
    }

    #[test]
    fn ordinary_requests_pass_one_behind_the_other() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(scan(&[get, get]), Ok(false));
        assert_eq!(scan(&[get, "\r\n", get]), Ok(false));
        assert_eq!(scan(&[get, "GET / HTTP/1.1\r\n\r\n"]), Err(Malformed));
        assert_eq!(scan(&["GET / HTTP/1.0\r\n\r\n"]), Ok(false));
        assert_eq!(
            scan(&["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", "\n\n"]),
            Ok(true)
        );
        assert_eq!(
            scan(&["GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "\n"]),
            Ok(true)
        );
    }
}
