//! What a values repository says about one team.

use serde::{Deserialize, Serialize};

use super::names::TeamId;
use super::quota::StorageQuota;
use super::view::{Faults, View};
use super::yaml::Value;

/// A team, as far as Harbor is concerned with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Who it is.
    pub id: TeamId,
    /// Whether its members may download the docker login. Said in three ways over
    /// the years: `selfService.team` and then `selfService.access` with
    /// `downloadDockerConfig` in it, today `selfService.teamMembers.downloadDockerLogin`.
    pub docker_login_download: bool,
    /// The storage of its Harbor project, `harbor.storageQuota`: a key of this program, which Otomi leaves alone.
    pub storage_quota: Option<StorageQuota>,
    /// The identity provider's group that becomes the group `team-<id>`. Shown to people only: Harbor never sees it.
    pub group_mapping: Option<String>,
}

/// The keys of a team's settings that [`Team::read`] looks at.
pub(crate) const TEAM_KEYS: [&str; 3] = ["harbor", "oidc", "selfService"];

impl Team {
    /// Reads a team's settings. What is wrong is noted, and what it would have said left at its default.
    pub(crate) fn read(id: TeamId, settings: &View<'_>, faults: &mut Faults) -> Self {
        Self {
            id,
            docker_login_download: docker_login_download(settings, faults),
            storage_quota: storage_quota(settings, faults),
            group_mapping: settings
                .text("oidc.groupMapping", faults)
                .map(|(text, _)| text.to_owned()),
        }
    }
}

fn docker_login_download(settings: &View<'_>, faults: &mut Faults) -> bool {
    if settings.find("selfService.teamMembers", faults).is_some() {
        return settings
            .flag("selfService.teamMembers.downloadDockerLogin", faults)
            .unwrap_or(false);
    }
    let lists = ["selfService.access", "selfService.team"].map(|path| settings.texts(path, faults));
    lists
        .into_iter()
        .flatten()
        .flatten()
        .any(|word| word == "downloadDockerConfig")
}

fn storage_quota(settings: &View<'_>, faults: &mut Faults) -> Option<StorageQuota> {
    let found = settings.find("harbor.storageQuota", faults)?;
    let (Value::Text(text) | Value::Number(text)) = &found.node.value else {
        let message = format!("harbor.storageQuota is {}, and must be a size", found.node.kind());
        faults.at(found.document, found.node.place, message, QUOTA_HINT);
        return None;
    };
    match StorageQuota::parse(text) {
        Ok(quota) => Some(quota),
        Err(rule) => {
            faults.at(
                found.document,
                found.node.place,
                format!("harbor.storageQuota {rule}"),
                QUOTA_HINT,
            );
            None
        }
    }
}

const QUOTA_HINT: &str = "such as 10Gi, 500Mi or unlimited";
