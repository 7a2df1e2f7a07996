//! The names that the servers accept, checked once.
//!
//! Harbor and Kubernetes disagree about what a name is, so each name has its
//! own type, and a value of it can no longer be refused for its form.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name that no server would accept, with the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} {rule}")]
pub struct NameError {
    /// What was being named, such as `team id`.
    pub kind: &'static str,
    /// The refused text.
    pub text: String,
    /// The rule that it breaks, as the end of a sentence.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text against the rule of this kind of name.
            ///
            /// # Errors
            /// Says which rule the text breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                match $rule(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(rule) => Err(NameError { kind: $kind, text, rule }),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// A team of the platform. Harbor project, namespace and group are all `team-<id>`.
    ///
    /// At most 58 characters, since `team-<id>` has to fit in the 63 of a namespace;
    /// single dashes only, since Harbor refuses `--` in project and robot names.
    TeamId, "team id", team_id
}
name! {
    /// A Harbor project name: 1 to 255 characters, words of `a-z0-9` joined by single `.`, `_` or `-`.
    ProjectName, "project name", harbor_name
}
name! {
    /// A robot's name as Harbor stores it, without the robot prefix. Same form as a project name.
    RobotName, "robot name", harbor_name
}
name! {
    /// A user group as the identity provider spells it. Compared case-sensitively by Harbor.
    GroupName, "group name", group_name
}
name! {
    /// A Kubernetes namespace: an RFC 1123 label of at most 63 characters.
    Namespace, "namespace", dns_label
}
name! {
    /// A Kubernetes Secret: an RFC 1123 subdomain of at most 253 characters.
    SecretName, "Secret name", dns_subdomain
}
name! {
    /// A Kubernetes service account: an RFC 1123 subdomain of at most 253 characters.
    ServiceAccountName, "service account name", dns_subdomain
}
name! {
    /// The registry's host as image references spell it, with an optional port.
    RegistryHost, "registry host", host_and_port
}

impl TeamId {
    /// `team-<id>`: the name of the team's project, namespace and group.
    #[must_use]
    pub fn prefixed(&self) -> String {
        format!("team-{}", self.0)
    }
}

type Rule = Result<(), &'static str>;

fn words(text: &str, joins: &[char]) -> bool {
    text.split(joins)
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

fn team_id(text: &str) -> Rule {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > 58 {
        return Err("is longer than 58 characters, so that its namespace team-<id> would exceed 63");
    }
    if text.contains("--") {
        return Err("has a double dash, which Harbor refuses in project and robot names");
    }
    if text.chars().any(char::is_uppercase) {
        return Err("has an upper case letter, which Harbor and Kubernetes refuse");
    }
    if words(text, &['-']) {
        Ok(())
    } else {
        Err("must be lower case letters and digits, joined by single dashes")
    }
}

fn harbor_name(text: &str) -> Rule {
    if text.is_empty() || text.len() > 255 {
        return Err("must have 1 to 255 characters");
    }
    if words(text, &['.', '_', '-']) {
        Ok(())
    } else {
        Err("must be lower case letters and digits, joined by single '.', '_' or '-'")
    }
}

fn group_name(text: &str) -> Rule {
    if text.is_empty() || text.len() > 255 {
        return Err("must have 1 to 255 characters");
    }
    if text.contains(char::is_whitespace) {
        Err("must not contain white space")
    } else {
        Ok(())
    }
}

fn label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn dns_label(text: &str) -> Rule {
    if text.len() > 63 {
        return Err("is longer than 63 characters");
    }
    if label(text) {
        Ok(())
    } else {
        Err("must be lower case letters, digits and inner dashes")
    }
}

fn dns_subdomain(text: &str) -> Rule {
    if text.len() > 253 {
        return Err("is longer than 253 characters");
    }
    if text.split('.').all(label) {
        Ok(())
    } else {
        Err("must be labels of lower case letters, digits and inner dashes, joined by dots")
    }
}

fn host_and_port(text: &str) -> Rule {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("has a port that is no number up to 65535");
    }
    dns_subdomain(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_id_is_refused_when_harbor_or_kubernetes_would_refuse_it() {
        for bad in [
            "",
            "a--b",
            "Demo",
            "-a",
            "a-",
            "a.b",
            "a_b",
            "équipe",
            "a b",
            &"x".repeat(59),
        ] {
            assert!(TeamId::new(bad).is_err(), "{bad:?} should be refused");
        }
        for good in ["a", "admin", "team-1", "1", &"x".repeat(58)] {
            assert!(TeamId::new(good).is_ok(), "{good:?} should be accepted");
        }
    }

    #[test]
    fn a_harbor_name_has_single_separators_only() {
        for bad in [
            "team__x",
            "team._x",
            "team_",
            "-team",
            "Team",
            "team/x",
            &"x".repeat(256),
        ] {
            assert!(ProjectName::new(bad).is_err(), "{bad:?} should be refused");
        }
        for good in ["a", "team.x", "a_b", "12345", &"x".repeat(255)] {
            assert!(ProjectName::new(good).is_ok(), "{good:?} should be accepted");
        }
    }

    #[test]
    fn a_registry_host_may_have_a_port() {
        assert!(RegistryHost::new("harbor.dev.linode-apl.net").is_ok());
        assert!(RegistryHost::new("127.0.0.1:5000").is_ok());
        assert!(RegistryHost::new("harbor:notaport").is_err());
        assert!(RegistryHost::new("https://harbor").is_err());
    }
}
