//! A values repository that is fetched: what is followed, and what a host may do.

use std::path::Path;
use std::time::Duration;

use git2::Oid;
use tempfile::TempDir;

use super::git_server::{GitServer, Manners, Misdeed};
use super::repository::ValuesRepository;
use harborage::edge::git::{FetchError, History, Location, Mirror, RemoteSettings, Secret};
use harborage::snapshot::{SnapshotBuilder, SnapshotOptions};
use harborage::values::Revision;

fn settings() -> RemoteSettings {
    RemoteSettings {
        timeout: Duration::from_secs(60),
        limit: 1 << 24,
        ..RemoteSettings::default()
    }
}

/// A copy of what a host serves.
pub(crate) struct Copy {
    pub(crate) folder: TempDir,
    url: String,
    pub(crate) settings: RemoteSettings,
}

impl Copy {
    pub(crate) fn of(url: &str) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            url: url.to_owned(),
            settings: settings(),
        }
    }

    pub(crate) fn open(&self) -> Mirror {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<Mirror, FetchError> {
        let Location::Remote(url) = Location::parse(Path::new(&self.url)).unwrap() else {
            panic!("{} is no URL", self.url);
        };
        let runtime = tokio::runtime::Handle::current();
        let folder = self.folder.path().join("copy");
        Mirror::open(&folder, url, self.settings.clone(), runtime)
    }

    /// Fetches, and reads what came.
    async fn fetch(&self, reference: Option<&str>, history: History) -> Result<String, FetchError> {
        let mirror = self.open();
        let reference = reference.map(str::to_owned);
        tokio::task::spawn_blocking(move || {
            let revision = mirror.fetch(reference.as_deref(), history)?;
            readable(&mirror, &revision);
            Ok(revision.to_string())
        })
        .await
        .unwrap()
    }

    pub(crate) async fn newest(&self, reference: Option<&str>) -> Result<String, FetchError> {
        self.fetch(reference, History::Newest).await
    }
}

/// Reads every file of a commit.
pub(crate) fn readable(mirror: &Mirror, revision: &Revision) {
    let tree = mirror.repository().tree_at(revision).unwrap();
    let mut builder = SnapshotBuilder::new();
    let snapshot = builder
        .build(&tree, revision.clone(), &SnapshotOptions::default())
        .unwrap();
    assert!(snapshot.faults.is_empty());
}

fn set(repository: &ValuesRepository, name: &str, commit: &str) {
    let git = git2::Repository::open(repository.path()).unwrap();
    git.reference(name, Oid::from_str(commit).unwrap(), true, "a test")
        .unwrap();
}

fn delete(repository: &ValuesRepository, name: &str) {
    let git = git2::Repository::open(repository.path()).unwrap();
    git.find_reference(name).unwrap().delete().unwrap();
}

/// The branch that a new repository has.
fn branch(repository: &ValuesRepository) -> String {
    let git = git2::Repository::open(repository.path()).unwrap();
    git.head().unwrap().name().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_branch_is_followed_and_its_history_stays_away() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    repository.write_team("green");
    let second = repository.commit("green comes");
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    assert_eq!(copy.newest(None).await.unwrap(), second);
    let git = git2::Repository::open(copy.folder.path().join("copy")).unwrap();
    assert!(git.is_shallow());
    // What is there already is not fetched again.
    assert_eq!(host.asked().len(), 3);
    assert_eq!(copy.newest(None).await.unwrap(), second);
    assert_eq!(host.asked().len(), 1);
    repository.write_team("red");
    let third = repository.commit("red comes");
    assert_eq!(copy.newest(None).await.unwrap(), third);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_history_can_be_fetched_after_the_newest_commit() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let git = git2::Repository::open(repository.path()).unwrap();
    let first = git.refname_to_id("HEAD").unwrap().to_string();
    repository.write_team("green");
    let second = repository.commit("green comes");
    repository.write_team("red");
    let third = repository.commit("red comes");
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    copy.newest(None).await.unwrap();
    copy.fetch(None, History::Whole).await.unwrap();
    let commits = copy
        .open()
        .repository()
        .commits(&format!("{first}..HEAD"))
        .unwrap();
    let commits: Vec<String> = commits.iter().map(ToString::to_string).collect();
    assert_eq!(commits, [second, third]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_a_tag_and_a_commit_can_be_followed() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let git = git2::Repository::open(repository.path()).unwrap();
    let first = git.refname_to_id("HEAD").unwrap();
    let who = git2::Signature::now("A Person", "person@example.com").unwrap();
    git.tag(
        "v1",
        &git.find_object(first, None).unwrap(),
        &who,
        "the first",
        false,
    )
    .unwrap();
    git.tag_lightweight("light", &git.find_object(first, None).unwrap(), false)
        .unwrap();
    set(&repository, "refs/heads/stable", &first.to_string());
    repository.write_team("green");
    let second = repository.commit("green comes");
    let first = first.to_string();
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    for (reference, expected) in [
        ("v1", &first),
        ("light", &first),
        ("stable", &first),
        ("refs/heads/stable", &first),
        ("tags/v1", &first),
        (second.as_str(), &second),
        (first.as_str(), &first),
    ] {
        assert_eq!(
            &copy.newest(Some(reference)).await.unwrap(),
            expected,
            "{reference}"
        );
    }
    let error = copy.newest(Some("gone")).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::NoSuchReference { name } if name == "gone"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_remote_takes_away_stays_readable_until_there_is_something_newer() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let branch = branch(&repository);
    let git = git2::Repository::open(repository.path()).unwrap();
    let first = git.refname_to_id("HEAD").unwrap().to_string();
    repository.write_team("green");
    let second = repository.commit("green comes");
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    copy.newest(None).await.unwrap();

    // A push by force, back to what was before.
    set(&repository, &branch, &first);
    assert_eq!(copy.newest(None).await.unwrap(), first);
    readable(&copy.open(), &Revision::commit(second.clone()));

    // The branch goes, and others remain.
    set(&repository, "refs/heads/other", &first);
    delete(&repository, &branch);
    let error = copy.newest(None).await.unwrap_err();
    assert!(matches!(error, FetchError::NoDefaultBranch), "{error:?}");
    let error = copy.newest(Some(&branch)).await.unwrap_err();
    assert!(matches!(error, FetchError::NoSuchReference { .. }), "{error:?}");

    // All of it goes.
    delete(&repository, "refs/heads/other");
    let error = copy.newest(None).await.unwrap_err();
    assert!(matches!(error, FetchError::Empty), "{error:?}");
    readable(&copy.open(), &Revision::commit(second.clone()));

    // It comes back.
    set(&repository, &branch, &second);
    assert_eq!(copy.newest(None).await.unwrap(), second);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_fetches_leave_few_packs_and_what_was_good() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    let good = copy.newest(None).await.unwrap();
    copy.open().keep(&Revision::commit(good.clone())).unwrap();
    let mut most = 0;
    for number in 0..60 {
        repository.set_domain(&format!("d{number}.example.com"));
        repository.commit("another domain");
        copy.newest(None).await.unwrap();
        let packs = std::fs::read_dir(copy.folder.path().join("copy/objects/pack")).unwrap();
        let is_pack = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "pack");
        most = most.max(packs.map(Result::unwrap).filter(is_pack).count());
    }
    assert!(most <= 51, "{most} packs");
    readable(&copy.open(), &Revision::commit(good));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_git_can_not_open_is_fetched_anew() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let copy = Copy::of(&host.url());
    let newest = copy.newest(None).await.unwrap();
    std::fs::remove_file(copy.folder.path().join("copy/HEAD")).unwrap();
    assert_eq!(copy.newest(None).await.unwrap(), newest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_sent_as_it_was_given_and_its_file_is_read_anew() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let mut copy = Copy::of(&host.url());
    // echo -n otomi-admin:hunter2 | base64
    let basic = Manners {
        login: Some("Basic b3RvbWktYWRtaW46aHVudGVyMg==".to_owned()),
        ..Manners::default()
    };
    host.behave(basic);
    let error = copy.newest(None).await.unwrap_err();
    assert!(matches!(error, FetchError::LoginMissing), "{error:?}");
    let file = copy.folder.path().join("password");
    std::fs::write(&file, "hunter1\n").unwrap();
    copy.settings.username = Some("otomi-admin".to_owned());
    copy.settings.password = Some(Secret::File(file.clone()));
    let error = copy.newest(None).await.unwrap_err();
    assert!(matches!(error, FetchError::LoginRefused), "{error:?}");
    std::fs::write(&file, "hunter2\n").unwrap();
    copy.newest(None).await.unwrap();

    host.behave(Manners {
        login: Some("Bearer hunter3".to_owned()),
        ..Manners::default()
    });
    copy.settings.token = Some(Secret::Text("hunter3".into()));
    copy.newest(None).await.unwrap();
    std::fs::remove_file(file).unwrap();
    copy.settings.token = None;
    let error = copy.newest(None).await.unwrap_err();
    assert!(error.to_string().contains("git-password-file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_within_the_host_alone() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let other = GitServer::serve(repository.path()).await;
    let mut copy = Copy::of(&host.url());
    copy.settings.token = Some(Secret::Text("hunter2".into()));
    host.behave(Manners {
        redirect: Some("/moved/values.git/info/refs?service=git-upload-pack".to_owned()),
        ..Manners::default()
    });
    copy.newest(None).await.unwrap();
    assert!(
        host.asked()
            .last()
            .unwrap()
            .starts_with("POST /moved/values.git/git-upload-pack")
    );

    let elsewhere = format!("{}/info/refs?service=git-upload-pack", other.url());
    host.behave(Manners {
        redirect: Some(elsewhere),
        ..Manners::default()
    });
    let error = copy.newest(None).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Redirected { to } if to.starts_with(&other.url())),
        "{error:?}"
    );
    assert_eq!(other.asked(), [] as [String; 0]);

    host.behave(Manners {
        redirect: Some("/otomi/values.git/info/refs?service=git-upload-pack".to_owned()),
        ..Manners::default()
    });
    let error = copy.newest(None).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Redirected { .. }),
        "a loop: {error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_misbehaves_is_named_for_what_it_does() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let mut copy = Copy::of(&host.url());
    copy.settings.limit = 1 << 20;
    copy.settings.timeout = Duration::from_millis(400);
    let status = |status| Manners {
        status: Some(status),
        ..Manners::default()
    };
    let page = Manners {
        content_type: Some("text/html"),
        ..Manners::default()
    };
    let hangs = Manners {
        misdeed: Some(Misdeed::Hangs),
        ..Manners::default()
    };
    let floods = Manners {
        misdeed: Some(Misdeed::Floods),
        ..Manners::default()
    };
    for (manners, part) in [
        (status(404), "no such repository"),
        (status(403), "no such repository"),
        (status(503), "answered 503"),
        (page, "no git behind the URL"),
        (hangs, "within 400ms"),
        (floods, "more than the 1048576 bytes"),
    ] {
        host.behave(manners);
        let error = copy.newest(None).await.unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error:?}");
    }
    // Nothing of it is left in the way.
    host.behave(Manners::default());
    copy.settings.timeout = Duration::from_secs(60);
    copy.newest(None).await.unwrap();
    let nobody = Copy::of("http://127.0.0.1:1/values.git");
    let error = nobody.newest(None).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable(_)), "{error:?}");
}
