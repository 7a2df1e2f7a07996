//! What a daemon serves over HTTP, put together: webhooks and the download of push logins.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::downloads;
use super::instruments::Instruments;
use super::source::Source;
use super::world::SystemClock;
use crate::edge::keycloak::IssuerKeysError;
use crate::run::board::Board;
use crate::run::target::PushLogins;
use crate::serve::download::SnapshotSource;
use crate::serve::listener::{self, ListenError};
use crate::serve::webhook::{self, Counts, DeliveriesError, FileDeliveries, Limits, Receiver, secrets_in};
use crate::serve::{health, metrics};
use crate::settings::{DownloadSettings, ServeSettings};

/// The file, in the state folder, of the deliveries that came before.
const DELIVERIES: &str = "deliveries";

/// What a daemon serves, and with what.
pub struct Serving {
    /// Where.
    pub settings: ServeSettings,
    /// How downloads are let through.
    pub downloads: DownloadSettings,
    /// Reads what is downloaded.
    pub logins: Arc<dyn PushLogins>,
}

/// What a daemon knows, as those who ask are told it.
pub(super) struct Known<'a> {
    pub(super) source: &'a Source,
    /// The state folder.
    pub(super) state: &'a Path,
    pub(super) newest: SnapshotSource,
    pub(super) instruments: &'a Instruments,
    pub(super) board: &'a Arc<Board>,
}

/// What can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// The address can't be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Deliveries can't be remembered.
    #[error(transparent)]
    Deliveries(#[from] DeliveriesError),
    /// The identity provider can't be asked.
    #[error(transparent)]
    Keys(#[from] IssuerKeysError),
}

impl Serving {
    /// Listens where the settings say so, until stopped. Answers the counts of webhooks where those are received.
    pub(super) async fn open(
        self,
        known: &Known<'_>,
        poke: Arc<Notify>,
        stop: &CancellationToken,
    ) -> Result<Option<Arc<Counts>>, ServingError> {
        if let Some(address) = self.settings.metrics_listen {
            let routes = metrics::router(known.instruments.metrics.clone(), known.board.clone())
                .merge(health::router(known.instruments.heartbeat.clone()));
            let http = Limits::default().connection();
            let bound = listener::serve(address, routes, http, stop.clone()).await?;
            tracing::info!(listen.address = %bound, "metrics and health are served at {bound}");
        }
        let hooks = self.open_public(known, poke, stop).await?;
        if let Some(hooks) = &hooks {
            known.instruments.metrics.tell_of_hooks(hooks.clone());
        }
        Ok(hooks)
    }

    async fn open_public(
        self,
        known: &Known<'_>,
        poke: Arc<Notify>,
        stop: &CancellationToken,
    ) -> Result<Option<Arc<Counts>>, ServingError> {
        let Known { source, state, .. } = *known;
        let Some(address) = self.settings.listen else {
            return Ok(None);
        };
        let mut routes =
            downloads::router(source, known.newest.clone(), self.logins, &self.downloads, state)?;
        let limits = Limits::default();
        let counts = Arc::new(Counts::default());
        let takes_hooks = self.settings.webhook_secrets.is_some();
        if let Some(path) = self.settings.webhook_secrets {
            routes = routes.merge(webhook::router(Receiver {
                secrets: secrets_in(path),
                subject: source.subject(),
                deliveries: Arc::new(FileDeliveries::open(&state.join(DELIVERIES))?),
                poke,
                clock: Arc::new(SystemClock),
                limits,
                counts: counts.clone(),
            }));
        }
        let bound = listener::serve(address, routes, limits.connection(), stop.clone()).await?;
        let hooks = if takes_hooks { "webhooks and " } else { "" };
        tracing::info!(listen.address = %bound, "{hooks}downloads of push logins are served at {bound}");
        Ok(takes_hooks.then_some(counts))
    }
}
