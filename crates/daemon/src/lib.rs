//! Serves kiln over a socket, so that other programs' clients work with it.
//!
//! Today these are clients of the Docker Engine API, without BuildKit. What they send ends in the
//! same requests to the engine as what is typed. Every request that is not answered in full is
//! refused by name. A client that goes away ends what it asked for.
//!
//! Reading order: `server` takes connections, `docker` says which request is answered where.

mod answer;
mod docker;
mod query;
mod server;
mod stream;
pub mod view;

pub use docker::{Daemon, Identity, Open};
pub use server::serve;
