//! Serves kiln over a socket, so that other programs' clients work with it.
//!
//! These are clients of the Docker Engine API and of BuildKit's. What they send ends in the same
//! requests to the engine as what is typed. Every request that is not answered in full is
//! refused by name. A client that goes away ends what it asked for.
//!
//! Reading order: `listen` and `server` take connections, `watched` every request, `docker` says which request is answered where, and
//! `buildkit` the same of calls.

mod answer;
mod buildkit;
mod descriptor;
mod docker;
mod grpc;
mod listen;
mod log;
mod metrics;
mod peer;
mod query;
mod server;
mod signal;
mod stream;
mod timely;
mod trace;
pub mod view;
mod watched;

pub use buildkit::BUILDKIT;
pub use buildkit::{SourceRules, keep_packets};
pub use docker::{Daemon, Identity, Open};
pub use listen::{ListenError, Listener, Tls, TlsFiles};
pub use log::{Entry, Level, Log};
pub use server::{serve, serve_one};
pub use trace::TraceOptions;
