//! What the servers hold of teams, as text that is equal for equal states: ids, times and secrets are left out,
//! and of a login it is told whether Harbor takes it.

use std::fmt::Write as _;

use harborage::plan::docker_config::DockerConfig;
use harborage::rehearsal::kubernetes::Kind;
use secrecy::ExposeSecret as _;

use super::support::Stage;

/// The Secrets of a team with the key that holds their docker configuration.
pub(crate) const SECRETS: [(&str, &str); 3] = [
    ("harbor-pullsecret", ".dockerconfigjson"),
    ("harbor-pushsecret", ".dockerconfigjson"),
    ("harbor-pushsecret-builds", "config.json"),
];

/// The state of these teams, whose registry is at `host`.
pub(crate) fn end_state(stage: &Stage, teams: &[&str], host: &str) -> String {
    let mut text = String::new();
    for team in teams {
        let namespace = format!("team-{team}");
        stage.harbor.look(|state| {
            let Some(project) = state.project_named(&namespace) else {
                return writeln!(text, "{team}: no project").unwrap();
            };
            writeln!(text, "{team}: project {:?}", project.metadata).unwrap();
            let mut members: Vec<_> = state
                .members(project.id)
                .filter_map(|member| Some((state.member_name(member)?.to_owned(), member.role)))
                .collect();
            members.sort();
            writeln!(text, "  members {members:?}").unwrap();
            let mut robots: Vec<_> = state
                .robots()
                .filter(|robot| robot.name.starts_with(&format!("{namespace}-")))
                .map(|robot| {
                    let access: Vec<_> = robot
                        .grants
                        .iter()
                        .flat_map(|grant| &grant.access)
                        .map(|access| &access.action)
                        .collect();
                    format!("{} {access:?} {} {}", robot.name, robot.duration, robot.disabled)
                })
                .collect();
            robots.sort();
            writeln!(text, "  robots {robots:?}").unwrap();
        });
        for (secret, key) in SECRETS {
            let kind = stage
                .kubernetes
                .look(|state| state.secret_type(&namespace, secret));
            let marked = stage.kubernetes.look(|state| {
                state.metadata(Kind::Secret, &namespace, secret, "labels", "harborage.dev/team")
            });
            let held = login(stage, team, secret, key, host);
            let works = held
                .as_ref()
                .is_some_and(|(user, password)| stage.harbor.authenticates(user, password));
            let user = held.map(|(user, _)| user);
            writeln!(
                text,
                "  Secret {secret} {kind:?} {marked:?} {user:?} works: {works}"
            )
            .unwrap();
        }
        let pulls = stage
            .kubernetes
            .look(|state| state.pull_secrets(&namespace, "default"));
        writeln!(text, "  pulls with {pulls:?}").unwrap();
    }
    text
}

/// User and password of the login that a Secret holds for the host.
pub(crate) fn login(
    stage: &Stage,
    team: &str,
    secret: &str,
    key: &str,
    host: &str,
) -> Option<(String, String)> {
    let value = stage
        .kubernetes
        .look(|state| state.secret_value(&format!("team-{team}"), secret, key))?;
    let login = DockerConfig::parse(value.as_bytes())
        .ok()?
        .login(&host.parse().unwrap())?;
    Some((login.username, login.password.expose_secret().to_owned()))
}

/// Asserts that each team is as a team should be, and that each of its logins works.
#[track_caller]
pub(crate) fn assert_provisioned(stage: &Stage, teams: &[&str], host: &str) {
    for team in teams {
        let found = end_state(stage, &[team], host);
        let expected = format!(
            "\
{team}: project {{\"public\": \"false\"}}
  members [(\"admin\", 1), (\"all-teams-admin\", 1), (\"team-{team}\", 2)]
  robots [\"team-{team}-builds [\\\"pull\\\", \\\"push\\\"] -1 false\", \"team-{team}-pull [\\\"pull\\\"] -1 false\", \"team-{team}-push [\\\"pull\\\", \\\"push\\\"] -1 false\"]
  Secret harbor-pullsecret Some(\"kubernetes.io/dockerconfigjson\") Some(\"{team}\") Some(\"otomi-team-{team}-pull\") works: true
  Secret harbor-pushsecret Some(\"kubernetes.io/dockerconfigjson\") Some(\"{team}\") Some(\"otomi-team-{team}-push\") works: true
  Secret harbor-pushsecret-builds Some(\"Opaque\") Some(\"{team}\") Some(\"otomi-team-{team}-builds\") works: true
  pulls with [\"harbor-pullsecret\"]
"
        );
        assert_eq!(found, expected);
    }
}
