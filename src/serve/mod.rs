//! What comes in: the local socket on which a running daemon tells its status.

pub mod poke;
pub mod socket;
pub mod status;
