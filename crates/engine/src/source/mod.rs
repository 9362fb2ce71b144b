//! Sources that are neither images nor directories of the client's, and contexts made of them.

mod archive;
mod body;
mod entity;
mod follow;
mod git;
mod http;
mod layout;
mod open;
mod time;

pub(crate) use archive::key as archive_key;
pub(crate) use follow::follow_links;
pub(crate) use git::{Commits, key as git_key, shown as without_password};
pub use git::{FoundCommit, GitError};
pub(crate) use http::{Files, key as http_key};
pub(crate) use layout::DOMAIN as LAYOUTS;
pub use layout::LayoutError;
