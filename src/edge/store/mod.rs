//! The stores of the journal: sled on disk, and memory.

mod codec;
mod memory;
mod seal;
mod sled_journal;
mod witness;
mod writer;

pub use memory::MemoryJournal;
pub use sled_journal::{OpenError, Opened, SledJournal};

#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod tests;
