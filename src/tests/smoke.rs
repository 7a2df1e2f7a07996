//! smoke
use std::sync::Arc;
use std::time::Duration;
use harborage::edge::harbor::{HarborClient, HarborSettings};
use harborage::edge::kubernetes::{ClusterClient, ClusterSettings};
use harborage::rehearsal::harbor::{HarborOptions, HarborStandIn};
use harborage::rehearsal::kubernetes::{KubernetesOptions, KubernetesStandIn};
use harborage::run::target::*;
use harborage::plan::desired::*;
use harborage::plan::{self, PlanOptions, observed::ObservedTeam};
use harborage::edge::store::MemoryJournal;
use harborage::run::engine::*;
use harborage::run::{Rules, retry::RetryPolicy, chance::*};
use harborage::plan::step::Operation;
use harborage::values::Revision;
use std::collections::BTreeMap;

fn team(id: &str) -> DesiredTeam {
    let name = format!("team-{id}");
    let credential = |suffix: &str, secret: &str, form: SecretForm, access: &[&str]| DesiredCredential {
        robot: DesiredRobot {
            name: format!("{name}-{suffix}").parse().unwrap(),
            access: access.iter().map(|access| (*access).to_owned().try_into().unwrap()).collect(),
            lifetime: RobotLifetime::Never,
        },
        secrets: vec![DesiredSecret { name: secret.parse().unwrap(), form }],
    };
    let both = ["repository:pull", "repository:push"];
    let member = |group: &str, role| DesiredMember { group: group.parse().unwrap(), role };
    DesiredTeam {
        team: id.parse().unwrap(),
        registry_host: "harbor.example.com".parse().unwrap(),
        project: DesiredProject {
            name: name.parse().unwrap(),
            metadata: BTreeMap::from([("public".to_owned(), "false".to_owned())]),
            storage_quota: None,
        },
        members: vec![member(&name, ProjectRole::Developer), member("all-teams-admin", ProjectRole::ProjectAdmin)],
        credentials: vec![
            credential("pull", "harbor-pullsecret", SecretForm::DockerConfigJson, &both[..1]),
            credential("push", "harbor-pushsecret", SecretForm::DockerConfigJson, &both),
            credential("builds", "harbor-pushsecret-builds", SecretForm::Opaque { key: "config.json".to_owned() }, &both),
        ],
        namespace: name.parse().unwrap(),
        service_accounts: vec![DesiredServiceAccount { name: "default".parse().unwrap(), pull_secrets: vec!["harbor-pullsecret".parse().unwrap()] }],
    }
}
struct Now; impl Clock for Now { fn now(&self) -> chrono::DateTime<chrono::Utc> { chrono::Utc::now() } }
struct Dice; impl Chance for Dice { fn bits(&self) -> u64 { rand::random() } }

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smoke() {
    let n: usize = std::env::var("SMOKE_N").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let latency: u64 = std::env::var("SMOKE_MS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let weather = harborage::rehearsal::Weather { latency: Duration::from_millis(latency), ..Default::default() };
    let harbor = HarborStandIn::start(HarborOptions { weather, ..Default::default() }).await.unwrap();
    let kubernetes = KubernetesStandIn::start(KubernetesOptions { weather, ..Default::default() }).await.unwrap();
    let client = Arc::new(HarborClient::new(HarborSettings { url: harbor.base_url(), username: "admin".into(), password: harbor.admin_password().clone(), ca: None, writes: 4, reads: 16, timeout: Duration::from_secs(5), lockout: Duration::from_millis(2000) }).unwrap());
    let cluster = Arc::new(ClusterClient::new(ClusterSettings { kubeconfig: None, context: None, url: Some(kubernetes.base_url()), token: None, ca: None, writes: 16, reads: 16, timeout: Duration::from_secs(5) }).await.unwrap());
    use Operation::*;
    let rules = |steps: &[Operation]| Rules { steps: steps.iter().map(|o| (*o, vec![])).collect(), retry: RetryPolicy { first: Duration::from_millis(20), factor: 2.0, max: Duration::from_millis(500), attempts: 4 }, timeout: Duration::from_secs(60) };
    let engine = Engine::start(EngineParts { harbor: client.clone(), cluster: cluster.clone(), journal: Arc::new(MemoryJournal::default()), clock: Arc::new(Now), chance: Arc::new(Dice),
        platform_rules: rules(&[EnsureConfiguration, EnsureSharedGroups]), team_rules: rules(&[EnsureNamespace, EnsureProject, EnsureQuota, EnsureMembers, EnsureCredentials, EnsureServiceAccounts]),
        plan_options: PlanOptions::default(), client_secret: Some("x".into()), lanes: 64, persistent: false }).await.unwrap();
    let teams: Vec<_> = (0..n).map(|i| team(&format!("t{i}"))).collect();
    for t in &teams { kubernetes.add_namespace(t.namespace.as_str()); }
    let intent = Intent { revision: Revision::commit("c1"), platform: DesiredPlatform { configuration: BTreeMap::from([("auth_mode".to_owned(), "oidc_auth".into()), ("oidc_name".to_owned(), "x".into()), ("oidc_endpoint".to_owned(), "https://k".into()), ("oidc_client_id".to_owned(), "o".into()), ("oidc_scope".to_owned(), "openid".into())]), robot_prefix: Some("otomi-".into()), shared_groups: vec!["all-teams-admin".parse().unwrap()] }, teams: teams.clone(), held: BTreeMap::new() };
    let t0 = std::time::Instant::now();
    engine.submit(intent.clone(), Reach::Everything).await.unwrap();
    engine.settled().await;
    println!("took {:?}", t0.elapsed());
    for r in engine.records().iter().take(3) { println!("{} {:?} {:?}", r.lane, r.state, r.problems); }
    println!("{:#?}", harbor.counts()); println!("{:#?}", kubernetes.counts());
    harbor.reset_counts(); kubernetes.reset_counts();
    let t0 = std::time::Instant::now();
    engine.submit(intent, Reach::Everything).await.unwrap();
    engine.settled().await;
    println!("sweep took {:?}", t0.elapsed());
    println!("{:#?}", harbor.counts()); println!("{:#?}", kubernetes.counts());
    let _ = (plan::plan_team, ObservedTeam::default());
}
