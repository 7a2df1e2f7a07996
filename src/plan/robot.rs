//! What becomes of a robot itself: its permissions, its lifetime, whether it is enabled.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};

use super::desired::{Access, DesiredCredential, DesiredTeam, RobotLifetime};
use super::observed::ObservedRobot;
use super::step::{Action, Verdict};

/// What becomes of a robot.
pub(super) struct RobotRepair {
    pub(super) verdict: Verdict,
    pub(super) why: String,
    pub(super) action: Option<Action>,
    pub(super) login: LoginUse,
}

/// Whether a robot's login can be used, and so tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginUse {
    /// It can.
    Now,
    /// It can once the action is done.
    AfterRepair,
    /// It can't before a person did something about the robot.
    Never,
}

/// Whether Harbor lets the robot sign in at all.
pub(super) fn may_sign_in(robot: &ObservedRobot, at: DateTime<Utc>) -> bool {
    !robot.disabled && !is_expired(robot, at)
}

/// Compares a robot with its declaration.
pub(super) fn repair(
    desired: &DesiredTeam,
    credential: &DesiredCredential,
    robot: &ObservedRobot,
    at: DateTime<Utc>,
) -> RobotRepair {
    let may_sign_in = may_sign_in(robot, at);
    let report = |why: String| RobotRepair {
        verdict: Verdict::Report,
        why,
        action: None,
        login: if may_sign_in {
            LoginUse::Now
        } else {
            LoginUse::Never
        },
    };
    let lifetime = lifetime(credential.robot.lifetime, robot, at);
    if let Lifetime::OutOfReach(why) = lifetime {
        return report(why);
    }
    let mut differences = Vec::new();
    if robot.disabled {
        differences.push("it is disabled".to_owned());
    }
    if let Lifetime::Differs(why) = lifetime {
        differences.push(why);
    }
    differences.extend(permissions(desired, credential, robot));
    if differences.is_empty() {
        return RobotRepair {
            verdict: Verdict::Keep,
            why: "it is as declared".to_owned(),
            action: None,
            login: LoginUse::Now,
        };
    }
    let differences = differences.join(", ");
    if !robot.editable {
        return report(format!(
            "{differences}, and Harbor does not let a robot of the old kind be changed"
        ));
    }
    RobotRepair {
        verdict: Verdict::Change,
        why: differences,
        action: Some(Action::UpdateRobot {
            robot: credential.robot.name.clone(),
            robot_id: robot.id,
        }),
        login: if may_sign_in {
            LoginUse::Now
        } else {
            LoginUse::AfterRepair
        },
    }
}

enum Lifetime {
    AsDeclared,
    Differs(String),
    /// Harbor counts days from the robot's creation, so writing the declared number would not
    /// bring the robot back, or would end it at once.
    OutOfReach(String),
}

fn lifetime(wanted: RobotLifetime, robot: &ObservedRobot, at: DateTime<Utc>) -> Lifetime {
    let expired = is_expired(robot, at);
    let days = match wanted {
        RobotLifetime::Never if robot.duration == wanted.as_harbor() && !expired => {
            return Lifetime::AsDeclared;
        }
        RobotLifetime::Never => return Lifetime::Differs(difference(wanted, robot, expired)),
        RobotLifetime::Days(days) => i64::from(days),
    };
    if robot.duration == days && !expired {
        return Lifetime::AsDeclared;
    }
    // The creation is told only by the expiry: not at all for a robot that never expires.
    let end = robot
        .expires_at
        .and_then(|end| end.checked_add_signed(Duration::try_days(days.checked_sub(robot.duration)?)?));
    if end.is_some_and(|end| end > at) {
        return Lifetime::Differs(difference(wanted, robot, expired));
    }
    let because = "since Harbor counts from a robot's creation; delete it, and it is made anew";
    Lifetime::OutOfReach(if expired {
        format!("it has expired, and {days} days do not bring it back, {because}")
    } else {
        format!(
            "it expires {}, not after {days} days, and can't be changed in use, {because}",
            spell(robot.duration)
        )
    })
}

fn is_expired(robot: &ObservedRobot, at: DateTime<Utc>) -> bool {
    robot.expires_at.is_some_and(|end| end <= at)
}

fn difference(wanted: RobotLifetime, robot: &ObservedRobot, expired: bool) -> String {
    let (held, wanted) = (spell(robot.duration), spell(wanted.as_harbor()));
    match (expired, held == wanted) {
        (true, true) => "it has expired".to_owned(),
        (true, false) => format!("it has expired, {held}, and shall {wanted}"),
        (false, _) => format!("it expires {held}, not {wanted}"),
    }
}

fn spell(days: i64) -> String {
    if days < 0 {
        "never".to_owned()
    } else {
        format!("after {days} days")
    }
}

/// How the robot's permissions differ. They are right when they are one entry, for the project alone.
fn permissions(
    desired: &DesiredTeam,
    credential: &DesiredCredential,
    robot: &ObservedRobot,
) -> Option<String> {
    let project = desired.project.name.as_str();
    let wanted = &credential.robot.access;
    let exact = matches!(robot.permissions.as_slice(),
        [only] if only.kind == "project" && only.namespace == project && only.access == *wanted);
    if exact {
        return None;
    }
    let held: Vec<String> = robot
        .permissions
        .iter()
        .map(|entry| format!("{} in {} {}", list(&entry.access), entry.kind, entry.namespace))
        .collect();
    let held = if held.is_empty() {
        "nothing".to_owned()
    } else {
        held.join(" and ")
    };
    Some(format!(
        "it may {held}, not {} in project {project}",
        list(wanted)
    ))
}

fn list(access: &BTreeSet<Access>) -> String {
    access
        .iter()
        .map(Access::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
