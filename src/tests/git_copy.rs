//! The copy of a remote repository: what a remote, a killed process or another one may do to it.

use std::path::Path;

use harborage::edge::git::{FetchError, History, Secret};
use harborage::values::Revision;

use super::git_network::{Copy, readable};
use super::git_server::{GitServer, Manners, Misdeed};
use super::repository::ValuesRepository;

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_whose_name_is_not_utf_8_is_in_nobodys_way() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    host.behave(Manners {
        misdeed: Some(Misdeed::OddName),
        ..Manners::default()
    });
    let copy = Copy::of(&host.url());
    copy.newest(None).await.unwrap();
    let error = copy.newest(Some("missing")).await.unwrap_err();
    assert!(matches!(error, FetchError::NoSuchReference { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_its_files_is_not_followed_and_asked_for_again() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    let first = copy.newest(None).await.unwrap();
    repository.write_team("green");
    let second = repository.commit("green comes");
    host.behave(Manners {
        misdeed: Some(Misdeed::Incomplete),
        ..Manners::default()
    });
    for _ in 0..2 {
        let error = copy.newest(None).await.unwrap_err();
        assert!(matches!(error, FetchError::Incomplete), "{error:?}");
    }
    readable(&copy.open(), &Revision::commit(first));
    host.behave(Manners::default());
    assert_eq!(copy.newest(None).await.unwrap(), second);
}

/// The folder of a copy.
fn folder(copy: &Copy) -> std::path::PathBuf {
    copy.folder.path().join("copy")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_killed_leaves_a_copy_that_the_next_one_goes_on_with() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    copy.newest(None).await.unwrap();
    repository.write_team("green");
    repository.commit("green comes");
    copy.newest(None).await.unwrap();
    // Killed behind the pack: nothing says yet where the history ends, nor what is followed.
    std::fs::remove_file(folder(&copy).join("shallow")).unwrap();
    std::fs::remove_dir_all(folder(&copy).join("refs/harborage")).unwrap();
    std::fs::create_dir_all(folder(&copy).join("refs/harborage")).unwrap();
    // Killed while it wrote.
    let left = [
        "refs/harborage/followed.lock",
        "shallow.lock",
        "objects/pack/pack_git2_12345",
    ];
    for name in left {
        std::fs::write(folder(&copy).join(name), "half").unwrap();
    }
    for team in ["red", "white"] {
        repository.write_team(team);
        let newest = repository.commit("one more");
        assert_eq!(copy.newest(None).await.unwrap(), newest);
    }
    for name in left {
        assert!(!folder(&copy).join(name).exists(), "{name} is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_whose_files_are_lost_is_fetched_anew() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    let newest = copy.newest(None).await.unwrap();
    copy.open().keep(&Revision::commit(newest.clone())).unwrap();
    for entry in std::fs::read_dir(folder(&copy).join("objects/pack")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(copy.newest(None).await.unwrap(), newest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_somebody_elses_and_one_in_use_are_left_alone() {
    let copy = Copy::of("http://127.0.0.1:1/values.git");
    std::fs::create_dir_all(folder(&copy)).unwrap();
    std::fs::write(folder(&copy).join("precious"), "x").unwrap();
    let refused = |copy: &Copy| copy.try_open().err().unwrap();
    assert!(matches!(refused(&copy), FetchError::NotOurs { .. }));
    assert!(folder(&copy).join("precious").exists());

    let copy = Copy::of("http://127.0.0.1:1/values.git");
    let first = copy.open();
    assert!(matches!(refused(&copy), FetchError::Taken { .. }));
    drop(first);
    copy.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_refused_is_not_tried_again_until_it_changes() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    host.behave(Manners {
        login: Some("Bearer right".to_owned()),
        ..Manners::default()
    });
    let mut copy = Copy::of(&host.url());
    let file = copy.folder.path().join("token");
    std::fs::write(&file, "wrong").unwrap();
    copy.settings.token = Some(Secret::File(file.clone()));
    let mirror = std::sync::Arc::new(copy.open());
    let fetch = || {
        let mirror = mirror.clone();
        tokio::task::spawn_blocking(move || mirror.fetch(None, History::Newest))
    };
    for _ in 0..3 {
        let error = fetch().await.unwrap().unwrap_err();
        assert!(matches!(error, FetchError::LoginRefused), "{error:?}");
    }
    assert_eq!(host.asked().len(), 1, "hosts lock accounts that guess");
    std::fs::write(&file, "right").unwrap();
    fetch().await.unwrap().unwrap();
    std::fs::write(&file, "\n").unwrap();
    let error = fetch().await.unwrap().unwrap_err();
    assert!(matches!(error, FetchError::Setting { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_followed_by_its_id_where_a_reference_has_it() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let git = git2::Repository::open(repository.path()).unwrap();
    let first = git.refname_to_id("HEAD").unwrap().to_string();
    repository.write_team("green");
    let second = repository.commit("green comes");
    let host = GitServer::serve(repository.path()).await;
    host.behave(Manners {
        misdeed: Some(Misdeed::Strict),
        ..Manners::default()
    });
    let copy = Copy::of(&host.url());
    assert_eq!(copy.newest(Some(&second)).await.unwrap(), second);
    let error = copy.newest(Some(&first)).await.unwrap_err();
    assert!(matches!(error, FetchError::ById { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_ends_when_it_is_told_to() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    host.behave(Manners {
        misdeed: Some(Misdeed::Hangs),
        ..Manners::default()
    });
    let copy = Copy::of(&host.url());
    let mirror = std::sync::Arc::new(copy.open());
    let fetching = {
        let mirror = mirror.clone();
        tokio::task::spawn_blocking(move || mirror.fetch(None, History::Newest))
    };
    while host.asked().iter().all(|asked| !asked.starts_with("POST")) {
        tokio::task::yield_now().await;
    }
    tokio::task::spawn_blocking(move || mirror.close()).await.unwrap();
    let error = fetching.await.unwrap().unwrap_err();
    assert!(matches!(error, FetchError::Stopped), "{error:?}");
    assert!(Path::new(&folder(&copy)).exists());
}
