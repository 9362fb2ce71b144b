//! The key that digests of secrets are made with: random, the store's own, and never shown. Whoever
//! has a digest and not the key cannot find out by trying what it is of.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Result, StoreError, io};
use crate::file;
use crate::layout::{Layout, new_name};
use crate::lock::{FileLock, Mode};

const LENGTH: usize = 32;

/// The store's private key.
#[derive(Clone)]
pub struct PrivateKey([u8; LENGTH]);

impl PrivateKey {
    /// What stands for `bytes` under the name `id`.
    #[must_use]
    pub fn digest(&self, id: &str, bytes: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&(id.len() as u64).to_le_bytes());
        hasher.update(id.as_bytes());
        hasher.update(bytes);
        *hasher.finalize().as_bytes()
    }

    /// The key of the store, made if there is none.
    pub(crate) fn of(layout: &Layout) -> Result<Self> {
        let path = layout.private_key();
        if let Some(key) = read(&path)? {
            return Ok(key);
        }
        let _lock = FileLock::wait(&layout.write_lock(), Mode::Exclusive)?;
        match read(&path)? {
            Some(key) => Ok(key),
            None => create(&path),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

fn read(path: &Path) -> Result<Option<PrivateKey>> {
    match fs::read(path) {
        Ok(bytes) => match bytes.try_into() {
            Ok(key) => Ok(Some(PrivateKey(key))),
            Err(_) => Err(StoreError::PrivateKey(path.to_owned())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path)(error)),
    }
}

fn create(path: &Path) -> Result<PrivateKey> {
    let mut key = [0; LENGTH];
    let flags = rustix::rand::GetRandomFlags::empty();
    let mut filled = 0;
    while let Some(rest) = key.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, flags)
            .map_err(|errno| io("make a key for", path)(errno.into()))?;
    }
    let temporary = new_name(path);
    // What a dead process left may have another mode.
    file::remove_file(&temporary)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()))
        .map_err(io("write", &temporary))?;
    file::rename(&temporary, path)?;
    file::sync_parent(path)?;
    Ok(PrivateKey(key))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn made_once() {
        let scratch = testkit::Scratch::new();
        let store = crate::Store::open(scratch.path()).unwrap();
        let path = scratch.join("private-key");
        assert!(!path.exists());
        // What a process left that died while it made one.
        let _left = scratch.file("private-key.new", "rest");
        let keys: Vec<PrivateKey> = std::thread::scope(|scope| {
            let made = [(); 4].map(|()| scope.spawn(|| store.private_key().unwrap()));
            made.into_iter().map(|made| made.join().unwrap()).collect()
        });
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            keys.iter()
                .all(|key| key.0 == keys[0].0 && key.0 != [0; 32])
        );
        assert_eq!(format!("{:?}", keys[0]), "PrivateKey(…)");
        fs::write(&path, "short").unwrap();
        let error = store.private_key().unwrap_err().to_string();
        assert!(error.ends_with("is no private key: remove it"), "{error}");
    }

    #[test]
    fn digests() {
        let (one, other) = (PrivateKey([1; 32]), PrivateKey([2; 32]));
        let made = [
            one.digest("a", b"x"),
            one.digest("a", b"y"),
            one.digest("b", b"x"),
            one.digest("ax", b""),
            other.digest("a", b"x"),
        ];
        for (number, digest) in made.iter().enumerate() {
            let first = made.iter().position(|other| other == digest);
            assert_eq!(first, Some(number));
        }
        assert_eq!(one.digest("a", b"x"), made[0]);
    }
}
