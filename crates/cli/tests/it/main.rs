//! Command lines, help pages and progress as texts.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: a failure stops the test"
)]

/// Compares a text with the one that is kept under the test's name.
macro_rules! golden {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

mod arguments;
mod help;
mod load;
mod progress;
