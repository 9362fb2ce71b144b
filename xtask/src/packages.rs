//! Programs of others that the chores need, and the Debian packages that hold them.
//!
//! One list, so that a fresh machine gets all of it at once and a person can see what will come.

use anyhow::{Result, bail};

use crate::{command, ui};

/// A program and the Debian package that it is installed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// Unpacks Debian packages into a folder.
pub(crate) const MMDEBSTRAP: Tool = tool("mmdebstrap", "mmdebstrap");
/// Serves images on loopback.
pub(crate) const REGISTRY: Tool = tool("docker-registry", "docker-registry");
/// Copies images between layouts and registries.
pub(crate) const SKOPEO: Tool = tool("skopeo", "skopeo");
/// Unpacks images the way kiln does not.
pub(crate) const UMOCI: Tool = tool("umoci", "umoci");
/// Runs unpacked images the way kiln does not.
pub(crate) const RUNC: Tool = tool("runc", "runc");
/// Is in the images that tests make themselves, without any library.
pub(crate) const BUSYBOX: Tool = tool("busybox", "busybox-static");
/// Asks daemons as people do.
pub(crate) const CURL: Tool = tool("curl", "curl");
/// Is what kiln's own sources of that kind are compared with.
pub(crate) const GIT: Tool = tool("git", "git");
/// Makes certificates.
pub(crate) const OPENSSL: Tool = tool("openssl", "openssl");
/// Makes keys, and agents that hold them.
pub(crate) const SSH: Tool = tool("ssh-agent", "openssh-client");
/// Finds processes that were left behind.
pub(crate) const PGREP: Tool = tool("pgrep", "procps");
/// Reads archives the way kiln does not, and serves pages.
pub(crate) const PYTHON: Tool = tool("python3", "python3");
/// Gives ordinary users further ones.
pub(crate) const UIDMAP: Tool = tool("newuidmap", "uidmap");
/// Connects networks of steps.
pub(crate) const PASTA: Tool = tool("pasta", "passt");
/// Does the same otherwise.
pub(crate) const SLIRP4NETNS: Tool = tool("slirp4netns", "slirp4netns");
/// Sets up networks of steps, with the others of its kind.
pub(crate) const CNI: Tool = tool("/usr/lib/cni/bridge", "containernetworking-plugins");
/// Is what plugins of networks call.
pub(crate) const IPTABLES: Tool = tool("iptables", "iptables");
/// Shows what is there of networks.
pub(crate) const IP: Tool = tool("ip", "iproute2");
/// Records what a process asks of the kernel.
pub(crate) const STRACE: Tool = tool("strace", "strace");
/// Fetches Node's own packages for the node image.
pub(crate) const NPM: Tool = tool("npm", "npm");
/// Compiles the C in our dependencies for the static binary.
pub(crate) const MUSL: Tool = tool("musl-gcc", "musl-tools");
/// Makes file systems for the benchmark.
pub(crate) const MKFS: Tool = tool("mkfs.ext4", "e2fsprogs");
/// Is a machine with another kernel.
pub(crate) const QEMU: Tool = tool("qemu-system-x86_64", "qemu-system-x86");
/// Unpacks modules of kernels.
pub(crate) const XZ: Tool = tool("xz", "xz-utils");
/// Counts instructions.
pub(crate) const VALGRIND: Tool = tool("valgrind", "valgrind");
/// Compiles the fuzzer.
pub(crate) const GXX: Tool = tool("g++", "g++");
/// Compiles the C in our dependencies for the host.
pub(crate) const GCC: Tool = tool("gcc", "gcc");

/// Sees to it that the tools are installed: installs what is missing when this is root on a Debian
/// system, else says what to install.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing = |tool: &&Tool| !command::exists(tool.program);
    let packages: Vec<&str> = tools
        .iter()
        .filter(missing)
        .map(|tool| tool.package)
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    if !command::exists("apt-get") || !is_root() {
        bail!("please install the Debian packages {}", packages.join(" "));
    }
    ui::step(format_args!("installing {}", packages.join(" ")));
    if install(&packages).is_err() {
        // A new machine has no lists of packages yet, and an old one has stale lists.
        command::quiet(command::program("apt-get").args(["-qq", "update"]))?;
        install(&packages)?;
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<()> {
    let mut install = command::program("apt-get");
    install
        .args(["-qq", "install", "--yes", "--no-install-recommends"])
        .args(packages);
    command::quiet(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
