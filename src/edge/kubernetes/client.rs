//! A client of the API server: one call, its budget, its time, and its answer.
//!
//! Answers are read here and not by the client library's own helpers: those log the
//! text of an answer that they do not understand, which may be a Secret, and drop the
//! `Retry-After` of one that is no `Status`.

use std::sync::Arc;
use std::time::Duration;

use axum::http;
use k8s_openapi::NamespaceResourceScope;
use kube::client::Body;
use kube::core::params::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::request::{Error as BuildError, Request};
use kube::{Client, Resource};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::ClusterSettings;
use super::connect::{ConnectError, config};
use super::failure::{refused, timed_out, unanswered, unintelligible};
use super::marks::FIELD_MANAGER;
use crate::run::meter::{CallEnd, Meter, MeteredCall, Server, unmetered};
use crate::run::target::TargetError;

/// A Kubernetes API server that is talked to.
pub struct ClusterClient {
    client: Client,
    writes: Semaphore,
    pub(super) reads: Semaphore,
    timeout: Duration,
    meter: Arc<dyn Meter>,
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page<K> {
    #[serde(default)]
    pub(super) metadata: PageMetadata,
    pub(super) items: Vec<K>,
}

/// What a page says of itself.
#[derive(Default, Deserialize)]
pub(super) struct PageMetadata {
    /// Where the next page begins; absent or empty on the last.
    #[serde(default, rename = "continue")]
    pub(super) next: Option<String>,
}

type Built = Result<http::Request<Vec<u8>>, BuildError>;

impl ClusterClient {
    /// Makes a client. Nothing is sent yet.
    ///
    /// # Errors
    /// When the settings do not lead to an API server.
    pub async fn new(settings: ClusterSettings) -> Result<Self, ConnectError> {
        crate::edge::tls::install_crypto_provider();
        let mut config = config(&settings).await?;
        config.connect_timeout = Some(settings.timeout.min(Duration::from_secs(10)));
        // The time of a whole call is bounded below. The connection's own read timeout would also
        // count the time for which it lay idle before the call.
        config.read_timeout = None;
        config.write_timeout = Some(settings.timeout);
        // What failed is observed before it is tried again, which is the engine's affair.
        config.default_retry = false;
        Ok(Self {
            client: Client::try_from(config).map_err(ConnectError::Client)?,
            writes: Semaphore::new(settings.writes.max(1)),
            reads: Semaphore::new(settings.reads.max(1)),
            timeout: settings.timeout,
            meter: unmetered(),
        })
    }

    /// Tells calls to a meter.
    #[must_use]
    pub fn metered(self, meter: Arc<dyn Meter>) -> Self {
        Self { meter, ..self }
    }

    /// Reads one object; `None` when there is none of that name.
    pub(super) async fn get<K>(
        &self,
        act: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<K>, TargetError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let request = Request::new(K::url_path(&(), namespace)).get(name, &GetParams::default());
        match self.call(&self.reads, act, request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.status == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one page of a list over the whole cluster.
    pub(super) async fn page<K>(&self, act: &str, which: &ListParams) -> Result<Page<K>, TargetError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.call(&self.reads, act, Request::new(K::url_path(&(), None)).list(which))
            .await
    }

    /// Creates an object.
    pub(super) async fn create<K>(&self, act: &str, object: &Value) -> Result<(), TargetError>
    where
        K: Resource<DynamicType = ()>,
    {
        let how = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let request = Request::new(K::url_path(&(), None)).create(&how, object.to_string().into_bytes());
        self.call::<IgnoredAny>(&self.writes, act, request)
            .await
            .map(drop)
    }

    /// Applies an object on the server's side. Ours is the last word on the fields that we send, and we
    /// send no others.
    pub(super) async fn apply<K>(
        &self,
        act: &str,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<(), TargetError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let how = PatchParams::apply(FIELD_MANAGER).force();
        let request =
            Request::new(K::url_path(&(), Some(namespace))).patch(name, &how, &Patch::Apply(object));
        self.call::<IgnoredAny>(&self.writes, act, request)
            .await
            .map(drop)
    }

    /// Deletes an object; one that is gone already is as good.
    pub(super) async fn delete<K>(
        &self,
        act: &str,
        namespace: &str,
        name: &str,
        how: &DeleteParams,
    ) -> Result<(), TargetError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let request = Request::new(K::url_path(&(), Some(namespace))).delete(name, how);
        match self.call::<IgnoredAny>(&self.writes, act, request).await {
            Err(error) if error.status == Some(404) => Ok(()),
            result => result.map(drop),
        }
    }

    /// One call, within its budget and its time.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        budget: &Semaphore,
        act: &str,
        request: Built,
    ) -> Result<T, TargetError> {
        let request = request.map_err(|error| unanswered(act, kube::Error::BuildRequest(error)))?;
        // The semaphores are never closed; a call outside its budget would still be right.
        let _permit = budget.acquire().await.ok();
        let (method, path) = (request.method().as_str(), request.uri().path());
        let call = MeteredCall::begin(self.meter.as_ref(), Server::Kubernetes, method, path);
        let may_be_gone = matches!(*request.method(), http::Method::GET | http::Method::DELETE);
        let answer = self.exchange(&call, act, request).instrument(call.span()).await;
        call.end(match &answer {
            // That there is no such object is what was asked.
            Err(error) if may_be_gone && error.status == Some(404) => CallEnd::Ok,
            answer => CallEnd::of(answer),
        });
        answer
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        call: &MeteredCall<'_>,
        act: &str,
        request: http::Request<Vec<u8>>,
    ) -> Result<T, TargetError> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let exchange = async {
            let answer = self.client.send(request.map(Body::from)).await?;
            let (head, body) = answer.into_parts();
            Ok((head, body.collect_bytes().await?))
        };
        let (head, body) = tokio::time::timeout(self.timeout, exchange)
            .await
            .map_err(|_| timed_out(act, self.timeout))?
            .map_err(|error| unanswered(act, error))?;
        call.answered(head.status.as_u16());
        tracing::debug!(
            http.method = method.as_str(),
            http.path = path,
            http.status = head.status.as_u16(),
            duration_ms = u64::try_from(call.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the API server answered {} to {method} {path}",
            head.status.as_u16()
        );
        if !head.status.is_success() {
            let seconds = head
                .headers
                .get(http::header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(refused(
                act,
                head.status.as_u16(),
                seconds.map(Duration::from_secs),
                &body,
            ));
        }
        serde_json::from_slice(&body).map_err(|error| unintelligible(act, &error))
    }
}
