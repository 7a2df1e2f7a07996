//! The integration tests, one binary.

mod values_trees;
