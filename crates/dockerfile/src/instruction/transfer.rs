//! `ADD` and `COPY`.

use crate::Heredoc;

/// What `ADD` and `COPY` have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Paths, patterns, and URLs for `ADD`.
    pub sources: Vec<String>,
    /// Files that are written in the Dockerfile itself.
    pub heredocs: Vec<Heredoc>,
    /// Where they go.
    pub destination: String,
    /// `--chown`; empty when it was not given.
    pub chown: String,
    /// `--chmod`; empty when it was not given.
    pub chmod: String,
    /// `--link`.
    pub link: bool,
    /// `--exclude`.
    pub exclude: Vec<String>,
}

/// What only `ADD` has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// `--keep-git-dir`.
    pub keep_git_directory: Option<bool>,
    /// `--checksum`; empty when it was not given.
    pub checksum: String,
    /// `--unpack`.
    pub unpack: Option<bool>,
}

/// What only `COPY` has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// `--from`; empty when it was not given.
    pub from: String,
    /// `--parents`.
    pub parents: bool,
}
