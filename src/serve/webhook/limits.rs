//! What a connection may take of time and memory.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;

/// The largest body. GitHub's own limit is far above; a push that is larger than this is found by the poll.
pub const BODY: usize = 1 << 20;
/// The most that a request's head may have. Every host's is below 4 KiB.
const HEAD: usize = 32 << 10;

/// What a delivery may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a request's head may take, from the moment the connection waits for it.
    pub head: Duration,
    /// How long its body may take.
    pub body: Duration,
    /// How many bodies may be arriving or in memory at once, each of at most [`BODY`] bytes.
    pub places: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            places: 32,
        }
    }
}

impl Limits {
    /// How the listener has to serve connections. A head that does not come closes the connection without
    /// an answer; this also ends those that are kept alive and stay silent.
    #[must_use]
    pub fn connection(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.head)
            .max_buf_size(HEAD);
        builder
    }
}
