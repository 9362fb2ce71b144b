//! What a builder knows the directories of this user by from one build to the next, so that only
//! what changed is sent again. Whoever knows the key may see what was sent, so it is made from a
//! number that only this user can read.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use oci::Digest;

use crate::environment::Environment;

/// Bytes of the number.
const LENGTH: usize = 32;

/// The key for `directory`; empty when there is no place for the number, and then all is sent each
/// time.
pub(super) fn shared_key(directory: &Path, environment: &Environment) -> String {
    let path = environment
        .state_directory()
        .map(|state| state.join("client.key"));
    let number = path.and_then(|path| read(&path).or_else(|_| make(&path)).ok());
    let Some(mut bytes) = number else {
        return String::new();
    };
    bytes.extend_from_slice(directory.as_os_str().as_bytes());
    Digest::of(&bytes).hex().clone()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    file.take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() {
        LENGTH => Ok(bytes),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Makes the number where none is; that of somebody who was faster counts.
fn make(path: &PathBuf) -> io::Result<Vec<u8>> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let number = engine::new_id().map_err(io::Error::other)?;
    let number = &number.as_bytes()[..LENGTH];
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(number)?;
    drop(file);
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read(path),
    }
}
