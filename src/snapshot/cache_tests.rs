use std::cell::RefCell;

use proptest::prelude::*;

use super::{
    Content, ContentId, Listing, MemoryTree, SnapshotBuilder, SnapshotError, SnapshotOptions, Tree,
    TreeError, check,
};
use crate::values::Revision;

/// A tree that remembers what was read from it, and can lose a file.
struct Watched<'a> {
    tree: &'a MemoryTree,
    read: RefCell<Vec<String>>,
    lost: Option<&'a str>,
}

impl<'a> Watched<'a> {
    fn new(tree: &'a MemoryTree) -> Self {
        Self {
            tree,
            read: RefCell::default(),
            lost: None,
        }
    }
}

impl Tree for Watched<'_> {
    fn root(&self) -> Option<ContentId> {
        self.tree.root()
    }
    fn list(&self, path: &str, id: Option<ContentId>) -> Result<Listing, TreeError> {
        self.tree.list(path, id)
    }
    fn read(&self, path: &str, id: Option<ContentId>, limit: u64) -> Result<Content, TreeError> {
        if self.lost == Some(path) {
            return Err(TreeError::new(path, "the disk is gone"));
        }
        self.read.borrow_mut().push(path.to_owned());
        self.tree.read(path, id, limit)
    }
    fn target(&self, path: &str, id: Option<ContentId>) -> Result<Vec<u8>, TreeError> {
        self.tree.target(path, id)
    }
}

fn tree(teams: usize) -> MemoryTree {
    let mut tree = MemoryTree::new()
        .with("env/settings/cluster.yaml", "spec: {domainSuffix: example.org}")
        .with("env/apps/harbor.yaml", "spec: {enabled: true}");
    for n in 0..teams {
        tree.write(
            &format!("env/teams/t{n}/settings.yaml"),
            format!("spec: {{oidc: {{groupMapping: g{n}}}}}"),
        );
    }
    tree
}

fn revision() -> Revision {
    Revision::commit("c")
}

#[test]
fn a_builder_may_go_from_thread_to_thread() {
    fn may<T: Send>() {}
    may::<SnapshotBuilder>();
}

#[test]
fn only_what_changed_is_read_again() {
    let mut tree = tree(5);
    let options = SnapshotOptions::default();
    let mut builder = SnapshotBuilder::new();
    builder.build(&tree, revision(), &options).unwrap();
    let reads = |builder: &mut SnapshotBuilder, tree: &MemoryTree| {
        let watched = Watched::new(tree);
        builder.build(&watched, revision(), &options).unwrap();
        watched.read.into_inner()
    };
    assert_eq!(reads(&mut builder, &tree), Vec::<String>::new());
    tree.write("env/teams/t3/settings.yaml", "spec: {}");
    assert_eq!(reads(&mut builder, &tree), ["env/teams/t3/settings.yaml"]);
    tree.write("env/apps/harbor.yaml", "spec: {enabled: false}");
    tree.write("env/teams/t3/builds/x.yaml", "nobody reads this");
    assert_eq!(
        reads(&mut builder, &tree),
        ["env/apps/harbor.yaml", "env/teams/t3/settings.yaml"]
    );
}

#[test]
fn a_tree_that_cannot_be_read_is_an_error_and_never_an_empty_one() {
    let tree = tree(3);
    for lost in ["env/teams/t1/settings.yaml", "env/apps/harbor.yaml"] {
        let watched = Watched {
            lost: Some(lost),
            ..Watched::new(&tree)
        };
        let built = SnapshotBuilder::new().build(&watched, revision(), &SnapshotOptions::default());
        assert!(matches!(built, Err(SnapshotError::Unreadable(error)) if error.path == lost));
    }
}

#[test]
fn other_options_are_not_answered_from_what_is_remembered() {
    let mut tree = tree(2);
    for n in 0..2 {
        tree.write(
            &format!("below/env/teams/t{n}/settings.yaml"),
            format!("spec: {{oidc: {{groupMapping: g{n}}}}}"),
        );
    }
    tree.write(
        "below/env/settings/cluster.yaml",
        "spec: {domainSuffix: example.org}",
    );
    tree.write("below/env/apps/harbor.yaml", "spec: {enabled: true}");
    tree.write("env/teams/a--b/settings.yaml", "");
    tree.write("below/env/teams/a--b/settings.yaml", "");
    let mut builder = SnapshotBuilder::new();
    builder
        .build(&tree, revision(), &SnapshotOptions::default())
        .unwrap();
    let below = SnapshotOptions {
        root: "below".into(),
        ..SnapshotOptions::default()
    };
    let snapshot = builder.build(&tree, revision(), &below).unwrap();
    assert_eq!(snapshot.faults[0].file, "below/env/teams/a--b");
}

#[test]
fn a_fault_is_said_again_by_every_snapshot_until_it_is_mended() {
    let mut tree = tree(2)
        .with("env/teams/t0/settings.yaml", "spec: [")
        .with("env/apps/keycloak.yaml", "spec: [");
    let mut builder = SnapshotBuilder::new();
    for _ in 0..2 {
        let refused = builder.build(&tree, revision(), &SnapshotOptions::default());
        assert!(matches!(refused, Err(SnapshotError::Refused { faults }) if faults.len() == 2));
    }
    tree.write("env/apps/keycloak.yaml", "");
    for _ in 0..2 {
        assert_eq!(
            builder
                .build(&tree, revision(), &SnapshotOptions::default())
                .unwrap()
                .held
                .len(),
            1
        );
    }
    tree.write("env/teams/t0/settings.yaml", "");
    assert_eq!(
        builder
            .build(&tree, revision(), &SnapshotOptions::default())
            .unwrap()
            .teams
            .len(),
        2
    );
}

/// One edit of a repository, in small numbers so that edits meet.
fn edit() -> impl Strategy<Value = (u8, u8, u8)> {
    (0..9u8, 0..4u8, 0..4u8)
}

fn apply(tree: &mut MemoryTree, (what, team, value): (u8, u8, u8)) {
    let settings = format!("env/teams/t{team}/settings.yaml");
    match what {
        0 => tree.write(&settings, format!("spec: {{oidc: {{groupMapping: v{value}}}}}")),
        1 => tree.write(&settings, "spec: ["),
        2 => tree.remove(&format!("env/teams/t{team}")),
        3 => tree.write(
            &format!("env/teams/t{team}/secrets.settings.yaml"),
            format!("spec: {{oidc: {{groupMapping: s{value}}}}}"),
        ),
        4 => tree.write(
            "env/settings/cluster.yaml",
            format!("spec: {{domainSuffix: d{value}.org}}"),
        ),
        5 => tree.write(
            "env/apps/harbor.yaml",
            format!(
                "spec: {{enabled: {}}}",
                ["true", "false", "maybe", "["][usize::from(value)]
            ),
        ),
        6 => tree.write(
            &format!("shared/s{value}.yaml"),
            format!("spec: {{harbor: {{storageQuota: {team}Gi}}}}"),
        ),
        7 => {
            tree.remove(&settings);
            *tree = std::mem::take(tree).with_link(&settings, &format!("../../../shared/s{value}.yaml"));
        }
        _ => tree.write(&format!("env/teams/t{team}/agents/a{value}.yaml"), ""),
    }
}

proptest! {
    #[test]
    fn a_builder_that_remembers_builds_what_a_fresh_one_does(edits in proptest::collection::vec(edit(), 1..30)) {
        let mut tree = tree(3);
        let mut builder = SnapshotBuilder::new();
        for edit in edits {
            apply(&mut tree, edit);
            let cached = builder.build(&tree, revision(), &SnapshotOptions::default());
            let fresh = check(&tree, revision(), &SnapshotOptions::default());
            prop_assert_eq!(format!("{cached:?}"), format!("{fresh:?}"));
        }
    }
}
