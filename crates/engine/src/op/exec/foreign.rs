//! Why the kernel does not know a program: it may be for another machine, for which there is no
//! emulator here.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use oci::Platform;
use rustix::io::Errno;
use sandbox::LookupError;
use snapshot::{Found, Tree};

use crate::engine::Inner;
use crate::op::InputTree;

/// Scripts that scripts are run by.
const MAX_SCRIPTS: usize = 4;
/// More than the first line of a script that the kernel reads.
const START: u64 = 256;

/// What is said beside `error` when the program in `root` is for another machine.
pub(super) fn why(engine: &Inner, root: &InputTree, error: &LookupError) -> Option<String> {
    let LookupError::Refused { path, errno, .. } = error else {
        return None;
    };
    if Errno::from_raw_os_error(*errno) != Errno::NOEXEC {
        return None;
    }
    let (program, wanted) = program(&engine.tree(root).ok()?, path)?;
    let host = Platform::host();
    (wanted != host).then(|| {
        format!(
            "{program} is for {wanted}, and this machine, which is {host}, has no emulator \
             registered for that: install one (package qemu-user-binfmt, or qemu-user-static with \
             binfmt-support), or compile for {wanted} in a stage FROM --platform=$BUILDPLATFORM",
            program = program.display(),
        )
    })
}

/// The program that is run when `path` is, and what it is for.
fn program(tree: &Tree, path: &str) -> Option<(PathBuf, Platform)> {
    let mut path = PathBuf::from(path);
    for _ in 0..MAX_SCRIPTS {
        let start = start(tree, &path)?;
        match interpreter(&start) {
            Some(next) => path = next,
            None => return Some((path, machine(&start)?)),
        }
    }
    None
}

fn start(tree: &Tree, path: &Path) -> Option<Vec<u8>> {
    let resolved = tree.lookup(path, true).ok()?;
    let Found::File(entry, _) = resolved.found else {
        return None;
    };
    let file = resolved.dir.open(&entry).ok()?;
    let mut start = Vec::new();
    file.take(START).read_to_end(&mut start).ok()?;
    Some(start)
}

/// What a script is run by.
fn interpreter(start: &[u8]) -> Option<PathBuf> {
    let line = start.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let line = str::from_utf8(line).ok()?;
    line.split_ascii_whitespace().next().map(PathBuf::from)
}

/// What a program in the executable and linkable format is for.
pub(crate) fn machine(start: &[u8]) -> Option<Platform> {
    let start = start.strip_prefix(b"\x7fELF")?;
    let (is_64, is_little) = (start.first()? == &2, start.get(1)? == &1);
    let number: [u8; 2] = start.get(14..16)?.try_into().ok()?;
    let number = match is_little {
        true => u16::from_le_bytes(number),
        false => u16::from_be_bytes(number),
    };
    let architecture = match (number, is_64, is_little) {
        (3, ..) => "386",
        (8, true, true) => "mips64le",
        (8, true, false) => "mips64",
        (8, false, true) => "mipsle",
        (8, false, false) => "mips",
        (21, _, true) => "ppc64le",
        (21, _, false) => "ppc64",
        (22, true, _) => "s390x",
        (40, ..) => "arm",
        (62, ..) => "amd64",
        (183, ..) => "arm64",
        (243, true, _) => "riscv64",
        (258, true, _) => "loong64",
        _ => return None,
    };
    Some(Platform::new("linux", architecture, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines() {
        for (class, order, number, expected) in [
            (2, 1, [183, 0], Some("linux/arm64")),
            (2, 1, [62, 0], Some("linux/amd64")),
            (1, 1, [40, 0], Some("linux/arm/v7")),
            (2, 2, [0, 22], Some("linux/s390x")),
            (2, 1, [21, 0], Some("linux/ppc64le")),
            (2, 1, [255, 255], None),
        ] {
            let mut start = b"\x7fELF".to_vec();
            start.extend([class, order]);
            start.resize(18, 0);
            start.extend(number);
            let found = machine(&start).map(|platform| platform.to_string());
            assert_eq!(found.as_deref(), expected, "{number:?}");
        }
        assert_eq!(machine(b"\x7fELF\x02\x01"), None);
        assert_eq!(machine(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn interpreters() {
        for (text, expected) in [
            ("#!/bin/sh -e\nexit", Some("/bin/sh")),
            ("#! /usr/bin/env python3\n", Some("/usr/bin/env")),
            ("#!\n", None),
            ("echo", None),
        ] {
            let found = interpreter(text.as_bytes());
            assert_eq!(found.as_deref(), expected.map(Path::new), "{text:?}");
        }
    }
}
