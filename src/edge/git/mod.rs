//! Trees of a values repository, from git objects or a plain working tree.
