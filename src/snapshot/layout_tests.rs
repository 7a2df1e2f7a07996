use super::{MemoryTree, Snapshot, SnapshotError, SnapshotOptions, check};
use crate::values::names::TeamId;
use crate::values::{Layout, Revision, StorageQuota, Team};

fn read(tree: &MemoryTree, options: &SnapshotOptions) -> Snapshot {
    check(tree, Revision::commit("c"), options).unwrap_or_else(|error| panic!("{error:?}"))
}

fn team(tree: &MemoryTree, name: &str) -> Team {
    let snapshot = read(tree, &SnapshotOptions::default());
    (**snapshot
        .teams
        .get(&name.parse().unwrap())
        .unwrap_or_else(|| panic!("{:?}", snapshot.faults)))
    .clone()
}

fn flat(app_key: &str, teams: &str) -> MemoryTree {
    MemoryTree::new()
        .with("env/cluster.yaml", "cluster:\n  domainSuffix: example.org\n")
        .with(
            &format!("env/{app_key}/harbor.yaml"),
            format!("{app_key}:\n  harbor:\n    enabled: true\n"),
        )
        .with("env/teams.yaml", teams)
}

fn dirs(settings: &str) -> MemoryTree {
    MemoryTree::new()
        .with(
            "env/settings/cluster.yaml",
            "spec:\n  domainSuffix: example.org\n",
        )
        .with("env/apps/harbor.yaml", "spec:\n  enabled: true\n")
        .with("env/teams/blue/settings.yaml", settings)
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.teams.keys().map(TeamId::as_str).collect()
}

#[test]
fn the_docker_login_flag_is_read_in_its_three_forms() {
    let service = |text: &str| format!("teamConfig:\n  blue:\n    selfService: {text}\n");
    for (text, granted) in [
        ("{team: [downloadDockerConfig]}", true),
        ("{access: [shell, downloadDockerConfig]}", true),
        ("{access: [shell], team: []}", false),
        ("{teamMembers: {downloadDockerLogin: true}}", true),
        ("{teamMembers: {useCloudShell: true}}", false),
        (
            "{teamMembers: {downloadDockerLogin: false}, access: [downloadDockerConfig]}",
            false,
        ),
        ("{teamMembers: {downloadDockerLogin: true}, access: []}", true),
        ("{}", false),
    ] {
        assert_eq!(
            team(&flat("apps", &service(text)), "blue").docker_login_download,
            granted,
            "{text}"
        );
        let settings = format!("spec:\n  selfService: {text}\n");
        assert_eq!(
            team(&dirs(&settings), "blue").docker_login_download,
            granted,
            "{text}"
        );
    }
}

#[test]
fn a_storage_quota_is_read_in_every_layout() {
    let quota = "{storageQuota: 10Gi}";
    let ten = Some(StorageQuota::Bytes(10 << 30));
    assert_eq!(
        team(&dirs(&format!("spec:\n  harbor: {quota}\n")), "blue").storage_quota,
        ten
    );
    for (key, wrap) in [("apps", false), ("charts", true)] {
        let body = format!("blue: {{harbor: {quota}}}");
        let teams = if wrap {
            format!("teamConfig: {{teams: {{{body}}}}}")
        } else {
            format!("teamConfig: {{{body}}}")
        };
        assert_eq!(team(&flat(key, &teams), "blue").storage_quota, ten, "{key}");
    }
    assert_eq!(
        team(&dirs("spec: {harbor: {storageQuota: 1024}}"), "blue").storage_quota,
        Some(StorageQuota::Bytes(1024))
    );
    assert_eq!(team(&dirs("spec: {}"), "blue").storage_quota, None);
}

#[test]
fn secrets_lie_over_the_plain_file_when_they_can_be_read() {
    let plain = "spec:\n  oidc: {groupMapping: plain}\n  harbor: {storageQuota: 1Gi}\n";
    let tree = dirs(plain).with(
        "env/teams/blue/secrets.settings.yaml",
        "spec:\n  oidc: {groupMapping: secret}\n",
    );
    let blue = team(&tree, "blue");
    assert_eq!(blue.group_mapping.as_deref(), Some("secret"));
    assert!(blue.storage_quota.is_some());
    let encrypted = "spec:\n  oidc: {groupMapping: 'ENC[x]'}\nsops:\n  mac: ENC[y]\n";
    let tree = dirs(plain).with("env/teams/blue/secrets.settings.yaml", encrypted);
    assert_eq!(team(&tree, "blue").group_mapping.as_deref(), Some("plain"));
    let tree = flat("charts", "teamConfig: {teams: {blue: {id: blue}}}").with(
        "env/secrets.teams.yaml",
        "teamConfig: {teams: {blue: {oidc: {groupMapping: secret}}, gone: {password: x}}}",
    );
    assert_eq!(team(&tree, "blue").group_mapping.as_deref(), Some("secret"));
    assert_eq!(names(&read(&tree, &SnapshotOptions::default())), ["blue"]);
}

#[test]
fn teams_stand_under_either_key_or_both() {
    for (teams, expected) in [
        ("teamConfig: {blue: {}, red: }", vec!["blue", "red"]),
        ("teamConfig: {teams: {blue: {}, red: }}", vec!["blue", "red"]),
        ("teamConfig: {teams: {blue: {}}, red: {}}", vec!["blue", "red"]),
        ("teamConfig: {teams: {oidc: {}, blue: {}}}", vec!["blue", "oidc"]),
        (
            "teamConfig: {teams: {id: teams, oidc: {groupMapping: x}}, red: {}}",
            vec!["red", "teams"],
        ),
        ("teamConfig: {teams: {}}", vec![]),
        ("teamConfig: {teams: }", vec![]),
        ("teamConfig: {}", vec![]),
        ("teamConfig: ", vec![]),
        ("other: 1", vec![]),
        ("", vec![]),
        ("teamConfig: {1: {}, 'true': {}}", vec!["1", "true"]),
    ] {
        for key in ["apps", "charts"] {
            let snapshot = read(&flat(key, teams), &SnapshotOptions::default());
            assert_eq!(names(&snapshot), expected, "{teams} in {key}");
            assert_eq!(snapshot.faults, [], "{teams}");
        }
    }
}

#[test]
fn harbor_is_off_where_nothing_says_that_it_is_on() {
    let mut tree = flat("apps", "teamConfig: {}");
    for content in [
        "",
        "apps: {}",
        "apps: {harbor: {}}",
        "apps: {harbor: {enabled: }}",
        "apps:\n  harbor:\n    enabled: false\n",
    ] {
        tree.write("env/apps/harbor.yaml", content);
        assert!(
            !read(&tree, &SnapshotOptions::default()).platform.harbor_enabled,
            "{content}"
        );
    }
    tree.remove("env/apps");
    assert!(!read(&tree, &SnapshotOptions::default()).platform.harbor_enabled);
}

#[test]
fn the_issuer_is_keycloak_s_realm_of_the_layout() {
    let issuer = |tree: &MemoryTree| {
        let platform = read(tree, &SnapshotOptions::default()).platform;
        (
            platform.oidc_issuer.clone().unwrap(),
            platform.oidc_client_id.clone(),
        )
    };
    let keycloak = "https://keycloak.example.org/realms";
    assert_eq!(issuer(&dirs("")), (format!("{keycloak}/otomi"), "otomi".into()));
    assert_eq!(
        issuer(&flat("apps", "")),
        (format!("{keycloak}/otomi"), "otomi".into())
    );
    let charts = flat("charts", "").with(
        "env/settings.yaml",
        "oidc: {issuer: 'https://idp', clientID: harbor}\n",
    );
    assert_eq!(issuer(&charts), ("https://idp".into(), "harbor".into()));
    let charts = charts.with(
        "env/charts/keycloak.yaml",
        "charts: {keycloak: {enabled: true, idp: {clientID: x}}}",
    );
    assert_eq!(issuer(&charts), (format!("{keycloak}/master"), "x".into()));
}

#[test]
fn a_certificate_is_verified_unless_nobody_could() {
    for (spec, verified) in [
        ("{issuer: custom-ca}", false),
        ("{issuer: letsencrypt, stage: staging}", false),
        ("{issuer: letsencrypt, stage: production}", true),
        ("{issuer: externally-managed-tls-secret, stage: staging}", true),
        ("{}", true),
    ] {
        let tree = dirs("").with("env/apps/cert-manager.yaml", format!("spec: {spec}\n"));
        assert_eq!(
            read(&tree, &SnapshotOptions::default())
                .platform
                .verify_certificate,
            verified,
            "{spec}"
        );
    }
}

#[test]
fn a_cluster_is_chosen_by_the_option_or_is_the_only_one_enabled() {
    let tree = |second: bool| {
        MemoryTree::new()
            .with(
                "env/clusters.yaml",
                format!(
                    "clouds:\n  aws: {{domain: eks.org, clusters: {{a: {{enabled: true}}, b: {{enabled: {second}}}}}}}\n"
                ),
            )
            .with("env/charts/harbor.yaml", "charts: {harbor: {enabled: true}}")
            .with("env/clouds/aws/b/overrides.aws-b.yaml", "charts: {harbor: {enabled: false}}")
            .with(
                "env/teams.yaml",
                "teamConfig: {teams: {on-a: {clusters: [aws/a]}, on-b: {clusters: [aws/b]}, everywhere: {}, nowhere: {clusters: []}}}",
            )
    };
    let on = |cluster: &str| SnapshotOptions {
        cluster: Some(cluster.into()),
        ..SnapshotOptions::default()
    };
    let only = read(&tree(false), &SnapshotOptions::default());
    assert_eq!(names(&only), ["everywhere", "on-a"]);
    assert_eq!(
        only.platform.registry_host.as_ref().unwrap().as_str(),
        "harbor.a.eks.org"
    );
    let chosen = read(&tree(false), &on("aws/b"));
    assert_eq!(names(&chosen), ["everywhere", "on-b"]);
    assert!(
        !chosen.platform.harbor_enabled,
        "the cluster's own values lie over those of all"
    );
    for (tree, options) in [
        (tree(true), SnapshotOptions::default()),
        (tree(true), on("aws/c")),
    ] {
        let Err(SnapshotError::Refused { faults }) = check(&tree, Revision::commit("c"), &options) else {
            panic!("the cluster is not known")
        };
        assert!(faults[0].message.contains("aws/a, aws/b"), "{faults:?}");
        assert!(faults[0].hint.as_ref().unwrap().contains("--cluster"));
    }
}

#[test]
fn values_may_lie_below_a_folder() {
    let tree = MemoryTree::new()
        .with(
            "clusters/one/env/settings/cluster.yaml",
            "spec: {domainSuffix: example.org}",
        )
        .with("clusters/one/env/teams/blue/settings.yaml", "");
    for root in ["clusters/one", "/clusters/one/", "clusters//one"] {
        let options = SnapshotOptions {
            root: root.into(),
            ..SnapshotOptions::default()
        };
        assert_eq!(names(&read(&tree, &options)), ["blue"], "{root}");
    }
}

#[test]
fn the_spec_version_tells_sealed_from_dirs_where_no_sealed_secret_does() {
    let layout = |version: u32| {
        let tree = dirs("").with(
            "env/settings/versions.yaml",
            format!("spec: {{specVersion: {version}}}"),
        );
        read(&tree, &SnapshotOptions::default()).layout
    };
    assert_eq!((layout(61), layout(62)), (Layout::Dirs, Layout::Sealed));
    let tree = dirs("").with("env/manifests/namespaces/x/sealedsecrets/y.yaml", "");
    assert_eq!(read(&tree, &SnapshotOptions::default()).layout, Layout::Sealed);
}
