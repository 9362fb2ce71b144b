//! Roots of unpacked Debian packages.
//!
//! `extract` unpacks packages and runs none of their scripts, which takes a tenth of the time of a
//! real installation. What those scripts would have made is made here: users and groups, and the
//! bundle of certificates.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::{command, packages};

/// The release that the stand-ins come from.
const SUITE: &str = "bookworm";

/// What mmdebstrap takes over from the host or leaves behind; in a container these are mounts, or
/// come from the container's owner.
const LEFT_OVERS: [&str; 14] = [
    "dev",
    "proc",
    "sys",
    "tmp",
    "run",
    "etc/resolv.conf",
    "etc/hostname",
    "etc/hosts",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "var/cache/apt",
];

pub(super) fn fill_debian(root: &Path) -> Result<()> {
    packages::ensure(&[packages::MMDEBSTRAP])?;
    let excluded = ["man", "doc", "info", "locale", "lintian"];
    let exclude = |name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*");
    command::quiet(
        command::program("mmdebstrap")
            .args(["--quiet", "--format=directory", "--variant=minbase"])
            .args(excluded.map(exclude))
            .arg(SUITE)
            .arg(root),
    )?;
    tidy_up(root)
}

pub(super) fn fill_golang(root: &Path) -> Result<()> {
    let names =
        "golang-go,golang-golang-x-net-dev,ca-certificates,dash,coreutils,base-files,base-passwd";
    extract(root, names)?;
    for folder in ["test", "api", "misc"] {
        remove(&root.join("usr/share/go-1.19").join(folder))?;
        remove(&root.join("usr/lib/go-1.19").join(folder))?;
    }
    command::quiet(
        command::program("find")
            .args([
                root.join("usr/share/go-1.19/src"),
                root.join("usr/share/gocode/src"),
            ])
            .args([
                "(",
                "-name",
                "testdata",
                "-prune",
                "-o",
                "-name",
                "*_test.go",
                ")",
            ])
            .args(["-exec", "rm", "-rf", "{}", "+"]),
    )?;
    for folder in ["go/src", "go/bin"] {
        fs::create_dir_all(root.join(folder))?;
    }
    users(root)?;
    certificates(root)?;
    tidy_up(root)
}

pub(super) fn fill_nginx(root: &Path) -> Result<()> {
    extract(root, "nginx-light,dash,coreutils,base-files,base-passwd")?;
    users(root)?;
    let sites = root.join("etc/nginx/sites-enabled");
    fs::create_dir_all(&sites)?;
    let site = sites.join("default");
    if !site.exists() {
        std::os::unix::fs::symlink("/etc/nginx/sites-available/default", site)?;
    }
    tidy_up(root)
}

/// Unpacks the packages and all that they depend on.
pub(super) fn extract(root: &Path, names: &str) -> Result<()> {
    packages::ensure(&[packages::MMDEBSTRAP])?;
    command::quiet(
        command::program("mmdebstrap")
            .args(["--quiet", "--format=directory", "--variant=extract"])
            .arg(format!("--include={names}"))
            .arg(r#"--aptopt=APT::Install-Recommends "false""#)
            .arg(SUITE)
            .arg(root),
    )
}

/// The host's bundle: it may know an authority that the packages do not, and packages only make
/// one by a script.
pub(super) fn certificates(root: &Path) -> Result<()> {
    let bundle = "etc/ssl/certs/ca-certificates.crt";
    fs::create_dir_all(root.join("etc/ssl/certs"))?;
    let host = Path::new("/").join(bundle);
    fs::copy(&host, root.join(bundle)).with_context(|| host.display().to_string())?;
    Ok(())
}

/// Removes what does not belong into an image, and makes the folders that every image has.
pub(super) fn tidy_up(root: &Path) -> Result<()> {
    for name in LEFT_OVERS {
        remove(&root.join(name))?;
    }
    let lists = root.join("var/lib/apt/lists");
    if lists.exists() {
        remove(&lists)?;
        fs::create_dir_all(lists.join("partial"))?;
        fs::create_dir_all(root.join("var/cache/apt/archives/partial"))?;
    }
    for name in ["dev", "proc", "sys", "run", "root", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(root.join("root"), fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// The users and groups that every Debian system has.
fn users(root: &Path) -> Result<()> {
    for name in ["passwd", "group"] {
        let master = root.join(format!("usr/share/base-passwd/{name}.master"));
        fs::copy(&master, root.join("etc").join(name))
            .with_context(|| master.display().to_string())?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.with_context(|| path.display().to_string())
}
