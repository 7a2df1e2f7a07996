//! One call to Harbor: the budgets, and who we are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use super::HarborSettings;
use super::answer::{Answer, receive};
use super::failure::{strange, unfit};
use super::session::{Door, Pass, cookie};
use crate::run::meter::{Meter, unmetered};
use crate::run::target::{ErrorClass, TargetError};

/// A Harbor that is talked to.
pub struct HarborClient {
    pub(super) wire: Wire,
    door: Door,
    writes: Semaphore,
    reads: Semaphore,
    /// Whether Harbor said last that it refuses every write.
    pub(super) read_only: AtomicBool,
    /// Whether somebody was warned that this version is not one that was tried.
    pub(super) warned: AtomicBool,
}

/// Where Harbor is, and what a request to it looks like.
pub(super) struct Wire {
    client: reqwest::Client,
    base: Url,
    origin: HeaderValue,
    pub(super) username: String,
    pub(super) password: SecretString,
    pub(super) lockout: Duration,
    pub(super) meter: Arc<dyn Meter>,
}

/// A call: what it is for, and what is sent.
pub(super) struct Call<'a> {
    /// The act and its object, as an infinitive.
    pub(super) act: String,
    pub(super) method: Method,
    /// Path segments below `/api/v2.0`.
    pub(super) path: &'a [&'a str],
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// What the body holds that nobody may see: taken out of whatever an error quotes.
    pub(super) secret: Option<&'a SecretString>,
    /// Whether the second segment is a project's name: an all-digit one would be taken for an id otherwise.
    pub(super) by_name: bool,
}

impl HarborClient {
    /// Makes a client. Nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is none, or the certificate authority can't be read.
    pub fn new(settings: HarborSettings) -> Result<Self, TargetError> {
        const ACT: &str = "be reached";
        crate::edge::tls::install_crypto_provider();
        let text = settings.url.trim_end_matches('/').trim_end_matches("/api/v2.0");
        // The text is not quoted when it may hold a password.
        let base = Url::parse(text).map_err(|_| unfit(ACT, "its URL can't be read (harbor-url)"))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(unfit(ACT, "its URL must not hold a login (harbor-url)"));
        }
        if !matches!(base.scheme(), "http" | "https") || base.query().is_some() || base.fragment().is_some() {
            return Err(unfit(
                ACT,
                format!("{base} is no plain http or https URL (harbor-url)"),
            ));
        }
        let origin = HeaderValue::from_str(&base.origin().ascii_serialization())
            .map_err(|_| unfit(ACT, "its URL can't be sent as a header (harbor-url)"))?;
        let mut builder = reqwest::Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            // A redirect leads to a login page or a proxy, never to an answer.
            .redirect(reqwest::redirect::Policy::none())
            // Shorter than a proxy's: a write on a connection that was just closed is a write whose fate is unknown.
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("harborage/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &settings.ca {
            let certificate = reqwest::Certificate::from_pem(pem).map_err(|_| {
                unfit(
                    ACT,
                    "its certificate authority is no PEM certificate (harbor-ca-file)",
                )
            })?;
            builder = builder.tls_certs_merge([certificate]);
        }
        let client = builder.build().map_err(|error| TargetError {
            source: Some(error.into()),
            ..unfit(ACT, "the HTTP client can't be set up")
        })?;
        let wire = Wire {
            client,
            base,
            origin,
            username: settings.username,
            password: settings.password,
            lockout: settings.lockout,
            meter: unmetered(),
        };
        Ok(Self {
            wire,
            door: Door::default(),
            writes: Semaphore::new(settings.writes.max(1)),
            reads: Semaphore::new(settings.reads.max(1)),
            read_only: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        })
    }

    /// Tells calls to a meter.
    #[must_use]
    pub fn metered(mut self, meter: Arc<dyn Meter>) -> Self {
        self.wire.meter = meter;
        self
    }

    /// Reads something.
    pub(super) async fn get(
        &self,
        act: impl Into<String>,
        path: &[&str],
        query: Vec<(&'static str, String)>,
    ) -> Result<Answer, TargetError> {
        let call = Call {
            act: act.into(),
            method: Method::GET,
            path,
            query,
            body: None,
            secret: None,
            by_name: true,
        };
        self.call(call).await
    }

    /// Writes something. A write is sent once, or a second time when the first was refused at the door.
    pub(super) async fn write(
        &self,
        act: impl Into<String>,
        method: Method,
        path: &[&str],
        body: Value,
    ) -> Result<Answer, TargetError> {
        self.write_secret(act, method, path, body, None).await
    }

    /// Writes something with a secret in its body.
    pub(super) async fn write_secret(
        &self,
        act: impl Into<String>,
        method: Method,
        path: &[&str],
        body: Value,
        secret: Option<&SecretString>,
    ) -> Result<Answer, TargetError> {
        let call = Call {
            act: act.into(),
            method,
            path,
            query: Vec::new(),
            body: Some(body),
            secret,
            by_name: true,
        };
        if self.read_only.load(Ordering::Relaxed) {
            self.look_again_before(&call.act).await?;
        }
        let result = self.call(call).await;
        if matches!(&result, Err(error) if error.status == Some(403) && error.class == ErrorClass::Transient)
        {
            self.read_only.store(true, Ordering::Relaxed);
        }
        result
    }

    /// A place in the budget of reads, for a read that goes past the door.
    pub(super) async fn read_permit(&self, act: &str) -> Result<SemaphorePermit<'_>, TargetError> {
        self.reads
            .acquire()
            .await
            .map_err(|_| unfit(act, "the client was closed"))
    }

    /// Harbor was in read-only mode when it was last asked: it is asked again rather than written to.
    async fn look_again_before(&self, act: &str) -> Result<(), TargetError> {
        self.system_information().await?;
        if self.read_only.load(Ordering::Relaxed) {
            let why = "it is in read-only mode: switch it off in its system settings";
            return Err(TargetError {
                status: Some(403),
                ..strange(act, why)
            });
        }
        Ok(())
    }

    async fn call(&self, call: Call<'_>) -> Result<Answer, TargetError> {
        let budget = if call.method == Method::GET {
            &self.reads
        } else {
            &self.writes
        };
        // The semaphores are never closed.
        let _permit = budget
            .acquire()
            .await
            .map_err(|_| unfit(&call.act, "the client was closed"))?;
        let pass = self.door.pass(&self.wire).await?;
        let first = self.send(&call, &pass).await;
        if !turned_away(&call, &pass, &first) {
            return first;
        }
        // The session ended; a call that was turned away had no effect.
        let pass = self.door.renew(&self.wire, &pass).await?;
        let second = self.send(&call, &pass).await;
        if matches!(pass, Pass::Basic { .. }) || !turned_away(&call, &pass, &second) {
            return second;
        }
        // No session lasts here; several instances of Harbor that share no Redis do that.
        let pass = self.door.without_session(&self.wire, &pass).await?;
        self.send(&call, &pass).await
    }

    async fn send(&self, call: &Call<'_>, pass: &Pass) -> Result<Answer, TargetError> {
        let mut request = self
            .wire
            .request(call.method.clone(), self.wire.api(call.path))
            .query(&call.query);
        if call.by_name && call.path.first() == Some(&"projects") {
            request = request.header("x-is-resource-name", "true");
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        receive(
            &self.wire,
            &call.act,
            pass.put_on(request, &self.wire),
            call.method.as_str(),
            call.path,
            call.secret,
        )
        .await
    }
}

/// Whether an answer was given to a stranger: 401, a CSRF token that is no longer good, or a new `sid`, which
/// Harbor sets on a request whose session it does not know. The list of projects is then one of public
/// projects, with a 200, and would make every team look as if it had none.
fn turned_away(call: &Call<'_>, pass: &Pass, result: &Result<Answer, TargetError>) -> bool {
    match result {
        Ok(answer) => {
            call.method == Method::GET
                && matches!(pass, Pass::Session(_))
                && cookie(&answer.headers, "sid").is_some()
        }
        Err(error) => {
            error.class == ErrorClass::Auth
                && (error.status == Some(401) || error.status == Some(403) && error.message.contains("CSRF"))
        }
    }
}

impl Wire {
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client
            .request(method, url)
            .header(reqwest::header::ACCEPT, "application/json")
    }

    /// A URL below `/api/v2.0`.
    pub(super) fn api(&self, path: &[&str]) -> Url {
        self.root(&[&["api", "v2.0"], path].concat())
    }

    /// A URL below the base.
    pub(super) fn root(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    pub(super) fn origin(&self) -> HeaderValue {
        self.origin.clone()
    }
}
