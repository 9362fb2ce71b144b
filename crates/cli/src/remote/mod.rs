//! Builds through a builder that is another process: from a [`engine::BuildRequest`] to a request of
//! BuildKit's API with what its session offers, and from what the builder says to what people read.
//!
//! Whatever the request asks for goes along, or is an error that names it.

mod address;
mod attributes;
mod caches;
mod choose;
mod contexts;
mod credentials;
mod history;
mod key;
mod offers;
mod outcome;
mod outputs;
mod pick;
mod progress;
mod request;
mod stores;

pub(crate) use address::{Host, Plain, tls_directory, tls_in};
pub(crate) use choose::{Share, by_all, by_what_is_said};
pub(crate) use credentials::CredentialFiles;
pub(crate) use history::{images, past};
pub(crate) use outcome::{failure, image};
pub(crate) use pick::{Builder, DEFAULT, name, named, pick, plain, refuse_elsewhere};
pub(crate) use progress::Narrator;
pub(crate) use request::{Asked, request};

use crate::error::Error;

/// An error for what a builder cannot be asked for.
pub(crate) fn refuse(what: &str, instead: &str) -> Error {
    Error::new(format!(
        "{what} cannot be had of a builder that is another process: {instead}"
    ))
}
