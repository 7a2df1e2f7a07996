//! From whatever the servers hold, and however often the power fails, plans lead to the desired state.

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::desired::{DesiredCredential, DesiredTeam, RobotLifetime};
use super::drawn::{FOREIGN_AUTH, drawn};
use super::model::World;
use super::observed::{LoginProof, ObservedMember};
use super::sample::{actions, desired, empty_world};
use super::step::{Action, Verdict};
use super::{PlanOptions, TeamPlan};

const OPTIONS: PlanOptions = PlanOptions {
    create_namespaces: false,
};

/// Rounds until a plan has no action, at most ten.
fn converge(world: &mut World, desired: &DesiredTeam) -> (usize, TeamPlan) {
    (0..10)
        .map(|rounds| (rounds, world.round(desired, OPTIONS)))
        .find(|(_, plan)| actions(plan).is_empty())
        .expect("plans come to an end")
}

/// Whether a Secret holds the robot's login, be it under the registry or a former host.
fn holds_its_login(world: &World, desired: &DesiredTeam, credential: &DesiredCredential) -> bool {
    let Some(robot) = world.robots.get(&credential.robot.name) else {
        return false;
    };
    credential.secrets.iter().any(|secret| {
        let held = world.cluster.secrets.get(&secret.name);
        held.and_then(|held| held.content.as_ref()?.as_ref().ok())
            .and_then(|config| config.login_of(&desired.registry_host, &robot.seen.full_name))
            .is_some_and(|login| login.password.expose_secret() == robot.secret)
    })
}

proptest! {
    // A case that fails prints itself; no file of seeds is kept in the tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_state_converges_whatever_fails_on_the_way(
        drawn in drawn(),
        outages in prop::collection::vec(0..14_usize, 0..4),
    ) {
        let desired = drawn.desired();
        let start = drawn.world(&desired);
        let mut world = start.clone();
        for fuel in outages {
            world.fuel = Some(fuel);
            world.round(&desired, OPTIONS);
        }
        // The namespace appears in the end.
        world.cluster.namespace = true;
        world.fuel = None;
        let (rounds, last) = converge(&mut world, &desired);

        prop_assert!(rounds <= 2, "{rounds} rounds with actions");
        prop_assert!(last.settles());
        let waiting = last.steps.iter().find(|step| step.verdict == Verdict::Wait);
        prop_assert!(waiting.is_none(), "{waiting:?}");

        for credential in &desired.credentials {
            let robot = &world.robots[&credential.robot.name];
            let about = |object: &str| {
                object == format!("robot {}", credential.robot.name)
                    || credential.secrets.iter().any(|secret| object == format!("Secret {}", secret.name))
            };
            let left_to_a_person =
                last.steps.iter().any(|step| step.verdict == Verdict::Report && about(&step.object));
            for secret in credential.secrets.iter().filter(|_| !left_to_a_person) {
                let login = world.login(&desired, &secret.name).expect("a login");
                prop_assert_eq!(world.prove(&login), LoginProof::Accepted);
                prop_assert_eq!(&login.username, &robot.seen.full_name);
                prop_assert_eq!(&world.cluster.secrets[&secret.name].secret_type, secret.form.secret_type());
            }
            if !left_to_a_person {
                prop_assert_eq!(robot.seen.permissions.len(), 1);
                prop_assert_eq!(&robot.seen.permissions[0].access, &credential.robot.access);
                prop_assert_eq!(robot.seen.duration, credential.robot.lifetime.as_harbor());
            }
            if holds_its_login(&start, &desired, credential) {
                let former = &start.robots[&credential.robot.name].secret;
                prop_assert_eq!(&robot.secret, former, "a credential that worked was replaced");
            }
        }
    }

    #[test]
    fn nothing_of_others_is_lost(drawn in drawn(), outages in prop::collection::vec(0..14_usize, 0..4)) {
        let desired = drawn.desired();
        let start = drawn.world(&desired);
        let mut world = start.clone();
        for fuel in outages {
            world.fuel = Some(fuel);
            world.round(&desired, OPTIONS);
        }
        world.fuel = None;
        converge(&mut world, &desired);

        for (name, held) in &start.cluster.secrets {
            if let Some(Ok(_)) = &held.content {
                let now = &world.cluster.secrets[name].content;
                let text = now.as_ref().unwrap().as_ref().unwrap().render();
                prop_assert!(text.expose_secret().contains(FOREIGN_AUTH), "a foreign login of {name} is gone");
            }
        }
        for (name, account) in &start.cluster.service_accounts {
            let now = &world.cluster.service_accounts[name].pull_secrets;
            prop_assert!(now.starts_with(&account.pull_secrets), "{now:?}");
            prop_assert!(now.len() <= account.pull_secrets.len() + 1);
        }
        let declared = |member: &&ObservedMember| {
            member.is_group && desired.members.iter().any(|wanted| wanted.group.as_str() == member.name)
        };
        for member in start.members.iter().filter(|member| !declared(member)) {
            prop_assert!(world.members.contains(member), "{member:?} is gone");
        }
        if let (Some(former), Some(now)) = (&start.project, &world.project) {
            prop_assert_eq!(former.id, now.id);
            prop_assert_eq!(&now.metadata["auto_scan"], "true");
        }
    }

    #[test]
    fn a_state_that_was_reached_is_not_written_again(drawn in drawn()) {
        let desired = drawn.desired();
        let mut world = drawn.world(&desired);
        converge(&mut world, &desired);
        let writes = world.writes;
        let plan = world.round(&desired, OPTIONS);
        prop_assert!(actions(&plan).is_empty(), "{plan:#?}");
        prop_assert_eq!(world.writes, writes);
    }
}

#[test]
fn a_new_team_costs_six_writes_to_harbor_and_one_round() {
    let desired = desired(RobotLifetime::Never, None);
    let mut world = empty_world(&desired);
    let plan = world.round(&desired, OPTIONS);
    let count =
        |wanted: fn(&Action) -> bool| actions(&plan).into_iter().filter(|action| wanted(action)).count();
    assert_eq!(count(|action| matches!(action, Action::CreateProject)), 1);
    assert_eq!(count(|action| matches!(action, Action::AddMember { .. })), 2);
    assert_eq!(
        count(|action| matches!(action, Action::IssueCredential { .. })),
        3
    );
    assert_eq!(count(|action| matches!(action, Action::SetPullSecrets { .. })), 1);
    assert_eq!(actions(&plan).len(), 7);
    // To Kubernetes: four Secrets and the service account.
    assert_eq!(world.writes, 6 + 5);
    let again = world.round(&desired, OPTIONS);
    assert!(again.is_converged(), "{again:#?}");
}
