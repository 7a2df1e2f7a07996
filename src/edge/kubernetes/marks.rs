//! What harborage writes on a Secret beside its data.

use std::collections::BTreeMap;

use crate::plan::observed::SecretMark;
use crate::run::target::Provenance;

/// Who we are to server-side apply.
pub const FIELD_MANAGER: &str = "harborage";
/// Label: that harborage looks after the object.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "harborage");
/// Label: the team's id.
pub const TEAM: &str = "harborage.dev/team";
/// Annotation: the commit that asked for the last write.
pub const COMMIT: &str = "harborage.dev/commit";
/// Annotation: Harbor's id of the robot.
pub const ROBOT_ID: &str = "harborage.dev/robot-id";
/// Annotation: the robot's generation.
pub const ROBOT_GENERATION: &str = "harborage.dev/robot-generation";
/// Annotation: the digest of the login that was published.
pub const LOGIN_DIGEST: &str = "harborage.dev/login-digest";

/// The labels of a Secret.
pub(super) fn labels(provenance: &Provenance) -> BTreeMap<String, String> {
    [(MANAGED_BY.0, MANAGED_BY.1), (TEAM, provenance.team.as_str())]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The annotations of a Secret.
pub(super) fn annotations(provenance: &Provenance) -> BTreeMap<String, String> {
    let mark = &provenance.mark;
    [
        (COMMIT, provenance.revision.to_string()),
        (ROBOT_ID, mark.robot_id.to_string()),
        (ROBOT_GENERATION, mark.robot_generation.to_string()),
        (LOGIN_DIGEST, mark.login_digest.clone()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The mark that labels and annotations make up; `None` unless all of it is there.
pub(super) fn read(
    labels: Option<&BTreeMap<String, String>>,
    annotations: Option<&BTreeMap<String, String>>,
) -> Option<SecretMark> {
    let (labels, annotations) = (labels?, annotations?);
    if labels.get(MANAGED_BY.0).map(String::as_str) != Some(MANAGED_BY.1) {
        return None;
    }
    Some(SecretMark {
        robot_id: annotations.get(ROBOT_ID)?.parse().ok()?,
        robot_generation: annotations.get(ROBOT_GENERATION)?.parse().ok()?,
        login_digest: annotations.get(LOGIN_DIGEST)?.clone(),
    })
}
