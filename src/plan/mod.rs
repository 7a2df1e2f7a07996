//! Differences between what a commit asks for and what the servers hold, as steps.
