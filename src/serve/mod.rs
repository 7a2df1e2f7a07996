//! What comes in: the local socket on which a running daemon tells its status.

pub mod status;
