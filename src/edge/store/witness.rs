//! How much was written, told outside of sled.
//!
//! A damaged log may open without its end, its seal included. So the number of a batch is told to a file
//! beside the store once the batch is durable, and a store whose seal has a smaller number was damaged.
//!
//! The file isn't synced. A process that is killed leaves it as it is; a machine that loses power may leave
//! an older number, which is no more than the store has, and so never a false alarm.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The digits of the largest number: the file's length never changes, so a full disk doesn't stop it.
const DIGITS: usize = 20;

/// The file that tells the number of the last durable batch.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    path: PathBuf,
}

impl Witness {
    /// Opens the file, which is made where it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// The number that was told last; 0 when there is none, or none that can be read.
    pub(super) fn told(&self) -> io::Result<u64> {
        let text = std::fs::read(&self.path)?;
        Ok(std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.trim_end().parse().ok())
            .unwrap_or(0))
    }

    /// Tells the number of a batch that is durable.
    pub(super) fn tell(&self, batch: u64) -> io::Result<()> {
        self.file
            .write_all_at(format!("{batch:0DIGITS$}\n").as_bytes(), 0)
    }
}
