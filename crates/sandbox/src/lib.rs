//! Runs one process in a prepared root file system, away from the host.
//!
//! What always holds: killing the process ends everything it started, since it is PID 1 of a PID
//! namespace, or has one above it that sees to that; it dies when this process dies; its mounts
//! exist in its own namespace only and vanish with it, and where none can be made, what would be
//! mounted is moved into the root and out again ([`Isolation::Chroot`]); no descriptor of ours is open in it but its standard input, output and error. What a
//! [`Spec`] asks for is either done or an error. This crate knows no images, blobs or graphs: roots
//! and mounts are [`sys::mount`] values.
//!
//! Reading order: [`spec`] says what can be asked for, [`plan`](self) turns it into the steps that
//! the new process takes, a [`Sandbox`] starts them, and [`Running`] is what has been started. Where
//! there is one user only, [`owners`] is what processes believe instead; [`network`] is who
//! passes on what comes out of a network of a process's own.

mod cgroup;
mod chroot;
mod error;
mod group;
mod hosts;
pub mod network;
mod owners;
mod place;
mod plan;
pub mod rootless;
mod running;
mod seccomp;
mod spawner;
mod spec;
mod start;
mod terminal;
pub mod user;

pub use error::{LookupError, SandboxError};
pub use group::{Exceeded, GroupVersion, Means};
pub use hosts::{ExtraHost, has_nameserver, hosts, resolv_conf};
pub use network::{Connector, ConnectorKind, Disconnected};
pub use place::{Place, PlaceStdio};
pub use plan::is_device_path;
pub use running::{LeftNetwork, Running};
pub use seccomp::FilterError;
pub use spec::{
    DeviceKind, DeviceNode, GroupLimits, Isolation, Limit, Network, Process, Resource, Security,
    Spec, Stdio,
};
pub use start::Sandbox;
pub use sys::capability::CapabilitySet;
pub use sys::process::Exit;
pub use terminal::Terminal;
pub use user::User;
