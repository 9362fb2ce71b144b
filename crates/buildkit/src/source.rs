//! Digests of sources: what an image or a repository is known by once it was resolved.

use oci::{ChainId, Digest};

/// The digest of an image's file system (`buildkit.source.v0` of its chain ID). BuildKit knows it by
/// its manifest too, and either is enough.
#[must_use]
pub fn image_digest(chain: &ChainId) -> Digest {
    source(&chain.digest().to_string())
}

/// The digest of a repository's tree at `commit`, without `.git`.
#[must_use]
pub fn git_digest(commit: &str, subdirectory: Option<&str>, submodules: bool) -> Digest {
    let mut key = commit.to_owned();
    if let Some(subdirectory) = subdirectory.filter(|directory| !directory.is_empty()) {
        key.push(':');
        key.push_str(subdirectory);
    }
    if !submodules {
        key.push_str("(skip-submodules)");
    }
    source(&key)
}

/// The digest of what only kiln knows, by kiln's key. It stands in for an op that BuildKit has no
/// equal of, so that what is built on it can be found by its own keys.
#[must_use]
pub fn own_digest(key: &[u8; 32]) -> Digest {
    Digest::of(format!("kiln.v0:{}", Digest::from_bytes(*key).hex()).as_bytes())
}

fn source(key: &str) -> Digest {
    Digest::of(format!("buildkit.source.v0:{key}").as_bytes())
}
