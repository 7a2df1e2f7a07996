//! A Kubernetes API server for the few objects that harborage touches.
//!
//! # Guarantees
//! - Namespaces, Secrets and service accounts are answered as kube-apiserver does: server-side apply with
//!   field managers and conflicts, versions, immutable types, paged lists, `Status` errors.
//! - A new namespace has its `default` service account at once, as if the controllers ran.
//! - What it does not model (watches, other kinds, other patches, RBAC) it answers with 501.

mod api;
mod apply;
mod state;
mod status;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use state::{Kind, KubernetesState};

use self::api::Service;
use super::{ServeError, ServerHandle, Weather, serve};

/// How a stand-in starts.
#[derive(Debug, Default)]
pub struct KubernetesOptions {
    /// What it holds; none for an empty cluster.
    pub state: Option<KubernetesState>,
    /// The port that it listens on; none for a free one.
    pub port: Option<u16>,
    /// How its calls fare.
    pub weather: Weather,
}

/// A running stand-in; it stops when this is dropped. Counters, weather and injections are those of
/// its [`ServerHandle`].
pub struct KubernetesStandIn {
    server: ServerHandle,
    state: Arc<Mutex<KubernetesState>>,
}

impl std::ops::Deref for KubernetesStandIn {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.server
    }
}

impl KubernetesStandIn {
    /// Starts a stand-in on 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(options: KubernetesOptions) -> Result<Self, ServeError> {
        let state = Arc::new(Mutex::new(options.state.unwrap_or_default()));
        let service = Arc::new(Service::new(state.clone()));
        let server = serve(service, options.weather, options.port).await?;
        Ok(Self { server, state })
    }

    /// Stops it, see [`ServerHandle::stop`]. Returns what starts it again as it was,
    /// on the same address.
    pub async fn stop(self) -> KubernetesOptions {
        let (weather, port) = (self.server.weather(), Some(self.server.address().port()));
        self.server.stop().await;
        KubernetesOptions {
            state: Some(lock(&self.state).clone()),
            port,
            weather,
        }
    }

    /// Makes a namespace with its `default` service account, unless it is there.
    pub fn add_namespace(&self, name: &str) {
        lock(&self.state).add_namespace(name);
    }

    /// All that it holds, as it is now.
    #[must_use]
    pub fn snapshot(&self) -> KubernetesState {
        lock(&self.state).clone()
    }

    /// Looks at what it holds, without a copy.
    pub fn look<T>(&self, look: impl FnOnce(&KubernetesState) -> T) -> T {
        look(&lock(&self.state))
    }

    /// Changes what it holds, as another client does.
    pub fn alter<T>(&self, change: impl FnOnce(&mut KubernetesState) -> T) -> T {
        change(&mut lock(&self.state))
    }
}

/// A handler that panicked left the state whole: it is changed in one step at its end.
fn lock(state: &Mutex<KubernetesState>) -> MutexGuard<'_, KubernetesState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
