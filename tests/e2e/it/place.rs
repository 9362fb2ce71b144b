//! Where the binary runs: as root, as ordinary users of several sorts, in a `chroot`.
//!
//! The machine stays as it is: accounts and what is given to them are files that are mounted over
//! the machine's, in a mount namespace that ends with the command.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::kiln::command;

/// An account that no machine has.
const USER: u32 = 63_210;
const NAME: &str = "kiln-test";
/// Far from those that machines give.
const SUBORDINATE: &str = "kiln-test:1879048192:65536\n";

/// Where the binary runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the tests do, as root.
    Root,
    /// As an ordinary user with subordinate users and groups.
    Subordinate,
    /// As an ordinary user without.
    Single,
    /// As root, in a directory that is no mount.
    Chroot,
}

impl Place {
    /// An ordinary user with subordinate users and groups, where that can be.
    pub(crate) fn subordinate() -> Option<Self> {
        let programs = ["newuidmap", "newgidmap", "unshare", "setpriv"];
        Self::Subordinate.if_possible(&programs)
    }

    /// An ordinary user without them, where that can be.
    pub(crate) fn single() -> Option<Self> {
        Self::Single.if_possible(&["unshare", "setpriv"])
    }

    /// Says why not.
    fn if_possible(self, programs: &[&str]) -> Option<Self> {
        let is_there = |program: &&str| {
            ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
                .iter()
                .any(|directory| Path::new(directory).join(program).is_file())
        };
        let lacks = programs.iter().find(|program| !is_there(program));
        let files = ["/etc/subuid", "/etc/subgid", "/etc/passwd"];
        let file = files.iter().find(|file| !Path::new(file).is_file());
        let why = if let Some(program) = lacks {
            format!("{program} is not installed")
        } else if let Some(file) = file {
            format!("there is no {file} to mount over")
        } else {
            let mut probe = command("setpriv");
            probe.args([
                "--reuid",
                "63210",
                "--clear-groups",
                "unshare",
                "--user",
                "true",
            ]);
            let ran = crate::kiln::finish(&mut probe);
            if ran.code == 0 {
                return Some(self);
            }
            ran.stderr
        };
        skip(&format!("no ordinary user's build here: {why}"));
        None
    }

    /// Whoever the binary is, unless it is root.
    pub(crate) fn user(self) -> Option<u32> {
        match self {
            Self::Root | Self::Chroot => None,
            Self::Subordinate | Self::Single => Some(USER),
        }
    }

    /// The binary, for arguments to be added; `scratch` is where files can be put.
    pub(crate) fn command(self, binary: &Path, scratch: &Path) -> Command {
        let script = match self {
            Self::Root => return command(binary),
            Self::Chroot => include_str!("place/chroot.sh"),
            Self::Subordinate | Self::Single => include_str!("place/user.sh"),
        };
        let accounts = scratch.join("accounts");
        fs::create_dir_all(&accounts).unwrap();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let line = format!("{NAME}:x:{USER}:{USER}::/:/bin/sh\n");
        write(&accounts.join("passwd"), &(passwd + &line));
        let given = match self {
            Self::Subordinate => SUBORDINATE,
            _ => "",
        };
        write(&accounts.join("subordinate"), given);
        write(&accounts.join("kiln"), "");
        let mut wrapped = command("/usr/bin/unshare");
        wrapped
            .args(["--mount", "/bin/sh", "-euc", script, "kiln"])
            .arg(&accounts)
            .arg(USER.to_string())
            .arg(binary);
        wrapped
    }
}

/// Says what is not tested, past the harness, which shows what failed only.
pub(crate) fn skip(why: &str) {
    // Nobody is left to tell.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Not anew: other commands may be running.
fn write(path: &Path, text: &str) {
    if !path.exists() {
        fs::write(path, text).unwrap();
    }
}
