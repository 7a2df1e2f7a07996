//! Logs: sentences with dotted fields, as text or JSON, on standard error. And traces, where a collector
//! wants them.

mod traces;

use std::io::IsTerminal as _;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};
use url::Url;

pub use traces::TracesError;

/// The form of a log line.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter that tracing does not understand.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter's text is not `LEVEL` or `TARGET=LEVEL,…`.
    #[error("failed to read the log filter {filter:?}; try info, debug or harborage=debug,warn")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Spans can't be sent.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// Somebody installed a subscriber before.
    #[error("failed to start logging")]
    Start(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts logging to standard error, and sending spans to a collector where there is one. Each has a filter
/// of its own: the log's filter silences no span, and our spans are no part of a log line. Must be called
/// on a thread of the runtime.
///
/// # Errors
/// When the filter can't be read, spans can't be sent, or this was called before.
pub fn start(
    filter: &str,
    format: LogFormat,
    colour: bool,
    collector: Option<&Url>,
) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter {
        filter: filter.to_owned(),
        source,
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines
            .with_ansi(colour && std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let spans = collector.map(traces::start).transpose()?.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_tracer(tracer)
            .with_filter(filter_fn(is_our_span).with_max_level_hint(LevelFilter::INFO))
    });
    tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(filter_fn(|metadata| !is_our_span(metadata)))))
        .with(spans)
        .try_init()
        .map_err(TelemetryError::Start)
}

/// Sends the last spans. Comes at the end of the program.
pub async fn finish() {
    traces::finish().await;
}

/// Whether it is a span of this program, and not one of a library.
fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(env!("CARGO_PKG_NAME"))
}
