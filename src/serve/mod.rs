//! What comes in: the local sockets of a running daemon, the webhooks of git hosts, and the download of push
//! logins.

pub mod download;
pub mod listener;
pub mod poke;
pub mod socket;
pub mod status;
pub mod token;
pub mod webhook;
