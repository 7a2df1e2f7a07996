//! What an Otomi values repository may say: names, layouts, documents.

pub(crate) mod document;
mod fault;
mod layout;
pub mod names;
mod node;
mod platform;
mod quick;
#[cfg(test)]
mod quick_tests;
mod quota;
mod revision;
mod team;
mod view;
pub mod yaml;
#[cfg(test)]
mod yaml_tests;

pub use document::MAX_FILE;
pub(crate) use fault::Printable;
pub use fault::{Excerpt, Fault, Scope};
pub(crate) use layout::Markers;
pub use layout::{Layout, UnknownLayout};
pub use platform::Platform;
pub(crate) use platform::PlatformParts;
pub use quota::StorageQuota;
pub use revision::Revision;
pub(crate) use team::TEAM_KEYS;
pub use team::Team;
pub(crate) use view::{Faults, FoundValue, View};
