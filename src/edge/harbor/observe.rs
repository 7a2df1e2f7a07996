//! The reads: single ones for few teams, whole lists for many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;

use super::failure::{strange, unfit};
use super::transport::HarborClient;
use super::version::{Fitness, judge};
use super::wire::{ConfigurationRow, GroupRow, MemberRow, ProjectRow, QuotaRow, RobotRow, SystemInformation};
use crate::plan::desired::DesiredTeam;
use crate::plan::observed::{
    ConfigurationItem, ObservedHarbor, ObservedMember, ObservedPlatform, ObservedProject, ObservedQuota,
    ObservedRobot,
};
use crate::run::target::{ErrorClass, TargetError};
use crate::values::names::{GroupName, ProjectName, RobotName, TeamId};

/// The most rows that Harbor puts on a page.
const PAGE: usize = 100;
/// The most pages that are read: a million rows. A list that does not end is no list of Harbor's.
const MOST_PAGES: usize = 10_000;
/// Pages and teams that are asked for at once; the budget of reads bounds the calls themselves.
const AT_ONCE: usize = 64;
const OIDC_GROUP: i64 = 3;

impl HarborClient {
    /// Version and read-only mode.
    pub(super) async fn system_information(&self) -> Result<String, TargetError> {
        const ACT: &str = "tell its version";
        let answer: SystemInformation = self.get(ACT, &["systeminfo"], Vec::new()).await?.json(ACT)?;
        let version = answer.harbor_version.ok_or_else(|| {
            strange(
                ACT,
                "it does not tell its version to us: it takes us for a stranger",
            )
        })?;
        self.read_only.store(answer.read_only, Ordering::Relaxed);
        match judge(&version) {
            Fitness::Known => {}
            Fitness::Unknown => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        harbor.version = version,
                        "Harbor {version} is none of those that were tried"
                    );
                }
            }
            Fitness::TooOld => {
                let why = format!("it is {version}, and harborage needs 2.2 or newer: upgrade Harbor");
                return Err(unfit("be used", why));
            }
        }
        Ok(version)
    }

    pub(super) async fn platform(&self, wanted: &[GroupName]) -> Result<ObservedPlatform, TargetError> {
        const ACT: &str = "tell its configuration";
        let version = self.system_information().await?;
        let answer = self
            .get(ACT, &["configurations"], Vec::new())
            .await
            .map_err(|mut error| {
                if error.status == Some(403) {
                    error
                        .message
                        .push_str(" (harbor-username must name an administrator)");
                }
                error
            })?;
        let rows: BTreeMap<String, ConfigurationRow> = answer.json(ACT)?;
        let configuration = rows
            .into_iter()
            .map(|(key, row)| {
                (
                    key,
                    ConfigurationItem {
                        value: row.value,
                        editable: row.editable,
                    },
                )
            })
            .collect();
        let mut groups = BTreeSet::new();
        let mut foreign_groups = BTreeMap::new();
        for group in wanted {
            // The filter is fuzzy, so what comes back is looked through.
            let query = vec![("group_name", group.to_string())];
            let rows: Vec<GroupRow> = self
                .pages(&format!("find group {group}"), &["usergroups"], query)
                .await?;
            for row in rows.into_iter().filter(|row| row.group_name == group.as_str()) {
                if row.group_type == OIDC_GROUP {
                    groups.insert(row.group_name);
                } else {
                    foreign_groups.insert(row.group_name, row.group_type);
                }
            }
        }
        let act = "count its robots";
        let query = vec![("page", "1".to_owned()), ("page_size", "1".to_owned())];
        let robots: Vec<RobotRow> = self.get(act, &["robots"], query).await?.json(act)?;
        Ok(ObservedPlatform {
            version,
            read_only: self.read_only.load(Ordering::Relaxed),
            configuration,
            groups,
            foreign_groups,
            has_robots: !robots.is_empty(),
        })
    }

    /// Everything by lists; members for each project that exists.
    pub(super) async fn teams_by_lists(
        &self,
        teams: &[Arc<DesiredTeam>],
        robot_prefix: &str,
    ) -> Result<BTreeMap<TeamId, ObservedHarbor>, TargetError> {
        // Robots first: that list refuses strangers, while the list of projects shows them the public ones.
        let robots: Vec<RobotRow> = self.pages("list robots", &["robots"], Vec::new()).await?;
        let mut robots = by_name(robots);
        let projects: Vec<ProjectRow> = self.pages("list projects", &["projects"], Vec::new()).await?;
        let mut projects: HashMap<String, ProjectRow> =
            projects.into_iter().map(|row| (row.name.clone(), row)).collect();
        let mut quotas = HashMap::new();
        if teams.iter().any(|team| team.project.storage_quota.is_some()) {
            let query = vec![("reference", "project".to_owned())];
            let rows: Vec<QuotaRow> = self.pages("list quotas", &["quotas"], query).await?;
            quotas.extend(rows.into_iter().filter_map(|row| Some((row.reference.id?, row))));
        }
        let sides: Vec<_> = teams
            .iter()
            .map(|team| {
                let robots = pick(team, robot_prefix, &mut robots);
                let project = projects.remove(team.project.name.as_str());
                let quota = project.as_ref().and_then(|row| quotas.remove(&row.project_id));
                (
                    team.clone(),
                    project.map(|row| observed_project(row, quota)),
                    robots,
                )
            })
            .collect();
        stream::iter(sides)
            .map(|(team, project, robots)| async move {
                let members = self.members(&team.project.name, project.is_some()).await?;
                Ok((
                    team.team.clone(),
                    ObservedHarbor {
                        project,
                        members,
                        robots,
                    },
                ))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Each team by itself.
    pub(super) async fn teams_one_by_one(
        &self,
        teams: &[Arc<DesiredTeam>],
        robot_prefix: &str,
    ) -> Result<BTreeMap<TeamId, ObservedHarbor>, TargetError> {
        stream::iter(teams.to_vec())
            .map(|team| async move {
                let side = self.team(&team, robot_prefix).await?;
                Ok((team.team.clone(), side))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn team(&self, team: &DesiredTeam, robot_prefix: &str) -> Result<ObservedHarbor, TargetError> {
        let names: Vec<&str> = team
            .credentials
            .iter()
            .map(|credential| credential.robot.name.as_str())
            .collect();
        let mut robots = HashMap::new();
        if !names.is_empty() {
            // Harbor stores names without the prefix, and this filter finds whatever contains the text.
            let common = common_prefix(&names);
            // An empty filter is refused; without one, the whole list comes.
            let query = if common.is_empty() {
                Vec::new()
            } else {
                vec![("q", format!("name=~{common}"))]
            };
            let act = format!("find the robots of {}", team.team);
            robots = by_name(self.pages(&act, &["robots"], query).await?);
        }
        let robots = pick(team, robot_prefix, &mut robots);
        let name = &team.project.name;
        let act = format!("tell of project {name}");
        let project = match self.get(&act, &["projects", name.as_str()], Vec::new()).await {
            Ok(answer) => {
                let row: ProjectRow = answer.json(&act)?;
                // A Harbor that takes the name for something else would have us change another project.
                if row.name != name.as_str() {
                    return Err(strange(&act, format!("it told of {} instead", row.name)));
                }
                let quota = match team.project.storage_quota {
                    Some(_) => self.quota(row.project_id).await?,
                    None => None,
                };
                Some(observed_project(row, quota))
            }
            Err(error) if error.status == Some(404) && error.class == ErrorClass::Rejected => None,
            Err(error) => return Err(error),
        };
        let members = self.members(name, project.is_some()).await?;
        Ok(ObservedHarbor {
            project,
            members,
            robots,
        })
    }

    async fn quota(&self, project_id: i64) -> Result<Option<QuotaRow>, TargetError> {
        let query = vec![
            ("reference", "project".to_owned()),
            ("reference_id", project_id.to_string()),
        ];
        let rows: Vec<QuotaRow> = self.pages("find a quota", &["quotas"], query).await?;
        Ok(rows.into_iter().find(|row| row.reference.id == Some(project_id)))
    }

    async fn members(&self, project: &ProjectName, exists: bool) -> Result<Vec<ObservedMember>, TargetError> {
        if !exists {
            return Ok(Vec::new());
        }
        let act = format!("list the members of project {project}");
        let rows: Vec<MemberRow> = self
            .pages(&act, &["projects", project.as_str(), "members"], Vec::new())
            .await?;
        Ok(rows.into_iter().map(ObservedMember::from).collect())
    }

    /// Every row of a list, a hundred a page, until a page is short. Harbor's links are not followed, since it
    /// unescapes their queries; its count tells only how many pages may be asked for at once.
    async fn pages<T: DeserializeOwned + Send>(
        &self,
        act: &str,
        path: &[&str],
        query: Vec<(&'static str, String)>,
    ) -> Result<Vec<T>, TargetError> {
        let page = |number: usize| {
            let mut query = query.clone();
            query.push(("page", number.to_string()));
            query.push(("page_size", PAGE.to_string()));
            async move {
                let answer = self.get(act, path, query).await?;
                // An empty list may come as null.
                let rows = answer.json::<Option<Vec<T>>>(act)?.unwrap_or_default();
                if rows.len() > PAGE || number > MOST_PAGES {
                    return Err(strange(
                        act,
                        format!("its list does not keep to pages: page {number}"),
                    ));
                }
                Ok((rows, answer.total()))
            }
        };
        let (mut rows, total) = page(1).await?;
        if rows.len() < PAGE {
            return Ok(rows);
        }
        let expected = total.unwrap_or_default().div_ceil(PAGE);
        let mut next = 2;
        loop {
            let last = expected.clamp(next, next + AT_ONCE);
            let mut more = stream::iter((next..=last).map(page)).buffered(AT_ONCE);
            while let Some((page, _)) = more.try_next().await? {
                let short = page.len() < PAGE;
                rows.extend(page);
                if short {
                    return Ok(rows);
                }
            }
            next = last + 1;
        }
    }
}

fn by_name(rows: Vec<RobotRow>) -> HashMap<String, RobotRow> {
    rows.into_iter()
        .filter(RobotRow::is_system_level)
        .map(|row| (row.name.clone(), row))
        .collect()
}

/// The robots of a team, by stored name.
fn pick(
    team: &DesiredTeam,
    robot_prefix: &str,
    robots: &mut HashMap<String, RobotRow>,
) -> BTreeMap<RobotName, ObservedRobot> {
    team.credentials
        .iter()
        .filter_map(|credential| {
            let name = &credential.robot.name;
            let row = robots.remove(&format!("{robot_prefix}{name}"))?;
            Some((name.clone(), row.into()))
        })
        .collect()
}

fn observed_project(row: ProjectRow, quota: Option<QuotaRow>) -> ObservedProject {
    ObservedProject {
        id: row.project_id,
        metadata: row.metadata.unwrap_or_default(),
        quota: quota.map(|row| ObservedQuota {
            id: row.id,
            storage: row.hard.get("storage").copied().unwrap_or(-1),
        }),
    }
}

/// What all of these begin with. Robot names are ASCII, so any byte is a boundary.
fn common_prefix<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, others)) = names.split_first() else {
        return "";
    };
    let length = others.iter().fold(first.len(), |length, other| {
        first
            .bytes()
            .zip(other.bytes())
            .take(length)
            .take_while(|(a, b)| a == b)
            .count()
    });
    &first[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_prefix_of_a_teams_robots_names_the_team() {
        assert_eq!(
            common_prefix(&["team-demo-pull", "team-demo-push", "team-demo-builds"]),
            "team-demo-"
        );
        assert_eq!(common_prefix(&["only"]), "only");
        assert_eq!(common_prefix(&["a", "b"]), "");
    }
}
