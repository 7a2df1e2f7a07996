//! Keycloak with a realm as Otomi makes it.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{client, loopback};
use super::process::{Process, free_port, private_folder};

const ADMIN: &str = "admin";
/// Otomi's client of the realm.
pub(crate) const CLIENT: &str = "otomi";
pub(crate) const CLIENT_SECRET: &str = "a-client-secret";
pub(crate) const PASSWORD: &str = "a-users-password";

/// A Keycloak and its administrator.
pub(crate) struct Keycloak {
    url: String,
    /// The suite's own.
    realm: String,
    password: String,
    client: reqwest::Client,
    _process: Option<Process>,
}

impl Keycloak {
    pub(crate) async fn start(folder: &Path, programs: &Path, run: &str) -> Self {
        let folder = folder.join("keycloak");
        private_folder(&folder);
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(programs.join("bin/kc.sh"));
        command
            .arg("start")
            // Its transactions, which it would keep beside its programs.
            .arg(format!(
                "-Dquarkus.transaction-manager.object-store.directory={}",
                folder.join("tx").display()
            ))
            .args([
                "--optimized",
                "--db=dev-mem",
                "--cache=local",
                "--http-enabled=true",
            ])
            .arg("--http-host=127.0.0.1")
            .args([format!("--http-port={port}"), format!("--hostname={url}")])
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMIN)
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "a-password-for-keycloak")
            .env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m")
            .env("JAVA_OPTS_APPEND", "-XX:TieredStopAtLevel=1");
        let mut process = Process::start("keycloak", &folder, &mut command);
        let client = loopback();
        let health = format!("{url}/health/ready");
        process
            .until(async || {
                client
                    .get(&health)
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status() == 200)
            })
            .await;
        Self {
            url,
            realm: format!("harborage-e2e-{run}"),
            password: "a-password-for-keycloak".to_owned(),
            client,
            _process: Some(process),
        }
    }

    pub(crate) fn use_running(url: &str, password_file: &Path, ca: Option<&Path>, run: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            realm: format!("harborage-e2e-{run}"),
            password: std::fs::read_to_string(password_file)
                .unwrap()
                .trim_end()
                .to_owned(),
            client: client(ca),
            _process: None,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Who the realm's tokens say they are from, unless its host was changed.
    pub(crate) fn issuer(&self) -> String {
        format!("{}/realms/{}", self.url, self.realm)
    }

    fn admin_path(&self, path: &str) -> String {
        format!("/admin/realms/{}{path}", self.realm)
    }

    /// Removes the realm, and so its users and groups.
    pub(crate) async fn dismiss(&self) {
        if self.find(&self.admin_path("")).await.is_some() {
            self.ask(Method::DELETE, &self.admin_path(""), None).await;
        }
    }

    /// Makes the realm, as Otomi makes it.
    pub(crate) async fn make_realm(&self) {
        let mapper = |name: &str, kind: &str, config: Value| json!({"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config});
        let groups = json!({
            "claim.name": "groups", "full.path": "false",
            "id.token.claim": "true", "access.token.claim": "true", "userinfo.token.claim": "true",
        });
        let audience = json!({"included.client.audience": CLIENT, "access.token.claim": "true"});
        let realm = json!({
            "realm": self.realm, "enabled": true, "sslRequired": "none",
            "clients": [{
                "clientId": CLIENT, "secret": CLIENT_SECRET, "directAccessGrantsEnabled": true,
                "redirectUris": ["*"],
                "protocolMappers": [
                    mapper("groups", "oidc-group-membership-mapper", groups),
                    mapper("audience", "oidc-audience-mapper", audience),
                ],
            }],
            "groups": [{"name": "platform-admin"}, {"name": "all-teams-admin"}, {"name": "team-admin"}],
        });
        self.ask(Method::POST, "/admin/realms", Some(realm)).await;
    }

    /// Makes a group, unless it is there.
    pub(crate) async fn make_group(&self, name: &str) {
        let found = self
            .find(&self.admin_path(&format!("/groups?search={name}&exact=true")))
            .await;
        if found.is_none_or(|groups| groups == json!([])) {
            self.ask(
                Method::POST,
                &self.admin_path("/groups"),
                Some(json!({"name": name})),
            )
            .await;
        }
    }

    /// Makes a user of these groups.
    pub(crate) async fn make_user(&self, name: &str, groups: &[&str]) {
        let user = json!({
            "username": name, "enabled": true, "email": format!("{name}@example.com"), "emailVerified": true,
            "firstName": name, "lastName": "Person", "groups": groups,
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": false}],
        });
        self.ask(Method::POST, &self.admin_path("/users"), Some(user))
            .await;
    }

    pub(crate) async fn remove_user(&self, name: &str) {
        let found = self
            .find(&self.admin_path(&format!("/users?username={name}&exact=true")))
            .await;
        for user in found.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let id = user["id"].as_str().unwrap();
            self.ask(Method::DELETE, &self.admin_path(&format!("/users/{id}")), None)
                .await;
        }
    }

    /// Gives the realm another host, as a changed domain does; its issuer is another then.
    pub(crate) async fn set_host(&self, url: &str) {
        let realm = json!({"realm": self.realm, "attributes": {"frontendUrl": url}});
        self.ask(Method::PUT, &self.admin_path(""), Some(realm)).await;
    }

    /// What the id token of a user says, who signs in with the password.
    pub(crate) async fn claims(&self, user: &str) -> Value {
        let answer = self.sign_in(user).await;
        let token = answer["id_token"]
            .as_str()
            .unwrap_or_else(|| panic!("no token for {user}: {answer}"));
        let claims = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    }

    /// A token of a user, who signs in with the password: its `access_token`, `id_token` or `refresh_token`.
    pub(crate) async fn token_of(&self, user: &str, kind: &str) -> String {
        let answer = self.sign_in(user).await;
        let token = answer[kind].as_str();
        token
            .unwrap_or_else(|| panic!("no {kind} for {user}: {answer}"))
            .to_owned()
    }

    /// Makes the realm sign with a new key from now on, and keeps the old one for what it signed.
    pub(crate) async fn rotate_key(&self) {
        let found = self.find(&format!("/admin/realms/{}", self.realm)).await.unwrap();
        let priority = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let key = json!({
            "name": format!("key-{priority}"), "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider", "parentId": found["id"],
            "config": {"priority": [priority.to_string()], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]},
        });
        self.ask(
            Method::POST,
            &format!("/admin/realms/{}/components", self.realm),
            Some(key),
        )
        .await;
    }

    async fn sign_in(&self, user: &str) -> Value {
        let form = [
            ("grant_type", "password"),
            ("client_id", CLIENT),
            ("client_secret", CLIENT_SECRET),
            ("scope", "openid"),
            ("username", user),
            ("password", PASSWORD),
        ];
        let url = format!("{}/protocol/openid-connect/token", self.issuer());
        let answer = self.client.post(url).form(&form).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn token(&self) -> String {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", ADMIN),
            ("password", &self.password),
        ];
        let url = format!("{}/realms/master/protocol/openid-connect/token", self.url);
        let answer: Value = self
            .client
            .post(url)
            .form(&form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("no administrator's token: {answer}"))
            .to_owned()
    }

    async fn find(&self, path: &str) -> Option<Value> {
        let request = self
            .client
            .get(format!("{}{path}", self.url))
            .bearer_auth(self.token().await);
        let answer = request.send().await.unwrap();
        if answer.status() == 404 {
            return None;
        }
        Some(answer.error_for_status().unwrap().json().await.unwrap())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) {
        let request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.token().await);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "{path}: {status} {}",
            answer.text().await.unwrap()
        );
    }
}
