//! What comes in: the local socket on which a running daemon tells its status, and the webhooks of git hosts.

pub mod status;
pub mod webhook;
