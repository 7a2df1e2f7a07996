//! The stores of the journal: sled on disk, and memory.
