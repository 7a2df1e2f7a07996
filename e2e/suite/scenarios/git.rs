//! Git hosts, and what people do to a repository.

use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use harborage::serve::status::StatusReport;

use crate::apache;
use crate::check::logins;
use crate::git::{self, bare, git, head, push};
use crate::harborage::{Daemon, Program, file};
use crate::keycloak::CLIENT_SECRET;
use crate::process::run;
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};
use crate::values::Values;

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario!(
            "a private repository of Gitea is followed with a token, and refused without",
            gitea
        ),
        scenario!(
            "a repository is followed over https with a password and a private authority",
            https
        ),
        scenario!(
            "a repository is followed through the proxy of the environment",
            proxy
        ),
        scenario!("a redirect to another host is refused and told", redirects),
        scenario!("a repository is followed over ssh, from a known host alone", ssh),
        scenario!("a bare repository of another user on disk is followed", on_disk),
        scenario!("a shallow clone on disk is followed", shallow),
        scenario!("a tag is followed, and the branch that goes on is not", tag),
        scenario!(
            "a forced push, a branch that vanishes and an emptied repository take nothing away",
            rewritten
        ),
        scenario!(
            "no password is in a log, an error or the process list",
            no_password
        ),
    ]
}

/// Follows a repository through one commit more than it has, pushed to where it is.
async fn followed(stage: &Stage, program: &Program, values: &mut Values, to: &str, team: &str) -> Daemon {
    let daemon = program.start();
    let commit = values.commit("the same again");
    push(values.folder(), to).await;
    program.until_ready(&commit).await;
    values.add(team);
    let commit = values.commit("one more");
    push(values.folder(), to).await;
    stage.took(program.until_ready(&commit).await);
    stage.assert_provisioned(team).await;
    daemon
}

/// Two teams, of which the repository has the first.
async fn two_teams(stage: &Stage) -> (Values, String) {
    let first = stage.team_with_namespace("first").await;
    let second = stage.team_with_namespace("second").await;
    (stage.values(&[&first]), second)
}

async fn gitea(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    let gitea = stage.world.gitea().await;
    let url = gitea.repository("values").await;
    let to = gitea.push_url("values");
    push(values.folder(), &to).await;
    let mut program = stage.program(&url).await;
    let refused = program.run("plan").await;
    assert_eq!(refused.status, Some(1));
    let logged = program.logged() + &refused.printed;
    assert!(logged.contains("asks for a login"), "{logged}");

    let token = gitea.token("values").await;
    program.set("git-password-file", file(stage.folder(), "token", &token));
    let daemon = followed(&stage, &program, &mut values, &to, &team).await;
    gitea.revoke("values").await;
    let refused = |report: &StatusReport| {
        report
            .daemon
            .unreadable
            .as_ref()
            .is_some_and(|(_, why)| why.contains("refuses the login"))
    };
    program.until("a revoked token is told", refused).await;
    // The file is read again, without a restart.
    file(stage.folder(), "token", &gitea.token("next").await);
    program
        .until("a new token is used", |report| report.daemon.unreadable.is_none())
        .await;
    daemon.stop().await;
}

/// The program, set to sign in at the git host of Apache.
async fn at_apache(stage: &Stage, path: &str) -> Program {
    let apache = stage.world.apache().await;
    let mut program = stage.program(&format!("{}{path}", apache.url())).await;
    program.set("git-ca-file", apache.ca());
    program.set("git-username", apache::USER);
    program.set(
        "git-password-file",
        file(stage.folder(), "git-password", apache::PASSWORD),
    );
    program
}

async fn https(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    let repository = stage.world.apache().await.repository("https").await;
    let mut program = at_apache(&stage, "/git/https.git").await;
    let to = repository.to_str().unwrap();
    followed(&stage, &program, &mut values, to, &team)
        .await
        .stop()
        .await;
    // Without the authority the host is a stranger.
    program.unset("git-ca-file");
    let refused = program.run("plan").await;
    assert_eq!(refused.status, Some(1), "{}", refused.printed);
}

async fn proxy(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    let apache = stage.world.apache().await;
    let repository = apache.repository("proxy").await;
    let mut program = at_apache(&stage, "/git/proxy.git").await;
    program.set_variable("HTTPS_PROXY", apache.proxy());
    // The other servers are reached without it.
    let hosts = [&stage.kubernetes().url, &stage.harbor().url.clone()].map(|url| host_and_port(url));
    program.set_variable("NO_PROXY", &hosts.join(","));
    let before = apache.proxied();
    let to = repository.to_str().unwrap();
    followed(&stage, &program, &mut values, to, &team)
        .await
        .stop()
        .await;
    assert!(apache.proxied() > before, "the proxy was not asked");
}

fn host_and_port(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    format!(
        "{}:{}",
        url.host_str().unwrap(),
        url.port_or_known_default().unwrap()
    )
}

async fn redirects(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    let repository = stage.world.apache().await.repository("redirected").await;
    let to = repository.to_str().unwrap();
    push(values.folder(), to).await;
    let program = at_apache(&stage, "/elsewhere/redirected.git").await;
    let refused = program.run("plan").await;
    assert_eq!(refused.status, Some(1));
    let told = program.logged() + &refused.printed;
    assert!(told.contains("redirects to https://127.0.0.1:"), "{told}");
    // Within the host it is followed.
    let program = at_apache(&stage, "/here/redirected.git").await;
    followed(&stage, &program, &mut values, to, &team)
        .await
        .stop()
        .await;
}

async fn ssh(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    let ssh = stage.world.ssh().await;
    let repository = stage.folder().join("a folder's name.git");
    bare(&repository).await;
    let to = repository.to_str().unwrap();
    push(values.folder(), to).await;
    let mut program = stage.program(&ssh.url(&to.replace(' ', "%20"))).await;
    let told = |program: &Program, ended: crate::harborage::Ended| {
        assert_eq!(ended.status, Some(1), "{}", ended.printed);
        program.logged() + &ended.printed
    };
    let ended = program.run("plan").await;
    assert!(told(&program, ended).contains("git-ssh-key-file is not set"));
    program.set("git-ssh-key-file", ssh.key());
    program.set("git-known-hosts-file", ssh.other_hosts());
    let ended = program.run("plan").await;
    assert!(told(&program, ended).contains("is not the one in"));
    program.set("git-known-hosts-file", file(stage.folder(), "nobody", ""));
    let ended = program.run("plan").await;
    assert!(told(&program, ended).contains("is not in"));
    program.set("git-known-hosts-file", ssh.known_hosts());
    program.set("git-ssh-key-file", ssh.other_key());
    let ended = program.run("plan").await;
    assert!(told(&program, ended).contains("refuses the login"));
    program.set("git-ssh-key-file", ssh.key());
    followed(&stage, &program, &mut values, to, &team)
        .await
        .stop()
        .await;
}

async fn on_disk(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    let repository = stage.folder().join("bare.git");
    bare(&repository).await;
    let to = repository.to_str().unwrap();
    push(values.folder(), to).await;
    run(Command::new("chown").args(["-R", "nobody"]).arg(&repository)).await;
    let program = stage.program(to).await;
    let daemon = program.start();
    let commit = head(values.folder()).await;
    program.until_ready(&commit).await;
    values.add(&team);
    let commit = values.commit("one more");
    // Git lets nobody push into the repository of somebody else's unless its configuration says so.
    let trusting = file(stage.folder(), "gitconfig", "[safe]\ndirectory = *\n");
    let mut pushing = git::command(values.folder(), &["push", "--quiet", to, "main"]);
    run(pushing.env("GIT_CONFIG_GLOBAL", trusting)).await;
    stage.took(program.until_ready(&commit).await);
    stage.assert_provisioned(&team).await;
    daemon.stop().await;
}

async fn shallow(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    values.commit("a history");
    let clone = stage.folder().join("shallow");
    let url = format!("file://{}", values.folder().display());
    git(
        stage.folder(),
        &["clone", "--quiet", "--depth=1", &url, "shallow"],
    )
    .await;
    let program = stage.program(clone.to_str().unwrap()).await;
    let daemon = program.start();
    program.until_ready(&head(&clone).await).await;
    values.add(&team);
    let commit = values.commit("one more");
    git(&clone, &["fetch", "--quiet", "--depth=1", "origin", "main"]).await;
    git(&clone, &["reset", "--quiet", "--hard", "FETCH_HEAD"]).await;
    stage.took(program.until_ready(&commit).await);
    stage.assert_provisioned(&team).await;
    daemon.stop().await;
}

async fn tag(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    let apache = stage.world.apache().await;
    let repository = apache.repository("tagged").await;
    let to = repository.to_str().unwrap();
    git(
        values.folder(),
        &["tag", "-a", "-m", "what is deployed", "deployed"],
    )
    .await;
    push(values.folder(), to).await;
    git(values.folder(), &["push", "--quiet", to, "deployed"]).await;
    let commit = head(values.folder()).await;
    let mut program = at_apache(&stage, "/git/tagged.git").await;
    program.set("reference", "deployed");
    let daemon = program.start();
    program.until_ready(&commit).await;
    values.add(&team);
    let next = values.commit("one more");
    push(values.folder(), to).await;
    // Each look at the host is one call at least.
    let before = program.calls();
    program
        .until("the host was asked again", |_| {
            program.calls().since(before).git >= 3
        })
        .await;
    assert_eq!(
        stage.harbor().project(&format!("team-{team}")).await,
        None,
        "the branch was followed"
    );
    let tag = ["tag", "--force", "-a", "-m", "what is deployed now", "deployed"];
    git(values.folder(), &tag).await;
    git(values.folder(), &["push", "--quiet", "--force", to, "deployed"]).await;
    stage.took(program.until_ready(&next).await);
    stage.assert_provisioned(&team).await;
    daemon.stop().await;
}

async fn rewritten(stage: Arc<Stage>) {
    let (mut values, team) = two_teams(&stage).await;
    let first = values.teams[0].clone();
    let repository = stage.world.apache().await.repository("rewritten").await;
    let to = repository.to_str().unwrap();
    push(values.folder(), to).await;
    let mut program = at_apache(&stage, "/git/rewritten.git").await;
    program.set("reference", "main");
    let daemon = program.start();
    program.until_ready(&head(values.folder()).await).await;

    // Another history, by force.
    git(values.folder(), &["checkout", "--quiet", "--orphan", "other"]).await;
    git(values.folder(), &["branch", "--quiet", "-D", "main"]).await;
    git(values.folder(), &["checkout", "--quiet", "-b", "main"]).await;
    values.add(&team);
    let rewritten = values.commit("a history of its own");
    push(values.folder(), to).await;
    stage.took(program.until_ready(&rewritten).await);
    stage.assert_provisioned(&team).await;
    let calls = program.calls();
    let told = |part: &'static str| move |report: &StatusReport| matches!(&report.daemon.unreadable, Some((_, why)) if why.contains(part));

    // The branch vanishes while others stay, and then all of them do.
    git(
        &repository,
        &["update-ref", "refs/heads/spare", "refs/heads/main"],
    )
    .await;
    git(&repository, &["update-ref", "-d", "refs/heads/main"]).await;
    let vanished = told("no branch, tag or commit \"main\"");
    program.until("the vanished branch is told", vanished).await;
    git(&repository, &["update-ref", "-d", "refs/heads/spare"]).await;
    program
        .until("the emptied repository is told", told("it has no commit"))
        .await;

    // It comes back without any file in it, which is refused.
    let empty = values.commit_nothing("nothing");
    push(values.folder(), to).await;
    let refused = |report: &StatusReport| matches!(&report.daemon.refused, Some((revision, _)) if revision.to_string() == empty);
    program.until("the empty commit is refused", refused).await;
    assert_eq!(program.calls().since(calls).writes, 0);
    stage.assert_provisioned(&first).await;
    stage.assert_provisioned(&team).await;

    let mended = values.commit("all of it again");
    push(values.folder(), to).await;
    program.until_ready(&mended).await;
    daemon.stop().await;
}

async fn no_password(stage: Arc<Stage>) {
    let (values, _) = two_teams(&stage).await;
    let first = values.teams[0].clone();
    let apache = stage.world.apache().await;
    let repository = apache.repository("secret").await;
    push(values.folder(), repository.to_str().unwrap()).await;
    let mut program = at_apache(&stage, "/git/secret.git").await;
    program.log_filter = "trace".to_owned();
    let daemon = program.start();
    program.until_ready(&head(values.folder()).await).await;
    stage.assert_provisioned(&first).await;
    let list = run(Command::new("ps").args(["-eo", "args"])).await;
    assert!(
        list.contains("secret.git") && !list.contains(apache::PASSWORD),
        "{list}"
    );
    daemon.stop().await;
    program.set(
        "git-password-file",
        file(stage.folder(), "git-password", "another-wrong-password"),
    );
    let ended = program.run("plan").await;
    assert_eq!(ended.status, Some(1));
    let logged = program.logged() + &ended.printed;
    assert!(logged.contains("refuses the login"), "{}", ended.printed);
    let token = std::fs::read_to_string(stage.kubernetes().token_path()).unwrap();
    let mut passwords = vec![
        (apache::USER.to_owned(), apache::PASSWORD.to_owned()),
        (apache::USER.to_owned(), "another-wrong-password".to_owned()),
        ("admin".to_owned(), stage.harbor().password().to_owned()),
        ("token".to_owned(), token),
        ("client".to_owned(), CLIENT_SECRET.to_owned()),
    ];
    passwords.extend(logins(&stage, &first).await);
    for (user, password) in passwords {
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        assert!(
            !logged.contains(&password) && !logged.contains(&login),
            "a log holds the password of {user}"
        );
    }
}
