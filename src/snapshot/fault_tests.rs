use super::{MemoryTree, Snapshot, SnapshotError, SnapshotOptions, check, render};
use crate::values::{Fault, Layout, MAX_FILE, Revision, Scope};

fn dirs() -> MemoryTree {
    MemoryTree::new()
        .with(
            "env/settings/cluster.yaml",
            "kind: AplCluster\nspec:\n  domainSuffix: example.org\n",
        )
        .with("env/apps/harbor.yaml", "kind: AplApp\nspec:\n  enabled: true\n")
        .with("env/teams/admin/settings.yaml", "spec: {}\n")
        .with("env/teams/blue/settings.yaml", "spec: {}\n")
}

fn apps(teams: &str) -> MemoryTree {
    MemoryTree::new()
        .with("env/cluster.yaml", "cluster:\n  domainSuffix: example.org\n")
        .with("env/apps/harbor.yaml", "apps:\n  harbor:\n    enabled: true\n")
        .with("env/teams.yaml", teams)
}

fn read(tree: &MemoryTree) -> Result<Snapshot, SnapshotError> {
    check(tree, Revision::commit("c"), &SnapshotOptions::default())
}

fn refused(tree: &MemoryTree) -> Vec<Fault> {
    match read(tree) {
        Err(SnapshotError::Refused { faults }) => faults,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The faults of a snapshot in which exactly `blue` is held and `admin` is not.
fn holds_blue(tree: &MemoryTree) -> Vec<Fault> {
    let snapshot = read(tree).expect("only one team is at fault");
    assert!(snapshot.teams.keys().any(|id| id.as_str() == "admin"));
    assert!(!snapshot.teams.keys().any(|id| id.as_str() == "blue"));
    assert_eq!(snapshot.held.keys().collect::<Vec<_>>(), ["blue"]);
    assert!(
        snapshot
            .faults
            .iter()
            .all(|fault| fault.scope == Scope::Team("blue".into()))
    );
    snapshot.faults
}

#[test]
fn a_team_whose_settings_do_not_parse_is_held_and_not_removed() {
    let faults = holds_blue(&dirs().with("env/teams/blue/settings.yaml", "spec:\n  oidc: {x: 1\n"));
    assert_eq!(faults[0].file, "env/teams/blue/settings.yaml");
    assert!(faults[0].line.is_some());
    holds_blue(&dirs().with("env/teams/blue/secrets.settings.yaml", "spec: ["));
    holds_blue(&dirs().with("env/teams/blue/settings.yaml", b"spec: \xff".to_vec()));
    holds_blue(&dirs().with("env/teams/blue/settings.yaml", "spec: 5"));
}

#[test]
fn every_wrong_value_of_a_team_is_said_at_once_with_its_place_and_text() {
    let settings = "spec:\n  selfService:\n    teamMembers:\n      downloadDockerLogin: yes # please\n  harbor:\n    storageQuota: 'ten gigabytes'\n  oidc:\n    groupMapping: 12\n";
    let faults = holds_blue(&dirs().with("env/teams/blue/settings.yaml", settings));
    let said: Vec<_> = faults
        .iter()
        .map(|f| (f.line.unwrap(), f.column.unwrap(), f.text.as_deref().unwrap()))
        .collect();
    assert_eq!(said, [(4, 28, "yes"), (6, 19, "'ten gigabytes'"), (8, 19, "12")]);
    assert!(faults.iter().all(|fault| fault.hint.is_some()), "{faults:#?}");
    assert_eq!(
        faults[0].to_string(),
        "env/teams/blue/settings.yaml:4:28: selfService.teamMembers.downloadDockerLogin must be a boolean, \
         and is text (write true, without quotes)"
    );
}

#[test]
fn faults_are_shown_as_a_compiler_shows_them() {
    let faults = holds_blue(&dirs().with(
        "env/teams/blue/settings.yaml",
        "spec:\n  harbor:\n    storageQuota: 5x\n",
    ));
    let shown = render(&faults, false);
    for part in [
        "error: harbor.storageQuota",
        "env/teams/blue/settings.yaml:3:19",
        "storageQuota: 5x",
        "^^",
        "such as 10Gi",
        "1 fault, holding 1 team",
    ] {
        assert!(shown.contains(part), "{part:?} is missing from\n{shown}");
    }
    assert!(render(&faults, true).contains("\u{1b}["));
    assert!(!shown.contains('\u{1b}'));
}

#[test]
fn nothing_of_a_secret_is_ever_shown() {
    let secret = "spec:\n  oidc:\n    groupMapping: [hunter2]\n  harbor:\n    storageQuota: hunter2\n";
    let plain = "spec:\n  harbor: {password: hunter2, storageQuota: 5x}\n";
    let broken = "spec:\n  password: hunter2: x\n";
    for (file, content) in [
        ("env/teams/blue/secrets.settings.yaml", secret),
        ("env/teams/blue/secrets.settings.yaml", broken),
        ("env/teams/blue/settings.yaml", plain),
        ("env/teams/blue/settings.yaml", broken),
    ] {
        let faults = holds_blue(&dirs().with(file, content));
        let all = format!(
            "{faults:?}{}{}",
            render(&faults, false),
            serde_json::to_string(&faults).unwrap()
        );
        assert!(!all.contains("hunter2"), "{file}: {all}");
    }
}

#[test]
fn control_characters_of_a_repository_do_not_reach_the_terminal() {
    let faults = holds_blue(&dirs().with(
        "env/teams/blue/settings.yaml",
        "spec:\n  \"\\e[31m\": 1\n  \"\\e[31m\": 2\n",
    ));
    let shown = format!("{}{}", render(&faults, false), faults[0]);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_team_id_that_a_server_would_refuse_is_a_fault_of_that_team() {
    let long = "x".repeat(59);
    for name in ["a--b", "Upper", "under_score", &*long] {
        let snapshot = read(&dirs().with(&format!("env/teams/{name}/settings.yaml"), "spec: {}")).unwrap();
        assert_eq!(snapshot.teams.len(), 2);
        assert_eq!(snapshot.held[name][0].file, format!("env/teams/{name}"));
        let snapshot = read(&apps(&format!("teamConfig:\n  admin: {{}}\n  {name}: {{}}\n"))).unwrap();
        assert_eq!(snapshot.teams.len(), 1);
        let fault = &snapshot.held[name][0];
        assert_eq!(
            (fault.line, fault.column, fault.text.as_deref()),
            (Some(3), Some(3), Some(name))
        );
    }
}

#[test]
fn a_team_directory_with_nothing_that_is_loaded_is_no_team_and_not_a_removed_one() {
    let mut tree = dirs();
    tree.remove("env/teams/blue");
    for leftover in [
        "sealedsecrets/x.yaml",
        "workloadValues/x.yaml",
        "agents/a.yaml",
        "settings.yml",
        ".settings.yaml",
        "notes.txt",
        "builds/.x.yaml",
    ] {
        let faults = holds_blue(
            &tree
                .clone()
                .with(&format!("env/teams/blue/{leftover}"), "spec: {}"),
        );
        assert_eq!(
            faults[0].message, "this directory has nothing that makes a team",
            "{leftover}"
        );
    }
    for loaded in [
        "apps.yaml",
        "builds/x.yaml",
        "policies/x.yaml",
        "codeRepos/x.yaml",
    ] {
        let snapshot = read(
            &tree
                .clone()
                .with(&format!("env/teams/blue/{loaded}"), "not even [ yaml"),
        )
        .unwrap();
        assert_eq!(snapshot.teams.len(), 2, "{loaded}");
    }
}

#[test]
fn hidden_directories_and_loose_files_are_no_teams() {
    let tree = dirs()
        .with("env/teams/.git/settings.yaml", "[")
        .with("env/teams/services.blue.yaml", "[");
    let snapshot = read(&tree).unwrap();
    assert_eq!((snapshot.teams.len(), snapshot.faults.len()), (2, 0));
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let large = vec![b'#'; usize::try_from(MAX_FILE).unwrap() + 1];
    let faults = holds_blue(&dirs().with("env/teams/blue/settings.yaml", large.clone()));
    assert!(faults[0].message.contains("8388609 bytes"), "{faults:?}");
    assert_eq!(
        refused(&dirs().with("env/apps/harbor.yaml", large))[0].file,
        "env/apps/harbor.yaml"
    );
}

#[test]
fn a_fault_in_what_all_share_refuses_the_snapshot_with_every_other_fault() {
    for (file, content) in [
        ("env/settings/cluster.yaml", "spec: ["),
        ("env/apps/harbor.yaml", "spec:\n  enabled: 'true'\n"),
        ("env/apps/keycloak.yaml", "spec:\n  idp: []\n"),
        ("env/settings/versions.yaml", "spec:\n  specVersion: x\n"),
        ("env/settings/cluster.yaml", "spec:\n  domainSuffix: Bad_Domain\n"),
    ] {
        let faults = refused(
            &dirs()
                .with(file, content)
                .with("env/teams/blue/settings.yaml", "["),
        );
        let files: Vec<_> = faults.iter().map(|fault| &*fault.file).collect();
        assert_eq!(files, [file, "env/teams/blue/settings.yaml"]);
    }
    for teams in [
        "teamConfig: [",
        "teamConfig: 5\n",
        "- a\n",
        "teamConfig: {}\nteamConfig: {}\n",
    ] {
        assert_eq!(refused(&apps(teams))[0].file, "env/teams.yaml", "{teams:?}");
    }
}

#[test]
fn harbor_without_a_domain_is_refused_unless_its_host_is_given() {
    let tree = dirs().with("env/settings/cluster.yaml", "spec:\n  name: demo\n");
    let faults = refused(&tree);
    assert_eq!((faults[0].line, faults.len()), (Some(2), 1));
    assert!(faults[0].hint.as_ref().unwrap().contains("--registry-host"));
    let host = "harbor.elsewhere.org:8443".parse().unwrap();
    let options = SnapshotOptions {
        registry_host: Some(host),
        ..SnapshotOptions::default()
    };
    let snapshot = check(&tree, Revision::commit("c"), &options).unwrap();
    assert_eq!(snapshot.platform.registry_host, options.registry_host);
    let off = tree.with("env/apps/harbor.yaml", "spec: {}\n");
    assert!(read(&off).unwrap().platform.registry_host.is_none());
}

#[test]
fn a_vanished_env_and_an_unknown_layout_are_refused() {
    assert_eq!(refused(&MemoryTree::new().with("README.md", ""))[0].file, "env");
    assert_eq!(
        refused(&MemoryTree::new().with("env/x.yaml", ""))[0].message,
        "no layout of Otomi's values is recognised here"
    );
    let mut vanished = apps("teamConfig: {}");
    vanished.remove("env/teams.yaml");
    assert_eq!(refused(&vanished)[0].file, "env/teams.yaml");
    let options = SnapshotOptions {
        root: "../other".into(),
        ..SnapshotOptions::default()
    };
    assert!(matches!(
        check(&dirs(), Revision::commit("c"), &options),
        Err(SnapshotError::Refused { .. })
    ));
}

#[test]
fn links_are_followed_inside_the_tree_and_refused_when_they_leave_it() {
    let mut tree = dirs().with("shared/blue.yaml", "spec:\n  harbor: {storageQuota: 1Gi}\n");
    tree.remove("env/teams/blue");
    let linked = tree
        .clone()
        .with_link("env/teams/blue/settings.yaml", "../../../shared/blue.yaml");
    assert_eq!(read(&linked).unwrap().teams.len(), 2);
    let whole = tree
        .clone()
        .with_link("env/teams/blue", "../../shared/blue")
        .with("shared/blue/settings.yaml", "");
    assert_eq!(read(&whole).unwrap().teams.len(), 2);
    for target in [
        "/etc/passwd",
        "../../../../etc/passwd",
        "../../../../env/teams/admin/settings.yaml",
        "missing.yaml",
        "settings.yaml",
    ] {
        holds_blue(&tree.clone().with_link("env/teams/blue/settings.yaml", target));
        holds_blue(&tree.clone().with_link("env/teams/blue", target));
    }
    holds_blue(&tree.with_submodule("env/teams/blue"));
    let faults = refused(&MemoryTree::new().with_link("env", "/etc"));
    assert_eq!(faults[0].message, "this symbolic link is absolute");
}

#[test]
fn a_link_may_lead_through_few_others() {
    let tree = dirs()
        .with("a/settings.yaml", "spec: {}")
        .with_link("l1", "a")
        .with_link("l2", "l1")
        .with_link("l3", "l2");
    let mut tree = tree.with_link("l4", "l3");
    tree.remove("env/teams/blue");
    assert_eq!(
        read(&tree.clone().with_link("env/teams/blue", "../../l3"))
            .unwrap()
            .teams
            .len(),
        2
    );
    holds_blue(&tree.with_link("env/teams/blue", "../../l4"));
}

#[test]
fn a_value_of_a_wrong_type_is_said_once() {
    let snapshot = read(&dirs().with("env/teams/blue/settings.yaml", "spec:\n  selfService: 5\n")).unwrap();
    assert_eq!((snapshot.held["blue"].len(), snapshot.faults.len()), (1, 1));
}

#[test]
fn ten_thousand_faults_in_one_large_file_are_found_in_one_pass() {
    use std::fmt::Write as _;
    let mut teams = String::from("teamConfig:\n");
    for n in 0..10_000 {
        writeln!(
            teams,
            "  a--{n}: {{id: a--{n}, harbor: {{storageQuota: lots}}}} # {}",
            "x".repeat(200)
        )
        .unwrap();
    }
    let snapshot = read(&apps(&teams)).unwrap();
    assert_eq!(snapshot.held.len(), 10_000);
    assert_eq!(snapshot.held["a--9999"][0].line, Some(10_001));
}

#[test]
fn an_id_that_differs_from_its_key_is_said() {
    let snapshot = read(&apps(
        "teamConfig:\n  blue:\n    id: red\n  green:\n    id: green\n",
    ))
    .unwrap();
    assert_eq!(snapshot.held["blue"][0].line, Some(3));
    assert_eq!(snapshot.teams.len(), 1);
}

#[test]
fn a_layout_can_be_forced() {
    let options = SnapshotOptions {
        layout: Some(Layout::Apps),
        ..SnapshotOptions::default()
    };
    let Err(SnapshotError::Refused { faults }) = check(&dirs(), Revision::commit("c"), &options) else {
        panic!("a tree of directories has no teams.yaml")
    };
    assert!(faults.iter().any(|fault| fault.file == "env/teams.yaml"));
}
