//! kiln in the place of `buildkitd` and `dockerd`: on a machine that is set up for them, that is
//! with their files where they look for them and nothing said on the command line that would not be
//! said to them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};

use bollard_buildkit_proto::moby::buildkit::v1 as api;
use futures_util::StreamExt as _;
use testkit::{FakeRegistry, Scratch};

use super::client::{Client, Wanted};
use super::offers::Offers;
use super::run;
use crate::kiln::{Ran, binary, command, finish, tool};
use crate::standin::new_registry;
use crate::unpacked::is_root;

/// Sets a machine up in namespaces of its own, begins `$1`, and ends it when standard input ends.
/// What it leaves is told.
const MACHINE: &str = r#"
set -eu
scratch=$0 daemon=$1; shift
mount --make-rprivate /
mount -t proc proc /proc
mkdir -p "$scratch/upper" "$scratch/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$scratch/upper,workdir=$scratch/work" overlay /etc
mount -t tmpfs tmpfs /run
cp -r "$scratch/etc/." /etc
cat /proc/self/mounts >"$scratch/before"
"$scratch/bin/$daemon" "$@" 2>"$scratch/log" & daemon=$!
echo began
read -r line || true
kill -TERM $daemon
code=0; wait $daemon || code=$?
echo "exit $code"
cat /proc/self/mounts | diff "$scratch/before" - || true
find /run -type s -o -type f
for process in /proc/[0-9]*; do
    number=${process#/proc/}
    if [ "$number" != 1 ] && read -r name <"$process/comm" 2>/dev/null; then echo "process $name"; fi
done
"#;

/// A machine on which kiln is `buildkitd` and `dockerd`.
struct Machine {
    scratch: Scratch,
    shell: Child,
    told: BufReader<ChildStdout>,
}

impl Machine {
    /// Begins the daemon `name` with `file` at `path` beneath `/etc`.
    fn start(name: &str, arguments: &[&str], path: &str, file: &str) -> Self {
        let scratch = Scratch::new();
        let names = scratch.dir("bin");
        for name in ["buildkitd", "dockerd"] {
            std::os::unix::fs::symlink(binary(), names.join(name)).unwrap();
        }
        let path = scratch.join("etc").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = file.replace("SCRATCH", scratch.path().to_str().unwrap());
        fs::write(path, file).unwrap();
        let line = [
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            MACHINE,
        ];
        let mut unshare = command("unshare");
        unshare
            .args(line)
            .arg(scratch.path())
            .arg(name)
            .args(arguments)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut shell = unshare.spawn().unwrap();
        let mut told = BufReader::new(shell.stdout.take().unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        assert_eq!(line, "began\n");
        Self {
            scratch,
            shell,
            told,
        }
    }

    /// A socket of the machine's, from outside.
    fn socket(&self, path: &str) -> PathBuf {
        let path = PathBuf::from(format!("/proc/{}/root{path}", self.shell.id()));
        let begun = std::time::Instant::now();
        while std::os::unix::net::UnixStream::connect(&path).is_err() {
            assert!(
                begun.elapsed().as_secs() < 20,
                "nobody listens: {}",
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        path
    }

    fn log(&self) -> String {
        fs::read_to_string(self.scratch.join("log")).unwrap_or_default()
    }

    /// Tells the daemon to stop; what is left of it.
    fn stop(mut self) -> String {
        drop(self.shell.stdin.take());
        let mut left = String::new();
        self.told.read_to_string(&mut left).unwrap();
        assert!(self.shell.wait().unwrap().success(), "{left}{}", self.log());
        left
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.shell.kill());
        drop(self.shell.wait());
    }
}

const PROJECT: &[(&str, &str)] = &[
    (
        "Dockerfile",
        "FROM alpine\nCOPY a /a\nRUN --network=host cat /a >/b\n",
    ),
    ("a", "content\n"),
];

async fn records(client: &Client) -> usize {
    let mut control = client.control();
    let usage = control.disk_usage(api::DiskUsageRequest::default());
    usage.await.unwrap().into_inner().record.len()
}

#[test]
fn as_buildkitd() {
    let registry: FakeRegistry = new_registry();
    let host = registry.host();
    let file = format!(
        "root = \"SCRATCH/root\"\ninsecure-entitlements = [\"network.host\"]\n\
         [worker.oci]\nsnapshotter = \"overlayfs\"\n\
         [[worker.oci.gcpolicy]]\nall = true\nmaxUsedSpace = \"10GB\"\n\
         [registry.\"docker.io\"]\nmirrors = [\"{host}\"]\n\
         [registry.\"{host}\"]\nhttp = true\n[new]\nkey = 1\n"
    );
    let machine = Machine::start("buildkitd", &[], "buildkit/buildkitd.toml", &file);
    let socket = machine.socket("/run/buildkit/buildkitd.sock");
    run(async {
        let client = Client::connect(&socket).await;
        let name = format!("{host}/made:one");
        // What is pushed and not kept is nobody's once it is pruned.
        let switch = |on: bool| on.to_string();
        let pushed = vec![
            ("name", name),
            ("push", switch(true)),
            ("store", switch(false)),
        ];
        let wanted = Wanted {
            exporters: vec![("image", pushed)],
            entitlements: vec!["network.host".to_owned()],
            ..Wanted::default()
        };
        let _session = client
            .session("one", "shared", Offers::build(PROJECT))
            .await;
        let built = client.build("one", &wanted).await;
        let digest = &built.ok()["containerimage.digest"];
        let (descriptor, _) = registry.manifest("made", "one").unwrap();
        assert_eq!(descriptor.digest.to_string(), *digest);
        assert_ne!(records(&client).await, 0);
        // The base stays as an image of kiln's, which is no cache, until it is removed as one.
        let by_socket = [
            "--silent",
            "--fail",
            "--unix-socket",
            socket.to_str().unwrap(),
        ];
        let remove = ["-X", "DELETE", "http://kiln/images/alpine"];
        tool("curl", &[&by_socket[..], &remove].concat());
        let all = api::PruneRequest {
            all: true,
            ..api::PruneRequest::default()
        };
        let gone = client.control().prune(all).await.unwrap().into_inner();
        assert_ne!(gone.collect::<Vec<_>>().await.len(), 0);
        assert_eq!(records(&client).await, 0);
    });
    let log = machine.log();
    assert!(
        log.contains("new in /etc/buildkit/buildkitd.toml has no effect"),
        "{log}"
    );
    assert!(
        log.contains("worker.oci.snapshotter has no effect"),
        "{log}"
    );
    assert!(machine.scratch.join("root/kiln").is_dir());
    assert_eq!(machine.stop(), "exit 0\n");
}

#[test]
fn as_dockerd() {
    let registry: FakeRegistry = new_registry();
    let host = registry.host();
    let file = format!(
        "{{\"data-root\": \"SCRATCH/data\", \"registry-mirrors\": [\"http://{host}\"],\
         \"insecure-registries\": [\"{host}\"], \"log-opts\": {{\"max-size\": \"10m\"}},\
         \"builder\": {{\"gc\": {{\"defaultKeepStorage\": \"10GB\"}}}},\
         \"pidfile\": \"/run/docker.pid\", \"new-key\": 1}}"
    );
    let arguments = [
        "-H",
        "unix:///run/docker.sock",
        "--containerd=/run/containerd/containerd.sock",
    ];
    let machine = Machine::start("dockerd", &arguments, "docker/daemon.json", &file);
    let socket = machine.socket("/run/docker.sock");
    let project = machine.scratch.dir("project");
    for (name, content) in PROJECT {
        let content = content.replace("--network=host ", "");
        fs::write(project.join(name), content).unwrap();
    }
    let docker = |arguments: &[&str]| -> Ran {
        let mut docker = command("docker");
        let host = format!("unix://{}", socket.display());
        docker
            .args(arguments)
            .env("DOCKER_HOST", host)
            .env("DOCKER_BUILDKIT", "0");
        finish(docker.env("DOCKER_CONFIG", machine.scratch.join("client")))
    };
    let version = docker(&[
        "version",
        "--format",
        "{{.Server.Version}} {{.Server.Platform.Name}}",
    ]);
    assert_eq!(version.ok(), "28.5.2 kiln\n");
    let name = format!("{host}/made:two");
    let path = project.to_str().unwrap();
    docker(&["build", "--pull", "-t", &name, path]).ok();
    assert_eq!(
        docker(&["run", "--rm", &name, "cat", "/b"]).ok(),
        "content\n"
    );
    docker(&["push", &name]).ok();
    assert!(registry.manifest("made", "two").is_some());
    docker(&["rmi", &name, "alpine"]).ok();
    docker(&["system", "prune", "--all", "--force"]).ok();
    let left = docker(&[
        "system",
        "df",
        "--format",
        "{{.Type}} {{.TotalCount}} {{.Size}}",
    ])
    .ok();
    assert!(
        left.contains("Images 0 0B") && left.contains("Build Cache 0 0B"),
        "{left}"
    );
    let log = machine.log();
    assert!(
        log.contains("new-key in /etc/docker/daemon.json has no effect"),
        "{log}"
    );
    assert!(log.contains("--containerd has no effect"), "{log}");
    let pid = PathBuf::from(format!("/proc/{}/root/run/docker.pid", machine.shell.id()));
    assert!(pid.exists());
    assert_eq!(machine.stop(), "exit 0\n");
}

#[test]
fn what_cannot_be_done_stops_it() {
    let scratch = Scratch::new();
    let config = scratch.file("buildkitd.toml", "[worker.oci]\nselinux = true\n");
    let name = scratch.join("buildkitd");
    std::os::unix::fs::symlink(binary(), &name).unwrap();
    let line = ["--config", config.to_str().unwrap()];
    let ran = finish(command(name.to_str().unwrap()).args(line));
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.error(),
        "ERROR: buildkitd: worker.oci.selinux: true is not provided by kiln: leave it out"
    );
    let line = ["--oci-worker-net=cni", "--oci-cni-config-path=/nowhere"];
    let ran = finish(command(name.to_str().unwrap()).args(line));
    let why = match is_root() {
        true => "failed to read cni config \"/nowhere\": No such file or directory (os error 2)",
        false => "worker.oci.networkMode: \"cni\" takes root: leave it out or say \"host\"",
    };
    assert_eq!(ran.error(), format!("ERROR: buildkitd: {why}"));
    let version = finish(command(name.to_str().unwrap()).arg("--version")).ok();
    assert!(
        version.starts_with("buildkitd github.com/moby/buildkit v0."),
        "{version}"
    );
}
