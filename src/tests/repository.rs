//! A values repository that a test writes, commit by commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use tempfile::TempDir;

/// A repository of layout dirs in a folder that goes with it.
pub(crate) struct ValuesRepository {
    folder: TempDir,
    git: git2::Repository,
}

impl ValuesRepository {
    /// A platform with Harbor on and these teams, committed.
    pub(crate) fn with_teams(teams: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let git = git2::Repository::init(folder.path()).unwrap();
        let repository = Self { folder, git };
        repository.write("env/settings/cluster.yaml", &cluster("demo.example.com"));
        repository.write(
            "env/settings/versions.yaml",
            "kind: AplVersion\nmetadata:\n  name: versions\nspec:\n  specVersion: 46\n",
        );
        repository.write(
            "env/apps/harbor.yaml",
            "kind: AplApp\nmetadata:\n  name: harbor\nspec:\n  enabled: true\n",
        );
        for team in teams {
            repository.write_team(team);
        }
        repository.commit("a platform");
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn write_team(&self, team: &str) {
        self.write(
            &format!("env/teams/{team}/settings.yaml"),
            &settings(team, &BTreeMap::new()),
        );
    }

    /// A team with a storage quota.
    pub(crate) fn write_team_with_quota(&self, team: &str, quota: &str) {
        let extra = BTreeMap::from([("harbor", format!("{{storageQuota: {quota}}}"))]);
        self.write(
            &format!("env/teams/{team}/settings.yaml"),
            &settings(team, &extra),
        );
    }

    pub(crate) fn remove_team(&self, team: &str) {
        std::fs::remove_dir_all(self.folder.path().join("env/teams").join(team)).unwrap();
    }

    pub(crate) fn set_domain(&self, domain: &str) {
        self.write("env/settings/cluster.yaml", &cluster(domain));
    }

    /// Commits the whole working tree on the current branch. Answers the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        let mut index = self.git.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.update_all(["*"], None).unwrap();
        index.write().unwrap();
        let tree = self.git.find_tree(index.write_tree().unwrap()).unwrap();
        let who = git2::Signature::now("A Person", "person@example.com").unwrap();
        let parent = self.git.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        self.git
            .commit(Some("HEAD"), &who, &who, message, &tree, &parents)
            .unwrap()
            .to_string()
    }
}

impl AsRef<std::ffi::OsStr> for ValuesRepository {
    fn as_ref(&self) -> &std::ffi::OsStr {
        self.path().as_os_str()
    }
}

fn cluster(domain: &str) -> String {
    format!(
        "kind: AplCluster\nmetadata:\n  name: cluster\nspec:\n  name: demo\n  provider: custom\n  domainSuffix: {domain}\n"
    )
}

fn settings(team: &str, extra: &BTreeMap<&str, String>) -> String {
    let mut text = format!(
        "kind: AplTeamSettingSet\nmetadata:\n  name: {team}\n  labels:\n    apl.io/teamId: {team}\nspec:\n  oidc:\n    groupMapping: group-of-{team}\n"
    );
    for (key, value) in extra {
        writeln!(text, "  {key}: {value}").unwrap();
    }
    text
}
