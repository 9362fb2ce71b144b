//! Where `kiln serve` listens, what it says, and what signals do to it: clients on TCP by real curl
//! and docker, sockets that are handed over as systemd does it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::Scratch;

use crate::clients::{like, link};
use crate::kiln::{Kiln, Project, Ran, command, finish, tool};
use crate::serving::Answer;

/// A daemon whose log is read as it is written.
struct Told {
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Told {
    fn start(command: &mut Command) -> Self {
        let spawned = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = spawned.unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        Self { process, log }
    }

    /// Reads the log up to the first line with `text`, and returns that.
    fn line_with(&mut self, text: &str) -> String {
        let mut read = String::new();
        loop {
            let mut line = String::new();
            let size = self.log.read_line(&mut line).unwrap();
            assert_ne!(size, 0, "no line with {text:?} in\n{read}");
            if line.contains(text) {
                return line;
            }
            read.push_str(&line);
        }
    }

    /// The address after `scheme` where it listens.
    fn address(&mut self, scheme: &str) -> String {
        let line = self.line_with(&format!("on={scheme}://"));
        let address = line.split("://").nth(1).unwrap();
        address.trim().to_owned()
    }

    fn signal(&self, name: &str) {
        tool("kill", &[name, &self.process.id().to_string()]);
    }

    /// Tells it to stop; the rest of its log.
    fn stop(mut self) -> String {
        self.signal("-TERM");
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success(), "{rest}");
        rest
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn serve(kiln: &Kiln, arguments: &[&str]) -> Command {
    let mut command = kiln.command();
    command.arg("serve").args(arguments);
    command
}

/// Certificates of an authority, and of a stranger: `ca.pem`, `server.pem`, `client.pem`,
/// `stranger.pem`, and their keys.
fn certificates() -> Scratch {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.join(name).to_str().unwrap().to_owned();
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let new = |name: &str, more: &[&str]| {
        let (certificate, secret) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let subject = format!("/CN={name}");
        let line = ["req", "-x509", "-days", "2", "-subj", &subject];
        let files = ["-out", &certificate, "-keyout", &secret];
        tool("openssl", &[&line, &key[..], &files, more].concat());
    };
    let (authority, secret) = (path("ca.pem"), path("ca.key"));
    new("ca", &[]);
    let signed = ["-CA", &authority, "-CAkey", &secret];
    let end = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let name = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
    new("server", &[&signed[..], &end, &name].concat());
    new("client", &[&signed[..], &end].concat());
    new("stranger", &end);
    scratch
}

fn tls(files: &[String; 3]) -> [&str; 6] {
    let [ca, certificate, key] = files;
    ["--tlscacert", ca, "--tlscert", certificate, "--tlskey", key]
}

fn files(scratch: &Scratch, name: &str) -> [String; 3] {
    ["ca.pem", &format!("{name}.pem"), &format!("{name}.key")]
        .map(|file| scratch.join(file).to_str().unwrap().to_owned())
}

fn curl(scratch: &Scratch, name: &str, url: &str) -> Ran {
    let [ca, certificate, key] = files(scratch, name);
    let line = [
        "--silent",
        "--show-error",
        "--cacert",
        &ca,
        "--cert",
        &certificate,
    ];
    finish(command("curl").args(line).args(["--key", &key, url]))
}

#[test]
fn tcp_is_for_those_with_certificates() {
    let (kiln, scratch) = (Kiln::new(), certificates());
    let server = files(&scratch, "server");
    let line = [&["--host", "tcp://127.0.0.1:0"][..], &tls(&server)].concat();
    let mut daemon = Told::start(&mut serve(&kiln, &line));
    let address = daemon.address("tcp");
    let url = format!("https://{address}/version");
    let version = curl(&scratch, "client", &url).ok();
    let version: Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version["Platform"]["Name"], "kiln");
    for refused in [
        curl(&scratch, "stranger", &url),
        finish(command("curl").args(["--silent", "--insecure", &url])),
        finish(command("curl").args(["--silent", &format!("http://{address}/version")])),
    ] {
        assert_ne!(refused.code, 0, "{}", refused.stdout);
        assert_eq!(refused.stdout, "");
    }
    let client = files(&scratch, "client");
    let docker = |host: &str| {
        let tls = tls(&client);
        let line = ["--host", host, "--tlsverify"];
        let line =
            line.iter()
                .chain(&tls)
                .chain(&["version", "--format", "{{.Server.Platform.Name}}"]);
        finish(
            command("docker")
                .args(line)
                .env("DOCKER_CONFIG", scratch.path()),
        )
    };
    assert_eq!(docker(&format!("tcp://{address}")).ok(), "kiln\n");
    own_client(&kiln, &scratch, &address);
    let rest = daemon.stop();
    assert!(rest.contains("msg=\"stopped\""), "{rest}");
    kiln.assert_clean();
}

/// kiln's own client reaches it too, over both APIs, if it knows whom it speaks to and shows who it
/// is.
fn own_client(kiln: &Kiln, scratch: &Scratch, address: &str) {
    let directory = |name: &str| {
        let directory = scratch.join(format!("certificates-of-{name}"));
        fs::create_dir_all(&directory).unwrap();
        for (file, named) in files(scratch, name)
            .iter()
            .zip(["ca.pem", "cert.pem", "key.pem"])
        {
            fs::copy(file, directory.join(named)).unwrap();
        }
        directory
    };
    let project = Project::of("FROM scratch\nLABEL a=b\n");
    let ask = |certificates: Option<&Path>, host: &str, words: &[&str]| {
        let mut command = kiln.command();
        command
            .env("KILN_HOST", host)
            .env("KILN_ROOT", "/nowhere/at/all");
        if let Some(certificates) = certificates {
            command.env("DOCKER_CERT_PATH", certificates);
        }
        finish(command.args(words))
    };
    let host = format!("tcp://{address}");
    let client = directory("client");
    let path = project.path().to_str().unwrap();
    ask(Some(&client), &host, &["build", "-t", "over:tcp", path]).ok();
    let names = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
    assert_eq!(ask(Some(&client), &host, &names).ok(), "over:tcp\n");
    let port = address.rsplit(':').next().unwrap();
    let by_name = format!("tcp://localhost:{port}");
    assert_eq!(ask(Some(&client), &by_name, &names).ok(), "over:tcp\n");
    // Its certificate is not of that name.
    let other = ask(Some(&client), &format!("tcp://127.0.0.2:{port}"), &names).error();
    assert!(other.contains("127.0.0.2"), "{other}");
    // A stranger, nobody, and a place where nobody knows who listens.
    for words in [&["images"][..], &["du"]] {
        let stranger = ask(Some(&directory("stranger")), &host, words);
        assert_ne!(stranger.code, 0, "{}", stranger.stdout);
        assert_ne!(ask(None, &host, words).code, 0);
        let plain = ask(None, "tcp://192.0.2.1:2375", words);
        assert!(
            plain.hints()[0].contains("DOCKER_CERT_PATH"),
            "{}",
            plain.stderr
        );
        let plain = plain.error();
        assert!(
            plain.contains("on TCP kiln shows a certificate and wants one"),
            "{plain}"
        );
    }
    let missing = ask(Some(&scratch.join("missing")), &host, &["images"]).error();
    assert!(missing.contains("cannot use "), "{missing}");
    by_other_names(kiln, scratch, &host, &client);
}

/// Under the names of docker and buildctl it is told the certificates as these are: by flags, and by
/// a context.
fn by_other_names(kiln: &Kiln, scratch: &Scratch, host: &str, certificates: &Path) {
    let bin = kiln.scratch("bin");
    let (docker, buildctl) = (link(kiln, &bin, "docker"), link(kiln, &bin, "buildctl"));
    let run = |program: &Path, words: &[&str]| finish(like(kiln, program).args(words));
    let client = files(scratch, "client");
    let names = ["images", "--format", "{{.Repository}}"];
    let named = ["--host", host, "--tlsverify"];
    let by_flags = [&named[..], &tls(&client), &names].concat();
    assert_eq!(run(&docker, &by_flags).ok(), "over\n");
    let config = scratch.join("config");
    let hashed = oci::Digest::of(b"there").hex();
    let (meta, own) = (config.join("contexts/meta"), config.join("contexts/tls"));
    let (meta, own) = (meta.join(&hashed), own.join(&hashed).join("docker"));
    fs::create_dir_all(&meta).unwrap();
    fs::create_dir_all(&own).unwrap();
    let text = format!("{{\"Endpoints\":{{\"docker\":{{\"Host\":\"{host}\"}}}}}}");
    fs::write(meta.join("meta.json"), text).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(certificates.join(file), own.join(file)).unwrap();
    }
    let by_context = ["--config", config.to_str().unwrap(), "--context", "there"];
    assert_eq!(
        run(&docker, &[&by_context[..], &names].concat()).ok(),
        "over\n"
    );
    // One that has lost its authority is not spoken to without.
    fs::remove_file(own.join("ca.pem")).unwrap();
    let lost = run(&docker, &[&by_context[..], &names].concat()).error();
    assert!(
        lost.ends_with("/ca.pem: no such file or directory"),
        "{lost}"
    );
    not_plain(kiln, &docker, host, &client);
    let directory = certificates.to_str().unwrap();
    let asked = ["--addr", host, "--tlsdir", directory, "debug", "workers"];
    assert!(run(&buildctl, &asked).ok().contains("PLATFORMS"));
    let by_flags = [&["--addr", host][..], &tls(&client), &["du"]].concat();
    assert!(run(&buildctl, &by_flags).ok().contains("Total:"));
    let other = [
        &asked[..4],
        &["--tlsservername", "elsewhere.example.com", "du"],
    ]
    .concat();
    assert_ne!(run(&buildctl, &other).code, 0);
    let half = [&["--addr", host, "--tlscert", &client[1], "du"][..]].concat();
    assert!(run(&buildctl, &half).error().contains("go together"));
}

/// What asks for encryption in part is never taken for none.
fn not_plain(kiln: &Kiln, docker: &Path, host: &str, client: &[String; 3]) {
    let run =
        |words: &[&str], variable: &str| finish(like(kiln, docker).args(words).env(variable, "1"));
    let files = tls(client);
    let error = run(&[&["--host", host][..], &files, &["images"]].concat(), "X").error();
    assert!(error.contains("do not encrypt by themselves"), "{error}");
    let error = run(&["--host", host, "images"], "DOCKER_TLS").error();
    assert!(error.contains("without knowing who it is"), "{error}");
    let both = ["--host", host, "--context", "there", "images"];
    let error = run(&both, "X").error();
    assert!(error.contains("--host and --context"), "{error}");
}

#[test]
fn tcp_without_certificates_is_refused() {
    let (kiln, scratch) = (Kiln::new(), certificates());
    let finish = |serve: &mut Command| {
        // Where an ordinary user's socket would be.
        finish(serve.env("XDG_RUNTIME_DIR", scratch.path()))
    };
    let ran = finish(&mut serve(&kiln, &["--host", "tcp://127.0.0.1:0"]));
    assert_eq!(
        ran.hints(),
        ["add --tlscacert FILE --tlscert FILE --tlskey FILE, or let clients come by ssh://"]
    );
    assert_eq!(
        ran.error(),
        "ERROR: tcp://127.0.0.1:0: kiln listens on TCP only with certificates on both sides"
    );
    let [ca, certificate, _] = files(&scratch, "server");
    let other = files(&scratch, "client")[2].clone();
    let half = ["--tlscacert", &ca, "--tlscert", &certificate];
    assert_eq!(
        finish(&mut serve(&kiln, &half)).error(),
        "ERROR: --tlscacert, --tlscert and --tlskey go together"
    );
    let wrong = [ca, certificate.clone(), other];
    let error = finish(&mut serve(&kiln, &tls(&wrong))).error();
    assert!(
        error.starts_with("ERROR: certificate and key cannot be used: "),
        "{error}"
    );
    let swapped = [certificate.clone(), certificate.clone(), certificate];
    let error = finish(&mut serve(&kiln, &tls(&swapped))).error();
    assert!(
        error.contains("cannot use ") && error.contains("server.pem"),
        "{error}"
    );
    let error = finish(&mut serve(&kiln, &["--host", "npipe:////./pipe/docker"])).error();
    assert!(
        error.contains("kiln listens on unix://PATH, tcp://ADDRESS:PORT and fd://"),
        "{error}"
    );
}

/// Says that descriptor 3 is a socket for whoever it becomes, as systemd does.
const HAND_OVER: &str =
    "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";

#[test]
fn a_socket_that_is_handed_over() {
    let kiln = Kiln::new();
    let socket = kiln.scratch("run").join("handed.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // Somebody who came before the daemon was there.
    let mut early = UnixStream::connect(&socket).unwrap();
    early.write_all(b"GET /_ping HTTP/1.0\r\n\r\n").unwrap();
    let notified = kiln.scratch("run").join("notify.sock");
    let notified_at = UnixDatagram::bind(&notified).unwrap();
    notified_at
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut shell = kiln.shell(HAND_OVER);
    shell
        .args(["serve", "--host", "fd://"])
        .env("NOTIFY_SOCKET", &notified);
    shell.stdin(OwnedFd::from(listener));
    let daemon = Told::start(&mut shell);
    let mut read = Vec::new();
    early.read_to_end(&mut read).unwrap();
    assert_eq!(Answer::parse(&read).text(), "OK");
    let told = || {
        let mut buffer = [0; 64];
        let size = notified_at.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..size]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    let descriptors = format!("/proc/{}/fdinfo/3", daemon.process.id());
    let about = fs::read_to_string(descriptors).unwrap();
    let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
    // O_CLOEXEC: no step gets it.
    assert_eq!(flags & 0o2_000_000, 0o2_000_000, "{about}");
    daemon.stop();
    assert_eq!(told(), "STOPPING=1");
    assert!(
        socket.exists(),
        "the name is that of whoever handed the socket over"
    );
}

#[test]
fn nothing_that_is_handed_over() {
    let kiln = Kiln::new();
    let error = finish(&mut serve(&kiln, &["--host", "fd://"])).error();
    assert!(error.contains("no socket was handed over"), "{error}");
    let error = finish(
        kiln.shell(
            "export LISTEN_PID=$$ LISTEN_FDS=1; exec 3</dev/null; exec \"$0\" serve --host fd://",
        )
        .stdin(Stdio::null()),
    );
    let error = error.error();
    assert!(
        error.contains("what was handed over cannot be listened on"),
        "{error}"
    );
}

#[test]
fn how_it_is() {
    let kiln = Kiln::new();
    let socket = kiln.scratch("run").join("kiln.sock");
    let host = format!("unix://{}", socket.display());
    let metrics = ["--metrics", "127.0.0.1:0"];
    let line = [&["--host", &host, "--log-format", "json"][..], &metrics].concat();
    let mut daemon = Told::start(&mut serve(&kiln, &line));
    let line = daemon.line_with("http://");
    let entry: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&entry["level"], &entry["msg"]),
        (&"info".into(), &"listening".into())
    );
    let address = entry["on"].as_str().unwrap();
    let get = |url: &str| tool("curl", &["--silent", "--write-out", " %{http_code}", url]);
    assert_eq!(get(&format!("{address}/healthz")), "ok\n 200");
    assert_eq!(
        get(&format!("{address}/version")),
        "{\"message\":\"only /metrics and /healthz are answered here\"}\n 404"
    );
    let text = get(&format!("{address}/metrics"));
    for line in [
        "kiln_requests_total{status=\"2xx\"} 1",
        "kiln_requests_total{status=\"4xx\"} 1",
        "kiln_requests 1",
        "kiln_connections 1",
        "kiln_builds 0",
        "kiln_containers 0",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    let by_socket = [
        "--silent",
        "--unix-socket",
        socket.to_str().unwrap(),
        "http://kiln/healthz",
    ];
    assert_eq!(tool("curl", &by_socket), "ok\n");
    // A store that cannot be read is no health.
    fs::rename(kiln.root(), kiln.root().with_extension("away")).unwrap();
    fs::write(kiln.root(), "").unwrap();
    assert!(get(&format!("{address}/healthz")).ends_with(" 503"));
    daemon.stop();
}

#[test]
fn the_configuration_is_read_anew() {
    let kiln = Kiln::configured("[serve]\nlog-level = \"info\"\n");
    let config = kiln.root().with_file_name("kiln.toml");
    let before = fs::read_to_string(&config).unwrap();
    let socket = kiln.scratch("run").join("kiln.sock");
    let host = format!("unix://{}", socket.display());
    let mut daemon = Told::start(&mut serve(&kiln, &["--host", &host]));
    daemon.line_with("on=unix://");
    let ping = |path: &Path| {
        let url = "http://kiln/_ping";
        tool(
            "curl",
            &["--silent", "--unix-socket", path.to_str().unwrap(), url],
        )
    };
    fs::write(&config, before.replace("\"info\"", "\"debug\"")).unwrap();
    daemon.signal("-HUP");
    daemon.line_with("msg=\"configuration reloaded\"");
    ping(&socket);
    daemon.line_with("msg=\"request answered\" method=GET path=/_ping status=200");
    fs::write(&config, before.replace("\"info\"", "\"loud\"")).unwrap();
    daemon.signal("-HUP");
    let line = daemon.line_with("msg=\"configuration not reloaded\"");
    assert!(
        line.contains("unknown variant `loud`") && line.contains("kept="),
        "{line}"
    );
    ping(&socket);
    daemon.line_with("path=/_ping status=200");
    let moved = before.replace("[serve]", "[serve]\nmetrics = \"127.0.0.1:1\"");
    fs::write(&config, moved).unwrap();
    daemon.signal("-HUP");
    let line = daemon.line_with("msg=\"configuration reloaded\"");
    assert!(
        line.contains("unchanged=\"what is listened on, until a restart\""),
        "{line}"
    );
    let rest = daemon.stop();
    assert!(!rest.contains("request answered"), "{rest}");
}
