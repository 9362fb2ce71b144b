//! How a store keeps the owners of files: as they are, or recorded where there are no other users
//! ([`sys::owner`]). A layer that is read the other way would have wrong owners, so a store is of one
//! kind for good.

use std::ffi::OsStr;
use std::path::Path;

use store::Store;
use sys::{owner, xattr};

use crate::error::EngineError;

/// On the directory of a store whose owners are recorded.
const MARK: &str = "user.kiln.owners";

/// Fails if the store is of the other kind than this process is. An empty one becomes of its kind.
pub(crate) fn check(store: &Store) -> Result<(), EngineError> {
    check_for(store, owner::are_recorded())
}

fn check_for(store: &Store, recorded: bool) -> Result<(), EngineError> {
    let root = store.root();
    let name = OsStr::new(MARK);
    let unreadable = |source| EngineError::Read {
        path: root.to_owned(),
        source,
    };
    let is_marked = xattr::get(root, name).map_err(unreadable)?.is_some();
    if is_marked == recorded {
        return Ok(());
    }
    if recorded && is_empty(&store.snapshots().directory()).map_err(unreadable)? {
        return xattr::set(root, name, b"recorded").map_err(|source| EngineError::WriteFile {
            path: root.to_owned(),
            source,
        });
    }
    let (made, here) = match recorded {
        true => ("other users than root", "none"),
        false => ("no other users than root", "some"),
    };
    Err(EngineError::OtherOwners {
        path: root.to_owned(),
        made,
        here,
    })
}

fn is_empty(directory: &Path) -> std::io::Result<bool> {
    Ok(std::fs::read_dir(directory)?.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_of_one_kind() {
        let dir = tempfile::tempdir().unwrap();
        let text = |recorded| {
            let store = Store::open(&dir.path().join("store")).unwrap();
            check_for(&store, recorded).map_err(|error| error.to_string())
        };
        assert_eq!(text(false), Ok(()));
        assert_eq!(text(true), Ok(()));
        let error = text(false).unwrap_err();
        let expected = "was made where there are no other users than root, and here there are some";
        assert!(error.ends_with(expected), "{error}");
        assert_eq!(text(true), Ok(()));

        let store = Store::open(&dir.path().join("other")).unwrap();
        std::fs::create_dir(store.snapshots().directory().join("1")).unwrap();
        let error = check_for(&store, true).unwrap_err().to_string();
        let expected = "was made where there are other users than root, and here there are none";
        assert!(error.ends_with(expected), "{error}");
    }
}
