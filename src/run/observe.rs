//! Observing teams in batches.
//!
//! Lanes ask one by one; whatever is asked while an observation is under way is answered by the next
//! one together. So a thousand teams cost a few lists, a single team costs a few single reads, and a
//! wave of retries is one batch again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span, info_span};

use super::target::{Cluster, Extent, Harbor, TargetError};
use crate::plan::desired::DesiredTeam;
use crate::plan::observed::ObservedTeam;

/// How long the first of a batch waits for company. Lanes that start together ask within far less.
const GATHERING: Duration = Duration::from_millis(3);

/// What was seen of one team, and why a side was not.
#[derive(Default)]
pub(super) struct Observation {
    pub(super) observed: ObservedTeam,
    pub(super) errors: Vec<Arc<TargetError>>,
}

struct Request {
    desired: Arc<DesiredTeam>,
    robot_prefix: Arc<str>,
    /// What it is part of.
    span: Span,
    answer: oneshot::Sender<Observation>,
}

/// Takes requests and answers them in batches.
#[derive(Clone)]
pub(super) struct Observer {
    requests: mpsc::UnboundedSender<Request>,
}

impl Observer {
    /// Starts observing. `population` is the number of teams of the newest snapshot: what decides
    /// whether a whole list is cheaper than single reads.
    pub(super) fn start(
        harbor: Arc<dyn Harbor>,
        cluster: Arc<dyn Cluster>,
        population: Arc<AtomicUsize>,
    ) -> Self {
        let (requests, mut inbox) = mpsc::unbounded_channel::<Request>();
        tokio::spawn(async move {
            while let Some(first) = inbox.recv().await {
                tokio::time::sleep(GATHERING).await;
                let mut batch = vec![first];
                while let Ok(next) = inbox.try_recv() {
                    batch.push(next);
                }
                // An answer that nobody waits for any more costs no call.
                batch.retain(|request| !request.answer.is_closed());
                if !batch.is_empty() {
                    let extent = extent(batch.len(), population.load(Ordering::Relaxed));
                    let span = batch_span(&batch);
                    answer(harbor.as_ref(), cluster.as_ref(), batch, extent)
                        .instrument(span)
                        .await;
                }
            }
        });
        Self { requests }
    }

    /// Observes one team, with whatever others are asked for at the same time.
    pub(super) async fn observe(&self, desired: &Arc<DesiredTeam>, robot_prefix: &Arc<str>) -> Observation {
        let (answer, observation) = oneshot::channel();
        let request = Request {
            desired: desired.clone(),
            robot_prefix: robot_prefix.clone(),
            span: Span::current(),
            answer,
        };
        if self.requests.send(request).is_err() {
            return Observation::default();
        }
        observation.await.unwrap_or_default()
    }
}

/// Single reads cost a project and a robots read a team; lists cost a page for each hundred projects and
/// hundred robots (three a team) of the platform. Members cost the same both ways.
fn extent(wanted: usize, population: usize) -> Extent {
    let single = 2 * wanted;
    let lists = 2 + population.max(wanted) * 4 / 100;
    if single <= lists {
        Extent::Single
    } else {
        Extent::Lists
    }
}

/// A batch is part of its first request, and linked to the others.
fn batch_span(batch: &[Request]) -> Span {
    let first = batch.first().and_then(|request| request.span.id());
    let span = info_span!(parent: first, "observe", observe.teams = batch.len());
    for request in batch.iter().skip(1) {
        span.follows_from(&request.span);
    }
    span
}

async fn answer(harbor: &dyn Harbor, cluster: &dyn Cluster, batch: Vec<Request>, extent: Extent) {
    let teams: Vec<Arc<DesiredTeam>> = batch.iter().map(|request| request.desired.clone()).collect();
    let prefix = batch
        .first()
        .map(|request| request.robot_prefix.clone())
        .unwrap_or_default();
    let (of_harbor, of_cluster) = tokio::join!(
        harbor.observe_teams(&teams, &prefix, extent),
        cluster.observe_teams(&teams, extent),
    );
    let mut errors = Vec::new();
    let mut of_harbor = of_harbor.map_err(|error| errors.push(Arc::new(error))).ok();
    let mut of_cluster = of_cluster.map_err(|error| errors.push(Arc::new(error))).ok();
    for request in batch {
        let team = &request.desired.team;
        let observed = ObservedTeam {
            harbor: of_harbor.as_mut().and_then(|sides| sides.remove(team)),
            cluster: of_cluster.as_mut().and_then(|sides| sides.remove(team)),
            ..ObservedTeam::default()
        };
        // The lane may have been stopped or superseded meanwhile; then nobody listens, which is fine.
        let _ = request.answer.send(Observation {
            observed,
            errors: errors.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lists_are_read_when_they_cost_fewer_calls() {
        assert_eq!(extent(1, 3), Extent::Single);
        assert_eq!(extent(3, 3), Extent::Lists);
        assert_eq!(extent(1, 10_000), Extent::Single);
        assert_eq!(extent(200, 10_000), Extent::Single);
        assert_eq!(extent(300, 10_000), Extent::Lists);
        assert_eq!(extent(100, 100), Extent::Lists);
    }
}
