//! What a step gets a cache mount by.

use std::fmt;

use graph::FileOwner;

/// A step gets the mount with the same id, and the same mode and owner of its directory: one
/// that was made for others might not be usable. What it was first filled with is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheMountIdentity {
    /// `id=` in Dockerfiles, or the target where there is none.
    pub id: String,
    /// `mode=`.
    pub mode: u32,
    /// `uid=`.
    pub uid: u32,
    /// `gid=`.
    pub gid: u32,
}

impl CacheMountIdentity {
    pub(crate) fn new(id: &str, mode: u32, owner: FileOwner) -> Self {
        Self {
            id: id.to_owned(),
            mode,
            uid: owner.uid,
            gid: owner.gid,
        }
    }

    /// As the store has it.
    pub(crate) fn key(&self) -> String {
        self.to_string()
    }

    /// The identity of a key. A key that no kiln made is an id.
    pub(crate) fn of_key(key: &str) -> Self {
        Self::parse(key).unwrap_or_else(|| Self {
            id: key.to_owned(),
            mode: 0o755,
            uid: 0,
            gid: 0,
        })
    }

    fn parse(key: &str) -> Option<Self> {
        let (rest, owner) = key.rsplit_once(' ')?;
        let (id, mode) = rest.rsplit_once(' ')?;
        let (uid, gid) = owner.split_once(':')?;
        Some(Self {
            id: id.to_owned(),
            mode: u32::from_str_radix(mode, 8).ok()?,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    }
}

impl fmt::Display for CacheMountIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, mode, uid, gid } = self;
        write!(f, "{id} {mode:o} {uid}:{gid}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_they_are_written() {
        for (key, id, mode) in [
            ("/root/.cache 755 0:0", "/root/.cache", 0o755),
            ("with spaces 1 2 700 5:6", "with spaces 1 2", 0o700),
            ("foreign", "foreign", 0o755),
            ("foreign 9 0:0", "foreign 9 0:0", 0o755),
        ] {
            let identity = CacheMountIdentity::of_key(key);
            assert_eq!((identity.id.as_str(), identity.mode), (id, mode), "{key}");
            if id != key {
                assert_eq!(identity.key(), key);
            }
        }
    }
}
