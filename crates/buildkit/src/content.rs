//! The digest of files (`cache/contenthash`): a tar header and the bytes of each file, names and digests of
//! a directory's files, in the order of the names with `\0` for `/`.
//!
//! A directory is known twice: as what is in it, and by its own header. The path at which files are
//! looked for does not count, nor do times.

mod files;
mod header;
mod included;
mod walk;

pub use files::{FileKind, Files, Meta};

use oci::Digest;

use crate::Selector;

/// Reads what a digest needs beyond [`Meta`].
pub trait Contents {
    /// Why a file cannot be read.
    type Error;

    /// Adds the bytes of a regular file to a digest.
    ///
    /// # Errors
    /// The file cannot be read.
    fn feed(&self, path: &str, hasher: &mut oci::Hasher) -> Result<(), Self::Error>;

    /// Whether patterns say that a path counts, which is relative to where they apply.
    ///
    /// # Errors
    /// A pattern is malformed.
    fn matches(&self, patterns: &[String], path: &str) -> Result<bool, Self::Error>;
}

/// Why there is no digest.
#[derive(Debug, thiserror::Error)]
pub enum ContentError<E> {
    /// There is no such file.
    #[error("{0:?} is not there")]
    Missing(String),
    /// Links lead in a circle.
    #[error("too many links on the way to {0:?}")]
    Links(String),
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] E),
}

/// How the names of files that patterns found enter a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As paths from where the pattern begins to differ: BuildKit of today.
    Paths,
    /// By their last parts alone, as BuildKit had it until version 0.25.
    Names,
}

/// The digests of all that `selectors` name: one, or one for each form that BuildKit has had, the latest
/// first.
///
/// # Errors
/// A path is missing, or a file cannot be read.
pub fn digests<C: Contents>(
    files: &Files,
    selectors: &[Selector],
    contents: &C,
) -> Result<Vec<Digest>, ContentError<C::Error>> {
    let mut all = Vec::new();
    for form in [Form::Paths, Form::Names] {
        let digest = in_form(files, selectors, contents, form)?;
        if !all.contains(&digest) {
            all.push(digest);
        }
    }
    Ok(all)
}

fn in_form<C: Contents>(
    files: &Files,
    selectors: &[Selector],
    contents: &C,
    form: Form,
) -> Result<Digest, ContentError<C::Error>> {
    let digests = selectors
        .iter()
        .map(|selector| walk::checksum(files, selector, contents, form))
        .collect::<Result<Vec<_>, _>>()?;
    let digests: Vec<String> = digests.iter().map(ToString::to_string).collect();
    Ok(Digest::of(digests.join("\0").as_bytes()))
}

#[cfg(test)]
mod tests;
