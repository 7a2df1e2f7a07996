//! What a delivery says has happened, read from its body.
//!
//! Nothing here fails once the body is JSON: a field that is missing or not of the expected kind is a field
//! that says nothing. Fields are looked up, never indexed, so that no payload can make the process panic.

use serde_json::Value;

use super::host::Host;
use super::subject::RepositoryName;

/// What kind of delivery it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// Something was pushed, or may have been.
    #[default]
    Push,
    /// The host tries whether the hook works.
    Test,
    /// Something that changes no branch or tag.
    Other,
}

/// A branch or tag that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// As `refs/heads/…` or `refs/tags/…` where the host says which.
    pub(super) reference: String,
    /// The commit that it is at now. None when it is gone or nothing was said.
    pub(super) commit: Option<String>,
}

/// What a delivery says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    pub(super) kind: Kind,
    /// All names of the one repository.
    pub(super) repositories: Vec<RepositoryName>,
    pub(super) default_branch: Option<String>,
    pub(super) changes: Vec<Change>,
}

/// A body that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body must be application/json, or a form with the field payload")]
    Type,
    #[error("the body is not what its content type says")]
    Malformed,
}

/// Reads the JSON of a body: as it is, or from the form that GitHub, Gitea and Forgejo send when asked to.
pub(super) fn json(content_type: Option<&str>, body: &[u8]) -> Result<Value, BodyError> {
    let kind = content_type
        .and_then(|text| text.split(';').next())
        .unwrap_or_default();
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/json" => serde_json::from_slice(body).map_err(|_| BodyError::Malformed),
        "application/x-www-form-urlencoded" => {
            let (_, payload) = url::form_urlencoded::parse(body)
                .find(|(name, _)| name == "payload")
                .ok_or(BodyError::Malformed)?;
            serde_json::from_str(&payload).map_err(|_| BodyError::Malformed)
        }
        _ => Err(BodyError::Type),
    }
}

/// Reads what a host's payload says. `event` is what its headers say.
pub(super) fn read(host: Host, event: Option<&str>, body: &Value) -> Said {
    match host {
        Host::GitHub | Host::Gitea | Host::Forgejo => github(event, body),
        Host::GitLab => gitlab(body),
        Host::BitbucketCloud => bitbucket_cloud(event, body),
        Host::BitbucketDataCenter => bitbucket_data_center(event, body),
        Host::AzureDevOps => azure(body),
        Host::Generic => generic(body),
    }
}

/// GitHub's form, which Gitea and Forgejo share.
fn github(event: Option<&str>, body: &Value) -> Said {
    let (before, after) = (text(body, "/before"), text(body, "/after"));
    let reference = text(body, "/ref");
    let (kind, reference) = match event {
        // A test of Gitea and Forgejo is a push from a commit to the same one.
        Some("push") if before.is_some() && before == after => (Kind::Test, reference),
        // The latter two, for a branch or tag that came or went, name it without what it is.
        Some("push" | "create" | "delete") => (Kind::Push, reference),
        Some("ping") => (Kind::Test, None),
        _ => (Kind::Other, None),
    };
    let reference = reference.map(|reference| match text(body, "/ref_type") {
        Some("branch") => format!("refs/heads/{}", reference.trim_start_matches("refs/heads/")),
        Some("tag") => format!("refs/tags/{}", reference.trim_start_matches("refs/tags/")),
        _ => reference.to_owned(),
    });
    Said {
        kind,
        repositories: names(
            body,
            &[
                "/repository/clone_url",
                "/repository/ssh_url",
                "/repository/html_url",
            ],
            text(body, "/repository/full_name"),
        ),
        default_branch: owned(body, "/repository/default_branch"),
        changes: reference
            .map(|reference| Change {
                reference,
                commit: after.and_then(commit),
            })
            .into_iter()
            .collect(),
    }
}

fn gitlab(body: &Value) -> Said {
    // A system hook names some events by event_name alone.
    let kind = match text(body, "/object_kind").or_else(|| text(body, "/event_name")) {
        None | Some("push" | "tag_push" | "repository_update") => Kind::Push,
        Some(_) => Kind::Other,
    };
    let single = change(body, "/ref", "/after");
    Said {
        kind,
        repositories: names(
            body,
            &[
                "/project/git_http_url",
                "/project/git_ssh_url",
                "/project/web_url",
            ],
            text(body, "/project/path_with_namespace"),
        ),
        default_branch: owned(body, "/project/default_branch"),
        changes: single
            .into_iter()
            .chain(items(body, "/changes").filter_map(|item| change(item, "/ref", "/after")))
            .collect(),
    }
}

fn bitbucket_cloud(event: Option<&str>, body: &Value) -> Said {
    let changes = items(body, "/push/changes").filter_map(|item| {
        // A branch that is gone has no `new`, one that came no `old`.
        let side = ["/new", "/old"]
            .into_iter()
            .filter_map(|side| item.pointer(side))
            .find(|side| side.is_object())?;
        let folder = if text(side, "/type") == Some("tag") {
            "tags"
        } else {
            "heads"
        };
        Some(Change {
            reference: format!("refs/{folder}/{}", text(side, "/name")?),
            commit: text(item, "/new/target/hash").and_then(commit),
        })
    });
    Said {
        kind: event_kind(event, "repo:push"),
        repositories: names(
            body,
            &["/repository/links/html/href"],
            text(body, "/repository/full_name"),
        ),
        default_branch: owned(body, "/repository/mainbranch/name"),
        changes: changes.collect(),
    }
}

fn bitbucket_data_center(event: Option<&str>, body: &Value) -> Said {
    // Older versions send no links.
    let by_key = text(body, "/repository/project/key")
        .zip(text(body, "/repository/slug"))
        .map(|(key, slug)| format!("{key}/{slug}"));
    let mut repositories: Vec<_> = items(body, "/repository/links/clone")
        .filter_map(|link| RepositoryName::parse(text(link, "/href")?))
        .collect();
    if repositories.is_empty() {
        repositories.extend(by_key.as_deref().and_then(RepositoryName::parse));
    }
    Said {
        kind: event_kind(event, "repo:refs_changed"),
        repositories,
        default_branch: None,
        changes: items(body, "/changes")
            .filter_map(|item| {
                change(item, "/refId", "/toHash").or_else(|| change(item, "/ref/id", "/toHash"))
            })
            .collect(),
    }
}

fn azure(body: &Value) -> Said {
    let kind = match (text(body, "/subscriptionId"), text(body, "/eventType")) {
        // A test is sent before there is a subscription.
        (Some("00000000-0000-0000-0000-000000000000"), _) => Kind::Test,
        (_, None | Some("git.push")) => Kind::Push,
        _ => Kind::Other,
    };
    Said {
        kind,
        repositories: names(
            body,
            &[
                "/resource/repository/remoteUrl",
                "/resource/repository/sshUrl",
                "/resource/repository/webUrl",
            ],
            None,
        ),
        default_branch: owned(body, "/resource/repository/defaultBranch"),
        changes: items(body, "/resource/refUpdates")
            .filter_map(|item| change(item, "/name", "/newObjectId"))
            .collect(),
    }
}

/// GitHub's names, each of them optional, and `repository` may be a URL.
fn generic(body: &Value) -> Said {
    let mut said = github(Some("push"), body);
    if text(body, "/ping").is_some() || body.pointer("/ping") == Some(&Value::Bool(true)) {
        said.kind = Kind::Test;
    }
    said.repositories
        .extend(text(body, "/repository").and_then(RepositoryName::parse));
    said
}

fn event_kind(event: Option<&str>, push: &str) -> Kind {
    match event {
        Some("diagnostics:ping") => Kind::Test,
        Some(event) if event == push => Kind::Push,
        _ => Kind::Other,
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn owned(value: &Value, pointer: &str) -> Option<String> {
    text(value, pointer).map(str::to_owned)
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn change(value: &Value, reference: &str, id: &str) -> Option<Change> {
    Some(Change {
        reference: owned(value, reference)?,
        commit: text(value, id).and_then(commit),
    })
}

/// The names by which a payload calls its repository; the one without a host when there is no other.
fn names(body: &Value, urls: &[&str], path: Option<&str>) -> Vec<RepositoryName> {
    let mut names: Vec<_> = urls
        .iter()
        .filter_map(|pointer| RepositoryName::parse(text(body, pointer)?))
        .collect();
    if names.is_empty() {
        names.extend(path.and_then(RepositoryName::parse));
    }
    names
}

/// A commit's id. Zeros say that there is none.
fn commit(id: &str) -> Option<String> {
    let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && id.bytes().any(|byte| byte != b'0')).then(|| id.to_ascii_lowercase())
}
