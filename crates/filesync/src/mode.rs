//! A file's mode in a [`Stat`](bollard_buildkit_proto::fsutil::types::Stat): permissions, and bits
//! that say what it is, as Go's `io/fs.FileMode` has them.

/// A directory.
pub const DIRECTORY: u32 = 1 << 31;
/// A symbolic link.
pub const SYMLINK: u32 = 1 << 27;
/// A device; of blocks, unless [`CHAR_DEVICE`] is there too.
pub const DEVICE: u32 = 1 << 26;
/// A named pipe.
pub const FIFO: u32 = 1 << 25;
/// A socket.
pub const SOCKET: u32 = 1 << 24;
/// The set-user-ID bit.
pub const SET_USER: u32 = 1 << 23;
/// The set-group-ID bit.
pub const SET_GROUP: u32 = 1 << 22;
/// With [`DEVICE`], a device of characters.
pub const CHAR_DEVICE: u32 = 1 << 21;
/// The sticky bit.
pub const STICKY: u32 = 1 << 20;
/// Something else.
pub const IRREGULAR: u32 = 1 << 19;
/// All that say that a file is not a regular one.
pub const TYPE: u32 = DIRECTORY | SYMLINK | DEVICE | FIFO | SOCKET | CHAR_DEVICE | IRREGULAR;

/// The bits that Unix and Go have in different places, in Unix's and in Go's.
const SPECIAL: [(u32, u32); 3] = [(0o4000, SET_USER), (0o2000, SET_GROUP), (0o1000, STICKY)];

/// Unix's permissions, with the set-user-ID, set-group-ID and sticky bits, as Go has them.
#[must_use]
pub fn from_permissions(unix: u32) -> u32 {
    let special = SPECIAL.iter().filter(|(bit, _)| unix & bit != 0);
    special.fold(unix & 0o777, |mode, (_, bit)| mode | bit)
}

/// A mode's permissions, with the set-user-ID, set-group-ID and sticky bits, as Unix has them.
#[must_use]
pub fn to_permissions(mode: u32) -> u32 {
    let special = SPECIAL.iter().filter(|(_, bit)| mode & bit != 0);
    special.fold(mode & 0o777, |unix, (bit, _)| unix | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_there_and_back() {
        for (unix, go) in [
            (0o644, 0o644),
            (0o4755, SET_USER | 0o755),
            (0o2711, SET_GROUP | 0o711),
            (0o1777, STICKY | 0o777),
            (0o7000, SET_USER | SET_GROUP | STICKY),
        ] {
            assert_eq!(from_permissions(unix), go);
            assert_eq!(to_permissions(go | DIRECTORY), unix);
            assert_eq!(
                from_permissions(unix | 0o040_000),
                go,
                "what it is is not told"
            );
        }
    }
}
