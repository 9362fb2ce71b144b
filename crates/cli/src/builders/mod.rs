//! Builders under names, in the files of buildx: a builder that either made is used by the other.
//!
//! A file is seen whole, and who changes one holds the lock of all. Names are checked before they
//! are part of a path, and what is read is bounded: others write these files too.

mod driver;
mod error;
mod files;
mod group;
mod name;
mod random;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use driver::{
    OTHERS, REMOTE, check_endpoint, is_endpoint, no_driver, not_for_remote, reach, remote_options,
};
pub(crate) use error::BuildersError;
pub(crate) use group::{Group, Node, NodeChange};
pub(crate) use store::{Change, Store};
