//! Stand-ins of Harbor and Kubernetes that speak real HTTP on loopback.
//!
//! A stand-in is a [`Handler`]: a function from a [`Request`] to an [`Answer`]
//! over a state of its own. Everything around it is shared by all stand-ins:
//!
//! - [`server`] accepts connections and takes each call through its stations;
//! - [`weather`] decides which call is slow, refused, cut off or left hanging;
//! - [`calls`] numbers, counts and remembers them.
//!
//! What a stand-in does not model it answers with 501, never with a made-up
//! success.

pub mod calls;
pub mod harbor;
pub mod kubernetes;
mod listener;
pub mod message;
pub mod server;
pub mod weather;

pub use calls::{Call, CallCounts, CallKind, CallLog};
pub use message::{Answer, Handler, Request};
pub use server::{ServeError, ServerHandle, serve};
pub use weather::{Failure, Weather};
