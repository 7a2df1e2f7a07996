//! The one thread that writes: it takes whatever waits, writes it, and makes it durable once for all.
//!
//! sled's own `flush` ends in `sync_file_range`, which flushes neither the disk's cache nor the file's
//! metadata, so the file is synced after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::codec;
use super::seal::{SEAL, Seal};
use super::witness::Witness;

/// A change, and who waits for it to be durable.
struct Change {
    key: Vec<u8>,
    /// None to remove the key.
    value: Option<Vec<u8>>,
    done: oneshot::Sender<Result<(), WriteError>>,
}

/// A change that may not be durable. After one, nothing is written until the store is opened anew: sled
/// keeps an error of its log for itself, and what it would say afterwards can't be relied on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store can't be written: {0}; free the disk or mend its folder, then start again")]
pub(super) struct WriteError(String);

/// Hands changes to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    changes: Option<Sender<Change>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `folder` is the one that sled writes in, `seal` what it holds.
    pub(super) fn start(
        database: sled::Db,
        folder: &Path,
        witness: Witness,
        mut seal: Seal,
    ) -> std::io::Result<Self> {
        let (changes, inbox) = mpsc::channel::<Change>();
        let folder = folder.to_owned();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                let mut broken: Option<WriteError> = None;
                while let Ok(first) = inbox.recv() {
                    let mut batch = vec![first];
                    batch.extend(inbox.try_iter());
                    let result = match &broken {
                        Some(error) => Err(error.clone()),
                        None => write(&database, &folder, &batch, &mut seal).and_then(|()| {
                            witness
                                .tell(seal.batch)
                                .map_err(|error| WriteError(error.to_string()))
                        }),
                    };
                    broken = result.as_ref().err().cloned();
                    for change in batch {
                        // Whoever asked may have been stopped meanwhile; the change is durable all the same.
                        let _ = change.done.send(result.clone());
                    }
                }
            })?;
        Ok(Self {
            changes: Some(changes),
            thread: Some(thread),
        })
    }

    /// Writes a change. When this returns, it and every change before it are durable.
    pub(super) async fn write(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), WriteError> {
        let (done, written) = oneshot::channel();
        let gone = || WriteError("its thread has ended".to_owned());
        let changes = self.changes.as_ref().ok_or_else(gone)?;
        changes.send(Change { key, value, done }).map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    /// Lets the thread finish what it was handed, and give the store back.
    fn drop(&mut self) {
        self.changes = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told to whoever waited, as a lost answer.
            let _ = thread.join();
        }
    }
}

fn write(database: &sled::Db, folder: &Path, batch: &[Change], seal: &mut Seal) -> Result<(), WriteError> {
    let failed = |error: &dyn std::error::Error| WriteError(error.to_string());
    // Of several changes of a key, the last one counts.
    let latest: BTreeMap<&[u8], Option<&[u8]>> = batch
        .iter()
        .map(|change| (change.key.as_slice(), change.value.as_deref()))
        .collect();
    let mut changes = sled::Batch::default();
    for (key, value) in latest {
        if let Some(former) = database.get(key).map_err(|error| failed(&error))? {
            seal.toggle(key, &former);
        }
        match value {
            Some(value) => {
                seal.toggle(key, value);
                changes.insert(key, value);
            }
            None => changes.remove(key),
        }
    }
    seal.batch += 1;
    changes.insert(SEAL, codec::encode(seal).map_err(|error| failed(&error))?);
    database.apply_batch(changes).map_err(|error| failed(&error))?;
    database.flush().map_err(|error| failed(&error))?;
    sync(folder).map_err(|error| failed(&error))
}

/// Syncs sled's log, and the files in which it keeps large values.
fn sync(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder.join("db"))?.sync_data()?;
    let blobs: PathBuf = folder.join("blobs");
    match std::fs::read_dir(&blobs) {
        Ok(entries) => {
            for entry in entries {
                std::fs::File::open(entry?.path())?.sync_data()?;
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
