//! What tests need and no product has: scratch directories, trees as text, a fake registry
//! with faults, a real one when it is installed, somebody to talk to, checks of images and layouts,
//! and the places that kiln runs in.
//!
//! Depends on `oci` alone among our crates, so that every crate can use it. Everything here
//! panics when it fails: a test that cannot be set up has failed.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod image;
pub mod network;
mod place;
mod real_registry;
pub mod registry;
mod scratch;
pub mod seeds;
pub mod tree;

pub use image::{Image, check_layout};
pub use place::{Needs, Place, skip};
pub use real_registry::{RealRegistry, has_program, run};
pub use registry::FakeRegistry;
pub use scratch::Scratch;
