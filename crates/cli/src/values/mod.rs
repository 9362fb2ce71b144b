//! Values of flags that are more than a word: lists in CSV, outputs, secrets, sizes, limits.
//!
//! Pure: text in, value or error text out, with docker's words where docker has them.

pub mod cache;
pub mod csv;
pub mod environment_file;
mod error;
pub mod filter;
pub mod host;
pub mod output;
pub mod pair;
pub mod secret;
pub mod size;
pub mod ssh;
pub mod ulimit;

pub use error::ValueError;

/// Go's `strconv.ParseBool`.
#[must_use]
pub fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
