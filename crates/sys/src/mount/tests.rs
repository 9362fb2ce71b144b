//! Mounts as a process that may mount sees them; the privileged ones do nothing without the right.

use super::*;
use std::os::fd::AsFd;
use std::path::Path;

use crate::Root;
use rustix::fs::{Mode, OFlags};

/// Whether this process may mount; without, there is nothing to test here.
fn may_mount() -> bool {
    detach(
        &MountKind::Tmpfs {
            size: None,
            mode: 0o755,
        },
        MountFlags::NONE,
    )
    .is_ok()
}

struct Layers(tempfile::TempDir);

impl Layers {
    fn new(count: usize) -> (Layers, OverlayMount) {
        let dir = tempfile::tempdir().unwrap();
        let lower: Vec<_> = (0..count)
            .map(|number| dir.path().join(format!("l{number}")))
            .collect();
        for (number, path) in lower.iter().enumerate() {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join(format!("f{number}")), number.to_string()).unwrap();
            std::fs::write(path.join("same"), number.to_string()).unwrap();
        }
        (
            Layers(dir),
            OverlayMount {
                lower,
                ..Default::default()
            },
        )
    }

    fn with_upper(&self, mut overlay: OverlayMount) -> OverlayMount {
        let (upper, work) = (
            self.0.path().join("up,per:x\\y"),
            self.0.path().join("work"),
        );
        std::fs::create_dir(&upper).unwrap();
        std::fs::create_dir(&work).unwrap();
        overlay.upper = Some(upper);
        overlay.work = Some(work);
        overlay
    }
}

fn read(root: &Root, path: &str) -> String {
    let fd = root
        .open_at(Path::new(path), OFlags::RDONLY, Mode::empty())
        .unwrap();
    io::read_to_string(std::fs::File::from(fd)).unwrap()
}

fn check_overlay(
    overlay: &OverlayMount,
    make: impl Fn(&OverlayMount) -> Result<std::os::fd::OwnedFd, MountError>,
) {
    let last = overlay.lower.len() - 1;
    let root = Root::from_fd(make(overlay).unwrap());
    assert_eq!(read(&root, "same"), "0");
    assert_eq!(read(&root, &format!("f{last}")), last.to_string());
    let write = root.open_at(
        Path::new("new"),
        OFlags::CREATE | OFlags::WRONLY,
        Mode::RUSR,
    );
    assert_eq!(write.is_ok(), overlay.upper.is_some());
    if let Some(upper) = &overlay.upper {
        assert!(upper.join("new").exists());
    }
}

#[test]
fn privileged_overlays_of_any_number() {
    if !may_mount() {
        return;
    }
    for count in [1, 2, 40, 500] {
        let (layers, overlay) = Layers::new(count);
        check_overlay(&overlay, |overlay| {
            detach(&MountKind::Overlay(overlay.clone()), MountFlags::NONE)
        });
        let overlay = layers.with_upper(overlay);
        check_overlay(&overlay, |overlay| {
            detach(&MountKind::Overlay(overlay.clone()), MountFlags::NONE)
        });
    }
    let (_layers, overlay) = Layers::new(501);
    assert!(matches!(
        detach(&MountKind::Overlay(overlay), MountFlags::NONE),
        Err(MountError::TooManyLayers {
            layers: 501,
            limit: 500
        })
    ));
}

#[test]
fn what_older_kernels_say() {
    use rustix::io::Errno;
    for (call, errno, is_tried_again) in [
        ("fsopen", Errno::NOSYS, true),
        ("fsopen", Errno::PERM, false),
        ("lowerdir+", Errno::INVAL, true),
        ("upperdir", Errno::INVAL, true),
        ("fsconfig create", Errno::INVAL, true),
        ("fsconfig create", Errno::NOENT, false),
    ] {
        let error = MountError::call(call, "overlay")(errno);
        assert_eq!(overlay::may_be_of_age(&error), is_tried_again, "{call}");
    }
}

#[test]
fn privileged_overlays_the_old_way() {
    if !may_mount() {
        return;
    }
    let (layers, overlay) = Layers::new(100);
    check_overlay(&overlay, |overlay| {
        classic::overlay(overlay, MountFlags::NONE)
    });
    let overlay = layers.with_upper(overlay);
    check_overlay(&overlay, |overlay| {
        classic::overlay(overlay, MountFlags::NO_SUID)
    });
}

#[test]
fn privileged_long_paths() {
    if !may_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("x".repeat(200)).join("y".repeat(200));
    let lower = vec![long.join("a"), long.join("b")];
    for path in &lower {
        std::fs::create_dir_all(path).unwrap();
        std::fs::write(
            path.join("same"),
            path.file_name().unwrap().as_encoded_bytes(),
        )
        .unwrap();
    }
    let overlay = OverlayMount {
        lower,
        ..Default::default()
    };
    let root = Root::from_fd(detach(&MountKind::Overlay(overlay), MountFlags::NONE).unwrap());
    assert_eq!(read(&root, "same"), "a");
}

#[test]
fn privileged_bind_is_restricted_and_attached_until_dropped() {
    if !may_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    std::fs::create_dir(&source).unwrap();
    std::fs::create_dir(&target).unwrap();
    std::fs::write(source.join("file"), "x").unwrap();
    let kind = MountKind::Bind {
        source: source.clone(),
        recursive: true,
    };
    let guard = MountGuard::new(&kind, MountFlags::READ_ONLY, &target).unwrap();
    assert_eq!(std::fs::read_to_string(target.join("file")).unwrap(), "x");
    let refused = std::fs::write(target.join("file"), "y").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ReadOnlyFilesystem);
    drop(guard);
    assert!(!target.join("file").exists());
    std::fs::write(source.join("file"), "y").unwrap();
}

#[test]
fn privileged_special_file_systems() {
    if !may_mount() {
        return;
    }
    for (kind, inside) in [
        (
            MountKind::Tmpfs {
                size: Some(1 << 20),
                mode: 0o1777,
            },
            ".",
        ),
        (MountKind::Proc, "self/status"),
        (MountKind::Sysfs, "kernel"),
        (MountKind::Devpts, "ptmx"),
        (MountKind::Mqueue, "."),
    ] {
        let root = Root::from_fd(detach(&kind, MountFlags::NO_SUID | MountFlags::NO_EXEC).unwrap());
        // `/proc/self` is followed: it is no magic link.
        assert!(root.metadata(Path::new(inside)).is_ok(), "{kind:?}");
        assert!(rustix::fs::fstat(root.as_fd()).is_ok());
    }
    let old = classic::file_system("tmpfs", &[("mode", "700".into())], MountFlags::NO_DEV).unwrap();
    assert_eq!(rustix::fs::fstat(&old).unwrap().st_mode & 0o777, 0o700);
}

#[test]
fn privileged_part_of_a_mount() {
    if !may_mount() {
        return;
    }
    let (_layers, overlay) = Layers::new(3);
    let whole = MountKind::Overlay(overlay);
    let part = MountKind::Part {
        of: Box::new(whole.clone()),
        path: "/f2".into(),
    };
    let fd = detach(&part, MountFlags::READ_ONLY).unwrap();
    assert!(rustix::fs::fstat(&fd).unwrap().st_size == 1);
    let attached = detach(&whole, MountFlags::NONE).unwrap();
    let seen = classic::while_attached(attached.as_fd(), || 7).unwrap();
    assert_eq!(seen, 7);
}

#[test]
fn incomplete_overlays_are_refused() {
    let incomplete = OverlayMount {
        upper: Some("/a".into()),
        lower: vec!["/b".into()],
        ..Default::default()
    };
    for overlay in [OverlayMount::default(), incomplete] {
        let error = detach(&MountKind::Overlay(overlay), MountFlags::NONE).unwrap_err();
        assert!(matches!(error, MountError::IncompleteOverlay));
    }
}
