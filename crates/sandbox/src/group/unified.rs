//! Where groups can be made in version 2.
//!
//! There a group has either processes or groups with controllers, but for the outermost one. So where
//! nobody but us is in our own group, we move into a group within; and root of a machine whose group
//! has others in it makes a group of its own at the top, as container engines do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::find::{Hierarchy, refused, remedy};
use super::part::{PROCESSES, processes};
use super::settings::Controller;

const CONTROLLERS: &str = "cgroup.controllers";
const ENABLED: &str = "cgroup.subtree_control";
/// The group that we move into begins so.
pub(super) const SELF: &str = "kiln-self-";
/// Root's group at the top.
const TOP: &str = "kiln";
/// Processes that are started meanwhile have to be moved too.
const ATTEMPTS: usize = 20;

/// What is to be done for groups within a group.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// Nothing.
    Ready(PathBuf),
    /// We are to leave it for one within.
    Leave(PathBuf),
    /// It is to be made at the top.
    Top(PathBuf),
}

/// Whether groups in `group` may have the controller.
pub(super) fn offers(group: &Path, controller: &str) -> bool {
    words(&group.join(CONTROLLERS)).contains(controller)
}

/// The group in which groups with the controller can be made, from now on.
pub(super) fn prepare(hierarchy: &Hierarchy, controller: Controller) -> Result<PathBuf, String> {
    let group = match way(hierarchy, is_ours)? {
        Way::Ready(group) => group,
        Way::Leave(group) => {
            leave(&group).map_err(|error| refused(&group, &error))?;
            group
        }
        Way::Top(group) => {
            make(&group).map_err(|error| refused(&hierarchy.mount, &error))?;
            enable(&hierarchy.mount, controller)?;
            group
        }
    };
    enable(&group, controller)?;
    Ok(group)
}

/// The group in which something would have to be made.
pub(super) fn look(hierarchy: &Hierarchy) -> Result<PathBuf, String> {
    Ok(match way(hierarchy, is_ours)? {
        Way::Ready(group) | Way::Leave(group) => group,
        Way::Top(_) => hierarchy.mount.clone(),
    })
}

fn way(hierarchy: &Hierarchy, is_ours: impl Fn(i32) -> bool) -> Result<Way, String> {
    let own = &hierarchy.own;
    let name = own.file_name().map(|name| name.to_string_lossy());
    if name.is_some_and(|name| name.starts_with(SELF))
        && let Some(parent) = own.parent()
    {
        return Ok(Way::Ready(parent.to_owned()));
    }
    if is_outermost(own) {
        return Ok(Way::Ready(own.clone()));
    }
    if processes(own).into_iter().all(is_ours) {
        return Ok(Way::Leave(own.clone()));
    }
    if is_outermost(&hierarchy.mount) {
        return Ok(Way::Top(hierarchy.mount.join(TOP)));
    }
    Err(format!(
        "other processes are in kiln's own control group {}; {}",
        own.display(),
        remedy()
    ))
}

/// Only the machine's own root has no type.
fn is_outermost(group: &Path) -> bool {
    !group.join("cgroup.type").exists()
}

fn leave(group: &Path) -> std::io::Result<()> {
    let inner = group.join(format!("{SELF}{}", std::process::id()));
    for _ in 0..ATTEMPTS {
        // Somebody may have found it empty, and removed it.
        make(&inner)?;
        let here = processes(group);
        if here.is_empty() {
            return Ok(());
        }
        for process in here {
            match std::fs::write(inner.join(PROCESSES), process.to_string()) {
                // It has ended.
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                result => result?,
            }
        }
    }
    Err(rustix::io::Errno::BUSY.into())
}

fn make(group: &Path) -> std::io::Result<()> {
    match std::fs::create_dir(group) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn enable(group: &Path, controller: Controller) -> Result<(), String> {
    let (name, file) = (controller.name(), group.join(ENABLED));
    if words(&file).contains(name) {
        return Ok(());
    }
    std::fs::write(&file, format!("+{name}")).map_err(|error| {
        let path = group.display();
        format!(
            "the controller {name} cannot be enabled in {path}: {error}; {}",
            remedy()
        )
    })
}

/// Whether a process is this one, or comes from it.
fn is_ours(process: i32) -> bool {
    let us = i32::try_from(std::process::id()).unwrap_or_default();
    let mut next = Some(process);
    while let Some(process) = next.filter(|process| *process > 0) {
        if process == us {
            return true;
        }
        next = parent_of(process);
    }
    false
}

fn parent_of(process: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may have anything in it.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn words(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::settings::Version;
    use super::*;

    /// What is to be done where there are these groups, with the processes that are in them; 1 to 9
    /// are ours. Only what is named `/` is the machine's own root.
    fn told(mount_is_root: bool, own: &str, processes: &str) -> String {
        let at = tempfile::tempdir().unwrap();
        let mount = at.path().to_owned();
        let group = mount.join(own);
        std::fs::create_dir_all(&group).unwrap();
        std::fs::write(group.join(PROCESSES), processes).unwrap();
        for (path, is_root) in [
            (&mount, mount_is_root),
            (&group, own.is_empty() && mount_is_root),
        ] {
            if !is_root {
                std::fs::write(path.join("cgroup.type"), "domain\n").unwrap();
            }
        }
        let hierarchy = Hierarchy::for_test(Version::Two, &mount, &group);
        let shown = |path: PathBuf| path.strip_prefix(&mount).unwrap().display().to_string();
        match way(&hierarchy, |process| (1..10).contains(&process)) {
            Ok(Way::Ready(path)) => format!("ready {}", shown(path)),
            Ok(Way::Leave(path)) => format!("leave {}", shown(path)),
            Ok(Way::Top(path)) => format!("top {}", shown(path)),
            Err(_) => "none".to_owned(),
        }
    }

    #[test]
    fn ways() {
        for (mount_is_root, own, processes, expected) in [
            (true, "", "1\n77\n", "ready "),
            (true, "a/b", "1\n2\n", "leave a/b"),
            (true, "a/b", "", "leave a/b"),
            (true, "a/b", "1\n77\n", "top kiln"),
            (false, "a/b", "1\n77\n", "none"),
            (false, "", "1\n", "leave "),
            (false, "", "0\n1\n", "none"),
            (false, "a/kiln-self-5", "1\n", "ready a"),
        ] {
            assert_eq!(told(mount_is_root, own, processes), expected, "{own}");
        }
    }

    #[test]
    fn ancestors() {
        assert!(is_ours(std::process::id().cast_signed()));
        assert!(!is_ours(1) && !is_ours(0));
    }
}
