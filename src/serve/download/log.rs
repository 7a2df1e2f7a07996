//! The record of downloads: `downloads.jsonl` in the state folder, one line a download, added to and never
//! changed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::right::Right;
use crate::run::lock;

/// Who was handed what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Download {
    /// When.
    pub at: DateTime<Utc>,
    /// The team.
    pub team: String,
    /// The Secret, as `namespace/name`.
    pub secret: String,
    /// The issuer's id of the user.
    pub subject: String,
    /// The user's name.
    pub username: String,
    /// By what right.
    pub right: Right,
    /// Where the connection came from; a proxy's address behind a proxy.
    pub address: Option<String>,
    /// What a proxy, or whoever says to be one, told of where the request came from.
    pub forwarded_for: Option<String>,
}

/// A download that can't be recorded.
#[derive(Debug, thiserror::Error)]
#[error("failed to record a download in {}", path.display())]
pub struct LogError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Where downloads are recorded.
#[derive(Debug, Clone)]
pub struct DownloadLog {
    path: Arc<Path>,
    /// Lines are written one after the other.
    writing: Arc<Mutex<()>>,
}

impl DownloadLog {
    /// The record of a state folder. The file is made with the first download.
    #[must_use]
    pub fn in_folder(state: &Path) -> Self {
        Self {
            path: state.join("downloads.jsonl").into(),
            writing: Arc::default(),
        }
    }

    /// Records a download. It is on the disk when this returns.
    ///
    /// # Errors
    /// When that is not sure; then nothing may be handed out.
    pub async fn record(&self, download: Download) -> Result<(), LogError> {
        let log = self.clone();
        let recorded = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = lock(&log.writing);
            append(&log.path, &download)
        });
        let recorded = recorded.await.unwrap_or_else(|lost| Err(io::Error::other(lost)));
        recorded.map_err(|source| LogError {
            path: self.path.to_path_buf(),
            source,
        })
    }
}

/// The file is opened each time, so that it can be moved away when it has grown.
fn append(path: &Path, download: &Download) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let mut line = serde_json::to_vec(download)?;
    line.push(b'\n');
    let is_new = file.metadata()?.len() == 0;
    if !is_new && !ends_in_newline(&mut file)? {
        // A line that was cut off, by a full disk say, spoils itself alone.
        line.insert(0, b'\n');
    }
    file.write_all(&line)?;
    file.sync_all()?;
    match path.parent() {
        Some(folder) if is_new => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn ends_in_newline(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::Value;

    use super::*;

    fn download(team: &str) -> Download {
        Download {
            at: DateTime::UNIX_EPOCH,
            team: team.to_owned(),
            secret: format!("team-{team}/harbor-pushsecret"),
            subject: "s".to_owned(),
            username: "a\n\"user\"".to_owned(),
            right: Right::Member,
            address: None,
            forwarded_for: None,
        }
    }

    fn teams(path: &Path) -> Vec<Option<String>> {
        let text = std::fs::read_to_string(path).unwrap();
        let team = |line| {
            Some(
                serde_json::from_str::<Value>(line).ok()?["team"]
                    .as_str()?
                    .to_owned(),
            )
        };
        text.lines().map(team).collect()
    }

    #[tokio::test]
    async fn each_download_is_a_line_that_only_the_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let log = DownloadLog::in_folder(folder.path());
        log.record(download("a")).await.unwrap();
        log.record(download("b")).await.unwrap();
        assert_eq!(teams(&log.path), [Some("a".to_owned()), Some("b".to_owned())]);
        let mode = std::fs::metadata(&log.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let log = DownloadLog::in_folder(folder.path());
        std::fs::write(&log.path, "{\"team\":\"a\"}\n{\"tea").unwrap();
        log.record(download("b")).await.unwrap();
        assert_eq!(
            teams(&log.path),
            [Some("a".to_owned()), None, Some("b".to_owned())]
        );
    }

    #[tokio::test]
    async fn what_can_not_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let log = DownloadLog::in_folder(folder.path());
        std::os::unix::fs::symlink("/dev/full", &log.path).unwrap();
        let error = log.record(download("a")).await.unwrap_err();
        assert!(error.to_string().contains("downloads.jsonl"));
    }
}
