//! What robots may do and let others do, and who is told of them.

use super::*;

fn access(list: &[(&str, &str, &str)]) -> Value {
    let rows = list.iter().map(|(resource, action, effect)| {
        let mut row = json!({"resource": resource, "action": action});
        if !effect.is_empty() {
            row["effect"] = json!(effect);
        }
        row
    });
    rows.collect()
}

fn permission(kind: &str, namespace: &str, list: &[(&str, &str, &str)]) -> Value {
    json!({"kind": kind, "namespace": namespace, "access": access(list)})
}

fn body(name: &str, level: &str, permissions: &[Value]) -> Value {
    json!({"name": name, "level": level, "duration": -1, "permissions": permissions})
}

#[tokio::test]
async fn a_robot_that_may_push_may_pull_only_if_it_is_a_projects_own() {
    let harbor = start().await;
    // A public project is pulled from by everybody.
    let changed = Some(json!({"metadata": {"public": "false"}}));
    admin(&harbor, "PUT", "/api/v2.0/projects/library", changed).await;
    let push = permission("project", "library", &[("repository", "push", "")]);
    for (level, actions) in [("system", json!(["push"])), ("project", json!(["pull", "push"]))] {
        let created = admin(
            &harbor,
            "POST",
            "/api/v2.0/robots",
            Some(body(level, level, std::slice::from_ref(&push))),
        )
        .await;
        let (name, secret) = (created.body["name"].as_str(), created.body["secret"].as_str());
        let claims = token(&harbor, name.unwrap(), secret.unwrap()).await;
        assert_eq!(claims["access"][0]["actions"], actions, "{level}");
    }
}

#[tokio::test]
async fn a_robot_gives_away_only_what_it_has_word_for_word() {
    let harbor = start().await;
    admin(
        &harbor,
        "POST",
        "/api/v2.0/projects",
        Some(json!({"project_name": "team-a"})),
    )
    .await;
    let own = [
        permission("system", "/", &[("robot", "create", "")]),
        permission(
            "project",
            "*",
            &[("repository", "pull", ""), ("repository", "push", "")],
        ),
        permission("project", "team-a", &[("repository", "pull", "")]),
    ];
    let created = admin(
        &harbor,
        "POST",
        "/api/v2.0/robots",
        Some(body("creator", "system", &own)),
    )
    .await;
    let header = basic("robot$creator", created.body["secret"].as_str().unwrap());
    for (name, namespace, list, status) in [
        ("a", "*", vec![("repository", "pull", "")], 201),
        ("b", "library", vec![("repository", "push", "")], 201),
        ("c", "*", vec![("repository", "delete", "")], 403),
        ("d", "*", vec![("repository", "pull", "allow")], 403),
        ("e", "team-a", vec![("repository", "pull", "")], 201),
        ("f", "team-a", vec![("repository", "push", "")], 403),
    ] {
        let body = Some(body(name, "system", &[permission("project", namespace, &list)]));
        let got = ask(&harbor, "POST", "/api/v2.0/robots", &[&header], body).await;
        assert_eq!(got.status, status, "{name}: {}", got.body);
    }
}

#[tokio::test]
async fn robots_are_listed_by_level_and_project_in_plain_words_only() {
    let harbor = start().await;
    for (filter, status) in [
        ("Level=system", 200),
        ("Level=project,ProjectID=1", 200),
        ("Level=project", 400),
        ("Level=project,ProjectID=0", 400),
        ("Level=everything", 400),
        ("Level=~project", 500),
        ("Level=project,ProjectID={1 2}", 500),
    ] {
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let got = admin(&harbor, "GET", &format!("/api/v2.0/robots?q={filter}"), None).await;
        assert_eq!(got.status, status, "{filter}: {}", got.body);
    }
}
