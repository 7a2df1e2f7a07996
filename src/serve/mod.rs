//! What comes in: the local socket on which a running daemon tells its status, and the download of push logins.

pub mod download;
pub mod status;
pub mod token;
