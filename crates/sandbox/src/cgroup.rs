//! Which control group hierarchies this host has, so that a process can be shown its own.
//!
//! Version 2 alone is one mount; version 1, also beside version 2 ("hybrid"), is one mount for each
//! hierarchy in a directory of its own, as distributions lay them out. The list comes from
//! `/proc/self/cgroup`: it is short, while the mount table may have thousands of lines.

use std::ffi::OsString;
use std::io;

use sys::mount::CgroupMount;

/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: i64 = 0x6367_7270;

/// What is to appear at `/sys/fs/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchies {
    /// Nothing: this host shows none.
    None,
    /// The unified hierarchy itself.
    Unified,
    /// A directory for each.
    Separate(Vec<Hierarchy>),
}

/// One directory beneath `/sys/fs/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) directory: String,
    pub(crate) mount: CgroupMount,
    /// Further names, where several controllers share a hierarchy.
    pub(crate) links: Vec<String>,
}

impl Hierarchies {
    /// Those of this host.
    pub(crate) fn of_host() -> io::Result<Hierarchies> {
        let text = match std::fs::read_to_string("/proc/self/cgroup") {
            // A kernel without control groups.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Hierarchies::None),
            result => result?,
        };
        let is_unified =
            |path: &str| rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type == CGROUP2);
        Ok(Hierarchies::from_list(&text, is_unified))
    }

    /// From the text of `/proc/self/cgroup`; `is_unified` says whether version 2 is mounted at a
    /// path.
    fn from_list(text: &str, is_unified: impl Fn(&str) -> bool) -> Hierarchies {
        if is_unified("/sys/fs/cgroup") {
            return Hierarchies::Unified;
        }
        let mut separate: Vec<Hierarchy> = text.lines().filter_map(legacy).collect();
        separate.sort_by(|a, b| a.directory.cmp(&b.directory));
        if is_unified("/sys/fs/cgroup/unified") {
            separate.push(Hierarchy {
                directory: "unified".into(),
                mount: CgroupMount::Unified,
                links: Vec::new(),
            });
        }
        if separate.is_empty() {
            Hierarchies::None
        } else {
            Hierarchies::Separate(separate)
        }
    }
}

/// A line `4:cpu,cpuacct:/path`; the unified hierarchy has no controllers there.
fn legacy(line: &str) -> Option<Hierarchy> {
    let controllers = line
        .split(':')
        .nth(1)
        .filter(|controllers| !controllers.is_empty())?;
    let directory = controllers
        .strip_prefix("name=")
        .unwrap_or(controllers)
        .to_owned();
    let links = match controllers.split(',').collect::<Vec<_>>() {
        names if names.len() > 1 => names.into_iter().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    Some(Hierarchy {
        directory,
        mount: CgroupMount::Legacy(OsString::from(controllers)),
        links,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "12:cpu,cpuacct:/\n3:memory:/user\n1:name=systemd:/\n0::/\n";

    fn directories(hierarchies: &Hierarchies) -> String {
        match hierarchies {
            Hierarchies::Separate(list) => {
                let names = list
                    .iter()
                    .map(|one| format!("{}{:?}", one.directory, one.links));
                names.collect::<Vec<_>>().join(" ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn hosts_of_each_kind() {
        let check = |text: &str, unified: &str, expected: &str| {
            let found = Hierarchies::from_list(text, |path| path == unified);
            assert_eq!(directories(&found), expected);
        };
        check("0::/x\n", "/sys/fs/cgroup", "Unified");
        check("0::/\n", "", "None");
        check(
            HYBRID,
            "",
            r#"cpu,cpuacct["cpu", "cpuacct"] memory[] systemd[]"#,
        );
        check(
            HYBRID,
            "/sys/fs/cgroup/unified",
            r#"cpu,cpuacct["cpu", "cpuacct"] memory[] systemd[] unified[]"#,
        );
    }
}
