//! Which programs for other machines run here: the kernel hands them to emulators that somebody has
//! registered.

use std::path::{Path, PathBuf};

use oci::Platform;

use crate::op::machine;

const REGISTERED: &str = "/proc/sys/fs/binfmt_misc";

/// What runs programs for another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emulator {
    /// For which machine they are.
    pub platform: Platform,
    /// The program.
    pub program: PathBuf,
    /// Whether the kernel has it open, so that it is there for steps too. Otherwise it is looked for
    /// in the step's own image.
    pub is_open: bool,
}

/// The emulators that run something here; none when the list cannot be seen, which says nothing of
/// whether there are any.
#[must_use]
pub fn emulators() -> Option<Vec<Emulator>> {
    listed(Path::new(REGISTERED))
}

fn listed(directory: &Path) -> Option<Vec<Emulator>> {
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).ok();
    if read("status")?.trim() != "enabled" {
        return Some(Vec::new());
    }
    let names = std::fs::read_dir(directory).ok()?.flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<Emulator> = names
        .filter_map(|name| emulator(&read(&name)?))
        .filter(|emulator| emulator.platform != Platform::host())
        .collect();
    // Of several for one machine the one that is there for every step.
    found.sort_by_key(|emulator| (emulator.platform.to_string(), !emulator.is_open));
    found.dedup_by(|next, kept| next.platform == kept.platform);
    Some(found)
}

/// What one file of the list says, if it is of programs for a machine.
fn emulator(text: &str) -> Option<Emulator> {
    let mut lines = text.lines();
    if lines.next()? != "enabled" {
        return None;
    }
    let value = |name: &str| {
        let mut lines = text.lines();
        lines
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    if value("offset ")? != "0" {
        return None;
    }
    Some(Emulator {
        platform: machine(&bytes(value("magic ")?)?)?,
        program: value("interpreter ")?.into(),
        is_open: value("flags:").is_some_and(|flags| flags.contains('F')),
    })
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let pairs = hexadecimal.as_bytes().chunks_exact(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARM64: &str = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\n\
        mask ffffffffffffff00fffffffffffffffffeffffff\n";

    fn told(entries: &[(&str, &str)]) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in entries {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let found = listed(directory.path())?;
        let texts = found.iter().map(|emulator| {
            let how = if emulator.is_open { "open" } else { "by name" };
            format!("{} {} {how}", emulator.platform, emulator.program.display())
        });
        Some(texts.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn what_is_registered() {
        let on = ("status", "enabled\n");
        let script = "enabled\ninterpreter /usr/bin/python3\nflags: \noffset 0\nmagic 6f0d0d0a\n";
        let by_name = ARM64.replace("OCF", "OC").replace("-static", "");
        let s390x = ARM64
            .replace("454c4602010100", "454c4602020100")
            .replace("0200b700", "00020016")
            .replace("aarch64", "s390x");
        let check = |entries: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(told(entries).as_deref(), expected);
        };
        check(&[], None);
        check(&[on, ("register", "")], Some(""));
        check(&[("status", "disabled\n"), ("a", ARM64)], Some(""));
        check(
            &[on, ("a", &ARM64.replace("enabled", "disabled"))],
            Some(""),
        );
        check(
            &[on, ("a", script), ("b", ARM64), ("c", &s390x)],
            Some(
                "linux/arm64 /usr/bin/qemu-aarch64-static open, linux/s390x \
                 /usr/bin/qemu-s390x-static open",
            ),
        );
        check(
            &[on, ("a", &by_name)],
            Some("linux/arm64 /usr/bin/qemu-aarch64 by name"),
        );
        check(
            &[on, ("a", &by_name), ("b", ARM64)],
            Some("linux/arm64 /usr/bin/qemu-aarch64-static open"),
        );
    }
}
