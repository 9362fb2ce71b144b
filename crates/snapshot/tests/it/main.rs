//! The crate as its users see it: trees and archives described in text, before and after.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

mod apply;
mod changes;
mod checksum;
mod copy;
mod diff;
mod edit;
mod fixture;
mod snapshotter;
mod tar;
