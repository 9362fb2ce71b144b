//! Digests of what is built, for a comparison of all places: `cargo xtask test` names a file in
//! `KILN_TEST_DIGESTS`, gets a line for each digest there, and compares the files.

use std::fs::File;
use std::io::Write as _;

use crate::kiln::variable;

/// What times are clamped to in builds whose digests are noted.
pub(crate) const EPOCH: &str = "1700000000";

/// Notes a digest under a name that is the same in all places.
pub(crate) fn note(name: &str, digest: &str) {
    let Some(path) = variable("KILN_TEST_DIGESTS") else {
        return;
    };
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    // At once, since tests run side by side.
    let line = format!("{} {name}\n", digest.trim());
    file.write_all(line.as_bytes()).unwrap();
}
