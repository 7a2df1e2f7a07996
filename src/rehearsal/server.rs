//! The HTTP server that all stand-ins share.
//!
//! # Flow of one call
//! read to its end, entered in the ledger, told to the observer, struck by an
//! injection or by the weather or else handled, held back for the latency,
//! answered or cut off.
//!
//! # Guarantees
//! - The observer returns before the call has any effect.
//! - A call is handled at most once, and an effect is taken before its latency is
//!   waited out: a client that dies while it waits has been heard.
//! - The latency is kept to a tenth of a millisecond or two, never to the early side:
//!   waits that are short are slept on a thread, since the runtime's timer has a grain
//!   of one millisecond.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderName, HeaderValue, Response, StatusCode},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Call, CallCounts, CallLog, Failure, Handler, Request, Weather,
    calls::Ledger,
    listener::{CuttableListener, Wire},
};

/// Waits above this go to the runtime's timer.
const COARSE: Duration = Duration::from_millis(100);
/// How much earlier a short sleep ends, since waking up takes about as long; what
/// is left is spent yielding.
const LEAD: Duration = Duration::from_micros(400);
/// How long the calls in flight have when the server stops.
const GRACE: Duration = Duration::from_secs(1);
/// Bodies above this are refused with 413.
const LARGEST_BODY: usize = 128 << 20;

/// Why a stand-in did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port of the loopback address could not be bound.
    #[error("could not listen on 127.0.0.1")]
    Bind(#[source] std::io::Error),
}

type Observer = Arc<dyn Fn(&Call) + Send + Sync>;
type Injection = Box<dyn FnMut(&Call) -> Option<Failure> + Send>;

struct Server {
    handler: Arc<dyn Handler>,
    ledger: Mutex<Ledger>,
    weather: Mutex<Weather>,
    observer: Mutex<Option<Observer>>,
    injections: Mutex<Vec<Injection>>,
    closing: CancellationToken,
    cutting: CancellationToken,
}

/// A running server; it stops when this is dropped.
pub struct ServerHandle {
    server: Arc<Server>,
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

/// Serves a stand-in on a port of 127.0.0.1, a free one if none is given.
///
/// # Errors
/// When the port cannot be bound.
pub async fn serve(
    handler: Arc<dyn Handler>,
    weather: Weather,
    port: Option<u16>,
) -> Result<ServerHandle, ServeError> {
    let cutting = CancellationToken::new();
    let (listener, address) = CuttableListener::bind(port, cutting.clone())
        .await
        .map_err(ServeError::Bind)?;
    let server = Arc::new(Server {
        handler,
        ledger: Mutex::default(),
        weather: Mutex::new(weather),
        observer: Mutex::default(),
        injections: Mutex::default(),
        closing: CancellationToken::new(),
        cutting,
    });
    let service = Router::new()
        .fallback(take)
        .with_state(Arc::clone(&server))
        .into_make_service_with_connect_info::<Wire>();
    let closing = server.closing.clone();
    let task = tokio::spawn(async move {
        let serving = axum::serve(listener, service).with_graceful_shutdown(closing.cancelled_owned());
        // The listener retries by itself and never gives up with an error.
        serving.await.ok();
    });
    Ok(ServerHandle {
        server,
        address,
        task: Some(task),
    })
}

impl ServerHandle {
    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many calls of each kind came in so far.
    #[must_use]
    pub fn counts(&self) -> CallCounts {
        lock(&self.server.ledger).counts()
    }

    /// The calls that are over, in the order in which they ended.
    #[must_use]
    pub fn log(&self) -> Vec<CallLog> {
        lock(&self.server.ledger).log()
    }

    /// Starts counting anew. Call it while nothing is in flight.
    pub fn reset_counts(&self) {
        lock(&self.server.ledger).reset();
    }

    /// The weather as it is now.
    #[must_use]
    pub fn weather(&self) -> Weather {
        *lock(&self.server.weather)
    }

    /// Changes the weather for the calls to come.
    pub fn set_weather(&self, weather: Weather) {
        *lock(&self.server.weather) = weather;
    }

    /// Tells `observer` of every call before it is handled, in place of the
    /// observer before it.
    pub fn on_call(&self, observer: impl Fn(&Call) + Send + Sync + 'static) {
        *lock(&self.server.observer) = Some(Arc::new(observer));
    }

    /// Asks `injection` for every call whether and how it fails. Injections are
    /// asked in the order in which they were added, before the weather.
    pub fn inject(&self, injection: impl FnMut(&Call) -> Option<Failure> + Send + 'static) {
        lock(&self.server.injections).push(Box::new(injection));
    }

    /// Makes the call with this [`Call::number`] fail.
    pub fn inject_nth(&self, number: u64, failure: Failure) {
        self.inject(move |call| (call.number == number).then_some(failure));
    }

    /// Removes all injections and the observer.
    pub fn clear_injections(&self) {
        lock(&self.server.injections).clear();
        *lock(&self.server.observer) = None;
    }

    /// Stops listening and closes what is open: connections without a call and calls
    /// that hang at once, the others after their answer or, when that is longer than
    /// a second in coming, without one.
    pub async fn stop(mut self) {
        self.server.closing.cancel();
        let Some(mut task) = self.task.take() else { return };
        // A panic of the serving task has been reported by the runtime already.
        if tokio::time::timeout(GRACE, &mut task).await.is_err() {
            self.server.cutting.cancel();
            task.await.ok();
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.server.closing.cancel();
    }
}

/// A poisoned lock only says that an observer panicked; the books are still good.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(
    State(server): State<Arc<Server>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: axum::extract::Request,
) -> Response<Body> {
    let arrival = Instant::now();
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return render(Answer::new(413));
    };
    let request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.to_vec(),
    };
    let mut open = OpenCall::enter(&server, &request);
    let call = &open.call;
    let observer = lock(&server.observer).clone();
    if let Some(observer) = observer {
        observer(call);
    }
    let weather = *lock(&server.weather);
    let failure = lock(&server.injections)
        .iter_mut()
        .find_map(|injection| injection(call))
        .or_else(|| weather.strike(&call.method, &call.subject, call.nth));

    let answer = match failure {
        None => Some(server.handler.answer(&request)),
        Some(failure) => {
            lock(&server.ledger).strike();
            if failure.takes_effect() {
                server.handler.answer(&request);
            }
            failure.status().map(|status| refusal(&server, &request, status))
        }
    };
    let delay = answer.as_ref().map_or(Duration::ZERO, |answer| answer.delay);
    // A delay counts from the effect: what it waits for, as the end of a lock, must be over.
    wait_until((arrival + weather.latency).max(Instant::now() + delay)).await;
    if let Some(answer) = answer {
        open.status = Some(answer.status);
        return render(answer);
    }
    if failure == Some(Failure::Hang) {
        // The library drops this future when the client hangs up.
        server.closing.cancelled().await;
    }
    drop(open);
    wire.cut();
    std::future::pending().await
}

fn refusal(server: &Server, request: &Request, status: u16) -> Answer {
    let answer = server.handler.refusal(request, status);
    if status == 429 {
        answer.header("retry-after", "1")
    } else {
        answer
    }
}

/// A call in flight; dropping it closes it, also when the client hangs up first.
struct OpenCall<'a> {
    server: &'a Server,
    call: Call,
    status: Option<u16>,
}

impl<'a> OpenCall<'a> {
    fn enter(server: &'a Server, request: &Request) -> Self {
        let call = lock(&server.ledger).open(server.handler.as_ref(), request);
        Self {
            server,
            call,
            status: None,
        }
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        lock(&self.server.ledger).close(self.call.clone(), self.status);
    }
}

async fn wait_until(moment: Instant) {
    let left = moment.saturating_duration_since(Instant::now());
    if left > COARSE {
        tokio::time::sleep(left).await;
    } else if left > LEAD {
        // Fails only when the runtime is going down, and then nobody waits.
        tokio::task::spawn_blocking(move || std::thread::sleep(left.saturating_sub(LEAD)))
            .await
            .ok();
    }
    while Instant::now() < moment {
        tokio::task::yield_now().await;
    }
}

fn render(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
    for (name, value) in answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.replace(['\r', '\n'], " ").as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
