//! What a pass would do: observes and plans everything, and writes nothing.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use super::world::SystemClock;
use crate::plan::observed::ObservedTeam;
use crate::plan::show::FullPlan;
use crate::plan::{self, PlanOptions};
use crate::run::chance::Clock as _;
use crate::run::engine::Intent;
use crate::run::target::{Cluster, Extent, Harbor, TargetError};
use crate::settings::RunSettings;

/// Teams whose logins are tried at once; the Harbor client bounds the calls themselves.
const TEAMS_AT_ONCE: usize = 32;

/// Observes both servers and plans the platform and every team.
///
/// # Errors
/// When Harbor can't be read, or a login can't be tried. When Kubernetes can't be read the plan says
/// so for every team: what Harbor needs is still worth seeing.
pub async fn preview(
    intent: &Intent,
    harbor: &Arc<dyn Harbor>,
    cluster: &Arc<dyn Cluster>,
    settings: &RunSettings,
) -> Result<(FullPlan, Option<TargetError>), TargetError> {
    let of_platform = harbor.observe_platform(&intent.platform.shared_groups).await?;
    let platform = plan::plan_platform(
        &intent.platform,
        &of_platform,
        settings.oidc_client_secret.is_some(),
    );

    let teams: Vec<_> = intent.teams.iter().cloned().map(Arc::new).collect();
    let extent = if teams.len() > 2 {
        Extent::Lists
    } else {
        Extent::Single
    };
    let prefix = of_platform.robot_prefix();
    let (of_harbor, of_cluster) = tokio::join!(
        harbor.observe_teams(&teams, prefix, extent),
        cluster.observe_teams(&teams, extent)
    );
    let mut of_harbor = of_harbor?;
    let (mut of_cluster, unread) = match of_cluster {
        Ok(sides) => (Some(sides), None),
        Err(error) => (None, Some(error)),
    };

    let options = PlanOptions {
        create_namespaces: settings.create_namespaces,
    };
    let observed: Vec<_> = teams
        .into_iter()
        .map(|desired| {
            let observed = ObservedTeam {
                at: SystemClock.now(),
                harbor: of_harbor.remove(&desired.team),
                cluster: of_cluster.as_mut().and_then(|sides| sides.remove(&desired.team)),
                ..ObservedTeam::default()
            };
            (desired, observed)
        })
        .collect();
    let mut plans = stream::iter(observed)
        .map(|(desired, mut observed)| {
            let harbor = harbor.clone();
            async move {
                for wanted in plan::logins_to_prove(&desired, &observed) {
                    let proof = harbor.prove_login(&desired.project.name, &wanted.login).await?;
                    observed.proofs.insert(wanted.secret, proof);
                }
                Ok(plan::plan_team(&desired, &observed, options))
            }
        })
        .buffered(TEAMS_AT_ONCE);
    let mut teams = Vec::new();
    while let Some(plan) = plans.next().await {
        teams.push(plan?);
    }
    Ok((FullPlan::new(intent.revision.clone(), platform, teams), unread))
}
