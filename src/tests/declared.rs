//! A team as `jobs/provision-team.yaml` declares it.

use chrono::DateTime;
use harborage::plan::desired::DesiredTeam;
use harborage::run::declaration::JobDeclarations;
use harborage::values::names::SecretName;

pub(crate) const HOST: &str = "harbor.example.com";

pub(crate) fn team(id: &str) -> DesiredTeam {
    let jobs = JobDeclarations::load(&[], DateTime::UNIX_EPOCH).unwrap();
    jobs.provision(&id.parse().unwrap(), &HOST.parse().unwrap(), None)
        .unwrap()
}

/// The Secret whose login is handed out.
pub(crate) fn push_secret() -> SecretName {
    let jobs = JobDeclarations::load(&[], DateTime::UNIX_EPOCH).unwrap();
    jobs.push_secret().unwrap().clone()
}
