//! What is followed, and whether a delivery is about it.
//!
//! A delivery that is taken for ours by mistake costs one look at the repository; one that is passed over by
//! mistake costs a poll's interval. So what is said counts, and what is not said is taken as ours.

use std::fmt;

use super::payload::Said;

/// A repository's name: its host, and its path below it, in lower case. How it is reached does not matter:
/// not the scheme, user, port or a `.git`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryName {
    host: Option<String>,
    path: Vec<String>,
}

impl RepositoryName {
    /// The name in a URL, in git's short form `user@host:path`, or a path without a host. None when there is
    /// no path in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (authority, path) = match text.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?,
            None => match text.split_once(':') {
                Some((login, path)) if !login.contains('/') => (login, path),
                _ => ("", text),
            },
        };
        let host = host_of(authority);
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut path: Vec<String> = path
            .split('/')
            // Azure DevOps has `_git` in some of a repository's URLs.
            .filter(|part| !part.is_empty() && *part != "_git")
            .map(str::to_ascii_lowercase)
            .collect();
        if matches!(
            host.as_deref(),
            Some("ssh.dev.azure.com" | "vs-ssh.visualstudio.com")
        ) && path.first().is_some_and(|part| part == "v3")
        {
            path.remove(0);
        }
        let last = path.pop()?;
        let last = last.strip_suffix(".git").unwrap_or(&last).to_owned();
        if last.is_empty() {
            return None;
        }
        path.push(last);
        Some(Self { host, path })
    }

    /// Whether both may be the same repository.
    ///
    /// On one host the paths decide. A repository that is followed by an address inside the cluster has
    /// another host in its hooks, and that both hosts are one can't be known here. Then the paths
    /// are compared alone, and one may have more before it (a group, a folder that a proxy puts before a
    /// server), as long as two parts agree.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        if self.path == other.path {
            return true;
        }
        let same_host = self.host.is_some() && self.host == other.host;
        let (long, short) = if self.path.len() > other.path.len() {
            (&self.path, &other.path)
        } else {
            (&other.path, &self.path)
        };
        !same_host && short.len() >= 2 && long.ends_with(short)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}/")?;
        }
        f.write_str(&self.path.join("/"))
    }
}

/// The host of `user:password@host:port`.
fn host_of(authority: &str) -> Option<String> {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.find(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or_default(),
    };
    let host = host.trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// The repository. None for one on this machine, whose hooks can't be told by a name.
    pub repository: Option<RepositoryName>,
    /// The branch or tag, short or as `refs/…`. None for the default branch.
    pub reference: Option<String>,
}

/// What a delivery means for a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the repository is ours. None when the delivery or the subject names none.
    pub(super) repository: Option<bool>,
    /// Whether what was changed is followed. True when nothing was said of it.
    pub(super) reference: bool,
    /// The commit that the followed branch or tag is said to be at.
    pub(super) commit: Option<String>,
}

impl Verdict {
    pub(super) fn is_ours(&self) -> bool {
        self.repository != Some(false) && self.reference
    }
}

impl Subject {
    /// Judges what a delivery says.
    pub(super) fn judge(&self, said: &Said) -> Verdict {
        let repository = self
            .repository
            .as_ref()
            .filter(|_| !said.repositories.is_empty())
            .map(|ours| said.repositories.iter().any(|theirs| ours.may_be(theirs)));
        let mut followed = said
            .changes
            .iter()
            .filter(|change| self.follows(&change.reference, said.default_branch.as_deref()));
        // Of several changes the last one is where it ended.
        let last = followed.next_back();
        Verdict {
            repository,
            reference: said.changes.is_empty() || last.is_some(),
            commit: last.and_then(|change| change.commit.clone()),
        }
    }

    fn follows(&self, changed: &str, default: Option<&str>) -> bool {
        match self.reference.as_deref().filter(|ours| *ours != "HEAD") {
            Some(ours) if ours.starts_with("refs/") && changed.starts_with("refs/") => ours == changed,
            Some(ours) => short(ours) == short(changed),
            None if changed.starts_with("refs/tags/") => false,
            None => default.is_none_or(|default| short(default) == short(changed)),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Some(reference) => write!(f, "{reference} of ")?,
            None => f.write_str("the default branch of ")?,
        }
        match &self.repository {
            Some(repository) => fmt::Display::fmt(repository, f),
            None => f.write_str("a repository on its own machine"),
        }
    }
}

/// A branch's or tag's name without what says which of the two it is.
fn short(reference: &str) -> &str {
    reference
        .strip_prefix("refs/heads/")
        .or_else(|| reference.strip_prefix("refs/tags/"))
        .unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::super::payload::Change;
    use super::*;

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    #[test]
    fn how_a_repository_is_reached_does_not_matter() {
        let ours = name("https://git.example.com/otomi/values.git");
        for text in [
            "http://git.example.com/otomi/values",
            "https://me:secret@GIT.example.com:8443/Otomi/Values.git/",
            "ssh://git@git.example.com:2222/otomi/values.git",
            "git@git.example.com:otomi/values.git",
            "https://git.example.com./otomi//values?x#y",
        ] {
            assert_eq!(name(text), ours, "{text}");
        }
        assert_eq!(ours.to_string(), "git.example.com/otomi/values");
    }

    #[test]
    fn a_repository_of_another_path_is_another_one() {
        let ours = name("https://git.example.com/otomi/values");
        for text in [
            "https://git.example.com/otomi/charts",
            "https://git.example.com/group/otomi/values",
            "https://elsewhere.example.com/values",
            "https://elsewhere.example.com/other/values",
            "https://elsewhere.example.com/notomi/values",
        ] {
            assert!(!ours.may_be(&name(text)), "{text}");
        }
    }

    #[test]
    fn an_address_inside_the_cluster_may_be_the_one_outside() {
        let ours = name("http://gitea-http.gitea.svc:3000/otomi/values.git");
        assert!(ours.may_be(&name("https://git.example.com/otomi/values")));
        assert!(ours.may_be(&name("https://example.com/gitea/otomi/values.git")));
        assert!(ours.may_be(&name("otomi/values")));
    }

    #[test]
    fn the_urls_of_azure_devops_name_one_repository() {
        let ours = name("https://org@dev.azure.com/org/project/_git/values");
        assert!(ours.may_be(&name("git@ssh.dev.azure.com:v3/org/project/values")));
        assert!(ours.may_be(&name("https://org.visualstudio.com/project/_git/values")));
    }

    #[test]
    fn a_text_without_a_path_names_nothing() {
        for text in [
            "",
            "/",
            ":",
            "https://",
            "https://example.com",
            "https://example.com/",
            "a:.git",
        ] {
            assert_eq!(RepositoryName::parse(text), None, "{text}");
        }
    }

    fn said(reference: &str, default: Option<&str>) -> Said {
        Said {
            changes: vec![Change {
                reference: reference.to_owned(),
                commit: None,
            }],
            default_branch: default.map(str::to_owned),
            ..Said::default()
        }
    }

    fn follows(ours: Option<&str>, changed: &str, default: Option<&str>) -> bool {
        let subject = Subject {
            repository: None,
            reference: ours.map(str::to_owned),
        };
        subject.judge(&said(changed, default)).is_ours()
    }

    #[test]
    fn a_branch_or_tag_that_is_followed_counts_and_no_other() {
        assert!(follows(Some("main"), "refs/heads/main", None));
        assert!(follows(Some("refs/heads/main"), "refs/heads/main", None));
        assert!(follows(Some("v1"), "refs/tags/v1", None));
        assert!(follows(Some("main"), "main", None));
        assert!(!follows(Some("main"), "refs/heads/main2", None));
        assert!(!follows(Some("main"), "refs/heads/x/main", None));
        assert!(!follows(Some("refs/tags/main"), "refs/heads/main", None));
    }

    #[test]
    fn without_a_branch_the_default_one_counts_or_any_when_none_is_named() {
        for ours in [None, Some("HEAD")] {
            assert!(follows(ours, "refs/heads/main", Some("main")));
            assert!(follows(ours, "refs/heads/main", Some("refs/heads/main")));
            assert!(!follows(ours, "refs/heads/dev", Some("main")));
            assert!(follows(ours, "refs/heads/dev", None));
            assert!(!follows(ours, "refs/tags/v1", None));
        }
    }

    #[test]
    fn what_is_not_said_is_taken_as_ours() {
        let subject = Subject {
            repository: Some(name("https://git.example.com/otomi/values")),
            reference: Some("main".to_owned()),
        };
        let verdict = subject.judge(&Said::default());
        assert!(verdict.is_ours() && verdict.repository.is_none());
        assert_eq!(subject.to_string(), "main of git.example.com/otomi/values");
    }
}
