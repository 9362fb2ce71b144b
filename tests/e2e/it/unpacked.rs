//! What an archive holds, as `tar` unpacks it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use testkit::tree::{Show, list_owned};

use crate::kiln::tool;

/// What `tar` unpacks of an archive into `out`, owners included. An ordinary user can give files to
/// nobody; then the owners are those that `tar` tells.
pub(crate) fn unpack(archive: &Path, out: &Path) -> String {
    let (tar, out_path) = (archive.to_str().unwrap(), out.to_str().unwrap());
    let mut owners = BTreeMap::new();
    if is_root() {
        tool("tar", &["--numeric-owner", "-xpf", tar, "-C", out_path]);
    } else {
        tool("tar", &["--no-same-owner", "-xpf", tar, "-C", out_path]);
        let quoting = "--quoting-style=literal";
        owners = owners_of(&tool("tar", &["--numeric-owner", quoting, "-tvf", tar]));
    }
    list_owned(out, Show::default(), &owners)
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Of lines like `-rw-r--r-- 0/0  5 2020-01-01 00:00 ./a -> b`.
fn owners_of(list: &str) -> BTreeMap<PathBuf, (u32, u32)> {
    let mut owners = BTreeMap::new();
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let (_, pair) = (words.next(), words.next().unwrap());
        let (user, group) = pair.split_once('/').unwrap();
        let time = words.nth(2).unwrap();
        let (_, name) = line.split_once(&format!(" {time} ")).unwrap();
        let name = name.split(" -> ").next().unwrap();
        let name = name.split(" link to ").next().unwrap();
        let name = name.trim_start_matches("./").trim_end_matches('/');
        let owner = (user.parse().unwrap(), group.parse().unwrap());
        owners.insert(PathBuf::from(name), owner);
    }
    owners
}
