//! Where a values repository is: on this machine or behind a URL.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use url::Url;

/// A location that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// The text looks like a URL and is none. It is not quoted, since it may hold a password.
    #[error("the repository's URL can't be read")]
    Malformed(#[source] url::ParseError),
    /// A password in the URL would show in the process list, in logs and in errors.
    #[error(
        "the URL of the repository at {host} must not hold a password: \
         give it by --git-password-file or HARBORAGE_GIT_PASSWORD"
    )]
    Password {
        /// Whose URL it is.
        host: String,
    },
    /// It looks like a URL with a login that is not well formed. It is not quoted, since it may hold a password.
    #[error(
        "the repository is neither a path nor a URL: write it as https://HOST/PATH, and give the login by --git-username \
         and --git-password-file"
    )]
    Login,
    /// A way to transfer that is not spoken here.
    #[error("the repository's URL starts with {scheme}://, and only https, http and ssh are fetched from")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// There is no host or no path in it.
    #[error("the repository's URL {url} names no {part}")]
    Part {
        /// The URL.
        url: String,
        /// What is missing.
        part: &'static str,
    },
    /// What follows a `?` or `#` has no meaning to git.
    #[error("the repository's URL at {host} must end with its path: nothing may follow a ? or #")]
    Tail {
        /// Whose URL it is.
        host: String,
    },
    /// A `file://` URL that is no path of this machine.
    #[error("{url} is no path of this machine")]
    NoPath {
        /// The URL.
        url: String,
    },
}

/// Where a values repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine.
    Path(PathBuf),
    /// A repository that has to be fetched.
    Remote(RemoteUrl),
}

impl Location {
    /// Takes a path, an `https`, `http`, `ssh` or `file` URL, or git's short form `user@host:path`.
    ///
    /// # Errors
    /// When it is a URL that nothing can be fetched from, or one that holds a password.
    pub fn parse(text: &Path) -> Result<Self, LocationError> {
        let path = || Ok(Self::Path(text.to_owned()));
        let Some(text) = text.to_str() else { return path() };
        if text.contains("://") {
            let url = Url::parse(text).map_err(LocationError::Malformed)?;
            return if url.scheme() == "file" {
                url.to_file_path()
                    .map(Self::Path)
                    .map_err(|()| LocationError::NoPath { url: url.to_string() })
            } else {
                RemoteUrl::new(url).map(Self::Remote)
            };
        }
        let Some((login, below)) = text.split_once(':') else {
            return path();
        };
        // As git reads it: a slash before the colon makes it a path.
        let Some((user, host)) = login.split_once('@').filter(|_| !login.contains('/')) else {
            return if below.contains('@') && !Path::new(text).exists() {
                Err(LocationError::Login)
            } else {
                path()
            };
        };
        if below.contains('@') {
            // `user:password@host:path`, or a URL with a slash too few: whatever it is, it is not shown.
            return Err(LocationError::Login);
        }
        let url = format!("ssh://{user}@{host}/{}", below.trim_start_matches('/'));
        let remote = RemoteUrl::new(Url::parse(&url).map_err(LocationError::Malformed)?)?;
        Ok(Self::Remote(RemoteUrl {
            literal_path: Some(below.to_owned()),
            ..remote
        }))
    }
}

/// The URL of a repository to fetch from. It never holds a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    url: Url,
    /// The path as git's short form has it, which starts in the user's home folder.
    literal_path: Option<String>,
}

impl RemoteUrl {
    fn new(url: Url) -> Result<Self, LocationError> {
        if !matches!(url.scheme(), "https" | "http" | "ssh") {
            return Err(LocationError::Scheme {
                scheme: url.scheme().to_owned(),
            });
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        if url.password().is_some() {
            return Err(LocationError::Password { host });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(LocationError::Tail { host });
        }
        let missing = [
            (host.is_empty(), "host"),
            (url.path().trim_matches('/').is_empty(), "path"),
        ];
        if let Some((_, part)) = missing.into_iter().find(|(missing, _)| *missing) {
            return Err(LocationError::Part {
                url: url.to_string(),
                part,
            });
        }
        Ok(Self {
            url,
            literal_path: None,
        })
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The path as the host's own git is told it.
    #[must_use]
    pub fn path_on_host(&self) -> String {
        if let Some(path) = &self.literal_path {
            return path.clone();
        }
        let path = percent_decode_str(self.url.path())
            .decode_utf8_lossy()
            .into_owned();
        // As git does: `ssh://host/~user/path` is a path in a home folder.
        match path.strip_prefix('/') {
            Some(home) if home.starts_with('~') => home.to_owned(),
            _ => path,
        }
    }

    /// Whether it is fetched over ssh.
    #[must_use]
    pub fn is_ssh(&self) -> bool {
        self.url.scheme() == "ssh"
    }

    /// The user that the URL names.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        Some(self.url.username()).filter(|user| !user.is_empty())
    }
}

/// Without the user of an https URL, where some put a token.
impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        if !self.is_ssh() {
            // Only a URL without a host has no user, and this one has a host.
            let _ = shown.set_username("");
        }
        fmt::Display::fmt(&shown, f)
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Location::parse(Path::new(text)) {
            Ok(Location::Path(path)) => format!("path {}", path.display()),
            Ok(Location::Remote(url)) => format!("url {url}"),
            Err(error) => format!("error {error}"),
        }
    }

    #[test]
    fn a_location_is_read_as_git_reads_it() {
        for (text, expected) in [
            ("/srv/values", "path /srv/values"),
            ("values", "path values"),
            ("./user@host:x", "path ./user@host:x"),
            ("a:b", "path a:b"),
            ("file:///srv/values", "path /srv/values"),
            (
                "https://git.example.com/otomi/values.git",
                "url https://git.example.com/otomi/values.git",
            ),
            (
                "http://gitea-http.gitea:3000/o/v",
                "url http://gitea-http.gitea:3000/o/v",
            ),
            (
                "ssh://git@example.com:2222/o/v.git",
                "url ssh://git@example.com:2222/o/v.git",
            ),
            ("git@example.com:o/v.git", "url ssh://git@example.com/o/v.git"),
            ("https://a-token@example.com/o/v", "url https://example.com/o/v"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_url_that_nothing_can_be_fetched_from_is_refused_and_says_why() {
        for (text, part) in [
            ("git://example.com/v", "git://"),
            ("https://example.com", "no path"),
            ("https://example.com/v?token=hunter2", "nothing may follow"),
            ("https:///", "can't be read"),
            ("file://elsewhere/srv", "no path of this machine"),
        ] {
            let shown = shown(text);
            assert!(
                shown.starts_with("error") && shown.contains(part),
                "{text}: {shown}"
            );
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn the_host_is_told_the_path_as_it_was_meant() {
        let path = |text: &str| match Location::parse(Path::new(text)).unwrap() {
            Location::Remote(url) => url.path_on_host(),
            Location::Path(path) => panic!("{path:?}"),
        };
        assert_eq!(path("git@example.com:o/v%20.git"), "o/v%20.git");
        assert_eq!(path("ssh://git@example.com/srv/a%20b.git"), "/srv/a b.git");
        assert_eq!(path("ssh://git@example.com/~me/v"), "~me/v");
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for text in [
            "https://me:hunter2@example.com/v",
            "https://me:hunter2@example.com:bad/v",
            "https:/me:hunter2@example.com/v",
            "me:hunter2@example.com:o/v",
        ] {
            let error = Location::parse(Path::new(text)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        assert!(shown("https://me:hunter2@example.com/v").contains("--git-password-file"));
    }
}
