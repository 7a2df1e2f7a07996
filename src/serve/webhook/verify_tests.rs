//! Published examples of signatures, and every way in which one may be wrong.

use axum::http::HeaderMap;
use secrecy::SecretString;

use super::host::Host;
use super::sender_tests::*;
use super::verify::Claim;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            name.parse::<axum::http::HeaderName>().unwrap(),
            value.parse().unwrap(),
        );
    }
    headers
}

fn holds(host: Host, lines: &[(&str, &str)], body: &str, secrets: &[&str], now: i64) -> bool {
    let secrets: Vec<_> = secrets.iter().map(|text| SecretString::from(*text)).collect();
    let now = chrono::DateTime::from_timestamp(now, 0).unwrap();
    Claim::read(host, &headers(lines)).is_some_and(|claim| claim.holds(body.as_bytes(), &secrets, now))
}

const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
const GITHUB_SECRET: &str = "It's a Secret to Everybody";

#[test]
fn the_example_of_github_s_documentation_holds() {
    let github = |value, secrets: &[&str]| {
        let lines = [("x-hub-signature-256", value)];
        holds(Host::GitHub, &lines, "Hello, World!", secrets, 0)
    };
    assert!(github(GITHUB, &[GITHUB_SECRET]));
    assert!(github(GITHUB, &["old", GITHUB_SECRET]) && github(GITHUB, &[GITHUB_SECRET, "new"]));
    assert!(!github(GITHUB, &[]) && !github(GITHUB, &["", "old"]));
}

/// From the specification of Standard Webhooks, whose form GitLab signs in.
const STANDARD: [(&str, &str); 3] = [
    ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
    ("webhook-timestamp", "1614265330"),
    (
        "webhook-signature",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
];
const STANDARD_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_TIME: i64 = 1_614_265_330;

fn standard(change: Option<(&str, &str)>, now: i64) -> bool {
    let mut lines = STANDARD;
    if let Some((name, value)) = change {
        lines.iter_mut().find(|line| line.0 == name).unwrap().1 = value;
    }
    holds(
        Host::GitLab,
        &lines,
        r#"{"test": 2432232314}"#,
        &["old", "whsec_", "whsec_*", STANDARD_KEY],
        now,
    )
}

#[test]
fn the_example_of_standard_webhooks_holds_for_five_minutes_around_its_time() {
    for (offset, expected) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
        assert_eq!(standard(None, STANDARD_TIME + offset), expected, "{offset}");
    }
}

#[test]
fn one_of_several_standard_signatures_is_enough_and_a_flood_of_them_is_not() {
    let good = STANDARD[2].1;
    let bad = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let listed = |entries: &[&str]| standard(Some(("webhook-signature", &entries.join(" "))), STANDARD_TIME);
    assert!(listed(&[bad, good]) && listed(&["v1a,bm90IG91cnM=", good]));
    assert!(!listed(&[bad]) && !listed(&[bad, bad, bad, bad, good]) && !listed(&[""]));
    assert!(!listed(&[&good.replace("v1,", "v2,")]));
}

#[test]
fn what_a_standard_signature_covers_can_not_be_changed() {
    for change in [
        ("webhook-id", "msg_another"),
        ("webhook-timestamp", "1614265331"),
        ("webhook-timestamp", "+1614265330"),
        ("webhook-timestamp", "soon"),
        ("webhook-timestamp", "99999999999999999999"),
    ] {
        assert!(!standard(Some(change), STANDARD_TIME), "{change:?}");
    }
    // The furthest times that can be written must not overflow.
    for time in ["9223372036854775807", "-9223372036854775808"] {
        assert!(!standard(Some(("webhook-timestamp", time)), STANDARD_TIME));
    }
}

#[test]
fn a_signature_of_gitlab_that_fails_is_not_rescued_by_a_token() {
    let mut lines = STANDARD.to_vec();
    lines.push(("x-gitlab-token", "right"));
    let lines_token = [("x-gitlab-token", "right")];
    assert!(holds(Host::GitLab, &lines_token, "", &["right"], STANDARD_TIME));
    assert!(!holds(Host::GitLab, &lines, "", &["right"], STANDARD_TIME));
}

#[test]
fn a_token_holds_whole_or_not_at_all() {
    let token =
        |given: &str, secrets: &[&str]| holds(Host::GitLab, &[("x-gitlab-token", given)], "", secrets, 0);
    assert!(token("right", &["right"]) && token("right", &["old", "right"]));
    for given in ["", "r", "righ", "rightt", "Right", "wrong", "right right"] {
        assert!(!token(given, &["right"]), "{given}");
    }
    assert!(!token("", &[""]) && !token("", &[]));
}

#[test]
fn the_password_of_a_basic_login_counts_whoever_it_is() {
    use base64::Engine as _;
    let basic = |login: &str| {
        let value = base64::engine::general_purpose::STANDARD.encode(login);
        holds(
            Host::AzureDevOps,
            &[("authorization", &format!("Basic {value}"))],
            "",
            &["pa:ss"],
            0,
        )
    };
    assert!(basic("me:pa:ss") && basic(":pa:ss"));
    assert!(!basic("me:pa") && !basic("pa:ss") && !basic("me:") && !basic("me") && !basic(""));
    for value in ["Bearer pa:ss", "Basic", "Basic !", "Basic //8=", "basic"] {
        assert!(
            !holds(Host::AzureDevOps, &[("authorization", value)], "", &["pa:ss"], 0),
            "{value}"
        );
    }
}

#[test]
fn every_hmac_form_refuses_what_is_missing_malformed_weak_or_doubled() {
    let body = "{}";
    let good = sign(SECRET, body.as_bytes());
    let forms = [
        (Host::GitHub, "x-hub-signature-256", "sha256="),
        (Host::BitbucketCloud, "x-hub-signature", "sha256="),
        (Host::BitbucketDataCenter, "x-hub-signature", "sha256="),
        (Host::Gitea, "x-gitea-signature", ""),
        (Host::Forgejo, "x-forgejo-signature", ""),
        (Host::Generic, "x-signature", "sha256="),
    ];
    for (host, name, prefix) in forms {
        let right = format!("{prefix}{good}");
        let holds = |lines: &[(&str, &str)]| holds(host, lines, body, &[SECRET], 0);
        assert!(holds(&[(name, &right)]), "{host:?}");
        assert!(!holds(&[]), "{host:?}");
        assert!(!holds(&[(name, &right), (name, &right)]), "{host:?}, doubled");
        assert!(!holds(&[(name, &right), (name, "")]), "{host:?}, doubled");
        // HMAC-SHA1 and HMAC-MD5 of the body by the right secret.
        let (sha1, md5) = (
            "ad8212b3c8f82be2af96964efe24fe0e494b5df9",
            "4696c7eccdfadca0c956e42a26f19dae",
        );
        let wrong = [
            String::new(),
            prefix.to_owned(),
            format!("{prefix}{}", &good[..62]),
            format!("{prefix}{good}00"),
            format!("{prefix}{}", good.replace(['a', 'b', 'c'], "0")),
            format!("{right}, {right}"),
            format!("{prefix}{}", "zz".repeat(32)),
            format!("sha1={sha1}"),
            sha1.to_owned(),
            format!("md5={md5}"),
            md5.to_owned(),
            format!("sha256:{good}"),
            format!("SHA256={good}"),
            format!("sha1={good}"),
            format!("none={good}"),
        ];
        for value in wrong {
            assert!(!holds(&[(name, &value)]), "{host:?}: {value}");
        }
    }
}
