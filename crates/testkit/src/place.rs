//! Where kiln runs: as root, as ordinary users of several sorts, in a `chroot`, in a container with
//! Docker's default rights.
//!
//! A program is taken there by the words before it. The machine stays as it is: accounts, and what
//! is given to them, are files that are mounted over the machine's, in a mount namespace that ends
//! with the program. Going anywhere takes root.

mod container;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::real_registry::command;

/// An account that no machine has.
const USER: u32 = 63_210;
const NAME: &str = "kiln-test";
/// Far from those that machines give.
const SUBORDINATE: &str = "kiln-test:1879048192:65536\n";

/// Where a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Where the caller does, as root.
    Root,
    /// As an ordinary user with subordinate users and groups.
    Subordinate,
    /// As an ordinary user without.
    Single,
    /// As root, in a directory that is no mount.
    Chroot,
    /// As root, in a directory that is a mount, but not the first of its namespace.
    ChrootOfMount,
    /// As root in a container that may make neither namespaces nor mounts.
    Container,
}

/// What a program needs of the machine, besides its programs and settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs<'a> {
    /// What it reads, also where only root can reach it.
    pub readable: &'a [&'a Path],
    /// What it writes to. An ordinary user's belongs to [`Place::user`] already.
    pub writable: &'a [&'a Path],
}

impl Place {
    /// Those in which the whole end-to-end suite runs.
    pub const OF_SUITE: [Self; 4] = [Self::Root, Self::Subordinate, Self::Single, Self::Container];

    /// An ordinary user with subordinate users and groups, where that can be.
    #[must_use]
    pub fn subordinate() -> Option<Self> {
        Self::Subordinate.if_possible()
    }

    /// An ordinary user without them, where that can be.
    #[must_use]
    pub fn single() -> Option<Self> {
        Self::Single.if_possible()
    }

    /// A container, where that can be.
    #[must_use]
    pub fn container() -> Option<Self> {
        Self::Container.if_possible()
    }

    /// Says why not.
    fn if_possible(self) -> Option<Self> {
        let Some(why) = self.lacks() else {
            return Some(self);
        };
        skip(&format!("nothing in the place {:?}: {why}", self.name()));
        None
    }

    /// What it is called where somebody chooses it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Subordinate => "subordinate",
            Self::Single => "single",
            Self::Chroot => "chroot",
            Self::ChrootOfMount => "chroot of a mount",
            Self::Container => "container",
        }
    }

    /// Why a program cannot be taken there, if it cannot.
    #[must_use]
    pub fn lacks(self) -> Option<String> {
        match self {
            Self::Root | Self::Chroot | Self::ChrootOfMount => None,
            Self::Container => missing(&["runc"]),
            Self::Single => missing(&["unshare", "setpriv"]).or_else(no_user),
            Self::Subordinate => {
                missing(&["newuidmap", "newgidmap", "unshare", "setpriv"]).or_else(no_user)
            }
        }
    }

    /// Whoever programs are, unless they are root.
    #[must_use]
    pub fn user(self) -> Option<u32> {
        match self {
            Self::Root | Self::Chroot | Self::ChrootOfMount | Self::Container => None,
            Self::Subordinate | Self::Single => Some(USER),
        }
    }

    /// The words that come before a program and its arguments; what they need is kept in `files`,
    /// which several programs may share at a time.
    ///
    /// # Panics
    /// `files` cannot be written to.
    #[must_use]
    pub fn words(self, files: &Path, needs: Needs<'_>) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["/usr/bin/unshare".into(), "--mount".into()];
        fs::create_dir_all(files).expect("make a directory for a place");
        let script = match self {
            Self::Root => return Vec::new(),
            Self::Chroot => include_str!("place/chroot.sh"),
            Self::ChrootOfMount => include_str!("place/chroot_of_mount.sh"),
            Self::Container => {
                words.clear();
                write(&files.join("config.json"), &container::config(needs));
                include_str!("place/container.sh")
            }
            Self::Subordinate | Self::Single => {
                self.write_accounts(files, needs);
                include_str!("place/user.sh")
            }
        };
        let enter = files.join("enter");
        write(&enter, script);
        words.extend(["/bin/sh", "-eu"].map(OsString::from));
        words.extend([enter.into(), files.into(), USER.to_string().into()]);
        words
    }

    fn write_accounts(self, files: &Path, needs: Needs<'_>) {
        let passwd = fs::read_to_string("/etc/passwd").expect("read /etc/passwd");
        let line = format!("{NAME}:x:{USER}:{USER}::/:/bin/sh\n");
        write(&files.join("passwd"), &(passwd + &line));
        let given = match self {
            Self::Subordinate => SUBORDINATE,
            _ => "",
        };
        write(&files.join("subordinate"), given);
        write(&files.join("kiln"), "");
        let paths = needs.readable.iter().chain(needs.writable);
        let hidden = paths.filter_map(|path| Some((unreachable(path)?, path)));
        let lines = hidden.map(|(above, path)| format!("{} {}\n", above.display(), path.display()));
        write(&files.join("hidden"), &lines.collect::<String>());
    }
}

/// The highest directory above `path` that others may not enter.
fn unreachable(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    let is_closed = |path: &&&Path| {
        path.metadata()
            .is_ok_and(|found| found.permissions().mode() & 0o001 == 0)
    };
    above.iter().find(is_closed).map(|path| path.to_path_buf())
}

/// Says what is not tested, past the harness, which shows what failed only.
pub fn skip(why: &str) {
    // Nobody is left to tell.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

fn no_user() -> Option<String> {
    let files = ["/etc/subuid", "/etc/subgid", "/etc/passwd"];
    if let Some(file) = files.iter().find(|file| !Path::new(file).is_file()) {
        return Some(format!("there is no {file} to mount over"));
    }
    let user = USER.to_string();
    let words = [
        "--reuid",
        &user,
        "--clear-groups",
        "unshare",
        "--user",
        "true",
    ];
    let output = match command("setpriv").args(words).output() {
        Ok(output) => output,
        Err(error) => return Some(format!("setpriv: {error}")),
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

/// The first program that is not installed.
fn missing(programs: &[&str]) -> Option<String> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let is_there = |program: &str| {
        let mut paths = folders.iter().map(|folder| Path::new(folder).join(program));
        paths.any(|path| path.is_file())
    };
    let program = programs.iter().find(|program| !is_there(program))?;
    Some(format!("{program} is not installed"))
}

/// Not anew, and whole at once: other programs may be running.
fn write(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    if path.exists() {
        return;
    }
    let above = path.parent().unwrap_or(path);
    let mut made = tempfile::NamedTempFile::new_in(above).expect("make a file of a place");
    made.write_all(text.as_bytes())
        .expect("write a file of a place");
    let readable = fs::Permissions::from_mode(0o644);
    made.as_file()
        .set_permissions(readable)
        .expect("let a file of a place be read");
    made.persist(path).expect("name a file of a place");
}
