//! What sets lanes to work, and since when.

use chrono::{DateTime, Utc};
use tracing::Span;

use crate::values::Revision;

/// When something was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// When the commit was read.
    pub read: DateTime<Utc>,
    /// When it was made, by its own word; `None` for a working tree.
    pub committed: Option<DateTime<Utc>>,
}

/// What set a lane to work. Its commit is a newer one than the target's where a team is held.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    pub(super) revision: Revision,
    pub(super) asked: Asked,
    /// What the lane's work is part of.
    pub(super) span: Span,
}
