//! Where things are: the source tree, the build's output, the caches.

use std::path::{Path, PathBuf};

use crate::environment;

/// The top of the source tree.
pub(crate) fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    environment::path("CARGO_TARGET_DIR").unwrap_or_else(|| workspace().join("target"))
}
