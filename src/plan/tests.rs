use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;

use super::desired::{
    Access, DesiredCredential, DesiredMember, DesiredPlatform, DesiredProject, DesiredRobot, DesiredSecret,
    DesiredServiceAccount, DesiredTeam, ProjectRole, RobotLifetime, SecretForm, StorageQuota,
};
use super::docker_config::{DockerConfig, Login};
use super::observed::{
    ConfigurationItem, LoginProof, ObservedCluster, ObservedHarbor, ObservedMember, ObservedPermission,
    ObservedPlatform, ObservedProject, ObservedQuota, ObservedRobot, ObservedSecret, ObservedServiceAccount,
    ObservedTeam, SecretMark,
};
use super::show::{FullPlan, ShowOptions};
use super::step::{Action, Step, Verdict};
use super::{PlanOptions, TeamPlan, logins_to_prove, plan_platform, plan_team};
use crate::values::Revision;

const HOST: &str = "harbor.example.com";
const ROBOT: &str = "otomi-team-demo-pull";
const SECRET: &str = "harbor-pullsecret";

fn access(list: &[&str]) -> BTreeSet<Access> {
    list.iter()
        .map(|text| Access::try_from((*text).to_owned()).unwrap())
        .collect()
}

/// A team with one robot that one Secret carries.
fn desired() -> DesiredTeam {
    DesiredTeam {
        team: "demo".parse().unwrap(),
        registry_host: HOST.parse().unwrap(),
        project: DesiredProject {
            name: "team-demo".parse().unwrap(),
            metadata: BTreeMap::from([("public".to_owned(), "false".to_owned())]),
            storage_quota: None,
        },
        members: vec![DesiredMember {
            group: "team-demo".parse().unwrap(),
            role: ProjectRole::Developer,
        }],
        credentials: vec![DesiredCredential {
            robot: DesiredRobot {
                name: "team-demo-pull".parse().unwrap(),
                access: access(&["repository:pull"]),
                lifetime: RobotLifetime::Never,
            },
            secrets: vec![DesiredSecret {
                name: SECRET.parse().unwrap(),
                form: SecretForm::DockerConfigJson,
            }],
        }],
        namespace: "team-demo".parse().unwrap(),
        service_accounts: vec![DesiredServiceAccount {
            name: "default".parse().unwrap(),
            pull_secrets: vec![SECRET.parse().unwrap()],
        }],
    }
}

fn login(username: &str) -> Login {
    Login {
        username: username.to_owned(),
        password: SecretString::from("Marker-Secret-1"),
    }
}

fn robot() -> ObservedRobot {
    ObservedRobot {
        id: 7,
        full_name: ROBOT.to_owned(),
        description: String::new(),
        disabled: false,
        duration: -1,
        expires_at: None,
        editable: true,
        permissions: vec![ObservedPermission {
            kind: "project".to_owned(),
            namespace: "team-demo".to_owned(),
            access: access(&["repository:pull"]),
        }],
    }
}

/// A Secret as harborage publishes it.
fn published() -> ObservedSecret {
    let host = HOST.parse().unwrap();
    let content = DockerConfig::empty().with_login(&host, &login(ROBOT));
    let login_digest = content.login_digest(&host).unwrap();
    ObservedSecret {
        uid: "uid".to_owned(),
        resource_version: "1".to_owned(),
        secret_type: "kubernetes.io/dockerconfigjson".to_owned(),
        immutable: false,
        content: Some(Ok(content)),
        mark: Some(SecretMark {
            robot_id: 7,
            robot_generation: 1,
            login_digest,
        }),
    }
}

fn holding(json: &str) -> ObservedSecret {
    ObservedSecret {
        content: Some(DockerConfig::parse(json.as_bytes())),
        mark: None,
        ..published()
    }
}

/// What the servers hold of a team that is as it should be.
fn healthy() -> ObservedTeam {
    ObservedTeam {
        harbor: Some(ObservedHarbor {
            project: Some(ObservedProject {
                id: 3,
                metadata: BTreeMap::from([("public".to_owned(), "false".to_owned())]),
                quota: None,
            }),
            members: vec![ObservedMember {
                id: 1,
                name: "team-demo".to_owned(),
                is_group: true,
                role_id: 2,
            }],
            robots: BTreeMap::from([("team-demo-pull".parse().unwrap(), robot())]),
        }),
        cluster: Some(ObservedCluster {
            namespace: true,
            secrets: BTreeMap::from([(SECRET.parse().unwrap(), published())]),
            service_accounts: BTreeMap::from([(
                "default".parse().unwrap(),
                ObservedServiceAccount {
                    resource_version: "5".to_owned(),
                    pull_secrets: vec!["other".parse().unwrap(), SECRET.parse().unwrap()],
                },
            )]),
        }),
        ..ObservedTeam::default()
    }
}

fn with_robot(change: impl FnOnce(&mut ObservedRobot)) -> ObservedTeam {
    let mut observed = healthy();
    observed.harbor.as_mut().unwrap().robots.values_mut().for_each({
        let mut change = Some(change);
        move |robot| change.take().unwrap()(robot)
    });
    observed
}

fn with_secret(secret: Option<ObservedSecret>) -> ObservedTeam {
    let mut observed = healthy();
    let secrets = &mut observed.cluster.as_mut().unwrap().secrets;
    secrets.clear();
    secrets.extend(secret.map(|secret| (SECRET.parse().unwrap(), secret)));
    observed
}

fn plan(observed: &ObservedTeam) -> TeamPlan {
    plan_team(&desired(), observed, PlanOptions::default())
}

fn step<'a>(plan: &'a TeamPlan, object: &str) -> &'a Step {
    plan.steps
        .iter()
        .find(|step| step.object == object)
        .unwrap_or_else(|| panic!("{object} in {plan:#?}"))
}

fn actions(plan: &TeamPlan) -> Vec<&Action> {
    plan.steps
        .iter()
        .filter_map(|step| step.action.as_ref())
        .collect()
}

#[test]
fn a_healthy_team_needs_nothing() {
    let plan = plan(&healthy());
    assert!(plan.is_converged(), "{plan:#?}");
    assert!(plan.settles());
    assert!(logins_to_prove(&desired(), &healthy()).is_empty());
}

#[test]
fn a_new_team_gets_everything() {
    let mut observed = healthy();
    observed.harbor = Some(ObservedHarbor::default());
    let cluster = observed.cluster.as_mut().unwrap();
    cluster.secrets.clear();
    cluster
        .service_accounts
        .values_mut()
        .for_each(|account| account.pull_secrets.truncate(1));
    let plan = plan(&observed);
    let names: Vec<_> = actions(&plan)
        .into_iter()
        .map(|action| format!("{action:?}"))
        .collect();
    assert_eq!(names.len(), 4, "{names:#?}");
    assert!(names[0].starts_with("CreateProject") && names[1].starts_with("AddMember"));
    assert!(names[2].starts_with("IssueCredential"));
    let Action::SetPullSecrets { pull_secrets, .. } = actions(&plan)[3] else {
        panic!("{names:?}")
    };
    assert_eq!(
        pull_secrets,
        &["other".parse().unwrap(), SECRET.parse().unwrap()],
        "other entries stay, in their order"
    );
}

#[test]
fn a_login_that_pods_shall_not_have_is_taken_out_of_their_service_account() {
    let mut desired = desired();
    desired.service_accounts[0].pull_secrets.clear();
    let plan = plan_team(&desired, &healthy(), PlanOptions::default());
    let account = step(&plan, "service account default");
    assert_eq!(account.why, format!("every pod can use {SECRET}"));
    let Some(Action::SetPullSecrets { pull_secrets, .. }) = &account.action else {
        panic!("{account:?}");
    };
    assert_eq!(
        pull_secrets,
        &["other".parse().unwrap()],
        "what others put there stays"
    );
}

#[test]
fn a_project_is_changed_only_where_it_is_declared() {
    let mut observed = healthy();
    let project = observed.harbor.as_mut().unwrap().project.as_mut().unwrap();
    project.metadata = BTreeMap::from([
        ("public".to_owned(), "true".to_owned()),
        ("auto_scan".to_owned(), "true".to_owned()),
    ]);
    let plan = plan(&observed);
    let Some(Action::UpdateProject { metadata }) = &step(&plan, "project team-demo").action else {
        panic!()
    };
    assert_eq!(metadata.len(), 1);
    assert_eq!(
        step(&plan, "project team-demo").why,
        "its public is true, not false"
    );
}

#[test]
fn a_quota_is_set_only_where_one_is_declared() {
    let mut observed = healthy();
    observed.harbor.as_mut().unwrap().project.as_mut().unwrap().quota =
        Some(ObservedQuota { id: 9, storage: 5 });
    assert!(plan(&observed).is_converged());
    let mut declared = desired();
    declared.project.storage_quota = Some(StorageQuota::Bytes(7));
    let plan = plan_team(&declared, &observed, PlanOptions::default());
    let wanted = Action::SetQuota {
        quota_id: 9,
        quota: StorageQuota::Bytes(7),
    };
    assert_eq!(step(&plan, "quota of project team-demo").action, Some(wanted));
}

#[test]
fn a_member_is_known_by_its_exact_name_and_kind() {
    let with = |name: &str, is_group, role_id| {
        let mut observed = healthy();
        observed.harbor.as_mut().unwrap().members = vec![ObservedMember {
            id: 4,
            name: name.to_owned(),
            is_group,
            role_id,
        }];
        step(&plan(&observed), "member team-demo").action.clone()
    };
    assert_eq!(with("team-demo", true, 2), None);
    let group = || "team-demo".parse().unwrap();
    assert_eq!(
        with("team-demo", true, 3),
        Some(Action::ChangeRole {
            group: group(),
            member_id: 4
        })
    );
    assert_eq!(
        with("Team-Demo", true, 2),
        Some(Action::AddMember { group: group() })
    );
    assert_eq!(
        with("team-demo", false, 2),
        Some(Action::AddMember { group: group() })
    );
}

#[test]
fn each_difference_of_a_robot_is_named_and_repaired() {
    type Change = fn(&mut ObservedRobot);
    let cases: [(Change, &str); 5] = [
        (|robot| robot.duration = 30, "it expires after 30 days, not never"),
        (
            |robot| robot.permissions[0].access = access(&["repository:push"]),
            "it may repository:push in project team-demo, not repository:pull in project team-demo",
        ),
        (
            |robot| robot.permissions[0].namespace = "*".to_owned(),
            "it may repository:pull in project *, not repository:pull in project team-demo",
        ),
        (
            |robot| robot.permissions.clear(),
            "it may nothing, not repository:pull in project team-demo",
        ),
        (
            |robot| robot.permissions.push(robot.permissions[0].clone()),
            "it may repository:pull in project team-demo and repository:pull in project team-demo, \
             not repository:pull in project team-demo",
        ),
    ];
    for (change, why) in cases {
        let plan = plan(&with_robot(change));
        let step = step(&plan, "robot team-demo-pull");
        assert_eq!((step.verdict, step.why.as_str()), (Verdict::Change, why));
        assert_eq!(actions(&plan).len(), 1, "the credential stays: {plan:#?}");
        assert!(plan.settles());
    }
    let old = plan(&with_robot(|robot| {
        (robot.editable, robot.duration) = (false, 30);
    }));
    assert_eq!(step(&old, "robot team-demo-pull").verdict, Verdict::Report);
}

#[test]
fn a_disabled_robot_is_enabled_before_its_login_is_judged() {
    let observed = with_robot(|robot| robot.disabled = true);
    let plan = plan(&observed);
    assert!(
        matches!(actions(&plan).as_slice(), [Action::UpdateRobot { .. }]),
        "{plan:#?}"
    );
    assert!(!plan.settles());
    assert!(logins_to_prove(&desired(), &observed).is_empty());
}

#[test]
fn an_unmarked_login_is_tried_and_what_works_is_adopted() {
    let unmarked = ObservedSecret {
        mark: None,
        ..published()
    };
    let mut observed = with_secret(Some(unmarked));
    let logins = logins_to_prove(&desired(), &observed);
    assert_eq!(logins.len(), 1);
    assert_eq!(logins[0].login.username, ROBOT);
    // Not tried yet, say because Harbor is away: nothing is touched.
    assert_eq!(
        step(&plan(&observed), "Secret harbor-pullsecret").verdict,
        Verdict::Wait
    );
    observed
        .proofs
        .insert(SECRET.parse().unwrap(), LoginProof::Accepted);
    let adopting = plan(&observed);
    assert_eq!(
        step(&adopting, "Secret harbor-pullsecret").verdict,
        Verdict::Adopt
    );
    assert!(matches!(
        actions(&adopting).as_slice(),
        [Action::PublishCredential { .. }]
    ));
    observed
        .proofs
        .insert(SECRET.parse().unwrap(), LoginProof::Refused);
    assert!(matches!(
        actions(&plan(&observed)).as_slice(),
        [Action::ReplaceCredential { .. }]
    ));
}

#[test]
fn a_secret_that_was_altered_is_no_longer_trusted() {
    let mut altered = published();
    let other = Login {
        username: ROBOT.to_owned(),
        password: SecretString::from("Another-1"),
    };
    altered.content = Some(Ok(
        DockerConfig::empty().with_login(&HOST.parse().unwrap(), &other)
    ));
    assert_eq!(logins_to_prove(&desired(), &with_secret(Some(altered))).len(), 1);
    // A mark of a robot that was deleted and made again.
    let mut former = published();
    former.mark.as_mut().unwrap().robot_id = 6;
    assert_eq!(logins_to_prove(&desired(), &with_secret(Some(former))).len(), 1);
    let mut unproven = published();
    unproven.mark.as_mut().unwrap().login_digest = "unproven".to_owned();
    assert_eq!(logins_to_prove(&desired(), &with_secret(Some(unproven))).len(), 1);
}

#[test]
fn a_secret_without_a_login_of_the_robot_gets_a_new_one() {
    let foreign = r#"{"auths":{"docker.io":{"username":"somebody","password":"Marker-Secret-2"}}}"#;
    let another = format!(r#"{{"auths":{{"{HOST}":{{"username":"admin","password":"Marker-Secret-3"}}}}}}"#);
    for secret in [
        None,
        Some(ObservedSecret {
            content: None,
            ..published()
        }),
        Some(holding("not json")),
        Some(holding(r#"{"auths":[]}"#)),
        Some(holding("{}")),
        Some(holding(foreign)),
        Some(holding(&another)),
    ] {
        let observed = with_secret(secret);
        assert!(
            logins_to_prove(&desired(), &observed).is_empty(),
            "no other user's login is sent to Harbor"
        );
        let plan = plan(&observed);
        assert!(
            matches!(
                actions(&plan).as_slice(),
                [Action::ReplaceCredential { robot_id: 7, .. }]
            ),
            "{plan:#?}"
        );
    }
}

#[test]
fn a_changed_domain_keeps_the_credential() {
    let former = format!(
        r#"{{"auths":{{"harbor.former.com":{{"username":"{ROBOT}","password":"Marker-Secret-1"}}}}}}"#
    );
    let mut observed = with_secret(Some(holding(&former)));
    assert_eq!(logins_to_prove(&desired(), &observed).len(), 1);
    observed
        .proofs
        .insert(SECRET.parse().unwrap(), LoginProof::Accepted);
    let plan = plan(&observed);
    let step = step(&plan, "Secret harbor-pullsecret");
    assert_eq!(step.verdict, Verdict::Change);
    assert_eq!(
        step.why,
        "its login is not for harbor.example.com; the credential stays"
    );
}

#[test]
fn a_secret_of_another_type_is_written_anew_with_the_same_login() {
    let plan = plan(&with_secret(Some(ObservedSecret {
        secret_type: "Opaque".to_owned(),
        ..published()
    })));
    assert!(
        matches!(actions(&plan).as_slice(), [Action::PublishCredential { .. }]),
        "{plan:#?}"
    );
    assert!(
        step(&plan, "Secret harbor-pullsecret")
            .why
            .contains("its type is Opaque")
    );
}

#[test]
fn a_second_secret_gets_the_login_that_works() {
    let mut declared = desired();
    declared.credentials[0].secrets.push(DesiredSecret {
        name: "copy".parse().unwrap(),
        form: SecretForm::Opaque {
            key: "config.json".to_owned(),
        },
    });
    let plan = plan_team(&declared, &healthy(), PlanOptions::default());
    let wanted = Action::PublishCredential {
        robot: "team-demo-pull".parse().unwrap(),
        robot_id: 7,
        source: SECRET.parse().unwrap(),
        secrets: vec!["copy".parse().unwrap()],
    };
    assert_eq!(actions(&plan), [&wanted]);
}

#[test]
fn without_a_namespace_no_robot_is_made_but_the_project_is() {
    let mut observed = healthy();
    observed.harbor = Some(ObservedHarbor::default());
    observed.cluster = Some(ObservedCluster::default());
    let waiting = plan(&observed);
    assert_eq!(actions(&waiting).len(), 2, "{waiting:#?}");
    assert_eq!(step(&waiting, "namespace team-demo").verdict, Verdict::Wait);
    assert_eq!(step(&waiting, "robot team-demo-pull").verdict, Verdict::Wait);
    let creating = plan_team(
        &desired(),
        &observed,
        PlanOptions {
            create_namespaces: true,
        },
    );
    assert!(actions(&creating).contains(&&Action::CreateNamespace));
    assert!(
        actions(&creating)
            .iter()
            .any(|action| matches!(action, Action::IssueCredential { .. }))
    );
}

#[test]
fn a_side_that_could_not_be_read_holds_back_only_what_needs_it() {
    let mut observed = with_robot(|robot| robot.duration = 30);
    observed.cluster = None;
    let without_cluster = plan(&observed);
    assert!(
        matches!(actions(&without_cluster).as_slice(), [Action::UpdateRobot { .. }]),
        "{without_cluster:#?}"
    );
    assert_eq!(
        step(&without_cluster, "Secret harbor-pullsecret").verdict,
        Verdict::Wait
    );
    let mut observed = healthy();
    observed.harbor = None;
    let without_harbor = plan(&observed);
    assert!(actions(&without_harbor).is_empty());
    assert_eq!(step(&without_harbor, "project team-demo").verdict, Verdict::Wait);
}

#[test]
fn foreign_logins_survive_a_publication() {
    let held = r#"{"auths":{"docker.io":{"auth":"c29tZWJvZHk6TWFya2Vy"},"https://harbor.example.com/v2/":{"username":"old"},
        "harbor.former.com":{"username":"otomi-team-demo-pull","password":"x"}},"credHelpers":{"gcr.io":"gcloud"}}"#;
    let host = HOST.parse().unwrap();
    let config = DockerConfig::parse(held.as_bytes())
        .unwrap()
        .with_login(&host, &login(ROBOT));
    let text = secrecy::ExposeSecret::expose_secret(&config.render()).to_owned();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["auths"]["docker.io"]["auth"], "c29tZWJvZHk6TWFya2Vy");
    assert_eq!(value["credHelpers"]["gcr.io"], "gcloud");
    let hosts: Vec<_> = value["auths"].as_object().unwrap().keys().collect();
    assert_eq!(hosts, ["docker.io", HOST], "the robot's former entries are gone");
    assert_eq!(config.login(&host).unwrap().username, ROBOT);
    let auth = value["auths"][HOST]["auth"].as_str().unwrap();
    assert_eq!(auth, "b3RvbWktdGVhbS1kZW1vLXB1bGw6TWFya2VyLVNlY3JldC0x");
}

#[test]
fn a_login_is_read_from_auth_alone_too() {
    let host = HOST.parse().unwrap();
    let config =
        DockerConfig::parse(format!(r#"{{"auths":{{"{HOST}":{{"auth":"dXNlcjpwYTpzcw=="}}}}}}"#).as_bytes())
            .unwrap();
    let login = config.login(&host).unwrap();
    assert_eq!(login.username, "user");
    assert_eq!(secrecy::ExposeSecret::expose_secret(&login.password), "pa:ss");
}

#[test]
fn no_plan_shows_a_secret() {
    let mut observed = with_secret(Some(ObservedSecret {
        mark: None,
        ..published()
    }));
    observed
        .proofs
        .insert(SECRET.parse().unwrap(), LoginProof::Accepted);
    let platform = plan_platform(&wanted_platform(), &ObservedPlatform::default(), true);
    let full = FullPlan::new(
        Revision::commit("c1"),
        platform,
        vec![plan(&observed), plan(&with_secret(None))],
    );
    for verbose in [false, true] {
        let text = full.text(ShowOptions {
            colour: true,
            verbose,
        });
        assert!(
            text.contains("Secret harbor-pullsecret") && !text.contains("Marker-Secret"),
            "{text}"
        );
    }
    let json = serde_json::to_string(&full).unwrap();
    assert!(json.contains("\"adopt\"") && !json.contains("Marker-Secret"));
    assert!(
        !format!(
            "{observed:?} {full:?} {:?}",
            logins_to_prove(&desired(), &observed)
        )
        .contains("Marker-Secret")
    );
}

#[test]
fn a_shown_plan_counts_what_stays_and_names_what_changes() {
    let platform = plan_platform(
        &DesiredPlatform {
            configuration: BTreeMap::new(),
            robot_prefix: None,
            shared_groups: Vec::new(),
        },
        &ObservedPlatform::default(),
        false,
    );
    let full = FullPlan::new(
        Revision::commit("0123456789abcdef"),
        platform,
        vec![plan(&with_secret(None)), plan(&healthy())],
    );
    let expected = "\
plan for 0123456789

platform: as it should be

team demo (and 5 as they should be)
  + Secret harbor-pullsecret: it does not exist; robot team-demo-pull gets a new secret

team demo: as it should be

1 to create, 0 to change, 0 to adopt, 12 as they should be
";
    assert_eq!(full.text(ShowOptions::default()), expected);
}

#[test]
fn a_long_reason_is_broken_between_words() {
    let plan = plan_platform(&wanted_platform(), &fresh_platform(), true);
    let long = "x".repeat(40);
    let mut steps = plan.steps;
    steps[0].why = format!("{long} {long} {long} {long}");
    let full = FullPlan::new(Revision::commit("c1"), super::PlatformPlan { steps }, Vec::new());
    let text = full.text(ShowOptions::default());
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    assert!(text.contains(&format!("\n      {long} {long}\n")), "{text}");
}

fn wanted_platform() -> DesiredPlatform {
    DesiredPlatform {
        configuration: BTreeMap::from([
            ("auth_mode".to_owned(), "oidc_auth".into()),
            ("oidc_client_id".to_owned(), "otomi".into()),
            ("self_registration".to_owned(), false.into()),
            ("primary_auth_mode".to_owned(), true.into()),
        ]),
        robot_prefix: Some("otomi-".to_owned()),
        shared_groups: vec!["all-teams-admin".parse().unwrap()],
    }
}

/// A Harbor after its first start, without the newest keys.
fn fresh_platform() -> ObservedPlatform {
    let item = |value: serde_json::Value| ConfigurationItem {
        value,
        editable: true,
    };
    ObservedPlatform {
        version: "v2.7.0".to_owned(),
        configuration: BTreeMap::from([
            ("auth_mode".to_owned(), item("db_auth".into())),
            ("oidc_client_id".to_owned(), item("".into())),
            ("self_registration".to_owned(), item(false.into())),
            ("robot_name_prefix".to_owned(), item("robot$".into())),
        ]),
        ..ObservedPlatform::default()
    }
}

fn written(steps: &[Step]) -> Vec<(Vec<String>, bool)> {
    let write = |step: &Step| match &step.action {
        Some(Action::WriteConfiguration {
            changes,
            with_client_secret,
        }) => Some((changes.keys().cloned().collect(), *with_client_secret)),
        _ => None,
    };
    steps.iter().filter_map(write).collect()
}

#[test]
fn only_what_differs_and_what_harbor_knows_is_configured() {
    let plan = plan_platform(&wanted_platform(), &fresh_platform(), true);
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let prefix = (keys(&["robot_name_prefix"]), false);
    assert_eq!(
        written(&plan.steps),
        [prefix, (keys(&["auth_mode", "oidc_client_id"]), true)]
    );
    assert!(
        plan.steps
            .iter()
            .any(|step| matches!(step.action, Some(Action::CreateGroup { .. })))
    );
}

#[test]
fn without_the_client_secret_oidc_is_left_alone_and_reported() {
    let plan = plan_platform(&wanted_platform(), &fresh_platform(), false);
    assert_eq!(
        written(&plan.steps),
        [(vec!["robot_name_prefix".to_owned()], false)]
    );
    let report = plan
        .steps
        .iter()
        .find(|step| step.verdict == Verdict::Report)
        .unwrap();
    assert!(report.why.contains("oidc-client-secret-file"), "{}", report.why);
}

#[test]
fn the_robot_prefix_stays_while_robots_bear_it() {
    let observed = ObservedPlatform {
        has_robots: true,
        ..fresh_platform()
    };
    let plan = plan_platform(&wanted_platform(), &observed, true);
    assert!(
        !written(&plan.steps)
            .iter()
            .any(|(keys, _)| keys.contains(&"robot_name_prefix".to_owned()))
    );
    let step = plan
        .steps
        .iter()
        .find(|step| step.object == "robot name prefix")
        .unwrap();
    assert!(step.why.contains("rename"), "{}", step.why);
}

#[test]
fn what_harbor_does_not_let_be_changed_is_reported() {
    let mut observed = fresh_platform();
    observed.configuration.get_mut("auth_mode").unwrap().editable = false;
    let plan = plan_platform(&wanted_platform(), &observed, true);
    let report = plan
        .steps
        .iter()
        .find(|step| step.verdict == Verdict::Report)
        .unwrap();
    assert!(
        report.object.contains("auth_mode") && report.why.contains("CONFIG_OVERWRITE_JSON"),
        "{report:?}"
    );
}

#[test]
fn a_group_of_another_type_is_reported_not_made() {
    let mut observed = fresh_platform();
    observed.foreign_groups.insert("all-teams-admin".to_owned(), 2);
    let plan = plan_platform(&wanted_platform(), &observed, true);
    let step = plan
        .steps
        .iter()
        .find(|step| step.object == "group all-teams-admin")
        .unwrap();
    assert_eq!((step.verdict, step.action.is_none()), (Verdict::Report, true));
    assert!(step.why.contains("HTTP group"));
}
