//! What comes in: the local sockets of a running daemon, the webhooks of git hosts, the download of push logins,
//! and who asks for its metrics and health.

pub mod download;
pub mod health;
pub mod listener;
pub mod metrics;
pub mod poke;
pub mod socket;
pub mod status;
pub mod token;
pub mod webhook;
