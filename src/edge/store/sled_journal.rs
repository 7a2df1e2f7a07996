//! The journal in sled.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::codec::{self, CodecError};
use super::seal::{SEAL, Seal};
use super::witness::Witness;
use super::writer::Writer;
use crate::run::journal::{DaemonRecord, Journal, JournalError};
use crate::run::record::{LaneId, LaneRecord};

/// sled would take a gigabyte otherwise.
const CACHE: u64 = 32 << 20;
const DAEMON: &[u8] = b"daemon";
const LANE: &str = "lane/";

/// A journal that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it can't be used.
    #[error("failed to {act} {}", path.display())]
    Folder {
        /// What was tried.
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("another harborage works with {}; stop it, or give another --state", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// A newer harborage wrote it.
    #[error("failed to read the journal in {}", path.display())]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Which version.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// sled can't open it, although nothing in it is damaged.
    #[error("failed to open the journal in {}", path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// What sled said.
        #[source]
        source: sled::Error,
    },
}

/// A journal that was opened, and whether a damaged one had to make way.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: SledJournal,
    /// Where the damaged one was moved. It is rebuilt from the repository and the servers.
    pub moved_aside: Option<PathBuf>,
}

/// Keeps records in a folder. One process at a time.
#[derive(Debug)]
pub struct SledJournal {
    // Fields are dropped in this order: the thread ends, then sled closes, then the lock is given back.
    writer: Writer,
    database: sled::Db,
    _lock: File,
}

impl SledJournal {
    /// Opens the journal of a state folder, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder can't be used, another process has it, or a newer harborage wrote it. A damaged
    /// journal is no error: it is moved aside, since everything in it can be found out again.
    pub fn open(state: &Path) -> Result<Opened, OpenError> {
        let failed = |act, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { act, path, source }
        };
        std::fs::create_dir_all(state).map_err(failed("make the folder", state))?;
        let lock = lock(state)?;
        let folder = state.join("journal");
        remove_unfinished_snapshots(&folder).map_err(failed("clean up", &folder))?;
        let witness_path = state.join("journal.written");
        let witness = Witness::open(&witness_path).map_err(failed("open", &witness_path))?;
        if !folder.exists() {
            // Somebody took the journal away on purpose: nothing was lost.
            witness.tell(0).map_err(failed("write", &witness_path))?;
        }
        let told = witness.told().map_err(failed("read", &witness_path))?;
        let mut moved_aside = None;
        let (database, seal) = match open_guarded(&folder, told) {
            Ok(sound) => sound,
            Err(Unsound::Damaged) => {
                let aside = free_name(state);
                std::fs::rename(&folder, &aside).map_err(failed("move aside", &folder))?;
                witness.tell(0).map_err(failed("write", &witness_path))?;
                moved_aside = Some(aside);
                (
                    open_sled(&folder).map_err(|source| OpenError::Store {
                        path: folder.clone(),
                        source,
                    })?,
                    Seal::default(),
                )
            }
            Err(Unsound::Newer(source)) => {
                return Err(OpenError::Newer {
                    path: folder,
                    source: source.into(),
                });
            }
            Err(Unsound::Store(source)) => return Err(OpenError::Store { path: folder, source }),
        };
        // sled syncs what is in its files, not that the files are there.
        for made in [&folder, state] {
            sync_folder(made).map_err(failed("sync the folder", made))?;
        }
        let writer = Writer::start(database.clone(), &folder, witness, seal)
            .map_err(failed("start the thread of", &folder))?;
        Ok(Opened {
            journal: Self {
                writer,
                database,
                _lock: lock,
            },
            moved_aside,
        })
    }
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// How long to wait for somebody who only reads, as `harborage status` does.
const READING: Duration = Duration::from_secs(1);

/// Our own lock, taken before anything is touched: sled takes its own only while it opens.
fn lock(state: &Path) -> Result<File, OpenError> {
    let path = state.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| OpenError::Folder {
            act: "open the lock file",
            path: path.clone(),
            source,
        })?;
    let patience = Instant::now() + READING;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(OpenError::Taken {
                    path: state.to_owned(),
                });
            }
            Err(std::fs::TryLockError::Error(source)) => {
                return Err(OpenError::Folder {
                    act: "lock",
                    path,
                    source,
                });
            }
        }
    }
}

/// A crash can leave `snap.*.generating`, and sled 0.34 does not open over one (spacejam/sled#1533).
fn remove_unfinished_snapshots(folder: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

enum Unsound {
    Damaged,
    Newer(CodecError),
    Store(sled::Error),
}

/// How long to wait for a store that this process has just closed.
const CLOSING: Duration = Duration::from_secs(5);

/// sled's threads may hold the file for a moment after its last handle is gone. Nobody else can have it,
/// since we hold our own lock.
pub(super) fn open_sled(folder: &Path) -> Result<sled::Db, sled::Error> {
    let patience = Instant::now() + CLOSING;
    loop {
        match sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE)
            .mode(sled::Mode::LowSpace)
            .open()
        {
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock") && Instant::now() < patience =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// sled 0.34 panics over some damage instead of answering (seen: "tried to serialize Uninitialized").
fn open_guarded(folder: &Path, told: u64) -> Result<(sled::Db, Seal), Unsound> {
    std::panic::catch_unwind(|| open_sound(folder, told)).unwrap_or(Err(Unsound::Damaged))
}

/// Opens sled, reads every record once, since damage shows itself only when it is read, and compares the
/// whole with its seal and with the number of batches that were `told` to be durable.
fn open_sound(folder: &Path, told: u64) -> Result<(sled::Db, Seal), Unsound> {
    let unsound = |error| match error {
        sled::Error::Corruption { .. } => Unsound::Damaged,
        error => Unsound::Store(error),
    };
    let unreadable = |error| match error {
        ReadError::Store(error) => unsound(error),
        ReadError::Codec(error @ CodecError::Newer(_)) => Unsound::Newer(error),
        ReadError::Codec(CodecError::Damaged) => Unsound::Damaged,
    };
    let database = open_sled(folder).map_err(unsound)?;
    read_all(&database).map_err(unreadable)?;
    let seal = seal(&database).map_err(unreadable)?;
    let sound = seal.batch >= told && seal == Seal::of(&database, seal.batch).map_err(unsound)?;
    if sound {
        Ok((database, seal))
    } else {
        Err(Unsound::Damaged)
    }
}

fn seal(database: &sled::Db) -> Result<Seal, ReadError> {
    Ok(match database.get(SEAL)? {
        Some(bytes) => codec::decode(&bytes)?,
        None => Seal::default(),
    })
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("failed to read from sled")]
    Store(#[from] sled::Error),
    #[error("failed to decode a record")]
    Codec(#[from] CodecError),
}

fn read_all(database: &sled::Db) -> Result<(DaemonRecord, Vec<LaneRecord>), ReadError> {
    let daemon = match database.get(DAEMON)? {
        Some(bytes) => codec::decode(&bytes)?,
        None => DaemonRecord::default(),
    };
    let mut lanes = Vec::new();
    for entry in database.scan_prefix(LANE) {
        lanes.push(codec::decode(&entry?.1)?);
    }
    Ok((daemon, lanes))
}

/// A name beside the journal that nothing has.
fn free_name(state: &Path) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let name = state.join(format!("journal.corrupt-{number}"));
        if !name.exists() {
            return name;
        }
        number += 1;
    }
}

fn key(lane: &LaneId) -> Vec<u8> {
    // A team may be called platform, so the kinds have folders of their own.
    let name = match lane {
        LaneId::Platform => "platform".to_owned(),
        LaneId::Team(team) => format!("team/{team}"),
    };
    format!("{LANE}{name}").into_bytes()
}

fn error(act: String, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> JournalError {
    JournalError {
        act,
        source: source.into(),
    }
}

#[async_trait]
impl Journal for SledJournal {
    async fn load(&self) -> Result<(DaemonRecord, Vec<LaneRecord>), JournalError> {
        let database = self.database.clone();
        let act = || "read the journal".to_owned();
        tokio::task::spawn_blocking(move || read_all(&database))
            .await
            .map_err(|lost| error(act(), lost))?
            .map_err(|failed| error(act(), failed))
    }

    async fn put_lane(&self, record: &LaneRecord) -> Result<(), JournalError> {
        let act = || format!("write the record of {}", record.lane);
        let bytes = codec::encode(record).map_err(|failed| error(act(), failed))?;
        self.writer
            .write(key(&record.lane), Some(bytes))
            .await
            .map_err(|failed| error(act(), failed))
    }

    async fn remove_lane(&self, lane: &LaneId) -> Result<(), JournalError> {
        let written = self.writer.write(key(lane), None).await;
        written.map_err(|failed| error(format!("remove the record of {lane}"), failed))
    }

    async fn put_daemon(&self, record: &DaemonRecord) -> Result<(), JournalError> {
        let act = || "write the daemon's record".to_owned();
        let bytes = codec::encode(record).map_err(|failed| error(act(), failed))?;
        self.writer
            .write(DAEMON.to_vec(), Some(bytes))
            .await
            .map_err(|failed| error(act(), failed))
    }

    fn size(&self) -> Option<u64> {
        self.database.size_on_disk().ok()
    }
}
