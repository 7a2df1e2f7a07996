//! The integration tests, one binary.

mod replay;
