//! Where groups can be made in version 2.
//!
//! There a group has either processes or groups with controllers, but for the outermost one. So where
//! nobody but us is in our own group, we move into a group within; and root of a machine whose group
//! has others in it makes a group of its own at the top, as container engines do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::find::{Hierarchy, may_write, not_offered, refused, remedy};
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

/// Why there is no group for these limits: which one there is none for, and why.
pub(super) type Refusal = (Controller, String);

/// Whether somewhere in the hierarchy groups may have the controller, as far as we may be there.
pub(super) fn offers(hierarchy: &Hierarchy, controller: Controller) -> bool {
    let groups = [&hierarchy.own, &hierarchy.mount];
    groups.iter().any(|group| has(group, controller))
}

/// The one group in which a group with all these controllers can be made, from now on. A process is in
/// one group only, so there is no second.
pub(super) fn prepare(
    hierarchy: &Hierarchy,
    controllers: &[Controller],
) -> Result<PathBuf, Refusal> {
    let group = way(hierarchy, controllers, is_ours)?;
    let refuse = |why| (controllers[0], why);
    let group = match group {
        Way::Ready(group) => group,
        Way::Leave(group) => {
            leave(&group).map_err(|error| refuse(refused(&group, &error)))?;
            group
        }
        Way::Top(group) => {
            make(&group).map_err(|error| refuse(refused(&hierarchy.mount, &error)))?;
            enable(&hierarchy.mount, controllers)?;
            group
        }
    };
    enable(&group, controllers)?;
    Ok(group)
}

/// The group in which something would have to be made.
pub(super) fn look(hierarchy: &Hierarchy, controller: Controller) -> Result<PathBuf, String> {
    match way(hierarchy, &[controller], is_ours) {
        Ok(Way::Ready(group) | Way::Leave(group)) => Ok(group),
        Ok(Way::Top(_)) => Ok(hierarchy.mount.clone()),
        Err((_, why)) => Err(why),
    }
}

fn way(
    hierarchy: &Hierarchy,
    controllers: &[Controller],
    is_ours: impl Fn(i32) -> bool,
) -> Result<Way, Refusal> {
    let own = &hierarchy.own;
    let lack = |group: &Path| controllers.iter().find(|one| !has(group, **one)).copied();
    let name = own.file_name().map(|name| name.to_string_lossy());
    let has_left = name.is_some_and(|name| name.starts_with(SELF));
    let outside = if has_left { own.parent() } else { None };
    let group = outside.unwrap_or(own);
    let lacking = lack(group);
    let is_alone = || processes(group).into_iter().all(is_ours);
    match lacking {
        None if outside.is_some() || is_outermost(group) => {
            return Ok(Way::Ready(group.to_owned()));
        }
        None if is_alone() => return Ok(Way::Leave(group.to_owned())),
        _ => {}
    }
    let top = &hierarchy.mount;
    if is_outermost(top) && lack(top).is_none() && may_write(top) {
        return Ok(Way::Top(top.join(TOP)));
    }
    Err(match lacking {
        Some(controller) => (controller, not_offered(controller)),
        None => {
            let (group, remedy) = (group.display(), remedy());
            let why = format!("other processes are in kiln's own control group {group}; {remedy}");
            (controllers[0], why)
        }
    })
}

fn has(group: &Path, controller: Controller) -> bool {
    words(&group.join(CONTROLLERS)).contains(controller.name())
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

fn enable(group: &Path, controllers: &[Controller]) -> Result<(), Refusal> {
    let file = group.join(ENABLED);
    let enabled = words(&file);
    for controller in controllers {
        let name = controller.name();
        if enabled.contains(name) {
            continue;
        }
        std::fs::write(&file, format!("+{name}")).map_err(|error| {
            let (path, remedy) = (group.display(), remedy());
            let why =
                format!("the controller {name} cannot be enabled in {path}: {error}; {remedy}");
            (*controller, why)
        })?;
    }
    Ok(())
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

    /// What is to be done for memory and CPUs where there are these groups, with the processes that
    /// are in them and the controllers that theirs can have; 1 to 9 are ours. Only what is named `/` is
    /// the machine's own root, which has all.
    fn told(mount_is_root: bool, own: &str, processes: &str, controllers: &str) -> String {
        let at = tempfile::tempdir().unwrap();
        let mount = at.path().to_owned();
        let group = mount.join(own);
        std::fs::create_dir_all(&group).unwrap();
        std::fs::write(group.join(PROCESSES), processes).unwrap();
        let inside = group
            .ancestors()
            .take_while(|path| path.starts_with(&mount));
        for path in inside {
            let is_root = mount_is_root && path == mount;
            let offered = if is_root {
                "memory cpu pids"
            } else {
                controllers
            };
            std::fs::write(path.join(CONTROLLERS), offered).unwrap();
            if !is_root {
                std::fs::write(path.join("cgroup.type"), "domain\n").unwrap();
            }
        }
        let hierarchy = Hierarchy::for_test(Version::Two, &mount, &group);
        let wanted = [Controller::Memory, Controller::Cpu];
        let shown = |path: PathBuf| path.strip_prefix(&mount).unwrap().display().to_string();
        match way(&hierarchy, &wanted, |process| (1..10).contains(&process)) {
            Ok(Way::Ready(path)) => format!("ready {}", shown(path)),
            Ok(Way::Leave(path)) => format!("leave {}", shown(path)),
            Ok(Way::Top(path)) => format!("top {}", shown(path)),
            Err((controller, _)) => format!("no {}", controller.name()),
        }
    }

    #[test]
    fn ways() {
        let both = "memory cpu";
        for (mount_is_root, own, processes, controllers, expected) in [
            (true, "", "1\n77\n", both, "ready "),
            (true, "a/b", "1\n2\n", both, "leave a/b"),
            (true, "a/b", "", both, "leave a/b"),
            (true, "a/b", "1\n77\n", both, "top kiln"),
            (true, "a/b", "1\n", "memory", "top kiln"),
            (true, "a/b", "1\n77\n", "", "top kiln"),
            (false, "a/b", "1\n77\n", both, "no memory"),
            (false, "a/b", "1\n", "memory", "no cpu"),
            (false, "", "1\n", both, "leave "),
            (false, "", "0\n1\n", both, "no memory"),
            (false, "a/kiln-self-5", "1\n", both, "ready a"),
            (false, "a/kiln-self-5", "1\n", "cpu", "no memory"),
            (true, "a/kiln-self-5", "1\n", "cpu", "top kiln"),
        ] {
            let told = told(mount_is_root, own, processes, controllers);
            assert_eq!(told, expected, "{own} {controllers}");
        }
    }

    #[test]
    fn ancestors() {
        assert!(is_ours(std::process::id().cast_signed()));
        assert!(!is_ours(1) && !is_ours(0));
    }
}
