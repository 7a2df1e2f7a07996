//! Harbor: the rehearsal's in this process, or one that runs already. Both are spoken to by Harbor's API alone.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harborage::rehearsal::harbor::{HarborOptions, HarborStandIn, OidcLogin, SigningKey};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// What the rehearsal's Harbor is told of its surroundings.
#[derive(Clone, Default)]
pub(crate) struct Surroundings {
    /// What it signs registry tokens with.
    pub(crate) signing_key: Option<SigningKey>,
    /// The identity providers that answer it.
    pub(crate) issuers: Vec<String>,
}

/// A Harbor and its administrator.
pub(crate) struct Harbor {
    pub(crate) url: String,
    pub(crate) ca: Option<PathBuf>,
    password: String,
    client: reqwest::Client,
    /// The calls of the suite itself.
    asked: AtomicUsize,
    stand_in: Mutex<Option<HarborStandIn>>,
}

impl Harbor {
    /// Starts the rehearsal's, as after its first start.
    pub(crate) async fn start(surroundings: &Surroundings) -> Self {
        let stand_in = HarborStandIn::start(options(surroundings)).await.unwrap();
        Self {
            url: stand_in.base_url(),
            ca: None,
            password: stand_in.admin_password().expose_secret().to_owned(),
            client: client(None),
            asked: AtomicUsize::new(0),
            stand_in: Mutex::new(Some(stand_in)),
        }
    }

    /// Takes one that runs already.
    pub(crate) fn use_running(url: &str, password_file: &Path, ca: Option<&Path>) -> Self {
        let password = std::fs::read_to_string(password_file)
            .unwrap_or_else(|error| panic!("{} can't be read: {error}", password_file.display()));
        Self {
            url: url.trim_end_matches('/').to_owned(),
            ca: ca.map(Path::to_owned),
            password: password.trim_end().to_owned(),
            client: client(ca),
            asked: AtomicUsize::new(0),
            stand_in: Mutex::default(),
        }
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// Host and port, as a registry's client names it.
    pub(crate) fn host(&self) -> &str {
        self.url.split_once("://").map_or(&*self.url, |(_, host)| host)
    }

    /// Stops it. Answers what [`Harbor::resume`] starts it with, as it was.
    pub(crate) async fn stop(&self) -> HarborOptions {
        let stand_in = self.stand_in.lock().await.take();
        stand_in.expect("it is not ours to stop").stop().await
    }

    /// Starts it again where it was, with what it held.
    pub(crate) async fn resume(&self, stopped: HarborOptions) {
        *self.stand_in.lock().await = Some(HarborStandIn::start(stopped).await.unwrap());
    }

    /// The calls of others than the suite since it was started; none where it is not ours to count them.
    pub(crate) async fn calls(&self) -> Option<usize> {
        let stand_in = self.stand_in.lock().await;
        let total = stand_in.as_ref()?.counts().total;
        Some(usize::try_from(total).unwrap() - self.asked.load(Ordering::Relaxed))
    }

    /// Lets a user sign in through the identity provider, who has these claims.
    pub(crate) async fn sign_in(&self, claims: &Value) -> OidcLogin {
        let stand_in = self.stand_in.lock().await;
        let stand_in = stand_in
            .as_ref()
            .expect("claims are given to the rehearsal's Harbor alone");
        stand_in.log_in_through_oidc(claims)
    }

    /// Asks the API as the administrator. Anything but a success is a panic, save for 404, which is `None`.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Option<Value> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}/api/v2.0{path}", self.url))
            .basic_auth("admin", Some(&self.password))
            .header("x-is-resource-name", "true");
        if let Some(body) = &body {
            request = request.json(body);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let status = answer.status();
        let text = answer.text().await.unwrap();
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        assert!(
            status.is_success(),
            "{method} {path} with {body:?}: {status} {text}"
        );
        Some(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Reads something as the user of a browser's session.
    pub(crate) async fn get_as(&self, sid: &str, path: &str) -> Value {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let request = self.client.get(format!("{}/api/v2.0{path}", self.url));
        let request = request
            .header("cookie", format!("sid={sid}"))
            .header("x-is-resource-name", "true");
        request
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    pub(crate) async fn project(&self, name: &str) -> Option<Value> {
        self.get(&format!("/projects/{name}")).await
    }

    /// The system robots whose name, without the prefix, is in a list that begins so.
    pub(crate) async fn robots(&self, name: &str) -> Vec<Value> {
        let found = self.get(&format!("/robots?page_size=100&q=name%3D~{name}")).await;
        found
            .and_then(|robots| robots.as_array().cloned())
            .unwrap_or_default()
    }

    /// The one robot of that name, prefix left out.
    pub(crate) async fn robot(&self, name: &str) -> Option<Value> {
        let mut robots = self.robots(name).await;
        robots.retain(|robot| robot["name"].as_str().is_some_and(|full| full.ends_with(name)));
        robots.pop()
    }

    pub(crate) async fn put_robot(&self, robot: &Value) {
        self.ask(
            Method::PUT,
            &format!("/robots/{}", robot["id"]),
            Some(robot.clone()),
        )
        .await;
    }

    pub(crate) async fn delete_robot(&self, robot: &Value) {
        self.ask(Method::DELETE, &format!("/robots/{}", robot["id"]), None)
            .await;
    }

    /// Creates a robot of one project and sets its secret.
    pub(crate) async fn make_robot(&self, project: &str, name: &str, actions: &[&str], secret: &str) {
        let access: Vec<Value> = actions
            .iter()
            .map(|action| json!({"resource": "repository", "action": action}))
            .collect();
        let robot = json!({
            "name": name, "duration": -1, "disable": false, "level": "system", "secret": secret,
            "permissions": [{"kind": "project", "namespace": project, "access": access}],
        });
        let made = self.ask(Method::POST, "/robots", Some(robot)).await.unwrap();
        self.ask(
            Method::PATCH,
            &format!("/robots/{}", made["id"]),
            Some(json!({"secret": secret})),
        )
        .await;
    }

    /// What a login may do with a project's repositories, by the token that the registry's service gives it;
    /// none where the login is refused.
    pub(crate) async fn allows(&self, project: &str, user: &str, password: &str) -> Option<Vec<String>> {
        let scope = format!("repository:{project}/e2e:pull,push");
        let request = self
            .client
            .get(format!("{}/service/token", self.url))
            .query(&[("service", "harbor-registry"), ("scope", &scope)])
            .basic_auth(user, Some(password));
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = request.send().await.unwrap();
        if answer.status() == StatusCode::UNAUTHORIZED {
            return None;
        }
        let token: Value = answer.json().await.unwrap();
        let claims = token["token"].as_str().unwrap().split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let access = &claims["access"][0]["actions"];
        let actions = access.as_array().into_iter().flatten().filter_map(Value::as_str);
        Some(actions.map(str::to_owned).collect())
    }

    /// Removes a team's project and robots.
    pub(crate) async fn remove_team(&self, team: &str) {
        let name = format!("team-{team}");
        for robot in self.robots(&name).await {
            let full = robot["name"].as_str().unwrap();
            if ["pull", "push", "builds"]
                .iter()
                .any(|kind| full.ends_with(&format!("{name}-{kind}")))
            {
                self.delete_robot(&robot).await;
            }
        }
        if self.project(&name).await.is_some() {
            self.ask(Method::DELETE, &format!("/projects/{name}"), None).await;
        }
    }
}

fn options(surroundings: &Surroundings) -> HarborOptions {
    HarborOptions {
        signing_key: surroundings.signing_key.clone(),
        issuers: surroundings.issuers.clone(),
        ..HarborOptions::default()
    }
}

fn client(ca: Option<&Path>) -> reqwest::Client {
    harborage::edge::tls::install_crypto_provider();
    let mut builder = reqwest::Client::builder();
    if let Some(path) = ca {
        let pem = std::fs::read(path).unwrap();
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem).unwrap());
    }
    builder.build().unwrap()
}

/// User and password of a login in a docker configuration's `auths`.
pub(crate) fn login(entry: &Value) -> (String, String) {
    let auth = STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap();
    let auth = String::from_utf8(auth).unwrap();
    let (user, password) = auth.split_once(':').unwrap();
    (user.to_owned(), password.to_owned())
}
