//! Refuses file systems that several machines write at once: the write-ahead log is shared
//! memory, and locks there are not those of other machines.

use std::path::Path;

use sys::mount::{Mounted, mounted};

use crate::error::{Result, StoreError, io};

/// Magic numbers of `statfs(2)`.
const SHARED: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x0102_1997, "9p"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
];
const FUSE: u64 = 0x6573_5546;

/// Whether a store may be made in `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let found = rustix::fs::statfs(root).map_err(|error| io("stat", root)(error.into()))?;
    let magic = u64::from_ne_bytes(found.f_type.to_ne_bytes()) & 0xffff_ffff;
    let kind = match SHARED.iter().find(|(number, _)| *number == magic) {
        Some((_, kind)) => Some(*kind),
        None if magic == FUSE => virtiofs(root)?,
        None => None,
    };
    kind.map_or(Ok(()), |kind| {
        Err(StoreError::FileSystem {
            path: root.to_owned(),
            kind,
        })
    })
}

/// virtiofs has the number of FUSE; only the mount table tells them apart.
fn virtiofs(root: &Path) -> Result<Option<&'static str>> {
    let table = Path::new("/proc/self/mountinfo");
    let all = mounted().map_err(io("read", table))?;
    let root = root.canonicalize().map_err(io("resolve", root))?;
    Ok((kind_of_mount(&all, &root) == Some("virtiofs")).then_some("virtiofs"))
}

/// The type of the innermost mount that `path` lies in.
fn kind_of_mount<'a>(all: &'a [Mounted], path: &Path) -> Option<&'a str> {
    let around = all
        .iter()
        .filter(|mounted| path.starts_with(&mounted.point));
    let innermost = around.max_by_key(|mounted| mounted.point.components().count());
    innermost.map(|mounted| mounted.kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn innermost_mount_decides() {
        let mounted = |point: &str, kind: &str| Mounted {
            device: "0:25".to_owned(),
            part: "/".into(),
            point: point.into(),
            kind: kind.to_owned(),
        };
        let all = [
            mounted("/", "ext4"),
            mounted("/data", "ext4"),
            // Upon the one before.
            mounted("/data", "virtiofs"),
            mounted("/data/a b", "tmpfs"),
        ];
        for (path, kind) in [
            ("/var/lib/kiln", "ext4"),
            ("/data/kiln", "virtiofs"),
            ("/database", "ext4"),
            ("/data/a b/kiln", "tmpfs"),
        ] {
            assert_eq!(kind_of_mount(&all, Path::new(path)), Some(kind), "{path}");
        }
    }
}
