//! A root made of busybox alone, and the shortest way to run something in it.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sandbox::{
    CapabilitySet, Exit, GroupLimits, Network, Process, Running, Sandbox, SandboxError, Security,
    Spec, Stdio, User,
};
use sys::mount::{MountKind, OverlayMount};

/// Where Debian's busybox-static puts it.
const BUSYBOX: &str = "/bin/busybox";

/// A root in a directory of its own, writable through an overlay.
pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) sandbox: Sandbox,
}

/// What came of one process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Fixture {
    /// Nothing unless this is root.
    pub(crate) fn new() -> Option<Fixture> {
        if !rustix::process::geteuid().is_root() {
            testkit::skip("only root mounts without a namespace of users");
            return None;
        }
        let there = Path::new(BUSYBOX).exists();
        assert!(there, "please install the Debian package busybox-static");
        let dir = tempfile::tempdir().unwrap();
        let lower = dir.path().join("lower");
        for path in [
            "lower/bin",
            "lower/etc",
            "lower/tmp",
            "empty",
            "upper",
            "work",
        ] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        std::fs::copy(BUSYBOX, lower.join("bin/busybox")).unwrap();
        for name in [
            "sh", "cat", "ls", "id", "true", "sleep", "mount", "mknod", "chmod", "grep", "echo",
            "readlink", "stat", "ip", "chroot", "unshare", "hostname", "touch", "rm", "tty",
            "head", "wc", "pwd", "kill", "find", "dd", "env", "umount", "ps", "tr",
        ] {
            symlink("busybox", lower.join("bin").join(name)).unwrap();
        }
        std::fs::write(
            lower.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\napp:x:7:7::/:/bin/sh\n",
        )
        .unwrap();
        let sandbox = Sandbox::new(None).unwrap();
        Some(Fixture { dir, sandbox })
    }

    pub(crate) fn lower(&self) -> PathBuf {
        self.dir.path().join("lower")
    }

    /// An overlay over busybox with an upper directory of this name.
    pub(crate) fn overlay(&self, name: &str) -> MountKind {
        let (upper, work) = (
            self.dir.path().join(format!("upper/{name}")),
            self.dir.path().join(format!("work/{name}")),
        );
        std::fs::create_dir_all(&upper).unwrap();
        std::fs::create_dir_all(&work).unwrap();
        MountKind::Overlay(OverlayMount {
            lower: vec![self.lower()],
            upper: Some(upper),
            work: Some(work),
            // A volatile one cannot be mounted twice, which many tests do.
            volatile: name != "default",
            user_xattr: false,
        })
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.dir.path().join("upper/default")
    }

    /// The usual process: root, docker's rights, the host's network.
    pub(crate) fn spec(&self, args: &[&str]) -> Spec {
        Spec {
            root: self.overlay("default"),
            mounts: Vec::new(),
            process: Process {
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                env: vec!["PATH=/usr/bin:/bin".into(), "HOME=/root".into()],
                cwd: "/".into(),
                user: User::root(),
                capabilities: CapabilitySet::DOCKER_DEFAULT,
                no_new_privileges: false,
            },
            hostname: "box".into(),
            network: Network::Host,
            security: Security::Sandbox,
            limits: Vec::new(),
            devices: Vec::new(),
            shm_size: None,
            group: GroupLimits::default(),
        }
    }

    pub(crate) fn shell(&self, script: &str) -> Spec {
        self.spec(&["sh", "-c", script])
    }

    /// Starts it with no input and its output thrown away.
    pub(crate) fn start(&self, spec: &Spec) -> Result<Running, SandboxError> {
        Fixture::start_in(&self.sandbox, spec)
    }

    pub(crate) fn start_in(sandbox: &Sandbox, spec: &Spec) -> Result<Running, SandboxError> {
        let null = || {
            OwnedFd::from(
                File::options()
                    .read(true)
                    .write(true)
                    .open("/dev/null")
                    .unwrap(),
            )
        };
        sandbox.start(
            spec,
            Stdio::Files {
                stdin: null(),
                stdout: null(),
                stderr: null(),
            },
        )
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, spec: &Spec) -> Result<Outcome, SandboxError> {
        let null = OwnedFd::from(File::open("/dev/null").unwrap());
        let (stdout, out) = std::io::pipe().unwrap();
        let (stderr, err) = std::io::pipe().unwrap();
        let files = Stdio::Files {
            stdin: null,
            stdout: out.into(),
            stderr: err.into(),
        };
        let mut running = self.sandbox.start(spec, files)?;
        let errors = std::thread::spawn(move || text(stderr));
        let stdout = text(stdout);
        let stderr = errors.join().unwrap();
        Ok(Outcome {
            exit: running.wait().unwrap(),
            stdout,
            stderr,
        })
    }

    /// What a script prints; it must succeed.
    pub(crate) fn output(&self, spec: &Spec) -> String {
        let Outcome {
            exit,
            stdout,
            stderr,
        } = self.run(spec).unwrap();
        assert_eq!(exit, Exit::Code(0), "{stdout}{stderr}");
        stdout + &stderr
    }

    #[track_caller]
    pub(crate) fn check(&self, script: &str, expected: &str) {
        assert_eq!(self.output(&self.shell(script)), expected, "{script}");
    }
}

fn text(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}
