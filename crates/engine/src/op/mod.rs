//! Does the ops of a build graph.

pub(crate) mod content;
pub(crate) mod exec;
pub(crate) mod file;
mod trees;
mod users;

pub(crate) use content::Looks;
pub use exec::{ContainerProcess, FrontEnd, NewContainer, Speaks, StepContainer, StepProcess};
pub(crate) use exec::{Prepared, SystemFiles, limits, machine, start, wait_for, wait_for_end};
pub(crate) use file::{copy_contents, make_directory, set_file_attributes};
pub(crate) use trees::InputTree;
pub(crate) use users::{find_user, find_user_in};
