//! The same mounts by `mount(2)`, for kernels without the descriptor API or one of its features.
//!
//! The old call can only attach. So each mount is made on a private directory, cloned from there as
//! a detached tree where the kernel can (5.2), and unmounted; where it cannot, it is opened and
//! unmounted lazily, which leaves a descriptor with the same uses but for attaching elsewhere.

use std::fmt::Write as _;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::mount::{
    MountFlags as Flags, OpenTreeFlags, UnmountFlags, mount, mount_remount, open_tree, unmount,
};

use super::overlay::{fixed, flag_options, name};
use super::{MountError, MountFlags, OverlayMount, attach};

/// The kernel copies one page of options, its NUL among them.
const MAX_OPTIONS: usize = 4095;
/// Beyond this a path is named by its descriptor, so that some 200 directories fit.
const MAX_PATH: usize = 32;

/// One file system with its options.
pub(super) fn file_system(
    fs_type: &'static str,
    options: &[(&str, String)],
    flags: MountFlags,
) -> Result<OwnedFd, MountError> {
    let options = options
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",");
    on_scratch(fs_type, &options, flags)
}

/// An overlay in the one-string form.
pub(super) fn overlay(overlay: &OverlayMount, flags: MountFlags) -> Result<OwnedFd, MountError> {
    let lower = overlay
        .lower
        .iter()
        .map(|path| name(path, MAX_PATH))
        .collect::<Result<Vec<_>, _>>()?;
    let upper = [("upperdir", &overlay.upper), ("workdir", &overlay.work)]
        .into_iter()
        .filter_map(|(key, path)| path.as_ref().map(|path| (key, path)))
        .map(|(key, path)| Ok((key, name(path, MAX_PATH)?)))
        .collect::<Result<Vec<_>, MountError>>()?;
    let joined = lower
        .iter()
        .map(|named| named.text.display().to_string())
        .collect::<Vec<_>>()
        .join(":");
    let mut options = format!("lowerdir={joined}");
    for (key, named) in &upper {
        let _ = write!(options, ",{key}={}", named.text.display());
    }
    for (key, value) in fixed(overlay) {
        let _ = write!(options, ",{key}={value}");
    }
    for (key, _) in flag_options(overlay)
        .into_iter()
        .filter(|(_, wanted)| *wanted)
    {
        let _ = write!(options, ",{key}");
    }
    if options.len() > MAX_OPTIONS {
        let limit = overlay.lower.len() * MAX_OPTIONS / options.len();
        return Err(MountError::TooManyLayers {
            layers: overlay.lower.len(),
            limit,
        });
    }
    on_scratch("overlay", &options, flags)
}

/// Restricts an attached or detached mount by its descriptor.
pub(super) fn remount(fd: BorrowedFd<'_>, flags: MountFlags) -> Result<(), MountError> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    mount_remount(path.as_str(), Flags::BIND | mount_bits(flags), c"")
        .map_err(MountError::call("mount remount", path))
}

/// Runs `work` while a detached mount is attached somewhere private.
pub(super) fn while_attached<T>(
    mount: BorrowedFd<'_>,
    work: impl FnOnce() -> T,
) -> Result<T, MountError> {
    let scratch = Scratch::new()?;
    attach(mount, &scratch.0)?;
    let result = work();
    unmount(&scratch.0, UnmountFlags::DETACH)
        .map_err(MountError::call("umount", scratch.0.display().to_string()))?;
    Ok(result)
}

fn mount_bits(flags: MountFlags) -> Flags {
    [
        (MountFlags::READ_ONLY, Flags::RDONLY),
        (MountFlags::NO_SUID, Flags::NOSUID),
        (MountFlags::NO_DEV, Flags::NODEV),
        (MountFlags::NO_EXEC, Flags::NOEXEC),
    ]
    .into_iter()
    .filter(|(flag, _)| flags.contains(*flag))
    .fold(Flags::empty(), |bits, (_, bit)| bits | bit)
}

fn on_scratch(
    fs_type: &'static str,
    options: &str,
    flags: MountFlags,
) -> Result<OwnedFd, MountError> {
    let scratch = Scratch::new()?;
    let at = &scratch.0;
    let options = std::ffi::CString::new(options).map_err(|_| MountError::NulByte(at.clone()))?;
    mount(
        fs_type,
        at,
        fs_type,
        mount_bits(flags),
        Some(options.as_c_str()),
    )
    .map_err(MountError::call("mount", fs_type))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, at, clone).or_else(|_| {
        openat(
            CWD,
            at,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    });
    unmount(at, UnmountFlags::DETACH)
        .map_err(MountError::call("umount", at.display().to_string()))?;
    tree.map_err(MountError::call("open_tree", at.display().to_string()))
}

/// A directory of our own to mount on, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, MountError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kiln-mount-{}-{number}", std::process::id());
        // An ordinary user has only the second.
        let [first, second] = ["/run", "/tmp"].map(|base| Path::new(base).join(&name));
        if mkdirat(CWD, &first, Mode::RWXU).is_ok() {
            return Ok(Scratch(first));
        }
        mkdirat(CWD, &second, Mode::RWXU)
            .map_err(MountError::call("mkdir", second.display().to_string()))?;
        Ok(Scratch(second))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind only if something else put a file there; an empty directory harms nobody.
        let _ = std::fs::remove_dir(&self.0);
    }
}
