//! What comes in: the local sockets of a running daemon, and the download of push logins.

pub mod download;
pub mod poke;
pub mod socket;
pub mod status;
pub mod token;
