//! `cargo xtask kernels`: builds in machines with other kernels than this one's, and compares the
//! images with those that are built here.
//!
//! A machine is emulated, so it needs no rights and is slow. Its disk has the binary, busybox and a
//! Dockerfile (`kernels/`), and its kernel is one of Debian's, which need no more than that to start.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{binary, command, packages, paths, ui};

/// The package that depends on the kernel of this Debian.
const CURRENT: &str = "linux-image-cloud-amd64";
/// The names of images do not depend on the kernel; times would.
const EPOCH: (&str, &str) = ("SOURCE_DATE_EPOCH", "1000000000");
/// Who builds in a machine, in the order of their numbers: root is the first.
const USERS: [&str; 2] = ["root", "user"];
/// By how much their numbers differ.
const APART: usize = 1000;
/// Seconds for a machine to start and build.
const PATIENCE: &str = "300";

/// What a person may ask for.
#[derive(Debug, clap::Args)]
pub(crate) struct Wishes {
    /// The kiln binary, instead of building it
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Packages of kernels, as files; this Debian's kernel when none is named
    #[arg(value_name = "DEB")]
    kernels: Vec<PathBuf>,
}

pub(crate) fn run(wishes: &Wishes) -> Result<()> {
    ensure!(cfg!(target_arch = "x86_64"), "machines are x86-64 only");
    let tools = [
        packages::QEMU,
        packages::MKFS,
        packages::BUSYBOX,
        packages::XZ,
    ];
    packages::ensure(&tools)?;
    let binary = binary::locate(wishes.binary.as_deref())?;
    let scratch = TempDir::with_prefix_in("kernels-", paths::target())?;
    let scratch = scratch.path();
    let context = scratch.join("context");
    fs::create_dir(&context)?;
    fs::copy("/bin/busybox", context.join("busybox")).context("/bin/busybox")?;
    fs::write(
        context.join("Dockerfile"),
        include_str!("kernels/Dockerfile"),
    )?;
    let expected = here(&binary, &context, scratch)?;
    let kernels = match wishes.kernels.as_slice() {
        [] => vec![current(scratch)?],
        named => named.to_vec(),
    };
    let mut rows = Vec::new();
    for (number, package) in kernels.iter().enumerate() {
        let machine = Machine::new(&scratch.join(number.to_string()), package)?;
        let told = machine.run(&binary, &context)?;
        rows.push(row(&told, &expected)?);
    }
    ui::say(ui::table(&["kernel", "root", "an ordinary user"], &rows));
    Ok(())
}

/// What the image is called that is built here.
fn here(binary: &Path, context: &Path, scratch: &Path) -> Result<String> {
    let mut build = command::program(binary);
    build.arg("--root").arg(scratch.join("store"));
    build.args(["build", "-q"]).arg(context);
    command::read(build.env(EPOCH.0, EPOCH.1))
}

/// Downloads this Debian's kernel.
fn current(scratch: &Path) -> Result<PathBuf> {
    let told = command::read(command::program("apt-cache").args(["depends", CURRENT]))?;
    let name = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let name = name.with_context(|| format!("{CURRENT} depends on no kernel"))?;
    let name = format!("linux-image-{name}");
    let downloads = scratch.join("downloads");
    fs::create_dir(&downloads)?;
    ui::step(format_args!("downloading {name}"));
    let mut download = command::program("apt-get");
    download
        .args(["-qq", "download", &name])
        .current_dir(&downloads);
    command::quiet(&mut download)?;
    let file = fs::read_dir(&downloads)?
        .next()
        .context("nothing was downloaded")??;
    Ok(file.path())
}

/// A machine that can be started.
struct Machine {
    kernel: PathBuf,
    /// overlayfs, which Debian's kernels have as a module.
    module: PathBuf,
    scratch: PathBuf,
}

impl Machine {
    /// Unpacks the package into `scratch`.
    fn new(scratch: &Path, package: &Path) -> Result<Self> {
        let root = scratch.join("package");
        fs::create_dir_all(&root)?;
        command::quiet(
            command::program("dpkg-deb")
                .arg("-x")
                .arg(package)
                .arg(&root),
        )?;
        let kernel = find(&root.join("boot"), "vmlinuz-");
        let module = find(&root.join("lib/modules"), "overlay.ko");
        let module = module.or_else(|| find(&root.join("usr/lib/modules"), "overlay.ko"));
        let missing = |what| format!("{} has no {what}", package.display());
        Ok(Self {
            kernel: kernel.with_context(|| missing("kernel"))?,
            module: module.with_context(|| missing("overlay.ko"))?,
            scratch: scratch.to_owned(),
        })
    }

    /// Builds in it; all that it said.
    fn run(&self, binary: &Path, context: &Path) -> Result<String> {
        let disk = self.disk(binary, context)?;
        ui::step(format_args!("starting {}", self.kernel.display()));
        let drive = format!("file={},if=none,id=disk,format=raw", disk.display());
        let mut machine = command::program("timeout");
        machine.args([
            PATIENCE,
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-m",
            "1500",
        ]);
        machine.args(["-nographic", "-no-reboot", "-nic", "none", "-kernel"]);
        machine.arg(&self.kernel).args(["-drive", &drive]);
        machine.args(["-device", "nvme,drive=disk,serial=1", "-append"]);
        let (name, value) = EPOCH;
        // What the kernel does not know becomes a variable of the first process.
        machine.arg(format!(
            "console=ttyS0 quiet root=/dev/nvme0n1 rw rootwait init=/init {name}={value}"
        ));
        let output = command::capture(&mut machine)?;
        let told = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&told).into_owned())
    }

    /// The file of a disk with all that is needed.
    fn disk(&self, binary: &Path, context: &Path) -> Result<PathBuf> {
        let (root, disk) = (self.scratch.join("root"), self.scratch.join("disk"));
        for directory in ["bin", "context", "dev", "etc", "proc", "root", "run", "sys"] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::copy(binary, root.join("bin/kiln"))?;
        fs::copy(context.join("busybox"), root.join("bin/busybox"))?;
        for name in ["busybox", "Dockerfile"] {
            fs::copy(context.join(name), root.join("context").join(name))?;
        }
        fs::write(root.join("overlay.ko"), self.module()?)?;
        fs::write(root.join("init"), include_str!("kernels/init"))?;
        let numbered = || USERS.iter().zip((0..).step_by(APART));
        let users = numbered().map(|(user, id)| format!("{user}:x:{id}:{id}::/{user}:/bin/sh\n"));
        fs::write(root.join("etc/passwd"), users.collect::<String>())?;
        let groups = numbered().map(|(user, id)| format!("{user}:x:{id}:\n"));
        fs::write(root.join("etc/group"), groups.collect::<String>())?;
        command::quiet(command::program("chmod").arg("755").arg(root.join("init")))?;
        let mut make = command::program("mkfs.ext4");
        make.args(["-q", "-d"]).arg(&root).arg(&disk).arg("1G");
        command::quiet(&mut make)?;
        Ok(disk)
    }

    /// The bytes of the module.
    fn module(&self) -> Result<Vec<u8>> {
        if self
            .module
            .extension()
            .is_none_or(|extension| extension != "xz")
        {
            return Ok(fs::read(&self.module)?);
        }
        let output = command::capture(command::program("xz").arg("-dc").arg(&self.module))?;
        ensure!(
            output.status.success(),
            "cannot unpack {}",
            self.module.display()
        );
        Ok(output.stdout)
    }
}

/// The first file beneath `directory` whose name begins so.
fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(directory).ok()?.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    entries.into_iter().find_map(|entry| {
        if entry.file_type().ok()?.is_dir() {
            return find(&entry.path(), name);
        }
        let is_it = entry.file_name().to_str()?.starts_with(name);
        is_it.then(|| entry.path())
    })
}

/// What a machine's words come to, if all went well.
fn row(told: &str, expected: &str) -> Result<Vec<String>> {
    let value = |key: &str| {
        let mut lines = told.lines();
        lines.find_map(|line| Some(line.split_once(&format!("{key} "))?.1.trim().to_owned()))
    };
    let mut row = vec![value("kernel").unwrap_or_default()];
    for user in USERS {
        let built = value(&format!("built {user}"));
        if built.as_deref() != Some(expected) {
            let said = command::last_lines(told, 40);
            bail!("{user} did not build {expected}:\n{said}");
        }
        let store = value(&format!("store {user}:")).unwrap_or_default();
        row.push(format!("the same image; {store}"));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn what_machines_say() {
        let told = "\u{1b}[2Jkernel 6.1\r\nstore root: ok: /s, overlayfs\r\nbuilt root a\r\n\
                    store user: ok: /u, overlayfs\r\nbuilt user a\r\n";
        let expected = [
            "6.1",
            "the same image; ok: /s, overlayfs",
            "the same image; ok: /u, overlayfs",
        ];
        assert_eq!(row(told, "a").unwrap(), expected);
        let other = row(told, "b").unwrap_err().to_string();
        assert!(other.starts_with("root did not build b:\n"), "{other}");
        assert!(row("kernel 6.1\nbuilt root a\n", "a").is_err());
    }
}
