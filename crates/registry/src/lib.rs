//! The client of registries (distribution-spec): resolve, pull and push images.
//!
//! The only HTTP client for images. It streams in and out and touches no disk, no environment
//! and no wall clock: settings come as a [`Config`], credentials through [`Credentials`].
//! Every byte that it gives is checked against the digest and the size that were asked for;
//! what breaks on the way is resumed here, within [`Limits`]. Making a [`Client`] costs
//! nothing: connections and certificates come with the first request.

mod auth;
mod client;
mod config;
mod credentials;
pub mod docker_config;
mod endpoint;
mod error;
mod exchange;
mod login;
mod pull;
mod push;
mod reach;
mod retry;
mod wire;

pub use client::Client;
pub use config::{Config, ConfigError, HostConfig, Limits, Proxy};
pub use credentials::{
    Anonymous, BoxFuture, Credential, Credentials, CredentialsError, GivenToken, Secret,
    WantedToken,
};
pub use error::{At, Error, Hint, Problem, Problems, SetupError, TransportError, What};
pub use pull::{BlobStream, Resolved};
pub use push::{BlobBody, BlobSource, Pushed};
pub use reach::leads_nearer;
pub use wire::CertificatesError;
