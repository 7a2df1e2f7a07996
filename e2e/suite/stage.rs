//! What a scenario has to itself: its teams, its folder, and the rehearsal's Harbor where no other is named.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::check;
use super::harbor::Harbor;
use super::harborage::{Calls, Program, file};
use super::keycloak::CLIENT_SECRET;
use super::kubernetes::Kubernetes;
use super::process::private_folder;
use super::values::Values;
use super::world::{Server, World, caught};

/// One scenario's surroundings.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    number: usize,
    folder: PathBuf,
    harbor: Arc<Harbor>,
    teams: Mutex<Vec<String>>,
    registry_host: Mutex<String>,
    programs: Mutex<Vec<PathBuf>>,
    took: Mutex<Option<Duration>>,
}

impl Stage {
    pub(crate) async fn new(world: &Arc<World>, number: usize) -> Self {
        let folder = world.folder().join(format!("scenario-{number}"));
        private_folder(&folder);
        Self {
            world: world.clone(),
            number,
            folder,
            harbor: world.harbor().await,
            teams: Mutex::default(),
            registry_host: Mutex::new(format!("harbor.e2e{number}.example.com")),
            programs: Mutex::default(),
            took: Mutex::default(),
        }
    }

    pub(crate) fn harbor(&self) -> &Harbor {
        &self.harbor
    }

    pub(crate) fn kubernetes(&self) -> &Kubernetes {
        self.world.kubernetes_that_runs()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// The suite's own id of a team, which is removed at the end.
    pub(crate) fn team(&self, name: &str) -> String {
        let id = format!("e2e-{}-{}-{name}", self.world.run(), self.number);
        self.teams.lock().unwrap().push(id.clone());
        id
    }

    /// A team with its namespace.
    pub(crate) async fn team_with_namespace(&self, name: &str) -> String {
        let id = self.team(name);
        self.kubernetes().make_namespace(&format!("team-{id}")).await;
        id
    }

    /// A values repository with these teams, committed.
    pub(crate) fn values(&self, teams: &[&str]) -> Values {
        let mut values = Values::new(
            &self.folder.join("values"),
            &format!("e2e{}.example.com", self.number),
        );
        for team in teams {
            values.add(team);
        }
        values.commit("a platform");
        values
    }

    pub(crate) fn registry_host(&self) -> String {
        self.registry_host.lock().unwrap().clone()
    }

    /// Says where the registry is from now on.
    pub(crate) fn set_registry_host(&self, host: &str) {
        host.clone_into(&mut self.registry_host.lock().unwrap());
    }

    /// The program, set to follow a repository on the servers of the stage.
    pub(crate) async fn program(&self, repository: &str) -> Program {
        let folder = {
            let mut programs = self.programs.lock().unwrap();
            let folder = self.folder.join(format!("program-{}", programs.len()));
            programs.push(folder.clone());
            folder
        };
        let kubernetes = self.kubernetes();
        let mut program = Program {
            binary: self.world.binary().to_owned(),
            folder: folder.clone(),
            arguments: Vec::new(),
            variables: Vec::new(),
            log_filter: "info,kube_client=off,harborage::edge=debug".to_owned(),
        };
        program.set("repository", repository);
        program.set("poll", "200ms");
        program.set("harbor-url", &self.harbor.url);
        // A real password is not copied.
        let password = match &self.harbor.password_file {
            Some(theirs) => theirs.clone(),
            None => file(&folder, "harbor-password", self.harbor.password()),
        };
        program.set("harbor-password-file", password);
        program.set(
            "oidc-client-secret-file",
            file(&folder, "client-secret", CLIENT_SECRET),
        );
        if let Some(ca) = &self.harbor.ca {
            program.set("harbor-ca-file", ca);
        }
        program.set("kubernetes-url", &kubernetes.url);
        if let Some(ca) = &kubernetes.ca {
            program.set("kubernetes-ca-file", ca);
        }
        program.set("kubernetes-token-file", kubernetes.token_file().await);
        program
    }

    /// The program, set to follow the stage's own repository on disk.
    pub(crate) async fn program_for(&self, values: &Values) -> Program {
        self.program(values.folder().to_str().unwrap()).await
    }

    /// Keeps how long it took until all was as it should be; the longest is told.
    pub(crate) fn took(&self, time: Duration) {
        let mut took = self.took.lock().unwrap();
        *took = Some(took.unwrap_or_default().max(time));
    }

    pub(crate) fn time(&self) -> Option<Duration> {
        *self.took.lock().unwrap()
    }

    /// The calls of all programs of the stage.
    pub(crate) fn calls(&self) -> Calls {
        let programs = self.programs.lock().unwrap();
        programs
            .iter()
            .map(|folder| Calls::in_log(&folder.join("harborage.log")))
            .fold(Calls::default(), Calls::plus)
    }

    /// Fails where a team is not provisioned.
    pub(crate) async fn assert_provisioned(&self, team: &str) {
        check::provisioned(self, team).await;
    }

    /// Puts right what the scenario did to servers.
    pub(crate) async fn mend(&self) {
        self.kubernetes().mend().await;
        self.world.mend_gitea().await;
    }

    /// Puts right what the scenario did to servers, and removes what it made on those that stay. What can't be
    /// removed does not keep the rest.
    pub(crate) async fn clean(&self) -> Result<(), String> {
        let mut errors = Vec::new();
        errors.extend(caught(self.mend()).await.err());
        let teams = self.teams.lock().unwrap().clone();
        for team in &teams {
            let namespace = format!("team-{team}");
            let removing = self.kubernetes().remove_namespace(&namespace);
            errors.extend(caught(removing).await.err());
        }
        for team in teams.iter().filter(|_| self.world.is_named(Server::Harbor)) {
            errors.extend(caught(self.harbor.remove_team(team)).await.err());
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(format!("it could not be cleaned up:\n{}", errors.join("\n")))
        }
    }
}
