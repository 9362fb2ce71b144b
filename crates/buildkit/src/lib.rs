//! BuildKit's build cache in values, so that it and kiln can use each other's.
//!
//! BuildKit knows a step by the digest of its op, written as JSON, and by what its inputs are known
//! by, each whole or by the content of the paths that are read of it. This crate computes the
//! same digests from kiln's ops, and reads and writes the document that a cache is exported as.
//!
//! Pure: files come as values, and what reads them is the caller's. Reading order: [`CacheMap`] is
//! what an op is known by, [`content`] the digest of files, [`Chains`] builds a [`CacheConfig`], and
//! [`Index`] finds records in one.
//!
//! What always holds: an op that BuildKit has no equal of has no [`CacheMap`], never a wrong one;
//! a config from outside is bounded and checked before it is used.

mod cache_map;
mod chains;
mod config;
pub mod content;
mod exec;
mod file;
mod index;
mod json;
mod source;

pub use cache_map::{CacheMap, InputMap, InputSource, Selector, output_key};
pub use chains::{Chains, Link, RecordId};
pub use config::{
    CONFIG_TYPE, CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult, ChainedResult,
    ConfigError, MAX_CONFIG, OwnKeys, annotation,
};
pub use index::{Found, Index, Record};
pub use source::{git_digest, image_digest, own_digest};

#[cfg(test)]
mod tests;
