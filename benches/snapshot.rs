//! What a snapshot of a large repository costs, beside what git needs to print the same blobs.
//!
//! `cargo bench --bench snapshot`. Each line says what was measured, and the bound that it has to
//! keep; the process fails when one is not kept.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use git2::{FileMode, Oid, Repository as Git, Signature};
use harborage::edge::git::Repository;
use harborage::snapshot::{SnapshotBuilder, SnapshotOptions};

const TEAMS: usize = 10_000;
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("values.git");
    let blobs = generate(&path);
    pack(&path);

    let repository = Repository::open(&path).expect("the generated repository opens");
    let options = SnapshotOptions::default();
    let (mut first, mut git) = (Duration::MAX, Duration::MAX);
    let mut builder = SnapshotBuilder::new();
    for _ in 0..ROUNDS {
        git = git.min(cat_file(&path, &blobs));
        builder = SnapshotBuilder::new();
        let head = repository.head(None).expect("it has a commit");
        let started = Instant::now();
        let tree = repository.tree_at(&head).expect("the commit has a tree");
        let snapshot = builder
            .build(&tree, head, &options)
            .expect("the values have no fault");
        first = first.min(started.elapsed());
        assert_eq!(snapshot.teams.len(), TEAMS);
    }
    let mut second = Duration::MAX;
    for round in 0..ROUNDS {
        edit_one(&path, round);
        let head = repository.head(None).expect("it has a commit");
        let started = Instant::now();
        let tree = repository.tree_at(&head).expect("the commit has a tree");
        let snapshot = builder
            .build(&tree, head, &options)
            .expect("the values have no fault");
        second = second.min(started.elapsed());
        assert_eq!(snapshot.teams.len(), TEAMS);
    }
    let peak = peak_memory_mib();

    let mut table = comfy_table::Table::new();
    table.set_header(["of 10,000 teams, best of 5", "measured", "bound", "kept"]);
    let ratio = first.as_secs_f64() / git.as_secs_f64();
    let cheaper = first.as_secs_f64() / second.as_secs_f64();
    let mut kept_all = true;
    let mut row = |what: &str, measured: String, bound: &str, kept: bool| {
        kept_all &= kept;
        table.add_row([
            what.to_owned(),
            measured,
            bound.to_owned(),
            if kept { "yes" } else { "no" }.to_owned(),
        ]);
    };
    row(
        "git cat-file --batch of the same blobs",
        format!("{git:.1?}"),
        "",
        true,
    );
    row(
        "first snapshot",
        format!("{first:.1?}, {ratio:.2} times git"),
        "4 times git",
        ratio <= 4.0,
    );
    row(
        "snapshot after one team changed",
        format!("{second:.2?}, {cheaper:.0} times cheaper"),
        "50 times",
        cheaper >= 50.0,
    );
    row(
        "peak memory of this process",
        format!("{peak} MiB"),
        "150 MiB",
        peak < 150,
    );
    writeln!(std::io::stdout(), "{table}").expect("the terminal takes it");
    assert!(kept_all, "a bound is not kept");
}

fn settings(team: usize, note: usize) -> String {
    format!(
        "kind: AplTeamSettingSet\nmetadata:\n    name: team{team}\n    labels:\n        apl.io/teamId: team{team}\nspec:\n    \
         alerts:\n        groupInterval: 5m\n        receivers:\n            - slack\n        repeatInterval: 3h\n        \
         slack:\n            channel: alerts-{team}-{note}\n            channelCrit: crit-{team}\n    managedMonitoring:\n        \
         alertmanager: true\n        grafana: true\n    networkPolicy:\n        egressPublic: true\n        \
         ingressPrivate: false\n    oidc:\n        groupMapping: group-{team}\n    resourceQuota:\n        - name: pods\n          \
         value: '50'\n        - name: services.loadbalancers\n          value: '0'\n    selfService:\n        apps: []\n        \
         policies:\n            - edit policies\n        service:\n            - ingress\n        teamMembers:\n            \
         createServices: false\n            downloadDockerLogin: {}\n            downloadKubeconfig: false\n            \
         editSecurityPolicies: false\n            useCloudShell: false\n",
        team.is_multiple_of(3)
    )
}

/// Makes the repository, and says which blobs a snapshot of it reads.
fn generate(path: &Path) -> Vec<Oid> {
    let git = Git::init_bare(path).expect("git makes a repository");
    let mut blobs = Vec::new();
    let mut file = |content: &str| {
        let id = git.blob(content.as_bytes()).expect("git stores a blob");
        blobs.push(id);
        id
    };
    let tree = |entries: Vec<(String, Oid, FileMode)>| {
        let mut builder = git.treebuilder(None).expect("git makes a tree");
        for (name, id, mode) in entries {
            builder.insert(name, id, mode.into()).expect("the entry is good");
        }
        builder.write().expect("git stores a tree")
    };
    let blob = FileMode::Blob;
    let settings_tree = vec![
        (
            "cluster.yaml".to_owned(),
            file("kind: AplCluster\nspec:\n    domainSuffix: example.org\n"),
            blob,
        ),
        (
            "versions.yaml".to_owned(),
            file("kind: AplVersion\nspec:\n    specVersion: 46\n"),
            blob,
        ),
    ];
    let apps = vec![
        (
            "harbor.yaml".to_owned(),
            file("kind: AplApp\nspec:\n    enabled: true\n"),
            blob,
        ),
        (
            "keycloak.yaml".to_owned(),
            file("kind: AplApp\nspec:\n    idp:\n        clientID: otomi\n"),
            blob,
        ),
    ];
    let apps_of_a_team = git
        .blob(b"kind: AplTeamTool\nspec: {}\n")
        .expect("git stores a blob");
    let teams = (0..TEAMS)
        .map(|team| {
            let entries = vec![
                ("settings.yaml".to_owned(), file(&settings(team, 0)), blob),
                ("apps.yaml".to_owned(), apps_of_a_team, blob),
            ];
            (format!("team{team}"), tree(entries), FileMode::Tree)
        })
        .collect();
    let env = vec![
        ("settings".to_owned(), tree(settings_tree), FileMode::Tree),
        ("apps".to_owned(), tree(apps), FileMode::Tree),
        ("teams".to_owned(), tree(teams), FileMode::Tree),
    ];
    let root = tree(vec![("env".to_owned(), tree(env), FileMode::Tree)]);
    commit(&git, root);
    blobs
}

fn commit(git: &Git, tree: Oid) {
    let who = Signature::now("bench", "bench@example.org").expect("the name is good");
    let tree = git.find_tree(tree).expect("the tree was stored");
    let parent = git.head().ok().and_then(|head| head.peel_to_commit().ok());
    git.commit(
        Some("HEAD"),
        &who,
        &who,
        "values",
        &tree,
        &parent.iter().collect::<Vec<_>>(),
    )
    .expect("git commits");
}

/// Changes the settings of one team.
fn edit_one(path: &Path, round: usize) {
    let git = Git::open_bare(path).expect("the repository opens");
    let root = git
        .head()
        .and_then(|head| head.peel_to_tree())
        .expect("there is a commit");
    let mut update = git2::build::TreeUpdateBuilder::new();
    let blob = git
        .blob(settings(round, round + 1).as_bytes())
        .expect("git stores a blob");
    update.upsert(
        format!("env/teams/team{round}/settings.yaml"),
        blob,
        FileMode::Blob,
    );
    let tree = update.create_updated(&git, &root).expect("git stores the trees");
    commit(&git, tree);
}

/// As a server keeps it. Without git the objects stay loose, and the numbers are worse.
fn pack(path: &Path) {
    let _ = Command::new("git")
        .arg("-C")
        .arg(path)
        .args(["repack", "-adq"])
        .status();
}

/// How long git takes to print the blobs.
fn cat_file(path: &Path, blobs: &[Oid]) -> Duration {
    let wanted = blobs
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
        + "\n";
    let input = path.join("wanted");
    std::fs::write(&input, wanted).expect("the temporary directory takes a file");
    let input = std::fs::File::open(&input).expect("the file was just written");
    let started = Instant::now();
    let status = Command::new("git")
        .arg("-C")
        .arg(path)
        .args(["cat-file", "--batch"])
        .stdin(input)
        .stdout(Stdio::null())
        .status()
        .expect("git is installed");
    assert!(status.success());
    started.elapsed()
}

fn peak_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
