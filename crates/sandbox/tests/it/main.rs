//! What a process in a sandbox sees, and what is left of it afterwards.
//!
//! The root is Debian's static busybox. All of these need to be root on Linux; elsewhere there is
//! nothing to test, and each says so.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test code: a failure stops the test, and measurements are printed"
)]

mod chroot;
mod cni;
mod command;
mod end;
mod fixture;
mod inside;
mod network;
mod speed;
