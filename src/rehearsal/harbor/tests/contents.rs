//! What a project holds, numbers about it, and how Harbor says that it fares.

use super::*;

/// A private project with a group of guests, and a user who is in it.
async fn project_with_guest(harbor: &HarborStandIn) -> i64 {
    let (status, body) = (201, json!({"project_name": "team-a", "storage_limit": 1024}));
    assert_eq!(
        admin(harbor, "POST", "/api/v2.0/projects", Some(body))
            .await
            .status,
        status
    );
    let user = json!({"username": "gus", "email": "g@example.com", "realname": "G", "password": "Password1"});
    assert_eq!(
        admin(harbor, "POST", "/api/v2.0/users", Some(user)).await.status,
        status
    );
    let member = json!({"role_id": 5, "member_user": {"username": "gus"}});
    let members = "/api/v2.0/projects/team-a/members";
    assert_eq!(admin(harbor, "POST", members, Some(member)).await.status, status);
    harbor.look(|state| state.project_named("team-a").unwrap().id)
}

#[tokio::test]
async fn a_project_with_repositories_lists_them_and_is_not_deleted() {
    let harbor = start().await;
    let id = project_with_guest(&harbor).await;
    let (list, project) = (
        "/api/v2.0/projects/team-a/repositories",
        "/api/v2.0/projects/team-a",
    );
    let empty = admin(&harbor, "GET", list, None).await;
    assert_eq!((empty.status, empty.header("x-total-count")), (200, Some("0")));
    assert_eq!(empty.body, json!([]));

    let now = harbor.now();
    for name in ["app", "worker", "deep/nested"] {
        harbor
            .alter(|state| state.insert_repository(id, name, now))
            .unwrap();
    }
    let page = admin(&harbor, "GET", &format!("{list}?page_size=2"), None).await;
    let names = [&page.body[0]["name"], &page.body[1]["name"]];
    assert_eq!(names, ["team-a/deep/nested", "team-a/worker"]);
    assert_eq!(page.header("x-total-count"), Some("3"));
    let found = admin(&harbor, "GET", &format!("{list}?q=name%3D~app"), None).await;
    assert_eq!(found.body.as_array().unwrap().len(), 1);
    assert_eq!(admin(&harbor, "GET", project, None).await.body["repo_count"], 3);

    let refused = admin(&harbor, "DELETE", project, None).await;
    assert_eq!(
        (refused.status, refused.message()),
        (412, "the project contains repositories, can not be deleted")
    );
    let told = admin(&harbor, "GET", &format!("{project}/_deletable"), None).await;
    assert_eq!(told.body["deletable"], false);
    let nowhere = admin(&harbor, "GET", "/api/v2.0/projects/nowhere/repositories", None).await;
    assert_eq!(
        (nowhere.status, nowhere.message()),
        (404, "project nowhere not found")
    );
}

#[tokio::test]
async fn repositories_of_all_projects_are_those_that_one_sees() {
    let harbor = start().await;
    let id = project_with_guest(&harbor).await;
    let now = harbor.now();
    harbor.alter(|state| {
        (
            state.insert_repository(id, "app", now),
            state.insert_repository(1, "base", now),
        )
    });
    let guest = basic("gus", "Password1");
    let path = "/api/v2.0/repositories";
    for (header, total) in [(Some(guest.as_str()), "2"), (None, "1")] {
        let headers: Vec<&str> = header.into_iter().collect();
        let got = ask(&harbor, "GET", path, &headers, None).await;
        assert_eq!((got.status, got.header("x-total-count")), (200, Some(total)));
    }
    let private = "/api/v2.0/projects/team-a/repositories";
    assert_eq!(ask(&harbor, "GET", private, &[], None).await.status, 401);
}

#[tokio::test]
async fn a_summary_tells_each_what_it_may_know() {
    let harbor = start().await;
    project_with_guest(&harbor).await;
    let path = "/api/v2.0/projects/team-a/summary";
    let mut summary = json!({
        "repo_count": 0, "project_admin_count": 1, "limited_guest_count": 1,
        "quota": {"hard": {"storage": 1024}, "used": {"storage": 0}},
    });
    assert_eq!(admin(&harbor, "GET", path, None).await.body, summary);
    // A limited guest does not see the members.
    summary
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !key.ends_with("guest_count") && !key.contains("admin"));
    let guest = basic("gus", "Password1");
    assert_eq!(ask(&harbor, "GET", path, &[&guest], None).await.body, summary);
    assert_eq!(ask(&harbor, "GET", path, &[], None).await.status, 401);
}

#[tokio::test]
async fn statistics_count_what_is_public_and_what_is_ones_own() {
    let harbor = start().await;
    project_with_guest(&harbor).await;
    admin(
        &harbor,
        "POST",
        "/api/v2.0/projects",
        Some(json!({"project_name": "team-b"})),
    )
    .await;
    let counts = |got: Got| {
        [
            "public_project_count",
            "private_project_count",
            "total_project_count",
        ]
        .map(|key| got.body[key].as_i64().unwrap())
    };
    let path = "/api/v2.0/statistics";
    assert_eq!(counts(admin(&harbor, "GET", path, None).await), [1, 2, 3]);
    let guest = basic("gus", "Password1");
    assert_eq!(
        counts(ask(&harbor, "GET", path, &[&guest], None).await),
        [1, 1, 0]
    );
    let (_, secret) = robot(&harbor, "puller", -1).await;
    let robot = basic("robot$puller", &secret);
    assert_eq!(
        counts(ask(&harbor, "GET", path, &[&robot], None).await),
        [1, 0, 0]
    );
    assert_eq!(ask(&harbor, "GET", path, &[], None).await.status, 401);
}

#[tokio::test]
async fn a_quota_is_of_storage_and_within_limits() {
    let harbor = start().await;
    let id = project_with_guest(&harbor).await;
    let listed = admin(
        &harbor,
        "GET",
        &format!("/api/v2.0/quotas?reference=project&reference_id={id}"),
        None,
    )
    .await;
    let path = format!("/api/v2.0/quotas/{}", listed.body[0]["id"]);
    let most = 1_i64 << 50;
    for (hard, message) in [
        (
            json!({"storage": 0}),
            "invalid non-positive value for quota limit, value=0".to_owned(),
        ),
        (
            json!({"storage": most + 1}),
            format!("exceeded 1024TB, which is {most} Bytes, value={}", most + 1),
        ),
        (
            json!({"storage": 1, "count": 1}),
            "resource count not support".to_owned(),
        ),
        (json!({}), "hard required in body".to_owned()),
    ] {
        let got = admin(&harbor, "PUT", &path, Some(json!({"hard": hard}))).await;
        assert_eq!((got.status, got.message()), (400, message.as_str()));
    }
    for storage in [-1, 1, most] {
        let body = json!({"hard": {"storage": storage}});
        assert_eq!(admin(&harbor, "PUT", &path, Some(body)).await.status, 200);
        assert_eq!(
            admin(&harbor, "GET", &path, None).await.body["hard"]["storage"],
            storage
        );
    }
    assert_eq!(
        admin(
            &harbor,
            "PUT",
            "/api/v2.0/quotas/999",
            Some(json!({"hard": {"storage": 1}}))
        )
        .await
        .status,
        404
    );
}

#[tokio::test]
async fn health_is_told_with_200_also_when_it_is_bad() {
    let harbor = start().await;
    let path = "/api/v2.0/health";
    harbor.set_health("redis", Some("dial tcp: connection refused"));
    let got = ask(&harbor, "GET", path, &[], None).await;
    assert_eq!((got.status, &got.body["status"]), (200, &json!("unhealthy")));
    let redis = json!({"name": "redis", "status": "unhealthy", "error": "dial tcp: connection refused"});
    assert!(got.body["components"].as_array().unwrap().contains(&redis));
    harbor.set_health("redis", None);
    assert_eq!(
        ask(&harbor, "GET", path, &[], None).await.body["status"],
        "healthy"
    );
}
