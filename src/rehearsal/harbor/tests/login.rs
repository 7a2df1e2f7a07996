//! Logins through the identity provider, and who is locked out by them.

use super::*;

const ISSUER: &str = "https://keycloak.example.com/realms/otomi";

/// A Harbor whose users come by OIDC and are onboarded by their address.
async fn start_with_oidc() -> HarborStandIn {
    let harbor = start().await;
    harbor.alter(|state| {
        let settings = state.settings_mut();
        settings.set("auth_mode", json!("oidc_auth"));
        settings.set("oidc_user_claim", json!("email"));
        settings.set("oidc_groups_claim", json!("groups"));
        settings.set("oidc_admin_group", json!("platform-admin"));
        settings.set("oidc_auto_onboard", json!(true));
    });
    harbor
}

fn claims(subject: &str, email: &str, groups: &[&str]) -> Value {
    json!({"sub": subject, "iss": ISSUER, "email": email, "name": "A User", "groups": groups})
}

#[track_caller]
fn through(login: OidcLogin) -> (i64, String) {
    match login {
        OidcLogin::Through { user, sid } => (user, format!("Cookie: sid={sid}")),
        other => panic!("{other:?}"),
    }
}

fn conflict(message: &str) -> OidcLogin {
    let message = message.to_owned();
    OidcLogin::Refused { status: 409, message }
}

#[tokio::test]
async fn the_groups_of_a_login_decide_what_a_user_may_do() {
    let harbor = start_with_oidc().await;
    let group = json!({"group_name": "team-a", "group_type": 3});
    let body = json!({"role_id": 2, "member_group": group});
    admin(
        &harbor,
        "POST",
        "/api/v2.0/projects",
        Some(json!({"project_name": "team-a"})),
    )
    .await;
    admin(&harbor, "POST", "/api/v2.0/projects/team-a/members", Some(body)).await;

    let (project, current) = ("/api/v2.0/projects/team-a", "/api/v2.0/users/current");
    let (id, sid) = through(harbor.log_in_through_oidc(&claims("1", "a@example.com", &["team-a", "team-b"])));
    assert_eq!(ask(&harbor, "GET", project, &[&sid], None).await.status, 200);
    let me = ask(&harbor, "GET", current, &[&sid], None).await.body;
    assert_eq!(
        (&me["username"], &me["admin_role_in_auth"]),
        (&json!("a@example.com"), &json!(false))
    );
    assert_eq!(me["oidc_user_meta"]["subiss"], format!("1{ISSUER}"));
    assert!(harbor.look(|state| state.group_named("team-b").is_some()));

    let (again, sid) = through(harbor.log_in_through_oidc(&claims("1", "a@example.com", &[])));
    assert_eq!(again, id);
    assert_eq!(ask(&harbor, "GET", project, &[&sid], None).await.status, 403);

    let (_, sid) = through(harbor.log_in_through_oidc(&claims("1", "a@example.com", &["platform-admin"])));
    assert_eq!(
        ask(&harbor, "GET", "/api/v2.0/users", &[&sid], None).await.status,
        200
    );
    let me = ask(&harbor, "GET", current, &[&sid], None).await.body;
    assert_eq!(
        (&me["admin_role_in_auth"], &me["sysadmin_flag"]),
        (&json!(true), &json!(false))
    );
    // Of others nobody is told what their login said.
    let seen = admin(&harbor, "GET", &format!("/api/v2.0/users/{id}"), None)
        .await
        .body;
    assert_eq!(seen["admin_role_in_auth"], false);
}

#[tokio::test]
async fn the_secret_for_command_lines_signs_in_at_few_places() {
    let harbor = start_with_oidc().await;
    let (id, _) = through(harbor.log_in_through_oidc(&claims("1", "a@example.com", &[])));
    let user = admin(&harbor, "GET", &format!("/api/v2.0/users/{id}"), None).await;
    let secret = user.body["oidc_user_meta"]["secret"].as_str().unwrap().to_owned();
    assert_eq!(
        token(&harbor, "a@example.com", &secret).await["sub"],
        "a@example.com"
    );
    assert_eq!(token(&harbor, "a@example.com", "wrong").await["sub"], "");
    let header = basic("a@example.com", &secret);
    let body = Some(json!({"project_name": "own"}));
    assert_eq!(
        ask(&harbor, "POST", "/api/v2.0/projects", &[&header], body)
            .await
            .status,
        201
    );
    assert_eq!(
        ask(&harbor, "GET", "/api/v2.0/projects/own", &[&header], None)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_user_made_anew_at_the_provider_is_locked_out_until_the_old_one_goes() {
    let harbor = start_with_oidc().await;
    let (old, _) = through(harbor.log_in_through_oidc(&claims("1", "a@example.com", &["team-a"])));
    harbor.alter(|state| state.insert_member(1, state::MemberKind::User, old, 2));
    let anew = claims("2", "a@example.com", &["team-new"]);
    let refused = harbor.log_in_through_oidc(&anew);
    let message = "failed to create user record: user a@example.com or email a@example.com already exists";
    assert_eq!(refused, conflict(message));
    // The groups are made before the user is.
    assert!(harbor.look(|state| state.group_named("team-new").is_some()));

    let deleted = admin(&harbor, "DELETE", &format!("/api/v2.0/users/{old}"), None).await;
    assert_eq!(deleted.status, 200);
    let members = admin(&harbor, "GET", "/api/v2.0/projects/library/members", None).await;
    assert_eq!(members.header("x-total-count"), Some("1"));
    assert!(through(harbor.log_in_through_oidc(&anew)).0 > old);
}

#[tokio::test]
async fn names_and_addresses_are_unique_each_for_itself_and_by_case() {
    let harbor = start_with_oidc().await;
    harbor.alter(|state| state.settings_mut().set("oidc_user_claim", json!("nickname")));
    let log_in = |subject: &str, name: &str, email: &str| {
        let claims =
            json!({"sub": subject, "iss": ISSUER, "email": email, "nickname": name, "name": "Full, Name"});
        harbor.log_in_through_oidc(&claims)
    };
    through(log_in("1", "erin", "erin@example.com"));
    let message = "failed to create user record: user erin2 or email erin@example.com already exists";
    assert_eq!(log_in("2", "erin2", "erin@example.com"), conflict(message));
    let message = "failed to create user record: user erin or email other@example.com already exists";
    assert_eq!(log_in("2", "erin", "other@example.com"), conflict(message));
    through(log_in("2", "Erin", "Erin@example.com"));
    // Without an address nobody is in the way of anybody.
    through(log_in("3", "frank", ""));
    through(log_in("4", "gina", ""));
    // What is missing in the claim is the full name, made fit.
    let (id, _) = through(log_in("5", "", ""));
    assert_eq!(
        harbor.look(|state| state.user(id).unwrap().username.clone()),
        "Full__Name"
    );
}

#[tokio::test]
async fn an_identity_that_a_deleted_user_kept_leaves_an_orphan_behind() {
    let harbor = start_with_oidc().await;
    let claims = claims("1", "a@example.com", &[]);
    let (old, _) = through(harbor.log_in_through_oidc(&claims));
    let mode = |mode: &str| harbor.alter(|state| state.settings_mut().set("auth_mode", json!(mode)));
    mode("db_auth");
    assert!(matches!(
        harbor.log_in_through_oidc(&claims),
        OidcLogin::Refused { status: 412, .. }
    ));
    admin(&harbor, "DELETE", &format!("/api/v2.0/users/{old}"), None).await;
    mode("oidc_auth");

    let message = format!(
        "failed to create OIDC metadata record: The OIDC info for user {} exists, subissuer: 1{ISSUER}",
        old + 1
    );
    assert_eq!(harbor.log_in_through_oidc(&claims), conflict(&message));
    let orphan = admin(&harbor, "GET", &format!("/api/v2.0/users/{}", old + 1), None).await;
    assert_eq!(orphan.status, 500);
    let message = "failed to create user record: user a@example.com or email a@example.com already exists";
    assert_eq!(harbor.log_in_through_oidc(&claims), conflict(message));
}

#[tokio::test]
async fn a_new_user_chooses_a_name_where_onboarding_is_not_automatic() {
    let harbor = start_with_oidc().await;
    harbor.alter(|state| state.settings_mut().set("oidc_auto_onboard", json!(false)));
    let claims = claims("1", "a@example.com", &[]);
    let username = "a@example.com".to_owned();
    assert_eq!(
        harbor.log_in_through_oidc(&claims),
        OidcLogin::Choose { username }
    );
    for (name, message) in [
        ("", "username with illegal length"),
        ("a,b", "username a,b contains illegal characters: ,\"~#%$"),
    ] {
        let (status, message) = (400, message.to_owned());
        let refused = OidcLogin::Refused { status, message };
        assert_eq!(harbor.onboard_through_oidc(&claims, name), refused);
    }
    let (id, _) = through(harbor.onboard_through_oidc(&claims, "alice"));
    assert_eq!(through(harbor.log_in_through_oidc(&claims)).0, id);
    assert_eq!(
        harbor.look(|state| state.user(id).unwrap().realname.clone()),
        "alice"
    );
}
