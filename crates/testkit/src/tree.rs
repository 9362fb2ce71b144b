//! Directory trees as text, written and listed in one form, so that a test can state a whole
//! tree and compare a whole tree.
//!
//! One entry a line: the path, its attributes, and what it is.
//!
//! ```text
//! bin/           0755 0:0
//! bin/sh         4755 0:0 = #!x\n
//! bin/ash        == bin/sh
//! bin/bash       0:0 -> sh
//! dev/null       0666 0:0 char 1:3
//! run/pipe       0600 0:0 fifo
//! big            0644 0:0 zeros 4096
//! cap            0755 0:0 user.note=yes =
//! ```
//!
//! Attributes are a mode, `uid:gid` (0:0 is whoever runs the test), `mtime=SECONDS` and extended attributes (any name with a
//! dot). What is not given is left as it comes, with modes 0755 and 0644. Paths, contents and
//! values escape space, newline and backslash as `\s`, `\n`, `\\` and other bytes as `\xNN`;
//! contents need not escape spaces.

mod list;
mod text;
mod write;

pub use list::{Show, list, list_owned, list_with};
pub use write::write;
