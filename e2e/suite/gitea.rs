//! Gitea, the git host that Otomi ships.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::client::loopback;
use super::process::{Process, free_port, private_folder, run};

const ADMIN: &str = "otomi-admin";
const PASSWORD: &str = "a-password-for-gitea";

/// A Gitea with an administrator and the organisation `otomi`.
pub(crate) struct Gitea {
    folder: PathBuf,
    programs: PathBuf,
    url: String,
    client: reqwest::Client,
    process: Mutex<Option<Process>>,
}

impl Gitea {
    pub(crate) async fn start(folder: &Path, programs: &Path) -> Self {
        let folder = folder.join("gitea");
        private_folder(&folder);
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let home = folder.display();
        let configuration = format!(
            "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\nWORK_PATH = {home}\n\
             [server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {port}\nROOT_URL = {url}/\n\
             STATIC_ROOT_PATH = {static_root}\nAPP_DATA_PATH = {home}/data\nDISABLE_SSH = true\nOFFLINE_MODE = true\n\
             [database]\nDB_TYPE = sqlite3\nPATH = {home}/gitea.db\n\
             [repository]\nROOT = {home}/repositories\n\
             [security]\nINSTALL_LOCK = true\n\
             [webhook]\nALLOWED_HOST_LIST = loopback\n\
             [log]\nMODE = console\nLEVEL = Warn\n",
            static_root = programs.join("static").display(),
        );
        std::fs::write(folder.join("app.ini"), configuration).unwrap();
        let gitea = Self {
            folder,
            programs: programs.to_owned(),
            url,
            client: loopback(),
            process: Mutex::default(),
        };
        run(&mut gitea.program(&["migrate"])).await;
        run(&mut gitea.program(&[
            "admin",
            "user",
            "create",
            "--admin",
            "--must-change-password=false",
            "--username",
            ADMIN,
            "--password",
            PASSWORD,
            "--email",
            "admin@example.com",
        ]))
        .await;
        gitea.resume().await;
        gitea
            .ask(Method::POST, "/orgs", json!({"username": "otomi"}))
            .await;
        gitea
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("gitea"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.folder.join("app.ini"))
            .env("HOME", &self.folder)
            .current_dir(&self.folder);
        command
    }

    /// Starts it where it is stopped, and waits until it answers.
    pub(crate) async fn resume(&self) {
        let mut running = self.process.lock().await;
        if running.is_some() {
            return;
        }
        let mut process = Process::start("gitea", &self.folder, &mut self.program(&["web"]));
        let health = format!("{}/api/healthz", self.url);
        let ready = async || {
            self.client
                .get(&health)
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
        };
        process.until(ready).await;
        *running = Some(process);
    }

    /// Has it answer nobody for a while, and then ends it without a warning; what it holds stays on disk.
    pub(crate) async fn freeze_and_kill(&self, frozen: Duration) {
        let mut process = self.process.lock().await.take().expect("it is stopped");
        process.freeze();
        tokio::time::sleep(frozen).await;
        process.kill();
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Makes a private repository of the organisation. Answers its URL.
    pub(crate) async fn repository(&self, name: &str) -> String {
        let repository = json!({"name": name, "private": true, "default_branch": "main"});
        self.ask(Method::POST, "/orgs/otomi/repos", repository).await;
        format!("{}/otomi/{name}.git", self.url)
    }

    /// A repository's URL with the administrator's login, for pushing.
    pub(crate) fn push_url(&self, name: &str) -> String {
        format!(
            "{}/otomi/{name}.git",
            self.url.replace("://", &format!("://{ADMIN}:{PASSWORD}@"))
        )
    }

    /// A new token that may read repositories.
    pub(crate) async fn token(&self, name: &str) -> String {
        let token = json!({"name": name, "scopes": ["read:repository"]});
        let made = self
            .ask(Method::POST, &format!("/users/{ADMIN}/tokens"), token)
            .await;
        made["sha1"].as_str().unwrap().to_owned()
    }

    /// Has a repository's pushes told to an address.
    pub(crate) async fn hook(&self, name: &str, url: &str, secret: &str) {
        let hook = json!({
            "type": "gitea", "active": true, "events": ["push"],
            "config": {"url": url, "content_type": "json", "secret": secret},
        });
        self.ask(Method::POST, &format!("/repos/otomi/{name}/hooks"), hook)
            .await;
    }

    /// Has a repository's first hook tried, as its page does.
    pub(crate) async fn try_hook(&self, name: &str) {
        let path = format!("/repos/otomi/{name}/hooks");
        let hooks = self.ask(Method::GET, &path, Value::Null).await;
        let path = format!("{path}/{}/tests?ref=main", hooks[0]["id"]);
        self.ask(Method::POST, &path, Value::Null).await;
    }

    /// Takes a token back.
    pub(crate) async fn revoke(&self, name: &str) {
        self.ask(
            Method::DELETE,
            &format!("/users/{ADMIN}/tokens/{name}"),
            Value::Null,
        )
        .await;
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.client.request(method, format!("{}/api/v1{path}", self.url));
        let answer = request
            .basic_auth(ADMIN, Some(PASSWORD))
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}
