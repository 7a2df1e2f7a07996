//! Refuses plans that a person should look at first.

use std::collections::BTreeMap;

use super::step::{Action, Step, Verdict};
use super::team::TeamPlan;
use crate::values::names::TeamId;

/// How much may be replaced at once without a go-ahead.
#[derive(Debug, Clone, Copy)]
pub struct LintLimits {
    /// Teams whose credentials may be replaced in one pass, whatever their number in all.
    pub replaced_teams: usize,
    /// Beyond that, the share of all teams that may be, in percent.
    pub replaced_percent: usize,
}

impl Default for LintLimits {
    fn default() -> Self {
        Self {
            replaced_teams: 10,
            replaced_percent: 50,
        }
    }
}

/// Why plans are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// So many teams would get new credentials that something else is likely to be wrong: the
    /// address names another, empty Harbor, say, or a token service refuses everybody.
    #[error("{replaced} of {teams} teams would get new credentials in place of those that they have")]
    MassReplacement {
        /// Teams whose credentials would be replaced.
        replaced: usize,
        /// Teams in all.
        teams: usize,
    },
    /// Two teams would take turns at the same object: team `a` with a robot `b-pull`, and team `a-b` with a robot `pull`.
    #[error("{object} is asked for by team {one} and by team {other}")]
    SharedObject {
        /// The object, as the plans name it.
        object: String,
        /// A team that asks for it.
        one: TeamId,
        /// Another that does.
        other: TeamId,
    },
}

/// Looks at the plans of a pass together. Empty when nothing speaks against them.
#[must_use]
pub fn lint(plans: &[TeamPlan], limits: LintLimits) -> Vec<Refusal> {
    let mut refusals = shared_objects(plans);
    let (replaced, teams) = (plans.iter().filter(|plan| replaces(plan)).count(), plans.len());
    if replaced > limits.replaced_teams && replaced * 100 > teams * limits.replaced_percent {
        refusals.push(Refusal::MassReplacement { replaced, teams });
    }
    refusals
}

/// Whether a team that has credentials would get others.
fn replaces(plan: &TeamPlan) -> bool {
    let replaces = |step: &Step| matches!(step.action, Some(Action::ReplaceCredential { .. }));
    // A Secret that exists and is written along with a robot that is made anew.
    let reissues = |step: &Step| {
        step.object.starts_with("Secret ") && step.verdict == Verdict::Change && step.action.is_none()
    };
    plan.steps.iter().any(|step| replaces(step) || reissues(step))
}

/// Objects of which the platform has one by a name, that several teams ask for.
fn shared_objects(plans: &[TeamPlan]) -> Vec<Refusal> {
    let mut owners: BTreeMap<&str, &TeamId> = BTreeMap::new();
    let mut refusals = Vec::new();
    for plan in plans {
        for Step { object, .. } in &plan.steps {
            let unique = ["namespace ", "project ", "robot "];
            if !unique.iter().any(|kind| object.starts_with(kind)) {
                continue;
            }
            let owner = *owners.entry(object).or_insert(&plan.team);
            if owner != &plan.team {
                refusals.push(Refusal::SharedObject {
                    object: object.clone(),
                    one: owner.clone(),
                    other: plan.team.clone(),
                });
            }
        }
    }
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::desired::RobotLifetime;
    use crate::plan::model::World;
    use crate::plan::sample::{desired, empty_world};
    use crate::plan::{PlanOptions, plan_team};

    /// The plan of a team of its own, from what `change` leaves of a healthy one.
    fn plan(team: usize, change: fn(&mut World)) -> TeamPlan {
        let mut desired = desired(RobotLifetime::Never, None);
        desired.team = format!("t{team}").parse().unwrap();
        desired.project.name = format!("team-t{team}").parse().unwrap();
        desired.namespace = format!("team-t{team}").parse().unwrap();
        for credential in &mut desired.credentials {
            credential.robot.name = format!("t{team}-{}", credential.robot.name).parse().unwrap();
        }
        let mut world = empty_world(&desired);
        world.round(&desired, PlanOptions::default());
        change(&mut world);
        plan_team(&desired, &world.observe(), PlanOptions::default())
    }

    fn plans(changed: usize, healthy: usize, change: fn(&mut World)) -> Vec<TeamPlan> {
        let changed = (0..changed).map(|team| plan(team, change));
        changed
            .chain((100..100 + healthy).map(|team| plan(team, |_| {})))
            .collect()
    }

    #[test]
    fn new_credentials_for_more_than_half_of_the_teams_are_refused() {
        let lost: fn(&mut World) = |world| world.cluster.secrets.clear();
        let another_harbor: fn(&mut World) = |world| world.robots.clear();
        for change in [lost, another_harbor] {
            let refused = Refusal::MassReplacement {
                replaced: 11,
                teams: 21,
            };
            assert_eq!(lint(&plans(11, 10, change), LintLimits::default()), [refused]);
            assert!(lint(&plans(11, 11, change), LintLimits::default()).is_empty());
            assert!(lint(&plans(10, 0, change), LintLimits::default()).is_empty());
        }
    }

    #[test]
    fn new_and_adopted_teams_are_not_counted() {
        let new: fn(&mut World) = |world| {
            world.robots.clear();
            world.cluster.secrets.clear();
        };
        let drifted: fn(&mut World) = |world| {
            world
                .robots
                .values_mut()
                .for_each(|robot| robot.seen.permissions.clear());
        };
        for change in [new, drifted] {
            assert!(lint(&plans(20, 0, change), LintLimits::default()).is_empty());
        }
    }

    #[test]
    fn an_object_of_two_teams_is_refused() {
        let mut twice = plans(0, 2, |_| {});
        let taken = twice[0]
            .steps
            .iter()
            .find(|step| step.object.starts_with("robot "))
            .unwrap()
            .clone();
        twice[1].steps.push(taken.clone());
        let refused = Refusal::SharedObject {
            object: taken.object,
            one: twice[0].team.clone(),
            other: twice[1].team.clone(),
        };
        assert_eq!(lint(&twice, LintLimits::default()), [refused]);
    }
}
