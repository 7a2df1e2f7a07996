//! Why a repository could not be fetched.

use std::path::PathBuf;
use std::time::Duration;

/// Whatever a library said.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a repository could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or one that broke.
    #[error("its host can't be reached")]
    Unreachable(#[source] Cause),
    /// The host did not answer, or not all of it, in time.
    #[error("it was not fetched within {} (git-timeout)", humantime::format_duration(*.limit))]
    TooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// More was sent than is taken.
    #[error("its host sent more than the {limit} bytes that are taken (git-limit)")]
    TooLarge {
        /// How much is taken.
        limit: u64,
    },
    /// The host wants to know who asks, and nothing was set.
    #[error("its host asks for a login, and none is set (git-password-file or git-token-file)")]
    LoginMissing,
    /// The host does not take the login.
    #[error("its host refuses the login")]
    LoginRefused,
    /// The login may not read this repository, or there is none.
    #[error("its host has no such repository, or does not let this login see it ({status})")]
    NotFound {
        /// What the host answered with.
        status: u16,
    },
    /// Another answer than git's protocol has.
    #[error("its host answered {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The host points elsewhere; whoever is there would be given the login.
    #[error("its host redirects to {to}, which is not followed: set the repository to where it is")]
    Redirected {
        /// Where to, without a login.
        to: String,
    },
    /// There is a server, and it does not speak git.
    #[error("there is no git behind the URL: it answers with {content_type:?}")]
    NotGit {
        /// What was answered.
        content_type: String,
    },
    /// A certificate authority, or a password file, that can't be used.
    #[error("{what} can't be used")]
    Setting {
        /// Which setting.
        what: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A setting that this URL needs.
    #[error("{what} is not set, which an ssh URL needs")]
    SettingMissing {
        /// Which setting.
        what: &'static str,
    },
    /// The host has another key than it should, or one that nobody vouched for.
    #[error("the host's key {fingerprint} is {verdict} {}: check it with whoever runs the host", known_hosts.display())]
    HostKey {
        /// The key's fingerprint.
        fingerprint: String,
        /// What is wrong with it.
        verdict: &'static str,
        /// The file that says which keys are right.
        known_hosts: PathBuf,
    },
    /// This build can't.
    #[error("this build has no ssh: build it with the feature ssh, or use an https URL")]
    NoSsh,
    /// The remote's git ended with a message.
    #[error("the remote said: {message}")]
    Remote {
        /// What it said.
        message: String,
    },
    /// Nobody has pushed anything, or all of it was taken away.
    #[error("it has no commit")]
    Empty,
    /// Its `HEAD` names a branch that is not there, so there is nothing to follow.
    #[error("its HEAD names a branch that it does not have: set --reference")]
    NoDefaultBranch,
    /// No branch, tag or commit of that name.
    #[error("it has no branch, tag or commit {name:?}")]
    NoSuchReference {
        /// The name.
        name: String,
    },
    /// No reference has that commit, and this host gives only what a reference has.
    #[error("its host does not give a commit by its id: follow a branch or a tag")]
    ById {
        /// What git said.
        #[source]
        source: git2::Error,
    },
    /// Files of the commit are missing in what was sent.
    #[error("its host sent a commit without all of its files")]
    Incomplete,
    /// harborage is about to end.
    #[error("harborage stops")]
    Stopped,
    /// Another process works with the copy.
    #[error("another harborage works with the copy in {}; stop it, or give another --state", folder.display())]
    Taken {
        /// Its folder.
        folder: PathBuf,
    },
    /// There is something else where the copy should be.
    #[error("{} was not made by harborage; move it away, or give another --state", folder.display())]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// The copy on this machine can't be read or written.
    #[error("the copy in {} can't be used", folder.display())]
    Copy {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// What came does not make sense to git.
    #[error("git does not understand what was sent")]
    Protocol(#[source] git2::Error),
}
