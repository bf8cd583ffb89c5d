//! One server hands its listening socket to the next (`serve --take-over`): whoever connects waits in it
//! while the one ends and the other opens. What systemd's socket activation does, for where nobody
//! holds the socket for both.
//!
//! In the data folder lies a Unix socket, for its owner alone. Whoever comes there gets the listening
//! socket (`SCM_RIGHTS`); when they say that they take it, the server that had it ends as on SIGTERM.
//! Until then nothing has changed.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::listen::asked_to_end;

const FILE: &str = "hand-over";

/// How long either waits for the other's next word.
const PATIENCE: Duration = Duration::from_secs(5);

/// Before the next is heard when one could not be.
const PAUSE: Duration = Duration::from_millis(250);

/// What is said: beside the socket, and that it is taken.
const HERE: u8 = b'H';
const TAKEN: u8 = b'T';

/// Of a server that may be taken over.
#[derive(Debug)]
pub struct HandOver {
    socket: OwnedFd,
    door: UnixListener,
    path: PathBuf,
    taken: watch::Sender<bool>,
}

impl HandOver {
    /// Whoever comes to this folder may have this socket. The folder is ours alone.
    ///
    /// # Errors
    /// There can be no Unix socket there: its path is longer than 107 bytes, say.
    pub fn new(folder: &Path, socket: OwnedFd) -> io::Result<Arc<Self>> {
        let path = folder.join(FILE);
        // Of a server that was killed.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let door = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Arc::new(Self { socket, door, path, taken: watch::Sender::new(false) }))
    }

    /// Until the server ends.
    pub async fn keep_offering(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        loop {
            let come = tokio::select! {
                come = self.door.accept() => come,
                () = asked_to_end(&mut shutdown) => return,
            };
            let outcome = match come {
                Ok((stream, _)) => timeout(PATIENCE, self.offer(stream)).await,
                Err(error) => {
                    tokio::time::sleep(PAUSE).await;
                    Ok(Err(error))
                }
            };
            match outcome {
                Ok(Ok(())) => {
                    tracing::info!("another server takes over");
                    self.taken.send_replace(true);
                }
                Ok(Err(error)) => tracing::warn!(%error, "nobody has taken over"),
                Err(_) => tracing::warn!("nobody has taken over: they said no more"),
            }
        }
    }

    /// Gives it to one, who says that they take it.
    async fn offer(&self, mut stream: UnixStream) -> io::Result<()> {
        let uid = stream.peer_cred()?.uid();
        if uid != 0 && uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!("user {uid} may not")));
        }
        let give = || {
            let sockets = [self.socket.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            beside.push(SendAncillaryMessage::ScmRights(&sockets));
            sendmsg(&stream, &[IoSlice::new(&[HERE])], &mut beside, SendFlags::NOSIGNAL)?;
            Ok(())
        };
        stream.async_io(Interest::WRITABLE, give).await?;
        match stream.read_u8().await? {
            TAKEN => Ok(()),
            other => Err(io::Error::other(format!("{other:#04x} is no answer"))),
        }
    }

    /// When another server has taken over.
    pub fn taken(&self) -> watch::Receiver<bool> {
        self.taken.subscribe()
    }

    /// Nobody comes here any more.
    pub fn end(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "it lies there still");
        }
    }
}

/// The listening socket of the server that has this folder, which ends by this; `None`: there is none.
///
/// # Errors
/// A sentence. That server goes on.
pub fn take(folder: &Path, wanted: SocketAddr) -> Result<Option<TcpListener>, String> {
    let path = folder.join(FILE);
    let mut stream = match std::os::unix::net::UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]
                .contains(&error.kind()) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let say =
        |error: io::Error| format!("the server in {} gives nothing: {error}", folder.display());
    let listener = receive(&mut stream).map_err(say)?;
    let there = listener.local_addr().map_err(say)?;
    if wanted.port() != 0 && wanted != there {
        return Err(format!(
            "the server in {} listens on {there}, and this one is to listen on {wanted}: say \
             `--listen {there}`, or end the other first",
            folder.display()
        ));
    }
    listener.set_nonblocking(true).map_err(say)?;
    stream.write_all(&[TAKEN]).map_err(say)?;
    // It says no more, and ends: whether it was heard, the folder's lock will tell.
    Ok(Some(listener))
}

fn receive(stream: &mut std::os::unix::net::UnixStream) -> io::Result<TcpListener> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut word = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(&*stream, &mut [IoSliceMut::new(&mut word)], &mut beside, flags)?;
    let sockets = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    match sockets.flatten().last() {
        Some(socket) if word == [HERE] => Ok(TcpListener::from(socket)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
