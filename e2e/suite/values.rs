//! A values repository that a scenario writes: every layout, the same teams.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{IndexAddOption, Repository, Signature};

/// The layouts, from the oldest to the newest.
pub(crate) const LAYOUTS: [&str; 5] = ["clouds", "charts", "apps", "dirs", "sealed"];

/// A repository in a folder.
pub(crate) struct Values {
    folder: PathBuf,
    git: Repository,
    pub(crate) layout: &'static str,
    pub(crate) domain: String,
    pub(crate) teams: Vec<String>,
    /// Those of them whose members may download the docker login, in the layouts of directories.
    pub(crate) downloads: Vec<String>,
}

impl Values {
    /// Makes a repository of the layout dirs, with nothing committed yet.
    pub(crate) fn new(folder: &Path, domain: &str) -> Self {
        let git = Repository::init_opts(
            folder,
            git2::RepositoryInitOptions::new()
                .initial_head("main")
                .mkdir(true),
        )
        .unwrap();
        Self {
            folder: folder.to_owned(),
            git,
            layout: "dirs",
            domain: domain.to_owned(),
            teams: Vec::new(),
            downloads: Vec::new(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn add(&mut self, team: &str) {
        self.teams.push(team.to_owned());
    }

    pub(crate) fn remove(&mut self, team: &str) {
        self.teams.retain(|other| other != team);
    }

    /// Commits what the repository shall say now. Answers the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.write(&self.files());
        self.commit_files(message)
    }

    /// Commits a tree without any file.
    pub(crate) fn commit_nothing(&self, message: &str) -> String {
        self.write(&BTreeMap::new());
        self.commit_files(message)
    }

    fn write(&self, files: &BTreeMap<String, String>) {
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap() != ".git" {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
        for (name, text) in files {
            let path = self.folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn commit_files(&self, message: &str) -> String {
        let mut index = self.git.index().unwrap();
        index.clear().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = self.git.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("A Person", "person@example.com").unwrap();
        let parent = self.git.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        self.git
            .commit(Some("HEAD"), &who, &who, message, &tree, &parents)
            .unwrap()
            .to_string()
    }

    fn files(&self) -> BTreeMap<String, String> {
        let mut files = match self.layout {
            "clouds" => self.clouds(),
            "charts" => self.charts(),
            "apps" => self.apps(),
            _ => self.directories(),
        };
        if self.layout == "sealed" {
            let path = "env/manifests/namespaces/apl-secrets/sealedsecrets/harbor-secrets.yaml";
            let text = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: harbor-secrets\n  namespace: apl-secrets\n";
            files.insert(path.to_owned(), text.to_owned());
        }
        files
    }

    fn clouds(&self) -> BTreeMap<String, String> {
        // The cluster's domain is its name and the cloud's.
        let (cluster, cloud) = self.domain.split_once('.').unwrap();
        let teams = self.map("    ", |team| format!("id: {team}, clusters: [aws/{cluster}]"));
        let domain = format!(
            "clouds:\n  aws:\n    domain: {cloud}\n    clusters:\n      {cluster}: {{enabled: true}}\n"
        );
        files([
            ("env/clusters.yaml", domain),
            ("env/teams.yaml", format!("teamConfig:\n  teams:{teams}")),
            (
                "env/charts/harbor.yaml",
                "charts:\n  harbor:\n    enabled: true\n".to_owned(),
            ),
            (
                "env/charts/keycloak.yaml",
                "charts:\n  keycloak:\n    enabled: true\n".to_owned(),
            ),
            (
                &format!("env/clouds/aws/{cluster}/services.none.yaml"),
                "{}\n".to_owned(),
            ),
        ])
    }

    fn charts(&self) -> BTreeMap<String, String> {
        let teams = self.map("    ", |team| format!("id: {team}"));
        files([
            ("env/cluster.yaml", self.cluster()),
            ("env/teams.yaml", format!("teamConfig:\n  teams:{teams}")),
            (
                "env/charts/harbor.yaml",
                "charts:\n  harbor:\n    enabled: true\n".to_owned(),
            ),
            (
                "env/charts/keycloak.yaml",
                "charts:\n  keycloak:\n    enabled: true\n".to_owned(),
            ),
        ])
    }

    fn apps(&self) -> BTreeMap<String, String> {
        let teams = self.map("  ", |team| {
            format!("id: {team}, oidc: {{groupMapping: group-of-{team}}}")
        });
        files([
            ("env/cluster.yaml", self.cluster()),
            ("env/settings.yaml", "version: 28\n".to_owned()),
            ("env/teams.yaml", format!("teamConfig:{teams}")),
            (
                "env/apps/harbor.yaml",
                "apps:\n  harbor:\n    enabled: true\n".to_owned(),
            ),
        ])
    }

    fn directories(&self) -> BTreeMap<String, String> {
        let version = if self.layout == "sealed" { 71 } else { 46 };
        let domain = &self.domain;
        let mut files = files([
            (
                "env/settings/cluster.yaml",
                format!(
                    "kind: AplCluster\nmetadata: {{name: cluster}}\nspec: {{name: e2e, provider: custom, domainSuffix: {domain}}}\n"
                ),
            ),
            (
                "env/settings/versions.yaml",
                format!("kind: AplVersion\nmetadata: {{name: versions}}\nspec: {{specVersion: {version}}}\n"),
            ),
            (
                "env/apps/harbor.yaml",
                "kind: AplApp\nmetadata: {name: harbor}\nspec: {enabled: true}\n".to_owned(),
            ),
        ]);
        for team in &self.teams {
            let path = format!("env/teams/{team}/settings.yaml");
            let text = format!(
                "kind: AplTeamSettingSet\nmetadata: {{name: {team}, labels: {{apl.io/teamId: {team}}}}}\n\
                 spec: {{oidc: {{groupMapping: group-of-{team}}}, selfService: {{teamMembers: {{downloadDockerLogin: {}}}}}}}\n",
                self.downloads.contains(team)
            );
            files.insert(path, text);
        }
        files
    }

    fn cluster(&self) -> String {
        format!(
            "cluster:\n  name: e2e\n  provider: aws\n  domainSuffix: {}\n",
            self.domain
        )
    }

    /// A YAML map of the teams, below a key.
    fn map(&self, indent: &str, team: impl Fn(&str) -> String) -> String {
        if self.teams.is_empty() {
            return " {}\n".to_owned();
        }
        let lines = self
            .teams
            .iter()
            .map(|id| format!("\n{indent}{id}: {{{}}}", team(id)));
        lines.chain(["\n".to_owned()]).collect()
    }
}

fn files<const N: usize>(files: [(&str, String); N]) -> BTreeMap<String, String> {
    files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text))
        .collect()
}
