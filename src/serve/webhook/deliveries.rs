//! Which deliveries came before.
//!
//! A delivery is known by its id and by its body, and either is enough: most hosts don't sign the id, so
//! that somebody who recorded a delivery could send it again with another one. What is remembered is
//! bounded; only what proved a secret and is ours comes in, so no flood of forged deliveries gets in.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::run::lock;

/// What a delivery is known by.
pub type Digest = [u8; 32];

/// How long a delivery is remembered, in seconds. Hosts give up repeating one long before.
const DAY: i64 = 24 * 60 * 60;
/// How many digests are remembered. The oldest go first.
pub const CAPACITY: usize = 10_000;

/// The file of the deliveries can't be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} {}", path.display())]
pub struct DeliveriesError {
    /// What was tried.
    pub act: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

/// Remembers deliveries.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Whether none of the digests came within the last day; then they are remembered. Of two calls at once
    /// with one digest, one gets `true`.
    ///
    /// # Errors
    /// When they could not be kept for the next start. The delivery may be taken all the same: to
    /// look at the repository twice does no harm, and not to look might.
    async fn first_seen(&self, digests: &[Digest], now: DateTime<Utc>) -> Result<bool, DeliveriesError>;
}

/// What is remembered, oldest first.
#[derive(Debug, Default)]
struct Remembered {
    order: VecDeque<(Digest, i64)>,
    known: HashSet<Digest>,
}

impl Remembered {
    /// Remembers the digests, unless one of them is known. A repeat brings nothing new in: with a
    /// fresh id at each repeat it would push out all else.
    fn note(&mut self, digests: &[Digest], now: i64) -> bool {
        while self.order.front().is_some_and(|(_, at)| now - at >= DAY) {
            self.forget_oldest();
        }
        if digests.iter().any(|digest| self.known.contains(digest)) {
            return false;
        }
        for digest in digests {
            self.put(*digest, now);
        }
        true
    }

    fn put(&mut self, digest: Digest, at: i64) {
        if self.known.insert(digest) {
            self.order.push_back((digest, at));
        }
        if self.order.len() > CAPACITY {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((digest, _)) = self.order.pop_front() {
            self.known.remove(&digest);
        }
    }
}

/// Remembers until the process ends.
#[derive(Debug, Default)]
pub struct MemoryDeliveries(Mutex<Remembered>);

#[async_trait]
impl Deliveries for MemoryDeliveries {
    async fn first_seen(&self, digests: &[Digest], now: DateTime<Utc>) -> Result<bool, DeliveriesError> {
        Ok(lock(&self.0).note(digests, now.timestamp()))
    }
}

/// Remembers across restarts, in a file with one digest and its time a line.
///
/// The file is appended to, and rewritten when most of it is out of date. It is not synced: what a
/// machine that loses power forgets can be sent once more, which costs a look at the repository.
#[derive(Debug, Clone)]
pub struct FileDeliveries(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    remembered: Remembered,
    file: File,
    path: PathBuf,
    lines: usize,
}

/// More lines than this are not worth keeping: at least half of them are out of date.
const LINES: usize = 2 * CAPACITY;
/// The longest line: a digest in hexadecimal, a space, a time, a line feed.
const LINE: usize = 64 + 1 + 20 + 1;

impl FileDeliveries {
    /// Opens the file, which is made where it is missing. Lines that can't be read are left out.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn open(path: &Path) -> Result<Self, DeliveriesError> {
        let remembered = read(path).map_err(failed("read", path))?;
        let file = rewrite(path, &remembered).map_err(failed("write", path))?;
        let lines = remembered.order.len();
        Ok(Self(Arc::new(Mutex::new(Kept {
            remembered,
            file,
            path: path.to_owned(),
            lines,
        }))))
    }
}

#[async_trait]
impl Deliveries for FileDeliveries {
    async fn first_seen(&self, digests: &[Digest], now: DateTime<Utc>) -> Result<bool, DeliveriesError> {
        let (kept, digests) = (self.0.clone(), digests.to_owned());
        let noted = tokio::task::spawn_blocking(move || lock(&kept).note(&digests, now.timestamp())).await;
        // It is not aborted, and has nothing that panics.
        noted.unwrap_or(Ok(true))
    }
}

impl Kept {
    fn note(&mut self, digests: &[Digest], now: i64) -> Result<bool, DeliveriesError> {
        let first = self.remembered.note(digests, now);
        if !first {
            return Ok(false);
        }
        if self.lines + digests.len() > LINES {
            self.file = rewrite(&self.path, &self.remembered).map_err(failed("rewrite", &self.path))?;
            self.lines = self.remembered.order.len();
            return Ok(true);
        }
        let text: String = digests.iter().map(|digest| line(digest, now)).collect();
        // One write, so that a process that is killed leaves whole lines.
        self.file
            .write_all(text.as_bytes())
            .map_err(failed("write", &self.path))?;
        self.lines += digests.len();
        Ok(true)
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DeliveriesError {
    let path = path.to_owned();
    move |source| DeliveriesError { act, path, source }
}

fn line(digest: &Digest, at: i64) -> String {
    format!("{} {at}\n", hex::encode(digest))
}

fn parse(line: &str) -> Option<(Digest, i64)> {
    let (digest, at) = line.split_once(' ')?;
    let mut bytes = Digest::default();
    hex::decode_to_slice(digest, &mut bytes).ok()?;
    Some((bytes, at.parse().ok()?))
}

fn read(path: &Path) -> io::Result<Remembered> {
    let mut bytes = Vec::new();
    match File::open(path) {
        // Somebody else may have made it long.
        Ok(file) => file.take((2 * LINES * LINE) as u64).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let mut remembered = Remembered::default();
    for (digest, at) in String::from_utf8_lossy(&bytes).lines().filter_map(parse) {
        remembered.put(digest, at);
    }
    Ok(remembered)
}

/// Writes the file anew and opens it to append to it.
fn rewrite(path: &Path, remembered: &Remembered) -> io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    let text: String = remembered
        .order
        .iter()
        .map(|(digest, at)| line(digest, *at))
        .collect();
    fresh.write_all(text.as_bytes())?;
    fresh.persist(path).map_err(|error| error.error)?;
    File::options().append(true).open(path)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn digest(number: u64) -> Digest {
        let mut digest = Digest::default();
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    fn noon() -> DateTime<Utc> {
        "2026-11-02T12:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn a_delivery_is_first_once_a_day() {
        let memory = MemoryDeliveries::default();
        for (hours, first) in [(0, true), (0, false), (23, false), (24, true), (25, false)] {
            let now = noon() + TimeDelta::hours(hours);
            assert_eq!(
                memory.first_seen(&[digest(1)], now).await.unwrap(),
                first,
                "{hours}"
            );
        }
    }

    #[tokio::test]
    async fn one_digest_that_is_known_makes_a_repeat_and_a_repeat_brings_nothing_in() {
        let memory = MemoryDeliveries::default();
        assert!(memory.first_seen(&[digest(1), digest(2)], noon()).await.unwrap());
        assert!(!memory.first_seen(&[digest(3), digest(2)], noon()).await.unwrap());
        assert!(memory.first_seen(&[digest(3)], noon()).await.unwrap());
    }

    #[test]
    fn only_so_many_are_remembered_and_the_oldest_go_first() {
        let mut remembered = Remembered::default();
        let count = CAPACITY as u64 + 5;
        (0..count).for_each(|number| assert!(remembered.note(&[digest(number)], 0)));
        assert_eq!(
            (remembered.order.len(), remembered.known.len()),
            (CAPACITY, CAPACITY)
        );
        assert!(!remembered.note(&[digest(5)], 0));
        assert!(remembered.note(&[digest(4)], 0));
    }

    #[tokio::test]
    async fn a_restart_forgets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries");
        for first in [true, false] {
            let file = FileDeliveries::open(&path).unwrap();
            assert_eq!(file.first_seen(&[digest(1)], noon()).await.unwrap(), first);
        }
        let file = FileDeliveries::open(&path).unwrap();
        assert!(
            file.first_seen(&[digest(1)], noon() + TimeDelta::days(1))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn a_damaged_file_costs_the_damaged_lines_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries");
        let whole = line(&digest(1), noon().timestamp());
        let mut bytes = b"\xff\xff\nnonsense 5\n".to_vec();
        bytes.extend(whole.as_bytes());
        bytes.extend(&line(&digest(2), 5).as_bytes()[..40]);
        std::fs::write(&path, bytes).unwrap();
        let file = FileDeliveries::open(&path).unwrap();
        assert!(!file.first_seen(&[digest(1)], noon()).await.unwrap());
        assert!(file.first_seen(&[digest(2)], noon()).await.unwrap());
        // What is appended does not join a torn line.
        assert!(
            !FileDeliveries::open(&path)
                .unwrap()
                .first_seen(&[digest(2)], noon())
                .await
                .unwrap()
        );
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries");
        let file = FileDeliveries::open(&path).unwrap();
        let mut kept = lock(&file.0);
        for number in 0..3 * CAPACITY as u64 {
            assert!(kept.note(&[digest(number)], noon().timestamp()).unwrap());
            assert!(kept.lines <= LINES);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), kept.lines);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = FileDeliveries::open(&folder.path().join("away/deliveries")).unwrap_err();
        assert!(error.to_string().starts_with("failed to write "), "{error}");
    }
}
