//! What comes in: the local socket on which a running daemon tells its status, and who brings a token.

pub mod status;
pub mod token;
