//! Starting one process in namespaces of its own, and everything that happens to it until it is
//! reaped.
//!
//! A [`Program`] says, ahead of time and in values, all that the new process does before it becomes
//! the program it is to run: a list of [`Step`]s, then the program's file. [`spawn`] makes the process and lets
//! it carry them out. Between the two nothing is allocated, locked or formatted in the child, since
//! it is a copy of one thread of a process with many. A step that fails comes back as a [`Failure`] through a
//! pipe that a successful `execve` closes.
//! A [`Child`] is known by its pidfd alone: nothing here ever waits for "any child".

mod child;
mod program;
mod spawn;
mod wait;

pub use program::{Candidates, Execute, Failure, Masked, Program, Stage, Step};
pub use spawn::{Host, Namespaces, Started, spawn};
pub use wait::{Child, Exit};
