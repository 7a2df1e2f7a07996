use std::fs;
use std::path::Path;

use git2::{Oid, Signature};
use tempfile::TempDir;

use super::{GitError, Repository};
use crate::snapshot::{Snapshot, SnapshotBuilder, SnapshotError, SnapshotOptions, check};
use crate::values::Revision;

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn commit(git: &git2::Repository, message: &str) -> Oid {
    let mut index = git.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.update_all(["*"], None).unwrap();
    index.write().unwrap();
    let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
    let who = Signature::now("a person", "person@example.org").unwrap();
    let parent = git.head().ok().map(|head| head.peel_to_commit().unwrap());
    git.commit(
        Some("HEAD"),
        &who,
        &who,
        message,
        &tree,
        &parent.iter().collect::<Vec<_>>(),
    )
    .unwrap()
}

/// A checkout with one commit, of teams `blue` and `red`.
fn checkout() -> (TempDir, git2::Repository) {
    let folder = tempfile::tempdir().unwrap();
    let git = git2::Repository::init(folder.path()).unwrap();
    write(
        folder.path(),
        "env/settings/cluster.yaml",
        "spec: {domainSuffix: example.org}",
    );
    write(folder.path(), "env/teams/blue/settings.yaml", "spec: {}");
    write(folder.path(), "env/teams/red/settings.yaml", "spec: {}");
    commit(&git, "first");
    (folder, git)
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot.teams.keys().map(ToString::to_string).collect()
}

fn at(repository: &Repository, revision: &Revision) -> Snapshot {
    check(
        &repository.tree_at(revision).unwrap(),
        revision.clone(),
        &SnapshotOptions::default(),
    )
    .unwrap()
}

#[test]
fn a_checkout_with_edits_is_read_at_its_commit_and_as_it_lies() {
    let (folder, _git) = checkout();
    write(folder.path(), "env/teams/green/settings.yaml", "spec: {}");
    write(folder.path(), "env/teams/blue/settings.yaml", "spec: [");
    fs::remove_dir_all(folder.path().join("env/teams/red")).unwrap();
    let repository = Repository::open(folder.path()).unwrap();
    let head = repository.head(None).unwrap();
    assert_eq!(names(&at(&repository, &head)), ["blue", "red"]);
    let lying = repository
        .working_tree()
        .snapshot(&mut SnapshotBuilder::new(), &SnapshotOptions::default())
        .unwrap();
    assert_eq!(names(&lying), ["green"]);
    assert_eq!(lying.held.keys().collect::<Vec<_>>(), ["blue"]);
}

#[test]
fn bare_clones_and_linked_worktrees_are_repositories_too() {
    let (folder, git) = checkout();
    let other = tempfile::tempdir().unwrap();
    let head = Repository::open(folder.path()).unwrap().head(None).unwrap();
    let url = folder.path().to_str().unwrap();
    git2::build::RepoBuilder::new()
        .bare(true)
        .clone(url, &other.path().join("bare"))
        .unwrap();
    git.worktree("linked", &other.path().join("linked"), None)
        .unwrap();
    for path in ["bare", "linked"] {
        let repository = Repository::open(other.path().join(path)).unwrap();
        assert!(repository.is_git());
        assert_eq!(repository.head(None).unwrap(), head, "{path}");
        assert_eq!(names(&at(&repository, &head)), ["blue", "red"], "{path}");
        let common = repository.common_directory().unwrap();
        assert!(
            common.join("objects").is_dir() && common.join("refs").is_dir(),
            "{path}"
        );
    }
}

#[test]
fn a_commit_is_named_by_branch_tag_or_full_id() {
    let (folder, git) = checkout();
    let first = git.head().unwrap().target().unwrap();
    let object = git.find_object(first, None).unwrap();
    let who = Signature::now("a person", "person@example.org").unwrap();
    git.tag("v1", &object, &who, "annotated", false).unwrap();
    git.branch("stable", &object.peel_to_commit().unwrap(), false)
        .unwrap();
    fs::remove_dir_all(folder.path().join("env/teams/red")).unwrap();
    let second = commit(&git, "second");
    let repository = Repository::open(folder.path()).unwrap();
    let id = first.to_string();
    for name in ["v1", "stable", "refs/heads/stable", "refs/tags/v1", &*id] {
        assert_eq!(repository.head(Some(name)).unwrap().as_str(), id, "{name}");
    }
    assert_eq!(repository.head(None).unwrap().as_str(), second.to_string());
    for missing in ["nobody", "../x", "0123456789012345678901234567890123456789", ""] {
        let error = repository.head(Some(missing)).unwrap_err();
        assert!(
            matches!(error, GitError::NoSuchReference { .. }),
            "{missing}: {error:?}"
        );
    }
}

#[test]
fn a_range_is_the_first_parents_from_the_oldest() {
    let (folder, git) = checkout();
    let mut ids = vec![git.head().unwrap().target().unwrap().to_string()];
    for n in 0..3 {
        write(folder.path(), "env/n.yaml", &n.to_string());
        ids.push(commit(&git, "more").to_string());
    }
    let repository = Repository::open(folder.path()).unwrap();
    let range = |text: &str| -> Vec<String> {
        repository
            .commits(text)
            .unwrap()
            .iter()
            .map(|revision| revision.as_str().to_owned())
            .collect()
    };
    assert_eq!(range(&format!("{}..HEAD", ids[0])), ids[1..]);
    assert_eq!(range(&format!("{}..{}", ids[1], ids[2])), ids[2..3]);
    assert_eq!(range("HEAD..HEAD"), Vec::<String>::new());
    assert!(matches!(
        repository.commits("HEAD"),
        Err(GitError::BadRange { .. })
    ));
    assert!(matches!(
        repository.commits("a...b"),
        Err(GitError::BadRange { .. })
    ));
    assert!(matches!(
        repository.commits("nobody..HEAD"),
        Err(GitError::NoSuchReference { .. })
    ));
}

#[test]
fn an_empty_repository_and_a_plain_directory_have_no_commits_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Repository::open(folder.path()).unwrap();
    assert!(!plain.is_git());
    assert!(matches!(plain.head(None), Err(GitError::NoRepository { .. })));
    git2::Repository::init(folder.path()).unwrap();
    let empty = Repository::open(folder.path()).unwrap();
    assert!(matches!(empty.head(None), Err(GitError::Empty { .. })));
    assert!(matches!(
        Repository::open(folder.path().join("nowhere")),
        Err(GitError::Path { .. })
    ));
}

#[test]
fn a_missing_object_is_an_error_and_no_empty_tree() {
    let (folder, git) = checkout();
    let repository = Repository::open(folder.path()).unwrap();
    let head = repository.head(None).unwrap();
    let tree = git.head().unwrap().peel_to_tree().unwrap();
    let blob = tree
        .get_path(Path::new("env/teams/red/settings.yaml"))
        .unwrap()
        .id()
        .to_string();
    let (folder_of, rest) = blob.split_at(2);
    fs::remove_file(folder.path().join(".git/objects").join(folder_of).join(rest)).unwrap();
    let built = check(
        &repository.tree_at(&head).unwrap(),
        head,
        &SnapshotOptions::default(),
    );
    assert!(matches!(built, Err(SnapshotError::Unreadable(_))), "{built:?}");
}

#[test]
fn a_working_tree_has_the_name_of_its_content() {
    let (folder, _git) = checkout();
    let revision = || {
        let tree = Repository::open(folder.path()).unwrap().working_tree();
        tree.snapshot(&mut SnapshotBuilder::new(), &SnapshotOptions::default())
            .unwrap()
            .revision
    };
    let before = revision();
    assert!(before.as_str().starts_with("tree:"));
    assert_eq!(before, revision());
    write(folder.path(), "env/teams/red/settings.yaml", "spec: {x: 1}");
    assert_ne!(before, revision());
    write(folder.path(), "env/teams/red/settings.yaml", "spec: {}");
    assert_eq!(before, revision());
}

#[test]
fn links_of_a_working_tree_are_never_followed_out_of_it() {
    let (folder, _git) = checkout();
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "settings.yaml", "spec: {}");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("env/teams/evil")).unwrap();
    let tree = Repository::open(folder.path()).unwrap().working_tree();
    let snapshot = tree
        .snapshot(&mut SnapshotBuilder::new(), &SnapshotOptions::default())
        .unwrap();
    assert_eq!(names(&snapshot), ["blue", "red"]);
    assert_eq!(snapshot.held.keys().collect::<Vec<_>>(), ["evil"]);
}
