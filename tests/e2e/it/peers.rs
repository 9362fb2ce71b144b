//! Caches that kiln and BuildKit share. Needs the engine of `cargo xtask test --peers`; without it there is
//! nothing to run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use testkit::Scratch;

use crate::caching::steps;
use crate::kiln::{Kiln, Project, Ran, command, finish, variable};

/// The Docker engine of the peers. One test at a time has it, since each begins with nothing cached.
pub(crate) struct Docker {
    root: PathBuf,
    pub(crate) socket: PathBuf,
    _held: MutexGuard<'static, ()>,
}

static HELD: Mutex<()> = Mutex::new(());

/// Has the engine to itself as long as it is there.
pub(crate) fn hold() -> MutexGuard<'static, ()> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Docker {
    /// The engine, if there is one.
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            root: variable("KILN_TEST_PEERS")?,
            socket: variable("KILN_TEST_DOCKER")?,
            _held: hold(),
        })
    }

    /// Runs the real client.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(
            command("chroot")
                .arg(&self.root)
                .arg("docker")
                .args(arguments)
                .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
                .env("DOCKER_CONFIG", self.socket.with_file_name("client"))
                .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"),
        )
    }

    /// Builds with nothing known but what the arguments name; what was told.
    fn build(&self, project: &Project, arguments: &[&str]) -> String {
        self.run(&["buildx", "prune", "--all", "--force"]).ok();
        let path = project.path().to_str().unwrap();
        let line = ["buildx", "build", "--progress", "plain"];
        let line = [&line, ARGUMENTS, arguments, &[path]].concat();
        let ran = self.run(&line);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stderr
    }
}

/// The engine's steps have no network of their own here, and neither has a part in what is tested.
const ARGUMENTS: &[&str] = &["--network", "host", "--build-arg", "VERSION=2"];

fn kiln() -> Kiln {
    Kiln::with_config(&variable("KILN_TEST_CONFIG").unwrap())
}

/// Each kind of step that a Dockerfile has.
const DOCKERFILE: &str = r##"FROM alpine AS base
ARG VERSION=1
ENV MODE=fast PATH=/opt/bin:$PATH
RUN echo "<$VERSION & $MODE>" >/version

FROM base AS tools
WORKDIR /src
COPY one .
COPY --chown=1:2 --chmod=640 dir /dst/
COPY dir/*.txt dir/sub/ /glob/
COPY --exclude=*.txt dir /excluded/
ADD archive.tar /unpacked/
COPY link dir/sub/deep /linked/
COPY . /all/
USER nobody
WORKDIR made/here
USER root
COPY <<EOF <<"SECOND" /heredocs/
hello $MODE
EOF
not $expanded
SECOND
RUN <<EOF
set -e
ls -l / > /listing
EOF
RUN --mount=type=bind,target=/context,source=dir cat /context/a.txt >/bound
RUN --mount=type=bind,from=base,source=/version,target=/v cat /v >/bound-too
RUN --mount=type=cache,target=/root/.cache --mount=type=tmpfs,target=/scratch touch /root/.cache/x /scratch/y
RUN --mount=type=cache,id=other,sharing=locked,target=/c --mount=type=cache,uid=7,mode=0700,target=/d touch /c/x /d/y
RUN --mount=type=secret,id=z,target=/z --mount=type=ssh --mount=type=secret,id=a,target=/a true
RUN --mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN,target=/t true
RUN --network=none true
RUN ["/bin/sh", "-c", "echo exec >/exec"]

FROM scratch AS empty
COPY --from=tools /src/one /

FROM base
COPY --from=tools /bound /bound-too /from/
COPY --link --from=tools /unpacked /linked/unpacked
COPY --from=empty / /whole/
COPY --chown=nobody:nobody --from=tools /dst /owned/
VOLUME /data
CMD ["true"]
"##;

fn project() -> Project {
    let project = Project::new(&[
        ("Dockerfile", DOCKERFILE),
        (".dockerignore", "ignored\ndir/ignored*\n"),
        ("one", "1"),
        ("ignored", "x"),
        ("dir/a.txt", "a"),
        ("dir/b.txt", "b"),
        ("dir/ignored.txt", "x"),
        ("dir/sub/deep", "deep"),
        ("dir/sub.txt/file", "a name that begins as another"),
        ("dir-x/file", "x"),
    ]);
    std::os::unix::fs::symlink("dir/a.txt", project.join("link")).unwrap();
    std::os::unix::fs::symlink("a.txt", project.join("dir/inner")).unwrap();
    let archive = project.join("archive.tar");
    let archive = archive.to_str().unwrap();
    let directory = project.join("dir");
    let directory = directory.to_str().unwrap();
    crate::kiln::tool("tar", &["-cf", archive, "-C", directory, "sub"]);
    project
}

/// Steps that BuildKit says it ran. One that it found is told as cached, or by the layers that are
/// fetched for it, or both.
fn ran_by_buildkit(told: &str) -> Vec<&str> {
    let (mut names, mut found) = (BTreeMap::new(), BTreeSet::new());
    let mut done = BTreeSet::new();
    for (number, text) in told.lines().filter_map(|line| line.split_once(' ')) {
        if text.starts_with('[') && !text.starts_with("[internal]") && !text.contains("] FROM") {
            names.insert(number, text);
        } else if text == "CACHED" || text.starts_with("sha256:") {
            found.insert(number);
        } else if text.starts_with("DONE") {
            done.insert(number);
        }
    }
    names.retain(|number, _| done.contains(number) && !found.contains(number));
    names.into_values().collect()
}

fn arguments<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [ARGUMENTS, rest].concat()
}

/// How a cache goes from one to the other: what the one writes, and what the other reads.
struct Way {
    to: Vec<String>,
    from: String,
}

/// Each kind of cache that both have.
fn ways(scratch: &Scratch) -> [Way; 4] {
    let registry = variable("KILN_TEST_SCRATCH_REGISTRY").unwrap();
    let registry = registry.display();
    let place = scratch.join("cache");
    let place = place.display();
    // A name of its own for each test.
    let name = scratch.path().file_name().unwrap().to_str().unwrap();
    let name = format!("{registry}/{}", name.to_lowercase());
    let to = |to: String| vec!["--cache-to".to_owned(), to];
    [
        Way {
            to: to(format!("type=local,dest={place},mode=max")),
            from: format!("type=local,src={place}"),
        },
        Way {
            to: to(format!(
                "type=registry,ref={name}:max,mode=max,compression=zstd"
            )),
            from: format!("type=registry,ref={name}:max"),
        },
        Way {
            to: to(format!("type=registry,ref={name}:min,image-manifest=false")),
            from: format!("{name}:min"),
        },
        Way {
            to: vec![
                "--cache-to".to_owned(),
                "type=inline".to_owned(),
                "-t".to_owned(),
                format!("{name}:image"),
                "--push".to_owned(),
            ],
            from: format!("{name}:image"),
        },
    ]
}

#[test]
fn buildkit_finds_what_kiln_made() {
    let Some(docker) = Docker::new() else { return };
    let (kiln, project, scratch) = (kiln(), project(), Scratch::new());
    for way in ways(&scratch) {
        let to: Vec<&str> = way.to.iter().map(String::as_str).collect();
        kiln.build(&project, &arguments(&to));
        let told = docker.build(&project, &["--cache-from", &way.from]);
        assert_eq!(ran_by_buildkit(&told), Vec::<&str>::new(), "{told}");
    }
}

#[test]
fn kiln_finds_what_buildkit_made() {
    let Some(docker) = Docker::new() else { return };
    let (project, scratch) = (project(), Scratch::new());
    for way in ways(&scratch) {
        let to: Vec<&str> = way.to.iter().map(String::as_str).collect();
        docker.build(&project, &to);
        let kiln = kiln();
        let from = ["-t", "app", "--cache-from", &way.from];
        let told = kiln.build(&project, &arguments(&from));
        assert_eq!(steps(&told).0, Vec::<&str>::new(), "{told}");
        assert_eq!(kiln.ok(["run", "--rm", "app", "cat", "/from/bound"]), "a");
        kiln.assert_clean();
    }
}
