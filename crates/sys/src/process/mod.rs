//! Starting one process in namespaces of its own, and everything that happens to it until it is
//! reaped.
//!
//! A [`Program`] says, ahead of time and in values, all that the new process does before it becomes
//! the program it is to run: a list of [`Step`]s, then the program's file. [`spawn`] makes the
//! process and lets it carry them out. It shares our memory until then, while the thread that made
//! it stands still: so starting one costs the same however much memory we have, and nothing may be
//! allocated, locked or formatted in it. A step that fails comes back as a [`Failure`].
//! A [`Child`] is known by its pidfd alone: nothing here ever waits for "any child".

mod child;
pub mod other;
mod program;
mod reaper;
mod spawn;
mod wait;
mod watchdog;

pub use program::{Candidates, Execute, Failure, Masked, Program, Stage, Step};
pub use reaper::{Reaped, can_reap, spawn_reaped};
pub use spawn::{Host, Namespaces, SpawnError, Stack, spawn, spawn_among};
pub use wait::{Child, Exit};
pub use watchdog::Watchdog;
