//! A stand-in that takes the place of one of the recording's databases, with what
//! the recording does not tell: secrets, cookies, and objects that came from
//! elsewhere.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use harborage::rehearsal::harbor::{HarborOptions, HarborStandIn};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    client::{self, Answer},
    compare::{Numbers, differences},
    recording::{Question, Row, lengthen, shortened},
};

pub(super) const ISSUER: &str = "http://127.0.0.1:18180/realms/otomi";
const ADMIN: &str = "Harbor12345";
const USER: &str = "Password1";
/// A wrong password's penalty where it is not what is looked at.
pub(super) const SHORT_PENALTY: Duration = Duration::from_millis(5);

/// One database of the recording: a stand-in, and what was learned about it.
pub(super) struct Replay {
    pub(super) harbor: HarborStandIn,
    pub(super) numbers: Numbers,
    /// Secrets of robots by name without prefix.
    robots: BTreeMap<String, String>,
    /// Secrets of OIDC users for command line clients.
    pub(super) users: HashMap<String, String>,
    /// The claims of the last login.
    pub(super) login: Value,
    /// What a robot can be granted.
    permissions: Value,
    pub(super) sid: String,
    csrf: String,
    token: String,
}

impl Replay {
    pub(super) async fn start() -> Self {
        let options = HarborOptions {
            admin_password: SecretString::from(ADMIN),
            external_url: Some("http://127.0.0.1:18085".to_owned()),
            issuers: vec![ISSUER.to_owned()],
            penalty: SHORT_PENALTY,
            ..HarborOptions::default()
        };
        let harbor = HarborStandIn::start(options).await.unwrap();
        let mut numbers = Numbers::default();
        // Those that every Harbor is born with.
        for kind in ["user", "project", "allowlist", "member", "quota"] {
            numbers.tie(kind, 1, 1);
        }
        let basic = format!("Basic {}", STANDARD.encode(format!("admin:{ADMIN}")));
        let headers = [("Authorization".to_owned(), basic)];
        let listed = client::ask(harbor.address(), "GET", "/api/v2.0/permissions", &headers, b"").await;
        let permissions = serde_json::from_str(&listed.body).unwrap();
        let (robots, users) = (BTreeMap::new(), HashMap::new());
        let (sid, csrf, token) = (String::new(), String::new(), String::new());
        Self {
            harbor,
            numbers,
            robots,
            users,
            login: Value::Null,
            permissions,
            sid,
            csrf,
            token,
        }
    }

    /// The password that a row was sent with.
    fn password(&self, row: &Row, login: &str) -> String {
        if row.has_wrong_password() {
            return "Wrong1Password".to_owned();
        }
        if login == "admin" {
            return self.harbor.admin_password().expose_secret().to_owned();
        }
        if let Some(secret) = self.users.get(login) {
            return secret.clone();
        }
        // The name without its prefix, whatever that is at present, is the longest
        // that fits.
        let robot = self
            .robots
            .iter()
            .filter(|(name, _)| login.ends_with(name.as_str()));
        robot
            .max_by_key(|(name, _)| name.len())
            .map_or(USER.to_owned(), |(_, secret)| secret.clone())
    }

    pub(super) fn headers(&self, row: &Row, request: &Question) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (name, value) in &request.headers {
            let Some(value) = value else { continue };
            let value = match (name.to_ascii_lowercase().as_str(), request.login()) {
                ("authorization", Some(login)) => {
                    let pair = format!("{login}:{}", self.password(row, login));
                    format!("Basic {}", STANDARD.encode(pair))
                }
                ("cookie", _) if value.contains('<') => {
                    format!("sid={}; _gorilla_csrf={}", self.sid, self.csrf)
                }
                ("x-harbor-csrf-token", _) => self.token.clone(),
                _ => value.clone(),
            };
            headers.push((name.clone(), value));
        }
        headers
    }

    /// A path with our numbers for the recorded ones.
    pub(super) fn target(&self, request: &Question) -> String {
        let path = lengthen(&request.path, "").replace("<query>", "code=a&state=b");
        let (path, query) = path
            .split_once('?')
            .map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
        let by_name = request.header("x-is-resource-name") == Some("true");
        let mut before = "";
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let kind = match before {
                "projects" if !by_name => Some("project"),
                "robots" => Some("robot"),
                "users" => Some("user"),
                "members" => Some("member"),
                "usergroups" => Some("group"),
                "quotas" => Some("quota"),
                _ => None,
            };
            let number = kind.and_then(|kind| self.numbers.ours(kind, segment.parse().ok()?));
            segments.push(number.map_or(segment.to_owned(), |number| number.to_string()));
            before = segment;
        }
        let path = segments.join("/");
        let Some(query) = query else { return path };
        let marker = "ProjectID%3D";
        let query = match query.split_once(marker) {
            Some((start, rest)) => {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let ours = digits
                    .parse()
                    .ok()
                    .and_then(|number| self.numbers.ours("project", number));
                let number = ours.map_or(digits.clone(), |number| number.to_string());
                format!("{start}{marker}{number}{}", &rest[digits.len()..])
            }
            None => query.to_owned(),
        };
        format!("{path}?{query}")
    }

    fn body(&self, row: &Row, request: &Question) -> String {
        if row.label.starts_with("form login with") {
            return format!("principal=admin&password={ADMIN}");
        }
        if row.group == "session" && request.method == "POST" && request.path.ends_with("/projects") {
            // The recording leaves this body out.
            return json!({"project_name": "by-session"}).to_string();
        }
        let Some(body) = &request.body else {
            return String::new();
        };
        let body = body
            .replace("<user-password>", USER)
            .replace("<oidc-client-secret>", "client");
        if shortened(&body).is_none() {
            return body;
        }
        if body.starts_with("{\"name\": \"full\"") {
            return json!({"name": "full", "duration": -1, "level": "system", "permissions": self.every_permission()})
                .to_string();
        }
        let access = "[{\"kind\": \"project\", \"namespace\": \"*\", \"access\": [{\"resource\": \"repository\", \"action\": \"pull\"}]}]";
        let end = if request.path.ends_with("/robots") {
            format!("\", \"duration\": -1, \"level\": \"system\", \"permissions\": {access}}}")
        } else {
            "\"}".to_owned()
        };
        lengthen(&body, &end)
    }

    pub(super) async fn ask(&self, row: &Row, request: &Question) -> Answer {
        let headers = self.headers(row, request);
        let body = self.body(row, request);
        client::ask(
            self.harbor.address(),
            &request.method,
            &self.target(request),
            &headers,
            body.as_bytes(),
        )
        .await
    }

    /// Replays a row and returns what differs.
    pub(super) async fn replay(&mut self, row: &Row) -> Vec<String> {
        let (Some(request), Some(recorded)) = (&row.request, &row.response) else {
            return Vec::new();
        };
        let actual = self.ask(row, request).await;
        self.learn(request, &actual);
        differences(
            &request.path,
            request.header("x-request-id"),
            recorded,
            &actual,
            &mut self.numbers,
        )
    }

    /// Remembers the secrets and cookies of an answer.
    pub(super) fn learn(&mut self, request: &Question, actual: &Answer) {
        let answer: Value = serde_json::from_str(&actual.body).unwrap_or_default();
        let body: Value = request
            .body
            .as_deref()
            .and_then(|body| serde_json::from_str(body).ok())
            .unwrap_or_default();
        let path = self.target(request);
        if actual.status == 201 && path.ends_with("/robots") {
            let id = answer["id"].as_i64().unwrap();
            let name = self.harbor.look(|state| state.robot(id).unwrap().name.clone());
            self.robots
                .insert(name, answer["secret"].as_str().unwrap().to_owned());
        }
        if actual.status == 200 && request.method == "PATCH" {
            let id = path
                .rsplit('/')
                .next()
                .and_then(|id| id.parse().ok())
                .unwrap_or_default();
            let name = self
                .harbor
                .look(|state| state.robot(id).map(|robot| robot.name.clone()));
            let secret = answer["secret"].as_str().or(body["secret"].as_str());
            if let (Some(name), Some(secret)) = (name, secret) {
                self.robots.insert(name, secret.to_owned());
            }
        }
        // A browser keeps its session unless it gets a new one; calls without
        // cookies only provide the first.
        let browsing = request
            .header("cookie")
            .is_some_and(|cookie| cookie.contains('<'));
        for cookie in actual.all("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            match name {
                "sid" if browsing || self.sid.is_empty() => value.clone_into(&mut self.sid),
                "_gorilla_csrf" if browsing || request.header("authorization").is_none() => {
                    value.clone_into(&mut self.csrf);
                    actual
                        .header("x-harbor-csrf-token")
                        .unwrap()
                        .clone_into(&mut self.token);
                }
                _ => {}
            }
        }
    }

    /// Sets what the recording does not show to be set.
    pub(super) fn presuppose(&self, setting: &str, value: &Value) {
        self.harbor
            .alter(|state| state.settings_mut().set(setting, value.clone()));
    }

    /// Creates a robot that a row signs in with and no row created.
    pub(super) async fn presuppose_robot(&mut self, row: &Row) {
        let signed_in = row.response.as_ref().is_some_and(|reply| reply.status == 200);
        let Some(request) = row
            .request
            .as_ref()
            .filter(|_| row.group == "robot-prefix" && signed_in)
        else {
            return;
        };
        let Some(login) = request
            .login()
            .filter(|login| *login != "admin" && self.robots.is_empty())
        else {
            return;
        };
        let prefix = self
            .harbor
            .look(|state| state.settings().robot_prefix().to_owned());
        let name = login.strip_prefix(prefix.as_str()).unwrap_or(login);
        let body =
            json!({"name": name, "duration": -1, "level": "system", "permissions": self.every_permission()});
        self.create_robot(&body).await;
    }

    /// Creates the robots of a load run that was not recorded, of which only the
    /// total in later lists tells.
    pub(super) async fn presuppose_load(&mut self, row: &Row) {
        let (Some(request), Some(reply)) = (&row.request, &row.response) else {
            return;
        };
        let Some(total) = reply
            .headers
            .get("x-total-count")
            .and_then(|total| total.parse::<usize>().ok())
        else {
            return;
        };
        if row.group != "lockout" || !request.path.contains("/robots?page_size=1") {
            return;
        }
        let present = self.harbor.look(|state| state.robots_of(0).count());
        for number in present..total {
            let access = json!([{"resource": "repository", "action": "pull"}]);
            let permissions = json!([{"kind": "project", "namespace": "*", "access": access}]);
            let name = format!("load-{number}");
            let body = json!({"name": name, "duration": -1, "level": "system", "permissions": permissions});
            self.create_robot(&body).await;
        }
    }

    /// All that a robot can be granted, as the recorded robot `full` has it.
    fn every_permission(&self) -> Value {
        json!([
            {"kind": "system", "namespace": "/", "access": self.permissions["system"]},
            {"kind": "project", "namespace": "*", "access": self.permissions["project"]},
        ])
    }

    async fn create_robot(&mut self, body: &Value) {
        let request = Question {
            method: "POST".to_owned(),
            path: "/api/v2.0/robots".to_owned(),
            headers: [
                ("Authorization".to_owned(), Some("Basic <admin:***>".to_owned())),
                ("Content-Type".to_owned(), Some("application/json".to_owned())),
            ]
            .into(),
            body: Some(body.to_string()),
        };
        let row = Row {
            n: 0,
            label: "presupposed".to_owned(),
            group: String::new(),
            request: None,
            response: None,
            ms: None,
        };
        let answer = self.ask(&row, &request).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        self.learn(&request, &answer);
    }
}
