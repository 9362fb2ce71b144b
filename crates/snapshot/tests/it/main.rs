//! The crate as its users see it: trees and archives described in text, before and after.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and measurements are printed"
)]

mod apply;
mod changes;
mod checksum;
mod copy;
mod diff;
mod edit;
mod filter;
mod fixture;
mod measure;
mod snapshotter;
mod tar;
