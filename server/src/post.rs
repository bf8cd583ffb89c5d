//! Mail to people: links to sign in with, by way of somebody's mail server (SMTP, RFC 5321).
//!
//! Sent beside everything else, a bounded number at once; before the mail server is a
//! [breaker](crate::breaker).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::breaker::{Breaker, State};
use crate::metrics::Page;

/// Mails that are on their way at once; more are refused.
pub const SENDING_COUNT_MAX: usize = 32;

/// A mail server that is silent for longer is not there.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where mail goes, by whom, and where its links lead.
#[derive(Clone)]
pub struct PostConfig {
    /// `smtp://[user:password@]host[:port][?tls=required]` or `smtps://...`.
    pub server: Box<str>,
    pub from: Mailbox,
    /// The page's address as people know it, without a slash at its end.
    pub public_url: Box<str>,
}

impl fmt::Debug for PostConfig {
    /// Without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostConfig({} from {})", self.public_url, self.from)
    }
}

impl PostConfig {
    /// Checked here, so that what is wrong is found at the start.
    ///
    /// # Errors
    /// What is wrong with the server's address; it is not repeated, as a password may be in it.
    pub fn check(&self) -> Result<(), String> {
        transport(&self.server).map(drop)
    }
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

fn transport(server: &str) -> Result<Transport, String> {
    let expected = "expected smtp://[user:password@]host[:port] or smtps://...";
    let builder = Transport::from_url(server).map_err(|_| expected.to_owned())?;
    Ok(builder.timeout(Some(PATIENCE)).build())
}

/// What has become of mails.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Sent,
    Failed,
    /// Too many were on their way, or the mail server was left in peace.
    Refused,
}

const OUTCOMES: [&str; 3] = ["sent", "failed", "refused"];

/// See the module.
pub struct Post {
    config: PostConfig,
    transport: Transport,
    sending: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
    /// By [`OUTCOMES`].
    counts: [AtomicU64; OUTCOMES.len()],
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.config, f)
    }
}

impl Post {
    /// # Errors
    /// See [`PostConfig::check`].
    pub fn new(config: PostConfig) -> Result<Arc<Self>, String> {
        let transport = transport(&config.server)?;
        let sending = Arc::new(Semaphore::new(SENDING_COUNT_MAX));
        let (breaker, counts) = Default::default();
        Ok(Arc::new(Self { config, transport, sending, breaker, counts }))
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, outcome: Outcome) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Whether mail is sent at all now: asked before it is known to whom, so that the answer tells
    /// nothing of them.
    pub fn is_open(&self) -> bool {
        self.breaker().would_pass(Instant::now()) && self.sending.available_permits() > 0
    }

    /// A link that signs its reader in is on its way, or counted as one that is not.
    pub fn send_link(self: &Arc<Self>, to: &str, token: &str, minutes: u64) {
        let Ok(to) = to.parse().map(|address| Mailbox::new(None, address)) else {
            return self.count(Outcome::Refused);
        };
        let url = format!("{}/#/enter/{token}", self.config.public_url);
        let text = format!(
            "Hello,\n\nthis link signs you in, once and within {minutes} minutes:\n\n{url}\n\n\
             If you have not asked for it, there is nothing to be done.\n"
        );
        let message = Message::builder()
            .from(self.config.from.clone())
            .to(to)
            .subject("Your link to sign in to Sensocto")
            .header(ContentType::TEXT_PLAIN)
            .body(text);
        let permit = Arc::clone(&self.sending).try_acquire_owned();
        let (Ok(message), Ok(permit)) = (message, permit) else {
            return self.count(Outcome::Refused);
        };
        if self.breaker().pass(Instant::now()).is_err() {
            return self.count(Outcome::Refused);
        }
        let post = Arc::clone(self);
        tokio::spawn(async move {
            let sent = timeout(PATIENCE, post.transport.send(message)).await;
            let problem = match sent {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the mail server does not answer".to_owned()),
            };
            match problem {
                None => {
                    post.breaker().succeed();
                    post.count(Outcome::Sent);
                }
                Some(problem) => {
                    post.breaker().fail(Instant::now());
                    post.count(Outcome::Failed);
                    tracing::error!(problem, "a mail was not sent");
                }
            }
            drop(permit);
        });
    }
}

/// Its part of `/metrics`.
pub(crate) fn measure(page: &mut Page, post: &Post) {
    page.head("mails_total", "counter", "Mails by what became of them.");
    for (name, count) in OUTCOMES.iter().zip(&post.counts) {
        page.sample("mails_total", &[("outcome", name)], count.load(Ordering::Relaxed));
    }
    let is_open = u8::from(matches!(post.breaker().state(), State::Open { .. }));
    page.gauge("mail_breaker_open", "Whether the mail server is left in peace: 1 or 0.", is_open);
}
