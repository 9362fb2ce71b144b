//! The client against a registry in memory that fails as told, and against a real one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod blobs;
mod case;
mod documents;
mod helper;
mod lies;
mod limits;
mod mirrors;
mod pushes;
mod real;
mod uploads;
