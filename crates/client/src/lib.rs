//! A client of daemons, kiln's and others: over BuildKit's API it builds through a daemon, kiln's or BuildKit's own, and offers in
//! a session what only the client has: directories, secrets, SSH agents, credentials, and places for
//! what is exported.
//!
//! Pure protocol: which files there are and where things go is said by whoever implements the traits
//! in [`offers`]. What the daemon sends is bounded, and asks for nothing that was not offered. Over
//! Docker's API it asks for images and containers ([`docker`]).
//!
//! Reading order: `address` and `connection` reach a daemon, `client` makes calls, `offers` is what a session is made of, `session` answers the
//! daemon.

mod address;
mod client;
mod connection;
mod docker;
mod failure;
mod history;
mod offers;
mod session;
mod tasks;
mod tls;
mod told;

/// Messages of BuildKit's API.
pub mod messages {
    pub use bollard_buildkit_proto::google::protobuf::Timestamp;
    pub use bollard_buildkit_proto::moby::buildkit::v1::types::{GcPolicy, WorkerRecord};
    pub use bollard_buildkit_proto::moby::buildkit::v1::{
        BuildHistoryRecord, CacheOptions, CacheOptionsEntry, Descriptor, DiskUsageRequest,
        Exporter, PruneRequest, SolveRequest, StatusResponse, UsageRecord, Vertex, VertexLog,
        VertexStatus, VertexWarning,
    };
    pub use bollard_buildkit_proto::pb::{Definition, Position, Range};
}

pub use address::Address;
pub use client::Client;
pub use connection::{ConnectError, Way, dial};
pub use docker::{
    Attached, Docker, DockerError, Left, PruneAnswer, RegistryLogin, StreamError, Waiting,
};
pub use failure::{Failure, Lines};
pub use futures_util::future::BoxFuture;
pub use offers::{
    Agent, Bytes, Content, Credentials, Directory, Files, Kind, Located, Login, Offered, Offers,
    Output, Secret, Secrets, Selection, Sink, Store,
};
pub use tls::{OwnFiles, Tls, TlsError, TlsFiles};
