//! Traces: the program's spans, sent to an OpenTelemetry collector over HTTP.
//!
//! The SDK gathers spans and sends them in batches from a thread of its own. The request itself is made by the
//! runtime, with the HTTP client and the TLS of all other calls. What can't be sent is lost, told once, and
//! keeps nothing from going on.

use std::error::Error;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tokio::runtime::Handle;
use url::Url;

const NAME: &str = env!("CARGO_PKG_NAME");
/// How long one batch may take to be sent.
const SENDING: Duration = Duration::from_secs(10);
/// How long the end of the program waits for the last batch.
const ENDING: Duration = Duration::from_secs(5);
/// A collector answers with a few bytes.
const LARGEST_ANSWER: usize = 64 << 10;

/// What has to be told to end. One for the process, as the subscriber is.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Spans can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The HTTP client can't be made.
    #[error("failed to set up the HTTP client for {endpoint}")]
    Client {
        /// The collector.
        endpoint: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The exporter can't be made.
    #[error("failed to set up the export of spans to {endpoint}")]
    Exporter {
        /// The collector.
        endpoint: Url,
        /// Why.
        #[source]
        source: ExporterBuildError,
    },
}

/// Starts sending spans to a collector. Must be called on a thread of the runtime.
pub(super) fn start(endpoint: &Url) -> Result<Tracer, TracesError> {
    // As `edge::tls` does: whoever comes first sets ring for the whole process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(SENDING)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("harborage/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|source| TracesError::Client {
            endpoint: endpoint.clone(),
            source,
        })?;
    let courier = Courier {
        client,
        runtime: Handle::current(),
        endpoint: endpoint.clone(),
        failing: AtomicBool::new(false),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(courier)
        .with_endpoint(signal_url(endpoint))
        .build()
        .map_err(|source| TracesError::Exporter {
            endpoint: endpoint.clone(),
            source,
        })?;
    let resource = Resource::builder()
        .with_service_name(NAME)
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    Ok(PROVIDER.get_or_init(|| provider).tracer(NAME))
}

/// Sends what was gathered, within a few seconds. Nothing is sent afterwards.
pub(super) async fn finish() {
    if let Some(provider) = PROVIDER.get() {
        // The last batch is sent by this runtime, so none of its threads may wait for it.
        let ending = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(ENDING));
        // What was not sent was told already.
        let _ = ending.await;
    }
}

/// Where a collector takes spans, below its base URL.
fn signal_url(endpoint: &Url) -> String {
    let base = endpoint.as_str().trim_end_matches('/');
    format!("{}/v1/traces", base.trim_end_matches("/v1/traces"))
}

/// Makes the exporter's requests.
#[derive(Debug)]
struct Courier {
    client: reqwest::Client,
    runtime: Handle,
    endpoint: Url,
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.runtime.spawn(send(self.client.clone(), request));
        let answer = sending.await.unwrap_or_else(|lost| Err(lost.into()));
        match &answer {
            Ok(answer) if answer.status().is_success() => self.sent(),
            Ok(answer) => self.failed(&format!("it answered {}", answer.status().as_u16())),
            Err(error) => self.failed(&innermost(error.as_ref())),
        }
        answer
    }
}

impl Courier {
    fn failed(&self, why: &str) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                otlp.endpoint = %self.endpoint,
                "spans can't be sent to {} and are lost; the work goes on: {why}", self.endpoint
            );
        }
    }

    fn sent(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(otlp.endpoint = %self.endpoint, "spans can be sent to {} again", self.endpoint);
        }
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let request = reqwest::Request::try_from(request)?;
    let mut answer = client
        .execute(request)
        .await
        .map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(format!("its answer is larger than {LARGEST_ANSWER} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut copy = Response::new(Bytes::from(body));
    *copy.status_mut() = answer.status();
    Ok(copy)
}

/// The cause at the bottom, such as a refused connection.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_base_or_by_where_it_takes_spans() {
        for endpoint in [
            "http://collector:4318",
            "http://collector:4318/",
            "http://collector:4318/v1/traces",
        ] {
            let endpoint = endpoint.parse().unwrap();
            assert_eq!(signal_url(&endpoint), "http://collector:4318/v1/traces");
        }
    }
}
