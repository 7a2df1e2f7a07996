//! Every host's deliveries, as its documentation describes them.

use axum::http::StatusCode;

use super::sender_tests::*;
use super::*;
use crate::run::lock;

const COMMIT: &str = "2e1d8b65eaf2d4d2d5c7b2a4a3a1d8b65eaf2d4d";

const FOLDERS: [(&str, Host); 9] = [
    ("github", Host::GitHub),
    ("gitlab", Host::GitLab),
    ("gitlab-signed", Host::GitLab),
    ("gitea", Host::Gitea),
    ("forgejo", Host::Forgejo),
    ("bitbucket", Host::BitbucketCloud),
    ("bitbucket-data-center", Host::BitbucketDataCenter),
    ("azure-devops", Host::AzureDevOps),
    ("generic", Host::Generic),
];

/// What is followed where the deliveries of a folder are ours.
fn ours(folder: &str, reference: &str) -> Subject {
    let url = match folder {
        "azure-devops" => "https://dev.azure.com/otomi/platform/_git/values",
        _ => "http://gitea-http.gitea:3000/otomi/values.git",
    };
    Subject {
        repository: RepositoryName::parse(url),
        reference: Some(reference.to_owned()),
    }
}

/// Every fixture: folder, case, host.
fn all() -> Vec<(String, String, Host)> {
    let mut all = Vec::new();
    for (folder, host) in FOLDERS {
        for entry in std::fs::read_dir(fixtures().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let case = path.file_stem().unwrap().to_string_lossy().into_owned();
                all.push((folder.to_owned(), case, host));
            }
        }
    }
    assert!(all.len() >= FOLDERS.len() * 5, "{} fixtures", all.len());
    all
}

#[tokio::test]
async fn every_host_is_told_by_its_headers_and_its_deliveries_are_understood() {
    for (folder, case, host) in all() {
        let name = format!("{folder}/{case}");
        let delivery = Delivery::fixture(&name);
        assert_eq!(Host::detect(&delivery.headers), Some(host), "{name}");
        for path in ["/hooks".to_owned(), format!("/hooks/{}", host.name())] {
            let world = World::with(ours(&folder, "main"));
            let (status, body) = world.send_to(&path, &delivery).await;
            let (expected, outcome, commit) = match case.as_str() {
                "push" | "system" => (202, Outcome::Accepted, Some(COMMIT)),
                "branch-deleted" => (202, Outcome::Accepted, None),
                "other-branch" | "tag" | "other-event" => (202, Outcome::NotOurs, None),
                "test" => (200, Outcome::Tested, None),
                _ => panic!("{name} is no case"),
            };
            assert_eq!(status.as_u16(), expected, "{name}: {body}");
            let counted: Vec<_> = world.counts.each().filter(|(_, _, count)| *count > 0).collect();
            assert_eq!(counted, [(host.name(), outcome, 1)], "{name}");
            assert_eq!(world.was_poked(), outcome == Outcome::Accepted, "{name}");
            let last = world.counts.last_push();
            assert_eq!(last.is_some(), outcome == Outcome::Accepted, "{name}");
            if let Some(last) = last {
                assert_eq!((last.at, last.commit.as_deref()), (noon(), commit), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn no_host_s_delivery_holds_once_a_byte_or_the_secret_is_another() {
    for (folder, case, host) in all() {
        let name = format!("{folder}/{case}");
        let mut changed = Delivery::fixture(&name);
        changed.body.push(b' ');
        // What is sent with the secret itself does not vouch for its body.
        let vouched = !matches!(folder.as_str(), "gitlab" | "azure-devops");
        let world = World::new();
        let status = world.send(&changed).await.0;
        assert_eq!(status == 401, vouched, "{name}");

        let world = World::new();
        lock(&world.secrets).clear();
        lock(&world.secrets).push("another");
        assert_eq!(world.send(&Delivery::fixture(&name)).await, refused(), "{name}");
        assert!(!world.was_poked());
        let counted: Vec<_> = world.counts.each().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(counted, [(host.name(), Outcome::Refused, 1)]);
    }
}

#[tokio::test]
async fn a_host_s_own_path_takes_no_other_form() {
    for (folder, case, host) in all() {
        let delivery = Delivery::fixture(&format!("{folder}/{case}"));
        for other in Host::ALL.into_iter().filter(|other| *other != host) {
            // They send these forms too, each with its own signature.
            let also = matches!(
                (host, other),
                (Host::Gitea, Host::GitHub) | (Host::Forgejo, Host::GitHub | Host::Gitea)
            );
            let world = World::new();
            let path = format!("/hooks/{}", other.name());
            let (status, body) = world.send_to(&path, &delivery).await;
            assert_eq!(status == 401, !also, "{folder}/{case} at {path}: {body}");
        }
    }
}

#[tokio::test]
async fn a_tag_that_is_followed_counts() {
    for (folder, _) in FOLDERS {
        let world = World::with(ours(folder, "v1.2.0"));
        for (case, outcome) in [("tag", "accepted"), ("push", "not_ours")] {
            let delivery = Delivery::fixture(&format!("{folder}/{case}"));
            assert_eq!(world.send(&delivery).await, told(202, outcome), "{folder}/{case}");
        }
    }
}

#[tokio::test]
async fn the_default_branch_is_followed_where_none_is_named() {
    for (folder, _) in FOLDERS {
        let world = World::with(Subject::default());
        assert_eq!(
            world.send(&Delivery::fixture(&format!("{folder}/push"))).await,
            told(202, "accepted"),
            "{folder}"
        );
        // These don't say which branch is the default one.
        let any = matches!(folder, "bitbucket" | "bitbucket-data-center" | "generic");
        let other = Delivery::fixture(&format!("{folder}/other-branch"));
        let expected = if any { "accepted" } else { "not_ours" };
        assert_eq!(world.send(&other).await, told(202, expected), "{folder}");
    }
}

#[tokio::test]
async fn another_repository_is_not_ours() {
    for (folder, _) in FOLDERS {
        let world = World::with(Subject {
            repository: RepositoryName::parse("https://git.example.com/otomi/charts"),
            reference: None,
        });
        let delivery = Delivery::fixture(&format!("{folder}/push"));
        assert_eq!(world.send(&delivery).await, told(202, "not_ours"), "{folder}");
        assert!(!world.was_poked());
    }
}

#[tokio::test]
async fn a_test_says_what_is_followed_and_whether_the_hook_is_of_it() {
    for (folder, matches, part) in [
        ("github", "true", "the hook is of that repository"),
        ("gitea", "true", "the hook is of that repository"),
        ("azure-devops", "false", "the hook is of another repository"),
        ("bitbucket-data-center", "null", "whose hook it is can't be told"),
    ] {
        let delivery = Delivery::fixture(&format!("{folder}/test"));
        let (status, body) = World::new().send_to("/hooks", &delivery).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("the signature is right; this follows main of gitea-http.gitea/otomi/values"));
        assert!(body.contains(part), "{folder}: {body}");
        assert!(
            body.contains(&format!("\"repository_matches\":{matches}")),
            "{folder}: {body}"
        );
    }
}
