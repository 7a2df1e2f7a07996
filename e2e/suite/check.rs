//! Whether a team has all that it should, asked of the servers themselves.

use serde_json::Value;

use super::harbor::login;
use super::stage::Stage;

/// A team's Secrets: name, type, key, robot, and whether that may push.
pub(crate) const SECRETS: [(&str, &str, &str, &str, bool); 3] = [
    (
        "harbor-pullsecret",
        "kubernetes.io/dockerconfigjson",
        ".dockerconfigjson",
        "pull",
        false,
    ),
    (
        "harbor-pushsecret",
        "kubernetes.io/dockerconfigjson",
        ".dockerconfigjson",
        "push",
        true,
    ),
    (
        "harbor-pushsecret-builds",
        "Opaque",
        "config.json",
        "builds",
        true,
    ),
];

/// Fails where anything of a team is missing, wrong, or does not work.
pub(crate) async fn provisioned(stage: &Stage, team: &str) {
    let name = format!("team-{team}");
    let harbor = stage.harbor();
    let project = harbor
        .project(&name)
        .await
        .unwrap_or_else(|| panic!("there is no project {name}"));
    assert_ne!(project["metadata"]["public"], "true", "{name} is public");
    members(stage, &name).await;
    for (secret, kind, key, robot, pushes) in SECRETS {
        let robot_name = format!("{name}-{robot}");
        let found = harbor
            .robot(&robot_name)
            .await
            .unwrap_or_else(|| panic!("there is no robot {robot_name}"));
        assert_eq!(found["disable"], false, "{robot_name}: {found}");
        assert_eq!(found["duration"], -1, "{robot_name}: {found}");
        let (user, password) = held(stage, &name, secret, kind, key).await;
        assert_eq!(
            found["name"],
            Value::String(user.clone()),
            "{secret} is another robot's"
        );
        let allowed = harbor.allows(&name, &user, &password).await;
        let allowed = allowed.unwrap_or_else(|| panic!("Harbor refuses the login of {secret} in {name}"));
        assert!(
            allowed.contains(&"pull".to_owned()),
            "{secret} in {name} may {allowed:?}"
        );
        assert_eq!(
            allowed.contains(&"push".to_owned()),
            pushes,
            "{secret} in {name} may {allowed:?}"
        );
    }
    let account = stage.kubernetes().accounts(&name).get("default").await.unwrap();
    let pulls: Vec<String> = account
        .image_pull_secrets
        .into_iter()
        .flatten()
        .map(|secret| secret.name)
        .collect();
    assert!(
        pulls.contains(&"harbor-pullsecret".to_owned()),
        "{name} pulls with {pulls:?}"
    );
}

async fn members(stage: &Stage, name: &str) {
    let members = stage
        .harbor()
        .get(&format!("/projects/{name}/members?page_size=100"))
        .await
        .unwrap();
    for (group, role) in [(name, 2), ("all-teams-admin", 1)] {
        let is_group = |member: &&Value| member["entity_type"] == "g" && member["entity_name"] == group;
        let member = members.as_array().unwrap().iter().find(is_group);
        let member = member.unwrap_or_else(|| panic!("{group} is no member of {name}: {members}"));
        assert_eq!(member["role_id"], role, "{group} in {name}");
    }
}

/// All logins that a team's Secrets hold.
pub(crate) async fn logins(stage: &Stage, team: &str) -> Vec<(String, String)> {
    let namespace = format!("team-{team}");
    let mut found = Vec::new();
    for (secret, kind, key, ..) in SECRETS {
        found.push(held(stage, &namespace, secret, kind, key).await);
    }
    found
}

/// The login that a Secret holds for the registry of the stage.
async fn held(stage: &Stage, namespace: &str, secret: &str, kind: &str, key: &str) -> (String, String) {
    let bytes = bytes(stage, namespace, secret, kind, key).await;
    let config: Value = serde_json::from_slice(&bytes).unwrap();
    let host = stage.registry_host();
    let entry = &config["auths"][&host];
    assert!(
        entry.is_object(),
        "{secret} in {namespace} has no login for {host}: {:?}",
        config["auths"]
    );
    login(entry)
}

/// The docker configuration that a Secret holds, as it is.
pub(crate) async fn bytes(stage: &Stage, namespace: &str, secret: &str, kind: &str, key: &str) -> Vec<u8> {
    let found = stage
        .kubernetes()
        .secrets(namespace)
        .get_opt(secret)
        .await
        .unwrap();
    let found = found.unwrap_or_else(|| panic!("there is no Secret {secret} in {namespace}"));
    assert_eq!(
        found.type_.as_deref(),
        Some(kind),
        "the type of {secret} in {namespace}"
    );
    let bytes = found.data.unwrap_or_default().remove(key);
    bytes
        .unwrap_or_else(|| panic!("{secret} in {namespace} has no {key}"))
        .0
}
