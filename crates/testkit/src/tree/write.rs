//! Writing a tree that a text describes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};
use rustix::process::{getegid, geteuid};

use super::text::{unescape, unescape_os};

/// One line, taken apart.
#[derive(Default)]
struct Entry<'a> {
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
    mtime: Option<u64>,
    xattrs: Vec<(&'a str, &'a str)>,
}

/// Makes in `dir` what `text` describes; see the module. Empty lines and `//` lines are
/// passed over, and so is what the lines are indented by.
///
/// # Panics
/// A line is not understood, or the file system refuses.
pub fn write(dir: &Path, text: &str) {
    // Times of directories last, since what is made in them changes them.
    let mut times = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if !line.is_empty() && !line.starts_with("//") {
            let made = make(dir, line).unwrap_or_else(|error| panic!("{line}: {error}"));
            times.extend(made);
        }
    }
    for (path, mtime) in times.iter().rev() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(*mtime);
        set_mtime(path, time).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn make(dir: &Path, line: &str) -> std::io::Result<Option<(std::path::PathBuf, u64)>> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let path = dir.join(unescape_os(name.trim_end_matches('/')));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let (entry, what) = attributes(rest.trim_start());
    let (word, value) = what.split_once(' ').unwrap_or((what, ""));
    let default_mode = match word {
        "=" => {
            fs::write(&path, unescape(value))?;
            Some(0o644)
        }
        "zeros" => {
            fs::File::create(&path)?.set_len(number(value, 10).into())?;
            Some(0o644)
        }
        "->" => {
            symlink(unescape_os(value), &path)?;
            None
        }
        "==" => {
            fs::hard_link(dir.join(unescape_os(value)), &path)?;
            return Ok(None);
        }
        "fifo" => node(&path, FileType::Fifo, "0:0")?,
        "char" => node(&path, FileType::CharacterDevice, value)?,
        "block" => node(&path, FileType::BlockDevice, value)?,
        "" if name.ends_with('/') => {
            fs::create_dir_all(&path)?;
            Some(0o755)
        }
        "" => {
            fs::write(&path, "")?;
            Some(0o644)
        }
        other => panic!("{other:?} is nothing that a tree has"),
    };
    entry.apply(&path, default_mode)?;
    Ok(entry.mtime.map(|mtime| (path, mtime)))
}

/// Splits attributes from what follows them.
fn attributes(mut rest: &str) -> (Entry<'_>, &str) {
    let mut entry = Entry::default();
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        match word.split_once(['=', ':']) {
            Some(("mtime", seconds)) => entry.mtime = Some(number(seconds, 10).into()),
            Some((name, value)) if name.contains('.') => entry.xattrs.push((name, value)),
            Some((user, group)) if is_digits(user) && is_digits(group) => {
                entry.owner = Some((number(user, 10), number(group, 10)));
            }
            None if is_digits(word) => entry.mode = Some(number(word, 8)),
            _ => return (entry, rest),
        }
        rest = after.trim_start();
    }
}

impl Entry<'_> {
    fn apply(&self, path: &Path, default_mode: Option<u32>) -> std::io::Result<()> {
        if let Some((user, group)) = self.owner {
            // Whoever runs the test counts as root.
            let (own, owns) = (geteuid().as_raw(), getegid().as_raw());
            let user = if user == 0 { own } else { user };
            let group = if group == 0 { owns } else { group };
            lchown(path, Some(user), Some(group))?;
        }
        // After the owner, since changing that takes set-user-ID away.
        if let Some(default) = default_mode {
            fs::set_permissions(path, Permissions::from_mode(self.mode.unwrap_or(default)))?;
        }
        for (name, value) in &self.xattrs {
            lsetxattr(path, *name, &unescape(value), XattrFlags::empty())?;
        }
        Ok(())
    }
}

fn node(path: &Path, kind: FileType, device: &str) -> std::io::Result<Option<u32>> {
    let (major, minor) = device.split_once(':').unwrap_or((device, "0"));
    let device = makedev(number(major, 10), number(minor, 10));
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device)?;
    Ok(Some(0o644))
}

fn set_mtime(path: &Path, time: SystemTime) -> std::io::Result<()> {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let stamp = rustix::fs::Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or(0),
        tv_nsec: 0,
    };
    let times = rustix::fs::Timestamps {
        last_access: stamp,
        last_modification: stamp,
    };
    Ok(rustix::fs::utimensat(
        CWD,
        path,
        &times,
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn number(text: &str, radix: u32) -> u32 {
    u32::from_str_radix(text.trim(), radix).unwrap_or_else(|_| panic!("{text:?} is no number"))
}
