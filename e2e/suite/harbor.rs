//! Harbor: the rehearsal's in this process, or one that runs already. Both are spoken to by Harbor's API alone.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harborage::rehearsal::Weather;
use harborage::rehearsal::harbor::{HarborOptions, HarborStandIn, OidcLogin, SigningKey};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::client::{client, loopback};

/// A Harbor and its administrator.
pub(crate) struct Harbor {
    pub(crate) url: String,
    pub(crate) ca: Option<PathBuf>,
    password: String,
    /// Where a person keeps the password of a Harbor that was named.
    pub(crate) password_file: Option<PathBuf>,
    client: reqwest::Client,
    /// The calls of the suite itself.
    asked: AtomicUsize,
    stand_in: Mutex<Option<HarborStandIn>>,
}

impl Harbor {
    /// Starts the rehearsal's, as after its first start, with a key for registry tokens.
    pub(crate) async fn start(signing_key: &SigningKey) -> Self {
        let options = HarborOptions {
            signing_key: Some(signing_key.clone()),
            ..HarborOptions::default()
        };
        let stand_in = HarborStandIn::start(options).await.unwrap();
        Self {
            url: stand_in.base_url(),
            ca: None,
            password: stand_in.admin_password().expose_secret().to_owned(),
            password_file: None,
            client: loopback(),
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
            password_file: Some(password_file.to_owned()),
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

    /// Has every call take at least so long, where it is the rehearsal's.
    pub(crate) async fn slow_down(&self, latency: Duration) {
        if let Some(stand_in) = &*self.stand_in.lock().await {
            stand_in.set_weather(Weather {
                latency,
                ..stand_in.weather()
            });
        }
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

    /// Asks the API as the administrator. Anything but a success is a panic, save for a read of what is not
    /// there, which is `None`.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Option<Value> {
        let (status, text) = self.send(method.clone(), path, body.as_ref()).await;
        if status == StatusCode::NOT_FOUND && method == Method::GET {
            return None;
        }
        assert!(
            status.is_success(),
            "{method} {path} with {body:?}: {status} {text}"
        );
        Some(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, String) {
        let mut request = self
            .client
            .request(method.clone(), format!("{}/api/v2.0{path}", self.url))
            .basic_auth("admin", Some(&self.password))
            .header("x-is-resource-name", "true");
        if let Some(body) = body {
            request = request.json(body);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        (answer.status(), answer.text().await.unwrap())
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

    /// The robots of the system that have this in their name, a hundred at most.
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

    /// Removes a team's project, with what was pushed to it, and its robots.
    pub(crate) async fn remove_team(&self, team: &str) {
        let name = format!("team-{team}");
        for robot in self.robots(&format!("{name}-")).await {
            let full = robot["name"].as_str().unwrap();
            if ["pull", "push", "builds"]
                .iter()
                .any(|kind| full.ends_with(&format!("{name}-{kind}")))
            {
                self.remove(&format!("/robots/{}", robot["id"])).await;
            }
        }
        // A project with repositories can't be removed.
        while let Some(found) = self
            .get(&format!("/projects/{name}/repositories?page_size=100"))
            .await
        {
            let repositories = found.as_array().unwrap();
            if repositories.is_empty() {
                break;
            }
            for repository in repositories {
                let path = repository["name"].as_str().unwrap();
                let inner = path.strip_prefix(&format!("{name}/")).unwrap();
                // Harbor's router decodes a path once before it looks for slashes.
                let inner = inner.replace('/', "%252F");
                let path = format!("/projects/{name}/repositories/{inner}");
                self.ask(Method::DELETE, &path, None).await;
            }
        }
        self.remove(&format!("/projects/{name}")).await;
    }

    pub(crate) async fn has_group(&self, name: &str) -> bool {
        !self.groups(|group| group == name).await.is_empty()
    }

    /// Removes the user groups that Harbor made when they became members.
    pub(crate) async fn remove_groups(&self, which: impl Fn(&str) -> bool) {
        for id in self.groups(which).await {
            self.remove(&format!("/usergroups/{id}")).await;
        }
    }

    /// The numbers of the user groups with such a name.
    async fn groups(&self, which: impl Fn(&str) -> bool) -> Vec<u64> {
        let mut ids = Vec::new();
        for page in 1.. {
            let path = format!("/usergroups?page_size=100&page={page}");
            let found = self.get(&path).await.unwrap();
            let groups = found.as_array().unwrap();
            let named = |group: &&Value| group["group_name"].as_str().is_some_and(&which);
            ids.extend(
                groups
                    .iter()
                    .filter(named)
                    .filter_map(|group| group["id"].as_u64()),
            );
            if groups.len() < 100 {
                break;
            }
        }
        ids
    }

    /// Removes what has a path, where it is there.
    async fn remove(&self, path: &str) {
        let (status, text) = self.send(Method::DELETE, path, None).await;
        assert!(
            status.is_success() || status == StatusCode::NOT_FOUND,
            "DELETE {path}: {status} {text}"
        );
    }
}

/// User and password of a login in a docker configuration's `auths`.
pub(crate) fn login(entry: &Value) -> (String, String) {
    let auth = STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap();
    let auth = String::from_utf8(auth).unwrap();
    let (user, password) = auth.split_once(':').unwrap();
    (user.to_owned(), password.to_owned())
}
