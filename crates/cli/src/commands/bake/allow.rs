//! What targets may do that was not typed: a bake file may come from others, and what it asks for
//! beyond the working directory is allowed by name.
//!
//! Looked at is what the builds come to, not the text of the file, and before anything of them is
//! opened.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use engine::{AllowedDevices, NetworkMode};

use crate::args::bake::Bake;
use crate::build::{BuildPlan, plan};
use crate::environment::Environment;
use crate::error::{Error, choice};
use crate::values::go_bool;

/// The kernel follows no more links than this on one way.
const MAX_LINKS: usize = 40;

const KNOWN: &str = "kiln knows device, fs, fs.read, fs.write, network.host, security.insecure \
                     and ssh";

/// What is allowed.
#[derive(Debug)]
pub(super) struct Allowed {
    rights: plan::Allowed,
    ssh: bool,
    /// Nothing is asked about paths.
    ignores_files: bool,
    read: Places,
    write: Places,
}

/// Where may be read or written.
#[derive(Debug)]
struct Places {
    everywhere: bool,
    beneath: Vec<PathBuf>,
}

impl Allowed {
    /// What `--allow` and the working directory are.
    pub(super) fn of(args: &Bake, environment: &Environment) -> Result<Self, Error> {
        let here = || Places {
            everywhere: false,
            beneath: vec![real(&environment.working_directory)],
        };
        let fs = environment.text("BUILDX_BAKE_ENTITLEMENTS_FS")?;
        let mut allowed = Self {
            rights: plan::Allowed::default(),
            ssh: false,
            ignores_files: fs.and_then(go_bool) == Some(false),
            read: here(),
            write: here(),
        };
        let mut rights = Vec::new();
        for text in &args.allow {
            match text.split_once('=') {
                None if text == "ssh" => allowed.ssh = true,
                Some(("fs.read", value)) => allowed.read.add(value, environment),
                Some(("fs.write", value)) => allowed.write.add(value, environment),
                Some(("fs", value)) => {
                    allowed.read.add(value, environment);
                    allowed.write.add(value, environment);
                }
                _ if is_right(text) => rights.push(text.clone()),
                _ => return Err(choice("--allow", text, KNOWN)),
            }
        }
        allowed.rights = plan::allowed(&rights)?;
        Ok(allowed)
    }

    /// Refuses builds that are more than this.
    pub(super) fn check<'a>(
        &self,
        plans: impl IntoIterator<Item = &'a BuildPlan>,
        environment: &Environment,
    ) -> Result<(), Error> {
        let (mut missing, mut reads, mut writes) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for plan in plans {
            self.rights_beyond(plan, &mut missing);
            if !self.ssh && plan.uses_default_agent() {
                missing.insert("ssh".to_owned());
            }
            reads.extend(plan.reads(environment));
            writes.extend(plan.writes());
        }
        if !self.ignores_files {
            missing.extend(self.read.beyond("fs.read", reads));
            missing.extend(self.write.beyond("fs.write", writes));
        }
        refuse(&missing)
    }

    /// Refuses to read what is at `path`.
    pub(super) fn check_read(&self, path: PathBuf) -> Result<(), Error> {
        match self.ignores_files {
            true => Ok(()),
            false => refuse(&self.read.beyond("fs.read", BTreeSet::from([path]))),
        }
    }

    fn rights_beyond(&self, plan: &BuildPlan, missing: &mut BTreeSet<String>) {
        let (wanted, given) = (&plan.request, &self.rights);
        let wants_host = wanted.allow_host_network || wanted.network == NetworkMode::Host;
        if wants_host && !given.host_network {
            missing.insert("network.host".to_owned());
        }
        if wanted.allow_insecure && !given.insecure {
            missing.insert("security.insecure".to_owned());
        }
        if given.devices.all {
            return;
        }
        if wanted.allow_devices.all {
            missing.insert("device".to_owned());
        }
        let given: BTreeSet<&String> = devices(&given.devices).collect();
        let beyond = devices(&wanted.allow_devices).filter(|name| !given.contains(name));
        missing.extend(beyond.map(|name| format!("device={name}")));
    }
}

impl Places {
    fn add(&mut self, text: &str, environment: &Environment) {
        match text {
            "*" => self.everywhere = true,
            path => self
                .beneath
                .push(real(&environment.absolute(Path::new(path)))),
        }
    }

    /// What would have to be allowed for `paths`, as `right`.
    fn beyond(&self, right: &str, paths: BTreeSet<PathBuf>) -> BTreeSet<String> {
        let mut beyond: Vec<PathBuf> = Vec::new();
        if self.everywhere {
            return BTreeSet::new();
        }
        let real: BTreeSet<PathBuf> = paths.iter().map(|path| real(path)).collect();
        // A directory comes before what is in it.
        for path in real {
            let mut places = self.beneath.iter().chain(&beyond);
            if !places.any(|place| path.starts_with(place)) {
                beyond.push(path);
            }
        }
        let beyond = beyond.iter();
        beyond
            .map(|path| format!("{right}={}", path.display()))
            .collect()
    }
}

fn refuse(missing: &BTreeSet<String>) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    let flags = missing.iter().map(|right| format!("--allow={right}"));
    let flags = flags.collect::<Vec<_>>().join(" ");
    Err(Error::new("additional privileges requested").hint(format!("to grant them: {flags}")))
}

fn is_right(text: &str) -> bool {
    let name = text.split(['=', ',']).next();
    matches!(name, Some("device" | "network.host" | "security.insecure"))
}

/// The machine's names of single devices.
fn devices(allowed: &AllowedDevices) -> impl Iterator<Item = &String> {
    allowed.names.iter().chain(allowed.aliases.values())
}

/// Where `path` leads, without links and `..`, whether or not something is there: the kernel creates
/// also what a link leads to.
fn real(path: &Path) -> PathBuf {
    let mut at = PathBuf::from("/");
    let mut ahead = parts(path);
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        at.push(&part);
        let Ok(target) = fs::read_link(&at) else {
            continue;
        };
        if links == MAX_LINKS {
            // Nobody can open it.
            return at;
        }
        links += 1;
        match target.is_absolute() {
            true => at = PathBuf::from("/"),
            false => drop(at.pop()),
        }
        ahead.extend(parts(&target));
    }
    at
}

/// The names on a way, the first one last.
fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_lead_where_the_kernel_goes() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        symlink("a/b", root.join("inner")).unwrap();
        symlink("/nowhere/file", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for (path, expected) in [
            ("a/./b", "a/b"),
            ("inner/..", "a"),
            ("inner/x/../y", "a/b/y"),
            ("missing/../inner", "a/b"),
            ("loop", "loop"),
        ] {
            assert_eq!(real(&root.join(path)), root.join(expected), "{path}");
        }
        assert_eq!(real(&root.join("dangling")), Path::new("/nowhere/file"));
        assert_eq!(real(&root.join("missing/../../../../..")), Path::new("/"));
    }
}
