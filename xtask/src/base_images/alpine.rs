//! The alpine and busybox stand-ins: one static busybox, a link for each of its applets, and the
//! few files that make it a system.
//!
//! Needs nothing but the package `busybox-static`, which is unpacked and not installed: installed,
//! it would take the place of a busybox that the host may have.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::unpacked;
use crate::command;

/// Applets whose links would pretend to be a package manager that is not there.
const NOT_LINKED: [&str; 4] = ["busybox", "dpkg", "dpkg-deb", "rpm"];

/// Applets that are found in `/usr/bin` and `/usr/sbin` by their full path, by scripts' first lines.
const IN_USR: [&str; 2] = ["env", "id"];

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
";

const GROUP: &str = "\
root:x:0:root
bin:x:1:root,bin,daemon
daemon:x:2:root,bin,daemon
tty:x:5:
users:x:100:
nogroup:x:65533:
nobody:x:65534:
";

const OS_RELEASE: &str = "\
NAME=\"kiln stand-in for Alpine Linux\"
ID=kiln-stand-in
PRETTY_NAME=\"kiln stand-in for Alpine Linux (Debian's busybox)\"
";

/// Scripts in place of programs that Debian's busybox does not have.
const SCRIPTS: [(&str, &str); 3] = [
    ("sbin/apk", include_str!("alpine/apk.sh")),
    ("usr/sbin/addgroup", include_str!("alpine/addgroup.sh")),
    ("usr/sbin/adduser", include_str!("alpine/adduser.sh")),
];

pub(super) fn fill(root: &Path) -> Result<()> {
    fill_busybox(root)?;
    fs::write(root.join("etc/os-release"), OS_RELEASE)?;
    for (name, text) in SCRIPTS {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    bake_certificates(root)
}

pub(super) fn fill_busybox(root: &Path) -> Result<()> {
    for folder in [
        "bin", "sbin", "usr/bin", "usr/sbin", "etc", "home", "lib", "var/tmp",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    let busybox = root.join("bin/busybox");
    place_busybox(&busybox)?;
    for applet in command::read(command::program(&busybox).arg("--list"))?.lines() {
        if !NOT_LINKED.contains(&applet) {
            symlink("/bin/busybox", root.join("bin").join(applet))?;
        }
    }
    for applet in IN_USR {
        symlink("/bin/busybox", root.join("usr/bin").join(applet))?;
    }
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::write(root.join("etc/group"), GROUP)?;
    fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
    unpacked::tidy_up(root)
}

/// The host's own busybox when it is the package's, else the package's.
pub(super) fn place_busybox(to: &Path) -> Result<()> {
    let scratch = TempDir::with_prefix("kiln-busybox-")?;
    let installed = command::quiet(command::program("dpkg-query").args(["-W", "busybox-static"]));
    let from = match installed {
        Ok(()) => PathBuf::from("/bin/busybox"),
        Err(_) => unpack_busybox(scratch.path())?,
    };
    fs::copy(&from, to).with_context(|| from.display().to_string())?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?)
}

fn unpack_busybox(scratch: &Path) -> Result<PathBuf> {
    let download = || {
        let mut download = command::program("apt-get");
        download
            .args(["-qq", "download", "busybox-static"])
            .current_dir(scratch);
        command::quiet(&mut download)
    };
    if download().is_err() {
        command::quiet(command::program("apt-get").args(["-qq", "update"]))?;
        download()?;
    }
    for entry in fs::read_dir(scratch)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let root = scratch.join("root");
            command::quiet(command::program("dpkg-deb").arg("-x").arg(path).arg(&root))?;
            let places = ["usr/bin/busybox", "bin/busybox"].map(|place| root.join(place));
            return places
                .into_iter()
                .find(|place| place.is_file())
                .context("no busybox in it");
        }
    }
    bail!("the package busybox-static was not downloaded")
}

/// `apk add ca-certificates` unpacks this.
fn bake_certificates(root: &Path) -> Result<()> {
    let scratch = TempDir::with_prefix("kiln-certificates-")?;
    unpacked::certificates(scratch.path())?;
    let folder = root.join("usr/share/apk");
    fs::create_dir_all(&folder)?;
    command::quiet(
        command::program("tar")
            .args([
                "--sort=name",
                "--owner=0",
                "--group=0",
                "--mtime=@1600000000",
                "-C",
            ])
            .arg(scratch.path())
            .args(["-I", "gzip -n", "-cf"])
            .arg(folder.join("ca-certificates.tar.gz"))
            .arg("etc"),
    )
}
