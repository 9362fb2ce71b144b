//! Safe wrappers around Linux system calls.
//!
//! This is the only crate with `unsafe`, and each block says why it is sound. What is here always
//! holds for hostile input as well: paths are resolved beneath a root descriptor ([`resolve`]),
//! nothing follows a symbolic link out of it, and every descriptor is close-on-exec.
//!
//! Reading order: [`mount`] has the mount values that the crates above speak with one another,
//! [`resolve`] the way to reach a path beneath a root, [`copy`], [`xattr`] and [`node`] what is
//! done to one file.

pub mod capability;
pub mod copy;
mod handed;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod node;
pub mod owner;
pub mod process;
mod raw;
pub mod resolve;
pub mod seccomp;
pub mod user_namespace;
pub mod write_back;
pub mod xattr;

pub use handed::handed;
pub use resolve::Root;
