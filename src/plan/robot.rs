//! What becomes of a robot that exists: its differences from what is declared, and their repair.

use super::desired::{Access, DesiredCredential, DesiredTeam};
use super::observed::ObservedRobot;
use super::step::{Action, Operation, Step, Verdict};

/// The robot's own differences.
pub(super) fn repair_robot(
    desired: &DesiredTeam,
    credential: &DesiredCredential,
    robot: &ObservedRobot,
) -> Step {
    let object = format!("robot {}", credential.robot.name);
    let differences = robot_differences(desired, credential, robot);
    if differences.is_empty() {
        return step(object, Verdict::Keep, "it is as declared", None);
    }
    if !robot.editable {
        let why = format!(
            "{}, and Harbor does not let a robot of the old kind be changed",
            differences.join(", ")
        );
        return step(object, Verdict::Report, &why, None);
    }
    let action = Action::UpdateRobot {
        robot: credential.robot.name.clone(),
        robot_id: robot.id,
    };
    step(object, Verdict::Change, &differences.join(", "), Some(action))
}

fn robot_differences(
    desired: &DesiredTeam,
    credential: &DesiredCredential,
    robot: &ObservedRobot,
) -> Vec<String> {
    let mut differences = Vec::new();
    if robot.disabled {
        differences.push("it is disabled".to_owned());
    }
    let lifetime = credential.robot.lifetime.as_harbor();
    if robot.duration != lifetime {
        let days = |days: i64| {
            if days < 0 {
                "never".to_owned()
            } else {
                format!("after {days} days")
            }
        };
        differences.push(format!(
            "it expires {}, not {}",
            days(robot.duration),
            days(lifetime)
        ));
    }
    let project = desired.project.name.as_str();
    let exact = matches!(robot.permissions.as_slice(),
        [only] if only.kind == "project" && only.namespace == project && only.access == credential.robot.access);
    if !exact {
        let held = robot
            .permissions
            .iter()
            .flat_map(|entry| {
                entry
                    .access
                    .iter()
                    .map(move |access| format!("{access} in {}", entry.namespace))
            })
            .collect::<Vec<_>>();
        let wanted = credential
            .robot
            .access
            .iter()
            .map(Access::to_string)
            .collect::<Vec<_>>();
        let held = if held.is_empty() {
            "nothing".to_owned()
        } else {
            held.join(", ")
        };
        differences.push(format!("it may {held}, not {} in {project}", wanted.join(", ")));
    }
    differences
}

fn step(object: String, verdict: Verdict, why: &str, action: Option<Action>) -> Step {
    Step {
        operation: Operation::EnsureCredentials,
        object,
        verdict,
        why: why.to_owned(),
        action,
    }
}
