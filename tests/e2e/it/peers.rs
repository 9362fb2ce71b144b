//! Caches that kiln and BuildKit share. Needs the engine of `cargo xtask test --peers`; without it there is
//! nothing to run.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use testkit::Scratch;

use crate::caching::steps;
use crate::kiln::{Kiln, Project, Ran, command, finish, variable};

/// The Docker engine of the peers. One test at a time has it, since each begins with nothing cached.
struct Docker {
    root: PathBuf,
    socket: PathBuf,
    _held: MutexGuard<'static, ()>,
}

static HELD: Mutex<()> = Mutex::new(());

impl Docker {
    /// The engine, if there is one.
    fn new() -> Option<Self> {
        Some(Self {
            root: variable("KILN_TEST_PEERS")?,
            socket: variable("KILN_TEST_DOCKER")?,
            _held: HELD.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    fn run(&self, arguments: &[&str]) -> Ran {
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

/// Steps that BuildKit says it ran.
fn ran_by_buildkit(told: &str) -> Vec<&str> {
    let mut names = std::collections::BTreeMap::new();
    let mut ran = Vec::new();
    for line in told.lines() {
        let Some((number, text)) = line.split_once(' ') else {
            continue;
        };
        if text.starts_with('[') && !text.starts_with("[internal]") && !text.contains("] FROM") {
            names.insert(number, text);
        } else if text.starts_with("DONE")
            && let Some(name) = names.remove(number)
        {
            ran.push(name);
        } else if text.starts_with("CACHED") {
            names.remove(number);
        }
    }
    ran
}

fn arguments<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [ARGUMENTS, rest].concat()
}

fn local(place: &Path) -> (String, String) {
    let place = place.display();
    (
        format!("type=local,dest={place},mode=max"),
        format!("type=local,src={place}"),
    )
}

#[test]
fn buildkit_finds_what_kiln_made() {
    let Some(docker) = Docker::new() else { return };
    let (kiln, project, scratch) = (kiln(), project(), Scratch::new());
    let (to, from) = local(&scratch.join("cache"));
    kiln.build(&project, &arguments(&["--cache-to", &to]));
    let told = docker.build(&project, &["--cache-from", &from]);
    assert_eq!(ran_by_buildkit(&told), Vec::<&str>::new(), "{told}");
}

#[test]
fn kiln_finds_what_buildkit_made() {
    let Some(docker) = Docker::new() else { return };
    let (kiln, project, scratch) = (kiln(), project(), Scratch::new());
    let (to, from) = local(&scratch.join("cache"));
    docker.build(&project, &["--cache-to", &to]);
    let told = kiln.build(&project, &arguments(&["-t", "app", "--cache-from", &from]));
    assert_eq!(steps(&told).0, Vec::<&str>::new(), "{told}");
    assert_eq!(kiln.ok(["run", "--rm", "app", "cat", "/from/bound"]), "a");
    kiln.assert_clean();
}
