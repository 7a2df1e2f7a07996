//! The integration tests, one binary.

mod layers;
mod replay;
mod smoke;
