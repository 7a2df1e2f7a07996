//! Which git host a delivery has the form of.

use axum::http::HeaderMap;

/// A form of webhook: that of a git host, or the generic one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// GitHub, and GitHub Enterprise Server.
    GitHub,
    /// GitLab: signed, or with its secret token.
    GitLab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// bitbucket.org.
    BitbucketCloud,
    /// Bitbucket Data Center and Server.
    BitbucketDataCenter,
    /// Azure DevOps, with Basic authentication.
    AzureDevOps,
    /// Anything that signs the body into `X-Signature`.
    Generic,
}

impl Host {
    /// Every form.
    pub const ALL: [Self; 8] = [
        Self::GitHub,
        Self::GitLab,
        Self::Gitea,
        Self::Forgejo,
        Self::BitbucketCloud,
        Self::BitbucketDataCenter,
        Self::AzureDevOps,
        Self::Generic,
    ];

    /// Its name in URLs, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::BitbucketCloud => "bitbucket",
            Self::BitbucketDataCenter => "bitbucket-data-center",
            Self::AzureDevOps => "azure-devops",
            Self::Generic => "generic",
        }
    }

    /// The form of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|host| host.name() == name)
    }

    /// The form that the headers show.
    ///
    /// The most particular name wins: Forgejo sends Gitea's, Gogs's and GitHub's headers too, and Gitea those
    /// of the latter two, each with a signature of the same body. Exactly one of them counts, the host's
    /// own: with "any that holds", a sender could try several in one request. Choosing a form gains nothing,
    /// since each demands proof of a secret.
    #[must_use]
    pub fn detect(headers: &HeaderMap) -> Option<Self> {
        [
            Self::Forgejo,
            Self::Gitea,
            Self::GitLab,
            Self::GitHub,
            Self::BitbucketCloud,
            Self::BitbucketDataCenter,
            Self::Generic,
            Self::AzureDevOps,
        ]
        .into_iter()
        .find(|host| host.is_shown_by(headers))
    }

    /// Whether the headers show this form, be it beside others.
    pub(super) fn is_shown_by(self, headers: &HeaderMap) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| headers.contains_key(*name));
        let cloud = has(&["x-hook-uuid", "x-request-uuid"]);
        match self {
            Self::GitHub => has(&["x-github-event", "x-hub-signature-256"]),
            Self::GitLab => has(&["x-gitlab-event", "x-gitlab-token"]),
            Self::Gitea => has(&["x-gitea-event", "x-gitea-signature"]),
            Self::Forgejo => has(&["x-forgejo-event", "x-forgejo-signature"]),
            Self::BitbucketCloud => has(&["x-event-key"]) && cloud,
            Self::BitbucketDataCenter => has(&["x-event-key"]) && !cloud,
            // It has no header of its own.
            Self::AzureDevOps => has(&["authorization"]),
            Self::Generic => has(&["x-signature"]),
        }
    }

    /// What the headers say has happened, in the host's words. Some say it in the body only.
    pub(super) fn event(self, headers: &HeaderMap) -> Option<&str> {
        let name = match self {
            Self::GitHub => "x-github-event",
            Self::GitLab => "x-gitlab-event",
            Self::Gitea => "x-gitea-event",
            Self::Forgejo => "x-forgejo-event",
            Self::BitbucketCloud | Self::BitbucketDataCenter => "x-event-key",
            Self::AzureDevOps | Self::Generic => return None,
        };
        single(headers, name)
    }

    /// The delivery's id. Where a host repeats a delivery that failed, it is the same again.
    pub(super) fn delivery(self, headers: &HeaderMap) -> Option<&str> {
        let name = match self {
            Self::GitHub => "x-github-delivery",
            // Not X-Gitlab-Event-UUID, which all hooks of one chain of events share.
            Self::GitLab => "idempotency-key",
            Self::Gitea => "x-gitea-delivery",
            Self::Forgejo => "x-forgejo-delivery",
            Self::BitbucketCloud => "x-request-uuid",
            Self::BitbucketDataCenter => "x-request-id",
            Self::AzureDevOps | Self::Generic => return None,
        };
        single(headers, name)
    }
}

/// The value of a header that is there once. Of two, nobody can say which is meant.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_by_its_name() {
        for host in Host::ALL {
            assert_eq!(Host::named(host.name()), Some(host));
        }
        assert_eq!(Host::named("gogs"), None);
    }

    #[test]
    fn a_header_that_is_there_twice_says_nothing() {
        let mut headers = HeaderMap::new();
        headers.append("x-github-event", "push".parse().unwrap());
        assert_eq!(Host::GitHub.event(&headers), Some("push"));
        headers.append("x-github-event", "ping".parse().unwrap());
        assert_eq!(Host::GitHub.event(&headers), None);
    }

    #[test]
    fn nothing_is_found_in_headers_that_show_no_form() {
        let mut headers = HeaderMap::new();
        headers.append("user-agent", "GitHub-Hookshot/044aadd".parse().unwrap());
        assert_eq!(Host::detect(&headers), None);
    }
}
