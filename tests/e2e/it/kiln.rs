//! The binary with a store of its own, projects to build, and what came of it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use testkit::Scratch;

use crate::place::{Place, binary_in};
use crate::standin;
use crate::unpacked::unpack;

/// A store, and the binary that works on it. `docker.io` is the stand-ins' registry.
#[derive(Debug)]
pub(crate) struct Kiln {
    scratch: Scratch,
    config: PathBuf,
    place: Place,
}

/// What a run of a program came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A directory with a Dockerfile and what it needs.
#[derive(Debug)]
pub(crate) struct Project(Scratch);

impl Kiln {
    /// An empty store.
    pub(crate) fn new() -> Self {
        Self::with_mirror(&standin::registry().host())
    }

    /// An empty store whose `docker.io` is at `host`.
    pub(crate) fn with_mirror(host: &str) -> Self {
        Self::of(host, "")
    }

    /// An empty store with more in its configuration.
    pub(crate) fn configured(more: &str) -> Self {
        Self::of(&standin::registry().host(), more)
    }

    fn of(host: &str, more: &str) -> Self {
        let scratch = Scratch::new();
        let config = scratch.file(
            "kiln.toml",
            format!(
                "[registry.\"docker.io\"]\nmirrors = [\"{host}\"]\n\
                 [registry.\"{host}\"]\nhttp = true\n{more}"
            ),
        );
        Self {
            scratch,
            config,
            place: Place::Root,
        }
    }

    /// A store whose configuration is the file at `config`.
    pub(crate) fn with_config(config: &Path) -> Self {
        Self {
            scratch: Scratch::new(),
            config: config.to_path_buf(),
            place: Place::Root,
        }
    }

    /// An empty store of whoever kiln is in `place`.
    pub(crate) fn in_place(place: Place) -> Self {
        let kiln = Self {
            place,
            ..Self::new()
        };
        kiln.lend(kiln.scratch.path());
        kiln
    }

    /// Gives files to whoever kiln is.
    pub(crate) fn lend(&self, path: &Path) {
        if let Some(user) = self.place.user() {
            give(path, user);
        }
    }

    /// Adds to the configuration.
    pub(crate) fn configure(&self, text: &str) {
        let before = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, before + text).unwrap();
    }

    /// A directory beside the store.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.dir(name)
    }

    /// The store's directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.scratch.join("store")
    }

    /// The binary, told where its store is.
    pub(crate) fn command(&self) -> Command {
        let mut command = binary_in(self.place, &binary(), self.scratch.path());
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", self.scratch.path())
            .env("TMPDIR", self.scratch.path())
            .env("KILN_ROOT", self.root())
            .env("KILN_CONFIG", &self.config)
            .stdin(Stdio::null());
        command
    }

    /// A shell in which the binary is `$0`, told where its store is.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let like = self.command();
        let mut shell = command("sh");
        shell
            .args(["-c", script])
            .arg(like.get_program())
            .env_clear()
            .stdin(Stdio::null());
        for (name, value) in like.get_envs() {
            shell.envs(value.map(|value| (name, value)));
        }
        shell
    }

    /// Runs the binary to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        finish(self.command().args(arguments))
    }

    /// Runs the binary with something on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &[u8]) -> Ran {
        let mut child = self.start(self.command().args(arguments).stdin(Stdio::piped()));
        let mut input = child.stdin.take().unwrap();
        let stdin = stdin.to_vec();
        // A program that does not read to the end is none of our business here.
        let writer = std::thread::spawn(move || drop(input.write_all(&stdin)));
        let ran = ended(child);
        writer.join().unwrap();
        ran
    }

    /// Starts the binary, with its output kept.
    pub(crate) fn start(&self, command: &mut Command) -> Child {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs the binary, which must succeed; its standard output.
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        self.run(arguments).ok()
    }

    /// Builds a project, which must succeed; what was told on standard error.
    pub(crate) fn build(&self, project: &Project, arguments: &[&str]) -> String {
        let ran = self.try_build(project, arguments);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        ran.stderr
    }

    /// Builds a project.
    pub(crate) fn try_build(&self, project: &Project, arguments: &[&str]) -> Ran {
        self.lend(project.path());
        let path = project.path().to_str().unwrap();
        let line = ["build", "--progress", "plain"]
            .iter()
            .chain(arguments)
            .chain([&path]);
        self.run(line)
    }

    /// Builds a project into a tar; what tar unpacks of it, owners included.
    pub(crate) fn files(&self, project: &Project, arguments: &[&str]) -> String {
        let scratch = Scratch::new();
        let (tar, out) = (scratch.join("out.tar"), scratch.dir("out"));
        let output = format!("type=tar,dest={}", tar.display());
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", &output]).collect();
        self.lend(scratch.path());
        self.build(project, &arguments);
        unpack(&tar, &out)
    }

    /// The store is whole.
    pub(crate) fn assert_clean(&self) {
        let ran = self.run(["store", "fsck", "--deep"]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
}

impl Ran {
    /// The standard output of what must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The error that ended what must have failed.
    pub(crate) fn error(self) -> String {
        assert_ne!(self.code, 0, "{}{}", self.stdout, self.stderr);
        let mut lines = self.stderr.lines().rev();
        // A hint may follow.
        let error = lines.find(|line| line.starts_with("ERROR: "));
        error.unwrap_or_default().to_owned()
    }

    /// What it says to do, one line each.
    pub(crate) fn hints(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        lines
            .filter_map(|line| line.strip_prefix("hint: "))
            .collect()
    }
}

impl Project {
    /// Files by name and content.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(Scratch::new());
        for (name, content) in files {
            project.write(name, content);
        }
        project
    }

    /// A Dockerfile and nothing else.
    pub(crate) fn of(dockerfile: &str) -> Self {
        Self::new(&[("Dockerfile", dockerfile)])
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, new or changed.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Gives a file, and all beneath, to a user. A change of owner clears bits of the mode.
fn give(path: &Path, user: u32) {
    use std::os::unix::fs::lchown;
    let found = path.symlink_metadata().unwrap();
    lchown(path, Some(user), Some(user)).unwrap();
    if found.is_symlink() {
        return;
    }
    fs::set_permissions(path, found.permissions()).unwrap();
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

/// Runs another program, which must succeed; its standard output.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> String {
    finish(command(program).args(arguments).stdin(Stdio::null())).ok()
}

/// Runs a program to its end.
pub(crate) fn finish(command: &mut Command) -> Ran {
    let spawned = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    ended(spawned.unwrap_or_else(|error| panic!("{command:?}: {error}")))
}

/// Waits for a program.
pub(crate) fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        // As a shell reports a signal.
        code: output.status.code().unwrap_or_else(|| {
            use std::os::unix::process::ExitStatusExt as _;
            128 + output.status.signal().unwrap_or_default()
        }),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A variable that tells the tests where something is.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

pub(crate) fn binary() -> PathBuf {
    let found = variable("KILN_TEST_BINARY").unwrap_or_else(|| {
        // target/debug/deps/it-… → target/debug/kiln
        let deps = std::env::current_exe().unwrap();
        deps.ancestors().nth(2).unwrap().join("kiln")
    });
    assert!(
        found.is_file(),
        "{} is not there: build it first",
        found.display()
    );
    found
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts programs"
)]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}
