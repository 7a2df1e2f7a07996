//! Where all parts are put together: the only place that knows every layer.
//!
//! - [`source`]: the repository, the job files, and what a commit asks for.
//! - [`connect`]: the servers, from settings.
//! - [`pass`]: one pass over everything, for `apply`.
//! - [`preview`]: what a pass would do, for `plan`.
//! - [`service`]: the daemon's loop, for `run`.
//! - [`rehearse`]: the same flow against stand-ins.

pub mod connect;
pub mod pass;
pub mod preview;
pub mod rehearse;
pub mod service;
pub mod source;
mod world;
