//! How bytes get to a remote's git and back.
//!
//! libgit2 speaks git's protocol; what it is spoken over is ours, so that TLS, proxies and time limits
//! are those of every other call, and no OpenSSL is needed. libgit2 knows transports by the URL's
//! scheme, process-wide; ours finds what it needs in the thread that fetches.

mod http;
#[cfg(feature = "ssh")]
mod ssh;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use git2::Direction;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::advertisement::{Head, heads};
use super::fetch_error::{Cause, FetchError};
use super::location::RemoteUrl;
use crate::run::meter::Meter;

/// A secret, or the file that holds it. A file is read for each fetch, so that it can be changed.
#[derive(Debug, Clone)]
pub enum Secret {
    /// The secret.
    Text(SecretString),
    /// Its file; the line's end is not part of it.
    File(PathBuf),
}

impl Secret {
    fn read(&self, what: &str) -> Result<SecretString, FetchError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => {
                let unusable = |source: Cause| FetchError::Setting {
                    what: format!("{what} {}", path.display()),
                    source,
                };
                let text = std::fs::read_to_string(path).map_err(|error| unusable(error.into()))?;
                let secret = text.trim_end_matches(['\r', '\n']);
                if secret.is_empty() {
                    return Err(unusable("it is empty".into()));
                }
                Ok(SecretString::from(secret))
            }
        }
    }
}

/// How a remote is fetched from.
#[derive(Debug, Clone, Default)]
pub struct RemoteSettings {
    /// Who signs in with the password; else the URL's user, else `git`.
    pub username: Option<String>,
    /// A password, or the token that stands for one.
    pub password: Option<Secret>,
    /// A token for hosts that take none as a password.
    pub token: Option<Secret>,
    /// PEM of a certificate authority to trust beside the system's.
    pub ca: Option<Vec<u8>>,
    /// The private key for ssh.
    pub ssh_key: Option<PathBuf>,
    /// The keys that ssh hosts have.
    pub known_hosts: Option<PathBuf>,
    /// How long a fetch may take in all.
    pub timeout: Duration,
    /// How many bytes a fetch may bring.
    pub limit: u64,
}

/// One fetch's way to the remote.
pub(super) struct Line {
    wire: Arc<dyn Wire>,
    limit: u64,
    received: AtomicU64,
    /// The remote's first answer: what it has.
    advertisement: Mutex<Vec<u8>>,
    /// Why it broke; libgit2 would keep a sentence of it only.
    failure: Mutex<Option<FetchError>>,
}

/// What git's protocol is spoken over.
trait Wire: Send + Sync {
    /// Whether each request stands alone, as over HTTP.
    fn is_stateless(&self) -> bool;
    /// Tells logins apart; none where a guess costs nothing.
    fn login(&self) -> Option<u64>;
    /// Begins to ask for the references, or for objects.
    fn begin(self: Arc<Self>, service: Service) -> Result<Box<dyn Exchange>, FetchError>;
}

/// A request and its answer.
trait Exchange: Send {
    fn send(&mut self, bytes: &[u8]) -> Result<(), FetchError>;
    /// Fills some of the buffer; nothing more comes once it answers 0.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError>;
}

/// Waits for what the runtime does, as long as the fetch may take.
#[derive(Clone)]
struct Patience {
    runtime: Handle,
    limit: Duration,
    end: Instant,
    stop: CancellationToken,
}

impl Patience {
    fn wait<T>(&self, future: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        let end = tokio::time::Instant::from_std(self.end);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(FetchError::Stopped),
                answer = future => answer,
                () = tokio::time::sleep_until(end) => Err(FetchError::TooSlow { limit: self.limit }),
            }
        })
    }
}

impl Line {
    /// What libgit2 is told to talk to. The wire knows where it leads; a name of no host keeps the user's git
    /// configuration (`url.….insteadOf`) from sending it elsewhere.
    pub(super) const URL: &str = "harborage://remote/";

    /// Makes ready to ask; nothing is sent yet.
    pub(super) fn new(
        url: &RemoteUrl,
        settings: &RemoteSettings,
        runtime: &Handle,
        stop: &CancellationToken,
        meter: &Arc<dyn Meter>,
    ) -> Result<Arc<Self>, FetchError> {
        let patience = Patience {
            stop: stop.clone(),
            runtime: runtime.clone(),
            limit: settings.timeout,
            end: Instant::now() + settings.timeout,
        };
        let wire: Arc<dyn Wire> = if url.is_ssh() {
            ssh_wire(url, settings, patience, meter.clone())?
        } else {
            Arc::new(http::HttpWire::new(url, settings, patience, meter.clone())?)
        };
        Ok(Arc::new(Self {
            wire,
            limit: settings.limit,
            received: AtomicU64::new(0),
            advertisement: Mutex::default(),
            failure: Mutex::default(),
        }))
    }

    /// Tells logins apart; none where a guess costs nothing.
    pub(super) fn login(&self) -> Option<u64> {
        self.wire.login()
    }

    /// Connects, and answers what the remote has.
    pub(super) fn advertised(
        self: &Arc<Self>,
        remote: &mut git2::Remote<'_>,
    ) -> Result<Vec<Head>, FetchError> {
        self.talk(|| remote.connect(Direction::Fetch))?;
        let answer = std::mem::take(&mut *self.advertisement.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(heads(&answer))
    }

    /// Has libgit2 talk over this line while `work` runs on this thread. Where it failed because of the
    /// line, that is the error.
    pub(super) fn talk<T>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T, git2::Error>,
    ) -> Result<T, FetchError> {
        register()?;
        let _current = Current::set(self);
        work().map_err(|error| {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            failure.unwrap_or(FetchError::Protocol(error))
        })
    }

    /// Keeps why it broke, and tells libgit2 that it did. It is not told why: a byte of zero in what a remote said
    /// would end the process there.
    fn broke(&self, error: FetchError) -> io::Error {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::other(BROKEN)
    }
}

#[cfg(feature = "ssh")]
fn ssh_wire(
    url: &RemoteUrl,
    settings: &RemoteSettings,
    patience: Patience,
    meter: Arc<dyn Meter>,
) -> Result<Arc<dyn Wire>, FetchError> {
    Ok(Arc::new(ssh::SshWire::new(url, settings, patience, meter)?))
}

#[cfg(not(feature = "ssh"))]
fn ssh_wire(
    _: &RemoteUrl,
    _: &RemoteSettings,
    _: Patience,
    _: Arc<dyn Meter>,
) -> Result<Arc<dyn Wire>, FetchError> {
    Err(FetchError::NoSsh)
}

thread_local! {
    /// The line of the fetch that this thread makes.
    static CURRENT: RefCell<Option<Arc<Line>>> = const { RefCell::new(None) };
}

/// While this lives, libgit2's transports of this thread use a line.
struct Current;

impl Current {
    fn set(line: &Arc<Line>) -> Self {
        CURRENT.set(Some(line.clone()));
        Self
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

const SCHEME: &str = "harborage";
/// All that libgit2 is told of a line that broke.
const BROKEN: &str = "the line broke";
/// The references of a remote take no more than this; they are kept in memory.
const ADVERTISEMENT: usize = 64 << 20;

/// Tells libgit2 of our transport.
fn register() -> Result<(), FetchError> {
    static REGISTERED: Once = Once::new();
    static REFUSED: Mutex<Option<String>> = Mutex::new(None);
    REGISTERED.call_once(|| {
        #[expect(
            unsafe_code,
            reason = "libgit2 keeps its transports in a list without a lock; this runs once, before the first fetch"
        )]
        // SAFETY: nothing else registers or looks up a transport before this has run: every
        // connection of this program is made inside `Line::talk`, which calls this first.
        let registered = unsafe { git2::transport::register(SCHEME, transport) };
        if let Err(error) = registered {
            *REFUSED.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
    });
    match &*REFUSED.lock().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some(message) => Err(FetchError::Protocol(git2::Error::from_str(message))),
    }
}

fn transport(remote: &git2::Remote<'_>) -> Result<Transport, git2::Error> {
    let line = CURRENT
        .with_borrow(Clone::clone)
        .ok_or_else(|| git2::Error::from_str("nothing may be fetched outside of a line"))?;
    Transport::smart(remote, line.wire.is_stateless(), Subtransport(line))
}

struct Subtransport(Arc<Line>);

impl SmartSubtransport for Subtransport {
    fn action(&self, _: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let line = &self.0;
        match line.wire.clone().begin(service) {
            Ok(exchange) => Ok(Box::new(Metered {
                line: line.clone(),
                exchange,
                is_advertisement: matches!(service, Service::UploadPackLs),
            })),
            Err(error) => {
                line.broke(error);
                Err(git2::Error::from_str(BROKEN))
            }
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// An exchange that does not take more than it may.
struct Metered {
    line: Arc<Line>,
    exchange: Box<dyn Exchange>,
    /// Until something is sent, what comes is the remote's list of what it has.
    is_advertisement: bool,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self
            .exchange
            .receive(buffer)
            .map_err(|error| self.line.broke(error))?;
        let received = self.line.received.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        let limit = self.line.limit;
        if received > limit {
            return Err(self.line.broke(FetchError::TooLarge { limit }));
        }
        if self.is_advertisement {
            let mut kept = self
                .line
                .advertisement
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if kept.len() + count > ADVERTISEMENT {
                let limit = ADVERTISEMENT as u64;
                return Err(self.line.broke(FetchError::TooLarge { limit }));
            }
            kept.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

impl Write for Metered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_advertisement = false;
        self.exchange
            .send(bytes)
            .map_err(|error| self.line.broke(error))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Copies what fits out of what has come, and keeps the rest.
fn hand_out(come: &mut bytes::Bytes, buffer: &mut [u8]) -> usize {
    let count = come.len().min(buffer.len());
    buffer[..count].copy_from_slice(&come.split_to(count));
    count
}

fn unreachable(error: impl Into<Cause>) -> FetchError {
    FetchError::Unreachable(error.into())
}
