//! Who may download a team's push login.
//!
//! The rule is Otomi's: platform administrators always, members of the team where its settings allow it. Who
//! administers teams (`team-admin`) is a member like others.

use std::fmt;

use crate::serve::token::Claims;
use crate::snapshot::Snapshot;
use crate::values::names::TeamId;

/// Groups whose members may download every team's login. Otomi makes no difference between the two, and
/// in Harbor both administer every team's project.
const ADMINISTRATORS: [&str; 2] = ["platform-admin", "all-teams-admin"];
/// The group of everybody who administers teams, which is also what a group of the team `admin` would be called:
/// it makes nobody a member of that team.
const TEAM_ADMINISTRATORS: &str = "team-admin";

/// What the repository says of a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It names no such team.
    Unknown,
    /// It names the team, and what it says of it can't be read.
    Held,
    /// It has the team.
    There {
        /// Whether members may download its login.
        download: bool,
    },
}

impl Standing {
    /// The standing of whatever was named.
    #[must_use]
    pub fn of(snapshot: &Snapshot, team: &str) -> Self {
        if snapshot.held.contains_key(team) {
            return Self::Held;
        }
        let known = TeamId::new(team).ok().and_then(|id| snapshot.teams.get(&id));
        known.map_or(Self::Unknown, |team| Self::There {
            download: team.docker_login_download,
        })
    }
}

/// By what right somebody downloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// As an administrator of the platform or of all teams.
    Administrator,
    /// As a member of the team.
    Member,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Administrator => "administrator",
            Self::Member => "member",
        })
    }
}

/// Why somebody may not download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The team is not theirs, whether there is one of the name or not: strangers do not learn that.
    #[error("this is for members of the team")]
    NotTheirs,
    /// The team's settings do not allow it.
    #[error(
        "downloading the docker login is switched off for this team (selfService.teamMembers.downloadDockerLogin)"
    )]
    SwitchedOff,
    /// What the team's settings allow can't be read.
    #[error("the team's settings have a fault, so that they allow no download")]
    Held,
    /// There is no such team, told to those who may know.
    #[error("there is no such team")]
    Unknown,
}

/// Whether somebody may download a team's login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and by what right.
    Allowed(Right),
    /// No, and why.
    Denied(Denial),
}

/// Decides by what a verified token says and what the repository says. Pure.
#[must_use]
pub fn may_download(claims: &Claims, team: &str, standing: Standing) -> Verdict {
    let in_group = |name: &str| claims.groups.iter().any(|group| group == name);
    let group = format!("team-{team}");
    let administrator = ADMINISTRATORS.iter().any(|name| in_group(name));
    let member = group != TEAM_ADMINISTRATORS && in_group(&group);
    match standing {
        _ if !administrator && !member => Verdict::Denied(Denial::NotTheirs),
        Standing::Unknown => Verdict::Denied(Denial::Unknown),
        _ if administrator => Verdict::Allowed(Right::Administrator),
        Standing::There { download: true } => Verdict::Allowed(Right::Member),
        Standing::There { download: false } => Verdict::Denied(Denial::SwitchedOff),
        Standing::Held => Verdict::Denied(Denial::Held),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Standing = Standing::There { download: true };
    const OFF: Standing = Standing::There { download: false };

    fn asks(groups: &[&str], team: &str, standing: Standing) -> Verdict {
        let claims = Claims {
            subject: "s".to_owned(),
            username: "u".to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        may_download(&claims, team, standing)
    }

    #[test]
    fn a_member_may_where_the_flag_is_on_and_only_there() {
        let groups = ["team-blue", "team-admin"];
        assert_eq!(asks(&groups, "blue", ON), Verdict::Allowed(Right::Member));
        assert_eq!(asks(&groups, "blue", OFF), Verdict::Denied(Denial::SwitchedOff));
        assert_eq!(
            asks(&groups, "blue", Standing::Held),
            Verdict::Denied(Denial::Held)
        );
    }

    #[test]
    fn both_kinds_of_administrators_may_whatever_the_flag_says() {
        for group in ["platform-admin", "all-teams-admin"] {
            for standing in [ON, OFF, Standing::Held] {
                assert_eq!(
                    asks(&[group], "blue", standing),
                    Verdict::Allowed(Right::Administrator)
                );
            }
            assert_eq!(
                asks(&[group], "blue", Standing::Unknown),
                Verdict::Denied(Denial::Unknown)
            );
        }
    }

    #[test]
    fn a_stranger_is_told_the_same_of_every_team_and_of_none() {
        for groups in [
            &[][..],
            &["team-green"],
            &["blue"],
            &["/team-blue"],
            &["Team-blue"],
            &["team-blues"],
            &["team-"],
        ] {
            for standing in [ON, OFF, Standing::Held, Standing::Unknown] {
                assert_eq!(
                    asks(groups, "blue", standing),
                    Verdict::Denied(Denial::NotTheirs),
                    "{groups:?}"
                );
            }
        }
    }

    #[test]
    fn who_administers_teams_is_no_member_of_the_team_admin() {
        assert_eq!(
            asks(&["team-admin"], "admin", ON),
            Verdict::Denied(Denial::NotTheirs)
        );
        assert_eq!(
            asks(&["platform-admin"], "admin", OFF),
            Verdict::Allowed(Right::Administrator)
        );
    }
}
