//! The environment: the one place in this crate that reads it.

use std::ffi::OsString;
use std::path::PathBuf;

/// The variable's value, unless it is unset, empty or not text.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variable's value as a path, unless it is unset or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The cargo that started this program, else the one on the path.
pub(crate) fn cargo() -> OsString {
    path("CARGO").map_or_else(|| OsString::from("cargo"), PathBuf::into_os_string)
}
