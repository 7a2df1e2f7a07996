//! What comes in: the local socket on which a running daemon tells its status, its metrics, its health.

pub mod health;
pub mod metrics;
pub mod status;
