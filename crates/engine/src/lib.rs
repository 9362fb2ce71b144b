//! Joins the crates below it into `Engine`: sources, ops, exporters, images and containers.
//!
//! The only crate that knows the store, the registry, the sandbox and the solver at once.
//! No terminal, no environment, no HTTP server.

pub mod compress;
mod config;

pub use config::{BuildConfig, Config, ConfigError, RegistryConfig};
