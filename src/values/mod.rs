//! What an Otomi values repository may say: names, layouts, documents.

pub mod names;
mod revision;

pub use revision::Revision;
