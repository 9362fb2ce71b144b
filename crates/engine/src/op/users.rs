//! Users and groups by the names that a file system knows them by.

use std::io::Read as _;
use std::path::Path;

use sandbox::User;
use snapshot::{Found, Tree};

use crate::error::EngineError;

/// Files larger than this are nobody's list of users.
const MAX_FILE: u64 = 16 << 20;

/// The user called `name` (`user`, `uid`, `user:group`, …) in `tree`.
pub(crate) fn find_user(tree: &Tree, name: &str) -> Result<User, EngineError> {
    let passwd = read(tree, "/etc/passwd")?;
    let group = read(tree, "/etc/group")?;
    find_user_in(&passwd, &group, name)
}

/// The same, by the texts of the two files.
pub(crate) fn find_user_in(passwd: &str, group: &str, name: &str) -> Result<User, EngineError> {
    Ok(sandbox::user::find(passwd, group, name)?)
}

/// The text of a file; nothing when it is missing.
fn read(tree: &Tree, path: &'static str) -> Result<String, EngineError> {
    let resolved = tree.lookup(Path::new(path), true)?;
    let Found::File(entry, _) = &resolved.found else {
        return Ok(String::new());
    };
    let file = resolved.dir.open(entry)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|source| EngineError::Read {
            path: path.into(),
            source,
        })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
