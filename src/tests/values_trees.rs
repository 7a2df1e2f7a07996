//! Whole values repositories against the table that stands beside them.
//!
//! With `HARBORAGE_VALUES_TREES` the trees and the table of that folder are read, else those of `fixtures/values`.

use std::path::{Path, PathBuf};

use harborage::edge::git::Repository;
use harborage::snapshot::{Snapshot, SnapshotBuilder, SnapshotOptions};
use harborage::values::names::TeamId;

#[test]
fn every_tree_is_read_as_the_table_beside_it_says() {
    let folder = std::env::var_os("HARBORAGE_VALUES_TREES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/values"),
        PathBuf::from,
    );
    let readme =
        std::fs::read_to_string(folder.join("README.md")).expect("the folder has a README.md with the table");
    let rows: Vec<Vec<String>> = readme
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---") && !line.starts_with("| tree"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "the table in {} has no rows", folder.display());
    for row in rows {
        let [tree, layout, teams, harbor, domain, version] = row.as_slice() else {
            panic!("the row {row:?} has not six cells");
        };
        let snapshot = read(&folder.join(tree));
        assert_eq!(snapshot.layout.as_str(), layout, "layout of {tree}");
        let names: Vec<&str> = snapshot.teams.keys().map(TeamId::as_str).collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        assert_eq!(names, *teams, "teams of {tree}");
        assert_eq!(
            if snapshot.platform.harbor_enabled {
                "on"
            } else {
                "off"
            },
            harbor,
            "Harbor of {tree}"
        );
        let suffix = snapshot.platform.domain_suffix.as_deref();
        if domain.contains("clouds.<cloud>.domain") {
            assert!(
                suffix.is_some() && snapshot.platform.cluster.is_some(),
                "domain of {tree}"
            );
        } else {
            assert_eq!(suffix, Some(&**domain), "domain of {tree}");
        }
        let host = snapshot
            .platform
            .registry_host
            .as_ref()
            .map(|host| host.as_str().to_owned());
        assert_eq!(
            host,
            suffix.map(|suffix| format!("harbor.{suffix}")),
            "registry host of {tree}"
        );
        let spec = snapshot
            .platform
            .spec_version
            .map_or_else(|| "none".to_owned(), |version| version.to_string());
        assert_eq!(spec, *version, "version of {tree}");
        assert!(
            snapshot.teams.values().all(|team| !team.docker_login_download),
            "docker login of {tree}"
        );
        if tree != "faults" {
            assert_eq!(snapshot.faults, [], "faults of {tree}");
        }
    }
}

fn read(path: &Path) -> Snapshot {
    let tree = Repository::open(path)
        .unwrap_or_else(|error| panic!("{error}"))
        .working_tree();
    match tree.snapshot(&mut SnapshotBuilder::new(), &SnapshotOptions::default()) {
        Ok(snapshot) => snapshot,
        Err(error) => panic!("{}: {error}: {error:#?}", path.display()),
    }
}
