//! What cannot be had without mounts and namespaces.

use sys::mount::{Mount, MountKind};

use crate::error::SandboxError;
use crate::spec::{Network, Security, Spec};

/// Names the first thing that a [`Spec`] asks for in vain.
pub(super) fn check(spec: &Spec) -> Result<(), SandboxError> {
    let whole = [
        (
            spec.network == Network::None,
            "a network of a step's own (--network=none)",
        ),
        (
            matches!(spec.network, Network::Connected(_) | Network::Cni(_)),
            "a network of a step's own",
        ),
        (spec.security == Security::Insecure, "security.insecure"),
        (!spec.devices.is_empty(), "a device"),
        (spec.shm_size.is_some(), "a size of /dev/shm"),
    ];
    let mounts = spec.mounts.iter().filter_map(refused);
    let asked = whole
        .into_iter()
        .filter_map(|(is_asked, what)| is_asked.then_some(what));
    match asked.chain(mounts).next() {
        Some(what) => Err(SandboxError::NotInChroot(what)),
        None => Ok(()),
    }
}

fn refused(mount: &Mount) -> Option<&'static str> {
    match &mount.kind {
        MountKind::Bind { .. } | MountKind::Tmpfs { size: None, .. } => None,
        MountKind::Part { of, .. } => match **of {
            MountKind::Bind { .. } => None,
            _ => Some("a part of a mount"),
        },
        MountKind::Tmpfs { .. } => Some("a size of a tmpfs mount"),
        MountKind::Overlay(_) => Some("an overlay mount"),
        MountKind::Proc
        | MountKind::Sysfs
        | MountKind::Devpts
        | MountKind::Mqueue
        | MountKind::Cgroup(_) => Some("a file system of the kernel's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_that_can_be_placed() {
        let bind = MountKind::Bind {
            source: "/x".into(),
            recursive: false,
        };
        let tmpfs = |size| MountKind::Tmpfs { size, mode: 0o755 };
        let part = |of: &MountKind| MountKind::Part {
            of: Box::new(of.clone()),
            path: "a".into(),
        };
        let check = |kind: MountKind| {
            refused(&Mount {
                kind,
                target: "/y".into(),
                flags: sys::mount::MountFlags::NONE,
            })
        };
        assert_eq!(check(part(&bind)), None);
        assert_eq!(check(bind), None);
        assert_eq!(check(tmpfs(None)), None);
        assert_eq!(check(tmpfs(Some(1))), Some("a size of a tmpfs mount"));
        assert_eq!(check(part(&tmpfs(None))), Some("a part of a mount"));
        assert_eq!(
            check(MountKind::Proc),
            Some("a file system of the kernel's")
        );
    }
}
