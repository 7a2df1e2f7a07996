//! Where all parts are put together: the only place that knows every layer.
//!
//! - [`source`]: the repository, the job files, and what a commit asks for.
//! - [`connect`]: the servers, from settings.
//! - [`doctor`]: whether everything is set up.
//! - [`downloads`]: the download of push logins, over HTTP and from a terminal.
//! - [`instruments`]: the metrics and the heartbeat of a daemon.
//! - [`pass`]: one pass over everything, for `apply`.
//! - [`preview`]: what a pass would do, for `plan`.
//! - [`service`]: the daemon's loop, for `run`.
//! - [`serving`]: what the daemon serves over HTTP.
//! - [`rehearse`]: the same flow against stand-ins.

pub mod connect;
pub mod doctor;
pub mod downloads;
pub mod instruments;
mod missed_hooks;
mod origin;
pub mod pass;
pub mod preview;
pub mod rehearse;
pub mod service;
pub mod serving;
pub mod source;
mod source_error;
mod world;

use std::path::Path;

use crate::edge::store::{OpenError, SledJournal};
use crate::run::journal::{Journal as _, JournalError};
use crate::serve::status::StatusReport;

/// A journal that can't be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] JournalError),
    /// There is none.
    #[error("failed to find a journal in {}; is --state right?", .0.display())]
    Missing(std::path::PathBuf),
}

/// Opens the journal of a state folder. A damaged one is moved aside, which is told in the log.
///
/// # Errors
/// When the folder can't be used or another process works with it.
pub async fn open_journal(state: &Path) -> Result<SledJournal, StateError> {
    let state = state.to_owned();
    let opened = tokio::task::spawn_blocking(move || SledJournal::open(&state)).await;
    // The thread ends early only when it panics, which is told where it happens.
    let opened = opened.unwrap_or_else(|lost| std::panic::resume_unwind(lost.into_panic()))?;
    if let Some(aside) = &opened.moved_aside {
        tracing::warn!(
            journal.moved_to = %aside.display(),
            "the journal was damaged and is rebuilt from the repository and the servers; the damaged one is kept"
        );
    }
    Ok(opened.journal)
}

/// The status in the journal of a daemon that does not run.
///
/// # Errors
/// When there is no journal, or it can't be read.
pub async fn stopped_status(state: &Path) -> Result<StatusReport, StateError> {
    if !state.join("journal").is_dir() {
        return Err(StateError::Missing(state.to_owned()));
    }
    let (daemon, lanes) = open_journal(state).await?.load().await?;
    Ok(StatusReport::new(daemon, lanes))
}
