//! What Otomi's own operator leaves behind, as `apl-harbor-operator` does it: the starting point of an adoption.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Patch, PatchParams};
use reqwest::Method;
use serde_json::{Value, json};

use super::check::SECRETS;
use super::stage::Stage;

/// The Secret of the operator's robot, in the namespace `harbor`.
pub(crate) const ROBOT: &str = "harbor-robot-admin";

/// Configures Harbor, as the operator does once a minute.
pub(crate) async fn configure(stage: &Stage, domain: &str) {
    let configuration = json!({
        "auth_mode": "oidc_auth", "oidc_admin_group": "platform-admin", "oidc_client_id": "otomi",
        "oidc_client_secret": "a-client-secret", "oidc_groups_claim": "groups", "oidc_name": "otomi",
        "oidc_endpoint": format!("https://keycloak.{domain}/realms/otomi"), "oidc_scope": "openid",
        "oidc_verify_cert": true, "oidc_user_claim": "email", "oidc_auto_onboard": true,
        "project_creation_restriction": "adminonly", "robot_name_prefix": "otomi-", "self_registration": false,
        "primary_auth_mode": true,
    });
    stage
        .harbor()
        .ask(Method::PUT, "/configurations", Some(configuration))
        .await;
}

/// Makes the robot that the operator signs in with, and its Secret. Answers its number.
pub(crate) async fn sign_in(stage: &Stage) -> Value {
    let (harbor, kubernetes) = (stage.harbor(), stage.kubernetes());
    // The operator gives it seventy permissions; these are those of which it makes use.
    let access = [
        ("project", "create"),
        ("project", "list"),
        ("robot", "create"),
        ("robot", "list"),
    ]
    .map(|(resource, action)| json!({"resource": resource, "action": action}));
    let robot = json!({
        "name": "harbor", "level": "system", "duration": -1, "disable": false,
        "permissions": [{"kind": "system", "namespace": "/", "access": access}],
    });
    let made = harbor.ask(Method::POST, "/robots", Some(robot)).await.unwrap();
    kubernetes.make_namespace("harbor").await;
    let (id, secret) = (made["id"].to_string(), made["secret"].as_str().unwrap());
    let data = [("id", &*id), ("name", "otomi-harbor"), ("secret", secret)];
    kubernetes.put_secret("harbor", ROBOT, "Opaque", &data).await;
    made["id"].clone()
}

/// Makes what Otomi's core has in a team's namespace before the operator comes.
pub(crate) async fn prepare(stage: &Stage, team: &str) {
    let kubernetes = stage.kubernetes();
    let name = format!("team-{team}");
    let labels = json!({"metadata": {"labels": {"otomi.io/team": team, "type": "team"}}});
    let change = Patch::Merge(labels);
    let namespaces = kubernetes.namespaces();
    namespaces
        .patch(&name, &PatchParams::default(), &change)
        .await
        .unwrap();
    let account = json!({
        "metadata": {"name": format!("sa-team-{team}")},
        "imagePullSecrets": [{"name": "harbor-pullsecret"}],
        "secrets": [{"name": "harbor-pushsecret-builds"}],
    });
    kubernetes.make_account(&name, account).await;
    add_pull_secret(stage, &name, "harbor-pullsecret").await;
}

/// Gives a team what the operator gives it, in its order.
pub(crate) async fn provision(stage: &Stage, team: &str) {
    let (harbor, kubernetes) = (stage.harbor(), stage.kubernetes());
    let name = format!("team-{team}");
    harbor
        .ask(Method::POST, "/projects", Some(json!({"project_name": name})))
        .await;
    for (group, role) in [(&*name, 2), ("all-teams-admin", 1)] {
        // The operator says 2, which is HTTP authentication's; where users are an identity provider's, Harbor
        // makes it 3.
        let member = json!({"role_id": role, "member_group": {"group_name": group, "group_type": 2}});
        harbor
            .ask(Method::POST, &format!("/projects/{name}/members"), Some(member))
            .await;
    }
    for (secret, kind, key, robot, pushes) in SECRETS {
        let password = format!("Adopted0{}{robot}", "x".repeat(24));
        let user = format!("otomi-{name}-{robot}");
        let login = json!({
            "username": user, "password": password, "email": "not@val.id",
            "auth": STANDARD.encode(format!("{user}:{password}")),
        });
        let config = json!({"auths": {stage.registry_host(): login}}).to_string();
        kubernetes
            .put_secret(&name, secret, kind, &[(key, &config)])
            .await;
        if kind != "Opaque" {
            add_pull_secret(stage, &name, secret).await;
        }
        let actions: &[&str] = if pushes { &["push", "pull"] } else { &["pull"] };
        harbor
            .make_robot(&name, &format!("{name}-{robot}"), actions, &password)
            .await;
    }
}

async fn add_pull_secret(stage: &Stage, namespace: &str, secret: &str) {
    let accounts = stage.kubernetes().accounts(namespace);
    let patch: Value = json!({"imagePullSecrets": [{"name": secret}]});
    accounts
        .patch("default", &PatchParams::default(), &Patch::Strategic(patch))
        .await
        .unwrap();
}
