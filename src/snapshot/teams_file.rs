//! The teams of the layouts that keep them all in `env/teams.yaml`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Teams;
use super::files::Loaded;
use crate::values::names::TeamId;
use crate::values::yaml::{Node, Place, Value};
use crate::values::{Faults, FoundValue, Scope, Team, View};

/// Reads the teams of a `teams.yaml`, with its `secrets.teams.yaml` over it.
///
/// Teams stand under `teamConfig`, or, before there were apps and in repositories in
/// the middle of that migration, under `teamConfig.teams`; both are read, and where
/// both have a team the first lies over the second. Without `teamConfig` there are no
/// teams: Otomi's API strips the key when the last team goes.
///
/// `cluster` is set where teams list the clusters that they are deployed on.
pub(super) fn read(plain: &Loaded, secrets: &Loaded, cluster: Option<&str>, shared: &mut Faults) -> Teams {
    let mut bodies: BTreeMap<&str, Body<'_>> = BTreeMap::new();
    for (key, place, found) in team_entries(plain, shared) {
        let body = bodies.entry(key).or_default();
        body.place = Some((place, found));
        body.layers.push(found);
    }
    // A secrets file alone makes no team; and what it repeats is put over the plain settings.
    for (key, _, found) in team_entries(secrets, shared) {
        if let Some(body) = bodies.get_mut(key) {
            body.layers.push(found);
        }
    }
    let mut teams = Teams::default();
    for (name, body) in bodies {
        read_team(name, &body, cluster, &mut teams);
    }
    teams
}

#[derive(Default)]
struct Body<'a> {
    place: Option<(Place, FoundValue<'a>)>,
    layers: Vec<FoundValue<'a>>,
}

fn read_team(name: &str, body: &Body<'_>, cluster: Option<&str>, teams: &mut Teams) {
    let mut faults = Faults::new(Scope::Team(name.to_owned()));
    let Some((place, origin)) = body.place else { return };
    let id = match TeamId::new(name) {
        Ok(id) => Some(id),
        Err(error) => {
            faults.at(origin.document, place, error.to_string(), ID_HINT);
            None
        }
    };
    let mut settings = View::default();
    for layer in &body.layers {
        match layer.node.value {
            Value::Null => {}
            Value::Map(_) => settings = settings.under(View::single(layer.document, layer.node)),
            _ => {
                let message = format!(
                    "the settings of a team must be a map, and are {}",
                    layer.node.kind()
                );
                faults.at(layer.document, layer.node.place, message, "");
            }
        }
    }
    check_id(name, &settings, &mut faults);
    let deployed = cluster.is_none_or(|cluster| is_deployed_on(cluster, &settings, &mut faults));
    let team = id.map(|id| Team::read(id, &settings, &mut faults));
    match team {
        _ if !faults.list.is_empty() => teams.hold(name, faults.list),
        Some(team) if deployed => teams.found.insert(Arc::new(team)),
        _ => {}
    }
}

const ID_HINT: &str = "rename the team: its project, namespace and robots are named after it";

/// `id` must repeat the key; Otomi's schema says so and checks nothing.
fn check_id(name: &str, settings: &View<'_>, faults: &mut Faults) {
    let Some(found) = settings.find("id", faults) else {
        return;
    };
    let same = match &found.node.value {
        Value::Text(id) | Value::Number(id) => &**id == name,
        _ => false,
    };
    if !same {
        let message = format!("the id of team {name:?} must be {name:?} as well");
        faults.at(
            found.document,
            found.node.place,
            message,
            "the key above it is what counts",
        );
    }
}

/// Whether a team lists a cluster. One that has no list is deployed everywhere.
fn is_deployed_on(cluster: &str, settings: &View<'_>, faults: &mut Faults) -> bool {
    settings
        .texts("clusters", faults)
        .is_none_or(|clusters| clusters.contains(&cluster))
}

type TeamEntry<'a> = (&'a str, Place, FoundValue<'a>);

/// Every team that one file names, those under `teamConfig.teams` first.
fn team_entries<'a>(file: &'a Loaded, shared: &mut Faults) -> Vec<TeamEntry<'a>> {
    let Some(document) = file.document() else {
        return Vec::new();
    };
    let root = View::of([document]);
    let config = root.map("teamConfig", shared);
    let (wrapped, direct): (Vec<_>, Vec<_>) = config
        .entries()
        .partition(|(key, _, found)| *key == "teams" && !is_team_called_teams(found.node));
    let mut all = Vec::new();
    for (_, _, found) in wrapped {
        all.extend(View::single(found.document, found.node).entries());
    }
    all.extend(direct);
    all
}

/// Keys that a team's settings have.
const SETTINGS: [&str; 18] = [
    "id",
    "alerts",
    "oidc",
    "selfService",
    "resourceQuota",
    "limitRange",
    "managedMonitoring",
    "networkPolicy",
    "password",
    "clusters",
    "harbor",
    "services",
    "jobs",
    "apps",
    "builds",
    "workloads",
    "netpols",
    "policies",
];

/// `teamConfig.teams` is the map of all teams, or the settings of a team called `teams`.
///
/// Its shape decides: settings have only the keys of settings, and a map of teams has
/// teams. Where both could be meant, which takes teams called `oidc` or `alerts` and no
/// other, it is the settings; and an empty one is a map of no teams.
fn is_team_called_teams(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => {
            let settings = |key: &str| SETTINGS.contains(&key);
            !entries.is_empty() && entries.iter().all(|entry| settings(&entry.key))
        }
        Value::Null => false,
        // Neither; as a team it is held, and nobody else is harmed.
        _ => true,
    }
}
