//! Overlay mounts of any number of directories.
//!
//! Options are set one by one with `fsconfig`: one `lowerdir+` each (Linux 6.8), so their number is
//! bounded by the kernel's 500 and not by a page of options. A path that `fsconfig` would cut short
//! or unescape (over 255 bytes, or with `\`, `:` or `,`) is named by a descriptor's path in `/proc`
//! instead. Older kernels get the one-string form.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsconfig_set_flag, fsconfig_set_string, fsopen};

use super::{MountError, MountFlags, OverlayMount, classic, detached};

/// `OVL_MAX_STACK` of the kernel.
const MAX_LAYERS: usize = 500;
/// `fsconfig` copies at most 256 bytes of a string, its NUL among them.
const MAX_STRING: usize = 255;

/// Options whose defaults come from the kernel's build or module parameters, and would otherwise
/// change what lands in the upper directory. Marks of users cannot say where a directory came from,
/// so there the kernel insists that nothing is followed.
pub(super) const fn fixed(overlay: &OverlayMount) -> [(&'static str, &'static str); 3] {
    let redirect = if overlay.user_xattr {
        "nofollow"
    } else {
        "off"
    };
    [
        ("index", "off"),
        ("redirect_dir", redirect),
        ("metacopy", "off"),
    ]
}

/// A path as the kernel is told it, with what must stay open meanwhile.
pub(super) struct Named {
    pub(super) text: PathBuf,
    _open: Option<OwnedFd>,
}

pub(super) fn detach(overlay: &OverlayMount, flags: MountFlags) -> Result<OwnedFd, MountError> {
    if overlay.upper.is_some() != overlay.work.is_some() || overlay.lower.is_empty() {
        return Err(MountError::IncompleteOverlay);
    }
    if let ([only], None) = (overlay.lower.as_slice(), &overlay.upper) {
        // The kernel wants two directories; one alone is the directory itself.
        return detached::bind(only, false, flags | MountFlags::READ_ONLY);
    }
    if overlay.lower.len() > MAX_LAYERS {
        return Err(MountError::TooManyLayers {
            layers: overlay.lower.len(),
            limit: MAX_LAYERS,
        });
    }
    // What the kernel does not know is asked for once: it logs that for everybody to see.
    static IS_OLD: AtomicBool = AtomicBool::new(false);
    if IS_OLD.load(Ordering::Relaxed) {
        return classic::overlay(overlay, flags);
    }
    match with_context(overlay, flags) {
        Err(error) if may_be_of_age(&error) => {
            let mount = classic::overlay(overlay, flags)?;
            IS_OLD.store(true, Ordering::Relaxed);
            Ok(mount)
        }
        result => result,
    }
}

/// Whether an older kernel would say so of a mount that it can make. Before 5.2 it has not the calls.
/// Before 6.5 it takes every option as text and finds `lowerdir+` unknown at the end, or the text too
/// long on the way there; before 6.8 it refuses the option itself. In all of these it is invalid.
pub(super) fn may_be_of_age(error: &MountError) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match error {
        MountError::Call { call: "fsopen", .. } => errno == Some(Errno::NOSYS),
        _ => errno == Some(Errno::INVAL),
    }
}

fn with_context(overlay: &OverlayMount, flags: MountFlags) -> Result<OwnedFd, MountError> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(MountError::call("fsopen", "overlay"))?;
    let set = |key: &'static str, value: &Path| {
        fsconfig_set_string(&context, key, value)
            .map_err(MountError::call(key, value.display().to_string()))
    };
    // Shown as the device in the mount table, where one looks for whose mount it is.
    set("source", Path::new("overlay"))?;
    let mut open = Vec::new();
    for lower in &overlay.lower {
        let named = name(lower, MAX_STRING)?;
        set("lowerdir+", &named.text)?;
        open.push(named);
    }
    if let (Some(upper), Some(work)) = (&overlay.upper, &overlay.work) {
        for (key, path) in [("upperdir", upper), ("workdir", work)] {
            let named = name(path, MAX_STRING)?;
            set(key, &named.text)?;
            open.push(named);
        }
    }
    for (key, value) in fixed(overlay) {
        set(key, Path::new(value))?;
    }
    for (key, wanted) in flag_options(overlay) {
        if wanted {
            fsconfig_set_flag(&context, key).map_err(MountError::call("fsconfig", key))?;
        }
    }
    detached::create(context.as_fd(), "overlay", flags)
}

/// The options without a value. `volatile` means nothing, and is refused, without an upper.
pub(super) fn flag_options(overlay: &OverlayMount) -> [(&'static str, bool); 2] {
    [
        ("volatile", overlay.volatile && overlay.upper.is_some()),
        ("userxattr", overlay.user_xattr),
    ]
}

/// `path` itself when the kernel takes it as it stands, else its descriptor's path.
pub(super) fn name(path: &Path, longest: usize) -> Result<Named, MountError> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() <= longest && !bytes.iter().any(|byte| matches!(byte, b'\\' | b':' | b',')) {
        return Ok(Named {
            text: path.to_owned(),
            _open: None,
        });
    }
    let open = openat(
        CWD,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(MountError::call("open", path.display().to_string()))?;
    let text = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
    Ok(Named {
        text,
        _open: Some(open),
    })
}
