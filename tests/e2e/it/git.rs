//! Repositories over HTTPS, by their commits, and the times of what is brought in.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use testkit::Scratch;

use crate::kiln::{Kiln, Project, command, finish, tool};
use crate::repository::{GitServer, Repository};

/// `git http-backend` behind TLS; prints its port.
const SERVER: &str = r#"
import http.server, os, ssl, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        path, _, query = self.path.partition("?")
        token = self.headers.get("Authorization")
        if "private" in path and token is None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        length = int(self.headers.get("Content-Length") or 0)
        told = dict(os.environ, GIT_PROJECT_ROOT=sys.argv[1], GIT_HTTP_EXPORT_ALL="1",
            PATH_INFO=path, QUERY_STRING=query, REQUEST_METHOD=self.command,
            CONTENT_TYPE=self.headers.get("Content-Type") or "",
            HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding") or "",
            GIT_PROTOCOL=self.headers.get("Git-Protocol") or "",
            GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
        made = subprocess.run(["git", "http-backend"], input=self.rfile.read(length), env=told,
            stdout=subprocess.PIPE).stdout
        head, _, body = made.partition(b"\r\n\r\n")
        status = 200
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        for name, value in lines:
            if name == "Status":
                status = int(value.split()[0])
        self.send_response(status)
        for name, value in lines:
            if name not in ("Status", "Content-Length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A server of repositories, which ends with the test.
struct Https {
    child: Child,
    url: String,
    certificate: PathBuf,
}

impl Https {
    fn new(base: &Path, scratch: &Scratch) -> Self {
        let (certificate, key) = (scratch.join("certificate"), scratch.join("key"));
        let paths = [certificate.to_str().unwrap(), key.to_str().unwrap()];
        let line = [
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-out",
            paths[0],
            "-keyout",
            paths[1],
        ];
        tool("openssl", &line);
        let mut child = command("python3")
            .args(["-c", SERVER, base.to_str().unwrap(), paths[0], paths[1]])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        let _ = told.read_line(&mut port).unwrap();
        Self {
            child,
            url: format!("https://127.0.0.1:{}", port.trim()),
            certificate,
        }
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn over_https() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let base = scratch.dir("base");
    for name in ["open.git", "private.git"] {
        Repository::new(base.join(name))
            .commit(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "A\n")]);
    }
    let server = Https::new(&base, &scratch);
    let build = |name: &str, trusts: bool, more: &[&str]| {
        let mut build = kiln.command();
        build.args(["build", "--progress", "plain"]).args(more);
        build
            .arg(format!("{}/{name}", server.url))
            .env("TOKEN", "t");
        if trusts {
            build.env("GIT_SSL_CAINFO", &server.certificate);
        }
        finish(&mut build)
    };
    let ran = build("open.git", true, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let error = build("open.git?branch=main&subdir=x", false, &[]).error();
    assert!(error.contains("certificate"), "{error}");
    let error = build("private.git", true, &[]).error();
    assert!(error.contains("failed to load git source"), "{error}");
    let ran = build(
        "private.git",
        true,
        &["--secret", "id=GIT_AUTH_TOKEN,env=TOKEN"],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    kiln.assert_clean();
}

#[test]
fn a_commit_in_place_of_where_its_branch_is_now() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let repository = Repository::new(scratch.join("r.git"));
    let first = repository.commit(&[("a", "first\n")]);
    repository.commit(&[("a", "second\n")]);
    let url = format!("{}/r.git", GitServer::new(scratch.path()).url);
    let add = |query: &str| Project::of(&format!("FROM scratch\nADD {url}?{query} /\n"));
    let moved = add(&format!("branch=main&commit={first}"));
    let error = kiln.try_build(&moved, &[]).error();
    assert!(error.contains("expected checksum to match"), "{error}");
    let pinned = add(&format!("branch=main&fetch-by-commit=true&commit={first}"));
    assert_eq!(kiln.files(&pinned, &[]), "a 0644 0:0 = first\\n\n");
    let part = add(&format!("fetch-by-commit&commit={}", &first[..9]));
    let error = kiln.try_build(&part, &[]).error();
    let expected = format!(
        "fetch-by-commit requires a full commit SHA checksum, got \"{}\"",
        &first[..9]
    );
    assert!(error.ends_with(&expected), "{error}");
}

/// Serves one answer to everybody.
fn web(header: &'static str, body: Vec<u8>) -> String {
    server(header, body).0
}

/// The same, and how it was asked.
fn server(header: &'static str, body: Vec<u8>) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&asked);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let request = BufReader::new(stream.try_clone().unwrap());
            let head = request.lines().map_while(Result::ok);
            let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{header}Connection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            if head[0].starts_with("GET ") {
                stream.write_all(&body).unwrap();
            }
            let method = head[0].split(' ').next().unwrap_or_default();
            told.lock().unwrap().push(method.to_owned());
        }
    });
    (url, asked)
}

/// An archive whose newest file is of 2001-09-09, and whose directory is younger.
fn archive(scratch: &Scratch) -> Vec<u8> {
    let _ = scratch.file(
        "in/Dockerfile",
        "FROM alpine\nARG SOURCE_DATE_EPOCH\nRUN echo epoch=$SOURCE_DATE_EPOCH.\n",
    );
    let within = scratch.join("in");
    tool(
        "touch",
        &[
            "-d",
            "@1000000000",
            within.join("Dockerfile").to_str().unwrap(),
        ],
    );
    let file = scratch.join("x.tgz");
    tool(
        "tar",
        &[
            "-C",
            within.to_str().unwrap(),
            "-czf",
            file.to_str().unwrap(),
            ".",
        ],
    );
    std::fs::read(file).unwrap()
}

#[test]
fn the_time_of_a_context() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    let repository = Repository::new(scratch.join("r.git"));
    let text = std::fs::read_to_string(scratch.join("in/Dockerfile")).unwrap();
    let commit = repository.commit(&[("Dockerfile", &text)]);
    let time = repository.git(&["show", "-s", "--format=%ct", &commit]);
    let url = format!("{}/r.git", GitServer::new(scratch.path()).url);
    let modified = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    let local = scratch.join("in");
    for (context, stdin, expected) in [
        (url.as_str(), &b""[..], time.as_str()),
        (&web("", tar.clone()), b"", "1000000000"),
        (&web(modified, tar.clone()), b"", "1445412480"),
        (&web(modified, text.clone().into_bytes()), b"", "1445412480"),
        (&web("", text.clone().into_bytes()), b"", ""),
        ("-", &tar, "1000000000"),
        (local.to_str().unwrap(), b"", ""),
    ] {
        let line = [
            "build",
            "--no-cache",
            "--progress",
            "plain",
            "--build-arg",
            "SOURCE_DATE_EPOCH=context",
            "-t",
            "x",
            context,
        ];
        let ran = kiln.run_with(&line, stdin);
        assert_eq!(ran.code, 0, "{context}: {}", ran.stderr);
        let told = format!(" epoch={expected}.");
        assert!(
            ran.stderr.contains(&told),
            "{context}: {told}: {}",
            ran.stderr
        );
        let created = kiln.ok(["inspect", "-f", "{{.Created}}", "x"]);
        if expected == "1000000000" {
            assert_eq!(created, "2001-09-09T01:46:40Z\n", "{context}");
        }
    }
}

#[test]
fn a_file_has_the_time_that_its_server_tells_and_comes_once() {
    let kiln = Kiln::new();
    let (url, asked) = server(
        "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nETag: \"one\"\r\n",
        b"file".to_vec(),
    );
    let project = Project::of(&format!(
        "FROM alpine AS made\nADD {url} /f\nRUN stat -c %Y /f >/time\n\
         FROM scratch\nCOPY --from=made /time /\n"
    ));
    for _ in 0..3 {
        assert_eq!(kiln.files(&project, &[]), "time 0644 0:0 = 1445412480\\n\n");
    }
    let asked = asked.lock().unwrap().join(" ");
    assert_eq!(asked, "GET HEAD HEAD");
    kiln.assert_clean();
}

#[test]
fn a_file_that_is_compressed_on_the_way_is_what_it_was() {
    // `file`, by gzip.
    let sent = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\xcb\xcc\x49\x05\x00\x10\x36\x9f\x8c\x04\x00\x00\x00";
    let kiln = Kiln::new();
    let url = web("Content-Encoding: gzip\r\n", sent.to_vec());
    let digest = oci::Digest::of(b"file");
    let project = Project::of(&format!("FROM scratch\nADD --checksum={digest} {url} /f\n"));
    assert_eq!(kiln.files(&project, &[]), "f 0600 0:0 = file\n");
    kiln.assert_clean();
}

#[test]
fn the_time_of_a_stage() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    let modified = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    for (url, expected) in [
        (web(modified, b"text".to_vec()), "1445412480"),
        (web("", b"text".to_vec()), ""),
        (web("", tar), "1000000000"),
    ] {
        let project = Project::of(&format!(
            "ARG SOURCE_DATE_EPOCH=source\nFROM scratch AS source\nADD {url} /\n\
             FROM alpine\nARG SOURCE_DATE_EPOCH\nRUN echo epoch=$SOURCE_DATE_EPOCH.\n"
        ));
        let told = kiln.build(&project, &["--no-cache"]);
        assert!(
            told.contains(&format!(" epoch={expected}.")),
            "{expected}: {told}"
        );
    }
}
