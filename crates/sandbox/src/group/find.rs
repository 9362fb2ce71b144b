//! Where groups can be made: in the groups that we are in ourselves, so that what bounds us bounds
//! those too.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::settings::{Controller, Version};
use super::unified::{self, Refusal};

const AT: &str = "/sys/fs/cgroup";
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: i64 = 0x6367_7270;

/// One hierarchy, and where we are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// Those that it has in version 1.
    controllers: Vec<String>,
    /// Its root, as far as it is mounted.
    pub(super) mount: PathBuf,
    /// Our own group.
    pub(super) own: PathBuf,
}

/// A group in which groups can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) path: PathBuf,
    pub(super) version: Version,
}

/// Those of this host that are mounted.
pub(super) fn of_host() -> io::Result<Vec<Hierarchy>> {
    let text = match std::fs::read_to_string("/proc/self/cgroup") {
        // A kernel without control groups.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result?,
    };
    let is_unified = |path: &Path| rustix::fs::statfs(path).is_ok_and(|s| s.f_type == CGROUP2);
    Ok(from_list(&text, Path::new(AT), is_unified))
}

/// From the text of `/proc/self/cgroup`; `at` is where hierarchies are mounted.
fn from_list(text: &str, at: &Path, is_unified: impl Fn(&Path) -> bool) -> Vec<Hierarchy> {
    let unified = [at.to_owned(), at.join("unified")];
    let unified = unified.into_iter().find(|path| is_unified(path));
    let line = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        let mount = match names {
            "" => unified.clone()?,
            names => legacy(at, names)?,
        };
        let own = mount.join(path.trim_start_matches('/'));
        Some(Hierarchy {
            version: match names {
                "" => Version::Two,
                _ => Version::One,
            },
            controllers: names.split(',').map(str::to_owned).collect(),
            // The list tells of the machine's groups where only a part of them is mounted.
            own: if own.is_dir() { own } else { mount.clone() },
            mount,
        })
    };
    text.lines().filter_map(line).collect()
}

/// Where a hierarchy of version 1 is mounted, if it is.
fn legacy(at: &Path, names: &str) -> Option<PathBuf> {
    let all = std::iter::once(names).chain(names.split(','));
    let mut paths = all.map(|name| at.join(name));
    paths.find(|path| path.join("cgroup.procs").exists())
}

/// Where groups for these controllers can be made, with all done that this takes; which one there is
/// none for, and why.
pub(super) fn parents(
    hierarchies: &[Hierarchy],
    controllers: &[Controller],
) -> Result<Vec<(Controller, Parent)>, Refusal> {
    let find = |controller: &Controller| match hierarchy_of(hierarchies, *controller) {
        Ok(hierarchy) => Ok((*controller, hierarchy)),
        Err(why) => Err((*controller, why)),
    };
    let found: Vec<_> = controllers.iter().map(find).collect::<Result<_, _>>()?;
    let is_unified = |hierarchy: &Hierarchy| hierarchy.version == Version::Two;
    let unified = found.iter().filter(|(_, hierarchy)| is_unified(hierarchy));
    let (together, unified): (Vec<_>, Vec<_>) = unified.copied().unzip();
    let shared = match unified.first() {
        Some(hierarchy) => Some(unified::prepare(hierarchy, &together)?),
        None => None,
    };
    let parent = |(controller, hierarchy): (Controller, &Hierarchy)| {
        let shared = shared.as_ref().filter(|_| is_unified(hierarchy));
        let path = shared.unwrap_or(&hierarchy.own).clone();
        let version = hierarchy.version;
        (controller, Parent { path, version })
    };
    Ok(found.into_iter().map(parent).collect())
}

/// Whether there is such a place, as far as can be seen without making anything.
pub(super) fn look(hierarchies: &[Hierarchy], controller: Controller) -> Result<Version, String> {
    let hierarchy = hierarchy_of(hierarchies, controller)?;
    let path = match hierarchy.version {
        Version::One => hierarchy.own.clone(),
        Version::Two => unified::look(hierarchy, controller)?,
    };
    access(&path).map_err(|error| refused(&path, &error))?;
    Ok(hierarchy.version)
}

/// Whether we may make groups in a group.
pub(super) fn may_write(group: &Path) -> bool {
    access(group).is_ok()
}

fn access(group: &Path) -> io::Result<()> {
    Ok(accessat(CWD, group, Access::WRITE_OK, AtFlags::EACCESS)?)
}

/// Why no group can be made in a directory.
pub(super) fn refused(parent: &Path, error: &io::Error) -> String {
    format!(
        "no control group can be made in {}: {error}; {}",
        parent.display(),
        remedy()
    )
}

/// What would give us groups.
pub(super) fn remedy() -> String {
    let user = if rustix::process::geteuid().is_root() && whole_machine() {
        ""
    } else {
        " --user"
    };
    format!(
        "start kiln where it may make some (systemd-run{user} --scope -p Delegate=yes kiln …, or a \
         container with a writable /sys/fs/cgroup), or limit the container or service that it runs in"
    )
}

/// Whether root is root of the machine, and not of a user namespace.
fn whole_machine() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

fn hierarchy_of(hierarchies: &[Hierarchy], controller: Controller) -> Result<&Hierarchy, String> {
    let name = controller.name();
    let has = |hierarchy: &&Hierarchy| match hierarchy.version {
        Version::One => hierarchy.controllers.iter().any(|own| own == name),
        Version::Two => unified::offers(hierarchy, controller),
    };
    let found = hierarchies.iter().find(has);
    found.ok_or_else(|| not_offered(controller))
}

/// Why no group can have the controller.
pub(super) fn not_offered(controller: Controller) -> String {
    let (name, remedy) = (controller.name(), remedy());
    format!(
        "no control groups with the controller {name} are at {AT}, or none are delegated; {remedy}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Hierarchy {
        pub(in crate::group) fn for_test(version: Version, mount: &Path, own: &Path) -> Hierarchy {
            Hierarchy {
                version,
                controllers: Vec::new(),
                mount: mount.to_owned(),
                own: own.to_owned(),
            }
        }
    }

    /// Beneath a directory with these files, where version 2 is in `unified`: which group it is for
    /// each controller.
    fn found(files: &[&str], text: &str, unified: &str) -> String {
        let at = tempfile::tempdir().unwrap();
        for file in files {
            let (path, content) = file.split_once('=').unwrap_or((file, ""));
            let path = at.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let unified = at.path().join(unified);
        let hierarchies = from_list(text, at.path(), |path| path == unified);
        let own = |controller: &Controller| match hierarchy_of(&hierarchies, *controller) {
            Ok(hierarchy) => {
                let own = hierarchy.own.strip_prefix(at.path()).unwrap();
                format!("{:?} {}", hierarchy.version, own.display())
            }
            Err(_) => "none".to_owned(),
        };
        let all: Vec<_> = Controller::ALL.iter().map(own).collect();
        all.join(", ")
    }

    #[test]
    fn hosts_of_each_kind() {
        for (files, text, unified, expected) in [
            (&[][..], "", "-", "none, none, none, none"),
            (
                &[
                    "memory/a/b/x",
                    "memory/cgroup.procs",
                    "cpu/cgroup.procs",
                    "pids/cgroup.procs",
                    "unified/cgroup.controllers=hugetlb",
                ],
                "5:pids:/docker/x\n4:memory:/a/b\n3:cpu,cpuacct:/\n2:cpuset:/\n0::/\n",
                "unified",
                "One memory/a/b, One cpu, none, One pids",
            ),
            (
                &[
                    "a/cgroup.controllers=memory pids\n",
                    "cgroup.controllers=cpu",
                ],
                "0::/a\n",
                "",
                "Two a, Two a, none, Two a",
            ),
        ] {
            assert_eq!(found(files, text, unified), expected);
        }
    }
}
