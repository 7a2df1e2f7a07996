//! git's smart protocol over HTTP.
//!
//! # Guarantees
//! - The login goes to the host of the URL alone: a redirect is followed only within it, and never
//!   from https to http.
//! - A proxy is taken from the environment, as every other client of this program takes it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use git2::transport::Service;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::Instrument as _;
use url::Url;

use super::{Exchange, Patience, RemoteSettings, Wire, hand_out, unreachable};
use crate::edge::git::fetch_error::FetchError;
use crate::edge::git::location::RemoteUrl;
use crate::run::meter::{CallEnd, Meter, MeteredCall, Server};

/// A host that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;
const REFERENCES: &str = "/info/refs?service=git-upload-pack";

pub(super) struct HttpWire {
    client: reqwest::Client,
    base: Url,
    /// Where a redirect led to; git asks for the objects there too.
    moved: OnceLock<Url>,
    authorization: Option<HeaderValue>,
    patience: Patience,
    meter: Arc<dyn Meter>,
}

impl HttpWire {
    pub(super) fn new(
        url: &RemoteUrl,
        settings: &RemoteSettings,
        patience: Patience,
        meter: Arc<dyn Meter>,
    ) -> Result<Self, FetchError> {
        crate::edge::tls::install_crypto_provider();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .read_timeout(settings.timeout.min(SILENCE))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("git/harborage-", env!("CARGO_PKG_VERSION")));
        let refused = |source: reqwest::Error| FetchError::Setting {
            what: "the git host's certificate authority (git-ca-file)".to_owned(),
            source: source.into(),
        };
        if let Some(pem) = &settings.ca {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).map_err(refused)?);
        }
        let mut base = url.url().clone();
        // The user is in the login; neither fails for a URL with a host.
        let _ = base.set_username("");
        Ok(Self {
            client: builder.build().map_err(unreachable)?,
            base,
            moved: OnceLock::new(),
            authorization: authorization(url, settings)?,
            patience,
            meter,
        })
    }

    fn base(&self) -> &Url {
        self.moved.get().unwrap_or(&self.base)
    }

    async fn send(&self, method: Method, url: Url, body: Option<Vec<u8>>) -> Result<Response, FetchError> {
        let call = MeteredCall::begin(self.meter.as_ref(), Server::Git, method.as_str(), url.path());
        let mut request = self.client.request(method.clone(), url.clone());
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
                .header(ACCEPT, "application/x-git-upload-pack-result")
                .body(body);
        }
        let response = request.send().instrument(call.span()).await.map_err(broken)?;
        call.answered(response.status().as_u16());
        tracing::debug!(
            http.method = method.as_str(),
            http.path = url.path(),
            http.status = response.status().as_u16(),
            duration_ms = u64::try_from(call.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the git host answered {} to {method} {}",
            response.status().as_u16(),
            url.path()
        );
        call.end(end(response.status()));
        Ok(response)
    }

    /// Asks for the references, wherever within the host they are.
    async fn references(&self) -> Result<Response, FetchError> {
        let mut url = below(self.base(), REFERENCES)?;
        for _ in 0..=REDIRECTS {
            let response = self.send(Method::GET, url.clone(), None).await?;
            let Some(next) = redirect(&response, &url) else {
                let base = url.as_str().strip_suffix(REFERENCES).map(Url::parse);
                if let Some(Ok(base)) = base {
                    let _ = self.moved.set(base);
                }
                return self.checked(response, "application/x-git-upload-pack-advertisement");
            };
            if !may_follow(&url, &next) || !next.as_str().ends_with(REFERENCES) {
                return Err(redirected(next));
            }
            url = next;
        }
        Err(redirected(url))
    }

    async fn objects(&self, request: Vec<u8>) -> Result<Response, FetchError> {
        let url = below(self.base(), "/git-upload-pack")?;
        let response = self.send(Method::POST, url.clone(), Some(request)).await?;
        if let Some(next) = redirect(&response, &url) {
            return Err(redirected(next));
        }
        self.checked(response, "application/x-git-upload-pack-result")
    }

    fn checked(&self, response: Response, expected: &str) -> Result<Response, FetchError> {
        let status = response.status();
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        match status {
            StatusCode::OK if content_type == expected => Ok(response),
            StatusCode::OK => Err(FetchError::NotGit {
                content_type: content_type.to_owned(),
            }),
            StatusCode::UNAUTHORIZED if self.authorization.is_none() => Err(FetchError::LoginMissing),
            StatusCode::UNAUTHORIZED => Err(FetchError::LoginRefused),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(FetchError::NotFound {
                status: status.as_u16(),
            }),
            _ => Err(FetchError::Status {
                status: status.as_u16(),
            }),
        }
    }
}

impl Wire for HttpWire {
    fn is_stateless(&self) -> bool {
        true
    }

    fn login(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.authorization.as_ref()?.hash(&mut hasher);
        Some(hasher.finish())
    }

    fn begin(self: Arc<Self>, service: Service) -> Result<Box<dyn Exchange>, FetchError> {
        let answer = match service {
            Service::UploadPackLs => Some(self.patience.wait(self.references())?),
            _ => None,
        };
        Ok(Box::new(HttpExchange {
            wire: self,
            request: Vec::new(),
            answer,
            come: Bytes::new(),
        }))
    }
}

/// A request that is sent when its answer is first asked for.
struct HttpExchange {
    wire: Arc<HttpWire>,
    request: Vec<u8>,
    answer: Option<Response>,
    come: Bytes,
}

impl Exchange for HttpExchange {
    fn send(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.request.extend_from_slice(bytes);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        let patience = &self.wire.patience;
        let answer = if let Some(answer) = &mut self.answer {
            answer
        } else {
            let request = std::mem::take(&mut self.request);
            self.answer.insert(patience.wait(self.wire.objects(request))?)
        };
        while self.come.is_empty() {
            match patience.wait(async { answer.chunk().await.map_err(broken) })? {
                Some(chunk) => self.come = chunk,
                None => return Ok(0),
            }
        }
        Ok(hand_out(&mut self.come, buffer))
    }
}

/// What an answer of this status is. A redirect is followed or told; the host did answer.
fn end(status: StatusCode) -> CallEnd {
    match status {
        StatusCode::UNAUTHORIZED => CallEnd::Auth,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => CallEnd::Transient,
        _ if status.is_server_error() => CallEnd::Transient,
        _ if status.is_client_error() => CallEnd::Rejected,
        _ => CallEnd::Ok,
    }
}

fn broken(error: reqwest::Error) -> FetchError {
    unreachable(error.without_url())
}

/// What the host is told about who asks.
fn authorization(url: &RemoteUrl, settings: &RemoteSettings) -> Result<Option<HeaderValue>, FetchError> {
    let header = |text: String| {
        let mut value = HeaderValue::try_from(text).map_err(|source| FetchError::Setting {
            what: "the login for the git host".to_owned(),
            source: source.into(),
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    };
    if let Some(token) = &settings.token {
        let token = token.read("the token file (git-token-file)")?;
        return header(format!("Bearer {}", token.expose_secret()));
    }
    let Some(password) = &settings.password else {
        return Ok(None);
    };
    let password: SecretString = password.read("the password file (git-password-file)")?;
    let username = settings.username.as_deref().or(url.user()).unwrap_or("git");
    let login = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    header(format!("Basic {login}"))
}

fn below(base: &Url, path: &str) -> Result<Url, FetchError> {
    let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(unreachable)
}

/// Where an answer points to.
fn redirect(response: &Response, from: &Url) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    response
        .status()
        .is_redirection()
        .then(|| from.join(location).ok())
        .flatten()
}

/// Whether the login may go there too: the same host and port, or the same host's https.
fn may_follow(from: &Url, to: &Url) -> bool {
    let same_host = from.host_str() == to.host_str();
    let same_place =
        from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default();
    let upgrade =
        from.scheme() == "http" && to.scheme() == "https" && from.port().is_none() && to.port().is_none();
    same_host && (same_place || upgrade)
}

fn redirected(mut to: Url) -> FetchError {
    let _ = to.set_username("");
    let _ = to.set_password(None);
    to.set_query(None);
    FetchError::Redirected { to: to.to_string() }
}
