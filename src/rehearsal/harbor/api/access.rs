//! Who asks, and what they may do.

use super::refusal::Refusal;
use crate::rehearsal::harbor::state::{Project, Robot, Scope, State, User};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Principal {
    /// Nobody who is known; a wrong password makes one of this too.
    Anonymous,
    /// A user.
    User(User),
    /// A robot, and the name that it signed in with.
    Robot(Robot, String),
}

impl Principal {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Anonymous => "",
            Self::User(user) => &user.username,
            Self::Robot(_, name) => name,
        }
    }

    pub(super) fn is_authenticated(&self) -> bool {
        !matches!(self, Self::Anonymous)
    }

    pub(super) fn is_sysadmin(&self) -> bool {
        matches!(self, Self::User(user) if user.is_admin())
    }

    /// Whether an action on something of Harbor as a whole is granted.
    pub(super) fn can(&self, resource: &str, action: &str) -> bool {
        match self {
            Self::Anonymous => false,
            Self::User(user) => user.is_admin(),
            Self::Robot(robot, _) => holds(robot, resource, action, |scope| scope == Scope::System),
        }
    }

    /// Whether an action on something in a project is granted; `project` is none for
    /// one that does not exist, of which only those may know who may see all.
    pub(super) fn can_in(
        &self,
        state: &State,
        project: Option<&Project>,
        resource: &str,
        action: &str,
    ) -> bool {
        if project.is_some_and(Project::is_public) && is_public(resource, action) {
            return true;
        }
        match self {
            Self::Anonymous => false,
            Self::User(user) if user.is_admin() => true,
            Self::User(user) => project.is_some_and(|project| {
                state
                    .roles_of(user, project.id)
                    .iter()
                    .any(|role| role_grants(*role, resource, action))
            }),
            Self::Robot(robot, _) => holds(robot, resource, action, |scope| match scope {
                Scope::System => false,
                Scope::AllProjects => true,
                Scope::Project(id) => project.is_some_and(|project| project.id == id),
            }),
        }
    }

    pub(super) fn require_authenticated(&self) -> Result<(), Refusal> {
        if self.is_authenticated() {
            Ok(())
        } else {
            Err(Refusal::unauthorized())
        }
    }

    pub(super) fn require(&self, resource: &str, action: &str) -> Result<(), Refusal> {
        self.require_authenticated()?;
        if self.can(resource, action) {
            Ok(())
        } else {
            Err(Refusal::forbidden(self.name()))
        }
    }

    pub(super) fn require_in(
        &self,
        state: &State,
        project: Option<&Project>,
        resource: &str,
        action: &str,
    ) -> Result<(), Refusal> {
        if self.can_in(state, project, resource, action) {
            return Ok(());
        }
        self.require_authenticated()?;
        Err(Refusal::forbidden("forbidden"))
    }
}

fn holds(robot: &Robot, resource: &str, action: &str, scope: impl Fn(Scope) -> bool) -> bool {
    // Of a project's own robots, those that push may pull; of the system's not.
    let implied = |granted: &str| !robot.is_system() && action == "pull" && granted == "push";
    robot
        .grants
        .iter()
        .filter(|grant| scope(grant.scope))
        .flat_map(|grant| &grant.access)
        .any(|access| access.resource == resource && (access.action == action || implied(&access.action)))
}

/// What everybody may do in a public project.
fn is_public(resource: &str, action: &str) -> bool {
    matches!(
        (resource, action),
        ("project", "read") | ("repository", "read" | "list" | "pull")
    )
}

/// What a role grants, of the resources that are modelled here: 1 project admin,
/// 2 developer, 3 guest, 4 maintainer, 5 limited guest.
fn role_grants(role: i64, resource: &str, action: &str) -> bool {
    let granted: &[i64] = match (resource, action) {
        ("project" | "quota", "read") | ("repository", "list" | "pull") => &[1, 2, 3, 4, 5],
        ("member" | "robot", "read" | "list") | ("repository", "read") => &[1, 2, 3, 4],
        ("repository", "push" | "create" | "update") => &[1, 2, 4],
        ("metadata", _) | ("repository", "delete") => &[1, 4],
        ("project" | "member" | "robot", _) => &[1],
        _ => &[],
    };
    granted.contains(&role)
}
