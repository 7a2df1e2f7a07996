//! The writes, and the trait that the engine knows Harbor by.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::failure::strange;
use super::transport::HarborClient;
use super::wire::CreatedRobotRow;
use crate::plan::desired::{DesiredMember, DesiredProject, DesiredRobot, DesiredTeam, StorageQuota};
use crate::plan::docker_config::Login;
use crate::plan::observed::{LoginProof, ObservedHarbor, ObservedPlatform};
use crate::run::target::{CreatedRobot, ErrorClass, Extent, Harbor, TargetError};
use crate::values::names::{GroupName, ProjectName, TeamId};

/// Harbor's number for groups of OIDC. Otomi's operator sends 2 (HTTP), which works only by accident.
const OIDC_GROUP: i64 = 3;

#[async_trait]
impl Harbor for HarborClient {
    async fn observe_platform(&self, groups: &[GroupName]) -> Result<ObservedPlatform, TargetError> {
        self.platform(groups).await
    }

    async fn observe_teams(
        &self,
        teams: &[Arc<DesiredTeam>],
        robot_prefix: &str,
        extent: Extent,
    ) -> Result<BTreeMap<TeamId, ObservedHarbor>, TargetError> {
        match extent {
            Extent::Single => self.teams_one_by_one(teams, robot_prefix).await,
            Extent::Lists => self.teams_by_lists(teams, robot_prefix).await,
        }
    }

    async fn write_configuration(
        &self,
        changes: &BTreeMap<String, Value>,
        client_secret: Option<&SecretString>,
    ) -> Result<(), TargetError> {
        let mut body: serde_json::Map<String, Value> = changes.clone().into_iter().collect();
        if let Some(secret) = client_secret {
            body.insert(
                "oidc_client_secret".to_owned(),
                Value::from(secret.expose_secret()),
            );
        }
        let keys = changes.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let act = format!("set its configuration ({keys})");
        self.write_secret(
            act,
            Method::PUT,
            &["configurations"],
            Value::Object(body),
            client_secret,
        )
        .await
        .map(drop)
    }

    async fn create_group(&self, group: &GroupName) -> Result<(), TargetError> {
        let body = json!({"group_name": group, "group_type": OIDC_GROUP});
        self.write(
            format!("create group {group}"),
            Method::POST,
            &["usergroups"],
            body,
        )
        .await
        .map(drop)
    }

    async fn create_project(&self, project: &DesiredProject) -> Result<i64, TargetError> {
        let act = format!("create project {}", project.name);
        let mut body = json!({"project_name": project.name, "metadata": project.metadata});
        if let Some(quota) = project.storage_quota {
            body["storage_limit"] = Value::from(quota.as_harbor());
        }
        let answer = self.write(&act, Method::POST, &["projects"], body).await?;
        answer
            .created_id()
            .ok_or_else(|| strange(&act, "it does not say which id the project has"))
    }

    async fn update_project(
        &self,
        project: &ProjectName,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), TargetError> {
        let body = json!({"metadata": metadata});
        self.write(
            format!("change project {project}"),
            Method::PUT,
            &["projects", project.as_str()],
            body,
        )
        .await
        .map(drop)
    }

    async fn set_quota(&self, quota_id: i64, quota: StorageQuota) -> Result<(), TargetError> {
        let body = json!({"hard": {"storage": quota.as_harbor()}});
        self.write(
            format!("set quota {quota_id}"),
            Method::PUT,
            &["quotas", &quota_id.to_string()],
            body,
        )
        .await
        .map(drop)
    }

    async fn add_member(&self, project: &ProjectName, member: &DesiredMember) -> Result<(), TargetError> {
        let body = json!({
            "role_id": member.role.id(),
            "member_group": {"group_name": member.group, "group_type": OIDC_GROUP},
        });
        let act = format!("add group {} to project {project}", member.group);
        let path = ["projects", project.as_str(), "members"];
        self.write(act, Method::POST, &path, body)
            .await
            .map(drop)
            .map_err(|mut error| {
                if error.class == ErrorClass::Rejected && error.status == Some(404) {
                    error
                        .message
                        .push_str(" (is Harbor in OIDC mode? it knows no OIDC groups otherwise)");
                }
                error
            })
    }

    async fn change_role(
        &self,
        project: &ProjectName,
        member_id: i64,
        member: &DesiredMember,
    ) -> Result<(), TargetError> {
        let act = format!(
            "make group {} {} of project {project}",
            member.group,
            member.role.label()
        );
        let path = ["projects", project.as_str(), "members", &member_id.to_string()];
        self.write(act, Method::PUT, &path, json!({"role_id": member.role.id()}))
            .await
            .map(drop)
    }

    async fn create_robot(
        &self,
        project: &ProjectName,
        robot: &DesiredRobot,
    ) -> Result<CreatedRobot, TargetError> {
        let act = format!("create robot {}", robot.name);
        let mut body = robot_body(project, robot);
        body["name"] = Value::from(robot.name.as_str());
        let answer = self.write(&act, Method::POST, &["robots"], body).await?;
        let created: CreatedRobotRow = answer.json(&act)?;
        if !created.name.ends_with(robot.name.as_str()) {
            return Err(strange(&act, format!("it created {} instead", created.name)));
        }
        if created.secret.expose_secret().is_empty() {
            return Err(strange(&act, "it does not tell the robot's secret"));
        }
        Ok(CreatedRobot {
            id: created.id,
            login: Login {
                username: created.name,
                password: created.secret,
            },
        })
    }

    async fn update_robot(
        &self,
        project: &ProjectName,
        robot_id: i64,
        full_name: &str,
        description: &str,
        robot: &DesiredRobot,
    ) -> Result<(), TargetError> {
        // A PUT replaces the whole robot: what is left out is cleared. The name must be the prefixed one.
        let mut body = robot_body(project, robot);
        body["name"] = Value::from(full_name);
        body["description"] = Value::from(description);
        self.write(
            format!("change robot {}", robot.name),
            Method::PUT,
            &["robots", &robot_id.to_string()],
            body,
        )
        .await
        .map(drop)
    }

    async fn set_robot_secret(&self, robot_id: i64, secret: &SecretString) -> Result<(), TargetError> {
        let body = json!({"secret": secret.expose_secret()});
        let act = format!("set the secret of robot {robot_id}");
        let path = ["robots", &robot_id.to_string()];
        self.write_secret(act, Method::PATCH, &path, body, Some(secret))
            .await
            .map(drop)
    }

    async fn prove_login(&self, project: &ProjectName, login: &Login) -> Result<LoginProof, TargetError> {
        self.prove(project, login).await
    }
}

/// What creation and change of a robot have in common.
fn robot_body(project: &ProjectName, robot: &DesiredRobot) -> Value {
    let access: Vec<_> = robot
        .access
        .iter()
        .map(|access| json!({"resource": access.resource, "action": access.action}))
        .collect();
    json!({
        "level": "system",
        "duration": robot.lifetime.as_harbor(),
        "disable": false,
        "permissions": [{"kind": "project", "namespace": project, "access": access}],
    })
}
