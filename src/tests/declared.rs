//! A team as `jobs/provision-team.yaml` declares it.

use std::collections::BTreeMap;

use harborage::plan::desired::{
    DesiredCredential, DesiredMember, DesiredProject, DesiredRobot, DesiredSecret, DesiredServiceAccount,
    DesiredTeam, ProjectRole, RobotLifetime, SecretForm,
};

pub(crate) const HOST: &str = "harbor.example.com";

pub(crate) fn team(id: &str) -> DesiredTeam {
    let name = format!("team-{id}");
    let credential = |suffix: &str, secret: &str, form: SecretForm, access: &[&str]| DesiredCredential {
        robot: DesiredRobot {
            name: format!("{name}-{suffix}").parse().unwrap(),
            access: access
                .iter()
                .map(|access| (*access).to_owned().try_into().unwrap())
                .collect(),
            lifetime: RobotLifetime::Never,
        },
        secrets: vec![DesiredSecret {
            name: secret.parse().unwrap(),
            form,
        }],
    };
    let both = ["repository:pull", "repository:push"];
    let member = |group: &str, role| DesiredMember {
        group: group.parse().unwrap(),
        role,
    };
    DesiredTeam {
        team: id.parse().unwrap(),
        registry_host: HOST.parse().unwrap(),
        project: DesiredProject {
            name: name.parse().unwrap(),
            metadata: BTreeMap::from([("public".to_owned(), "false".to_owned())]),
            storage_quota: None,
        },
        members: vec![
            member(&name, ProjectRole::Developer),
            member("all-teams-admin", ProjectRole::ProjectAdmin),
        ],
        credentials: vec![
            credential(
                "pull",
                "harbor-pullsecret",
                SecretForm::DockerConfigJson,
                &both[..1],
            ),
            credential("push", "harbor-pushsecret", SecretForm::DockerConfigJson, &both),
            credential(
                "builds",
                "harbor-pushsecret-builds",
                SecretForm::Opaque {
                    key: "config.json".to_owned(),
                },
                &both,
            ),
        ],
        namespace: name.parse().unwrap(),
        service_accounts: vec![DesiredServiceAccount {
            name: "default".parse().unwrap(),
            pull_secrets: vec!["harbor-pullsecret".parse().unwrap()],
        }],
    }
}
