//! Contexts that are no directories: archives, repositories, layouts.

use std::net::TcpListener;
use std::path::PathBuf;

use testkit::Scratch;

use crate::kiln::{Kiln, Project, Ran, tool};
use crate::repository::{GitServer, Repository};

/// A Dockerfile that shows its whole context.
const ALL: &str = "FROM scratch\nCOPY . /\n";

/// What a build writes as files.
fn built(kiln: &Kiln, arguments: &[&str], stdin: &[u8]) -> (Ran, String) {
    let scratch = Scratch::new();
    let out = scratch.dir("out");
    let output = format!("type=local,dest={}", out.display());
    let line: Vec<&str> = ["build", "--progress", "plain", "-o", &output]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    let ran = kiln.run_with(&line, stdin);
    (ran, testkit::tree::list(&out))
}

fn check(kiln: &Kiln, arguments: &[&str], stdin: &[u8], expected: &str) {
    let (ran, files) = built(kiln, arguments, stdin);
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    let files: Vec<&str> = files.lines().filter(|line| line.contains(" = ")).collect();
    assert_eq!(files.join("\n"), expected, "{arguments:?}");
}

#[test]
fn archives() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let _ = scratch.file("in/Dockerfile", ALL);
    let _ = scratch.file("in/other", "FROM scratch\nCOPY a /b\n");
    let _ = scratch.file("in/a", "A\n");
    let within = scratch.join("in");
    let all = "Dockerfile 0644 0:0 = FROM scratch\\nCOPY . /\\n\n\
               a 0644 0:0 = A\\n\n\
               other 0644 0:0 = FROM scratch\\nCOPY a /b\\n";
    for (name, flag) in [
        ("x.tar", "-cf"),
        ("x.tgz", "-czf"),
        ("x.txz", "-cJf"),
        ("x.tbz", "-cjf"),
    ] {
        let file = scratch.join(name);
        let file = file.to_str().unwrap();
        tool("tar", &["-C", within.to_str().unwrap(), flag, file, "."]);
        let bytes = std::fs::read(file).unwrap();
        check(&kiln, &["-"], &bytes, all);
        check(&kiln, &[file], b"", all);
        check(&kiln, &["-f", "other", "-"], &bytes, "b 0644 0:0 = A\\n");
        check(
            &kiln,
            &["-f", "-", file],
            b"FROM scratch\nCOPY a /c\n",
            "c 0644 0:0 = A\\n",
        );
    }
    // The same archive is not unpacked again, and a copy of the same file is known.
    let bytes = std::fs::read(scratch.join("x.tar")).unwrap();
    let (ran, _) = built(&kiln, &["-"], &bytes);
    assert!(ran.stderr.contains("CACHED"), "{}", ran.stderr);
    let (ran, _) = built(&kiln, &["-f", "nope", "-"], &bytes);
    assert_eq!(
        ran.error(),
        "ERROR: failed to build: failed to solve: failed to read dockerfile: open nope: \
         no such file or directory"
    );
    let (ran, _) = built(&kiln, &["-f", "x", "-"], b"FROM scratch\n");
    assert_eq!(
        ran.error(),
        "ERROR: failed to build: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles"
    );
    kiln.assert_clean();
}

/// Serves one answer to everybody.
fn web(body: Vec<u8>) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let request = BufReader::new(stream.try_clone().unwrap());
            let head = request.lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    url
}

#[test]
fn urls() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let _ = scratch.file("in/Dockerfile", "FROM scratch\nCOPY a /b\n");
    let _ = scratch.file("in/a", "A\n");
    let (within, file) = (scratch.join("in"), scratch.join("x.tgz"));
    let file = file.to_str().unwrap();
    tool("tar", &["-C", within.to_str().unwrap(), "-czf", file, "."]);
    let tar = web(std::fs::read(file).unwrap());
    check(&kiln, &[&tar], b"", "b 0644 0:0 = A\\n");
    let text = web(b"FROM scratch\nCOPY <<f /f\nF\nf\n".to_vec());
    check(&kiln, &[&text], b"", "f 0644 0:0 = F\\n");
    let project = Project::of("FROM scratch\nCOPY --from=there a /c\n");
    let context = format!("there={tar}");
    let made = kiln.files(&project, &["--build-context", &context]);
    assert_eq!(made, "c 0644 0:0 = A\\n\n");
    kiln.assert_clean();
}

#[test]
fn repositories() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let module = Repository::new(scratch.join("module"));
    module.commit(&[("m", "M\n")]);
    let repository = Repository::new(scratch.join("repository"));
    let first = repository.commit(&[
        ("Dockerfile", ALL),
        ("sub/Dockerfile", "FROM scratch\nCOPY f /g\n"),
        ("sub/f", "F\n"),
        (".gitattributes", "sub/f export-ignore\n"),
    ]);
    repository.git(&["tag", "-a", "v1", "-m", "x"]);
    repository.git(&["update-ref", "refs/pull/1/head", &first]);
    repository.commit(&[("Dockerfile", "FROM scratch\nCOPY sub/f /second\n")]);
    repository.git(&["checkout", "-q", "-b", "modules"]);
    repository.commit(&[("Dockerfile", "FROM scratch\nCOPY there /\n")]);
    repository.git(&["submodule", "--quiet", "add", "../module", "there"]);
    repository.commit(&[]);
    let server = GitServer::new(scratch.path());
    let url = format!("{}/repository", server.url);
    let all = ".gitattributes 0644 0:0 = sub/f export-ignore\\n\n\
               Dockerfile 0644 0:0 = FROM scratch\\nCOPY . /\\n\n\
               sub/Dockerfile 0644 0:0 = FROM scratch\\nCOPY f /g\\n\n\
               sub/f 0644 0:0 = F\\n";
    let at = |rest: &str| format!("{url}{rest}");
    for (rest, expected) in [
        ("#main", "second 0644 0:0 = F\\n"),
        ("#v1", all),
        ("?tag=v1", all),
        ("#refs/pull/1/head", all),
        ("#pull/1/head", all),
        (&format!("#{first}"), all),
        ("#v1:sub", "g 0644 0:0 = F\\n"),
        ("#modules", "m 0644 0:0 = M\\n"),
        ("?branch=modules&submodules=0", ""),
    ] {
        check(&kiln, &[&at(rest)], b"", expected);
    }
    let elsewhere = at(&format!("?branch=main&checksum={first}"));
    let error = built(&kiln, &[&elsewhere], b"").0.error();
    let expected = format!("expected checksum to match {first}, got ");
    assert!(error.contains(&expected), "{error}");
    kiln.assert_clean();
}

#[test]
fn a_repository_whose_objects_are_named_by_sha256() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let repository = Repository::with_format(scratch.join("r.git"), "sha256");
    let commit = repository.commit(&[("Dockerfile", ALL), ("a", "A\n")]);
    assert_eq!(commit.len(), 64);
    let server = GitServer::new(scratch.path());
    let url = format!("{}/r.git", server.url);
    let all = "Dockerfile 0644 0:0 = FROM scratch\\nCOPY . /\\n\na 0644 0:0 = A\\n";
    check(&kiln, &[&url], b"", all);
    check(&kiln, &[&format!("{url}#{commit}")], b"", all);
    let project = Project::of(&format!(
        "FROM alpine AS git\nADD --keep-git-dir=true {url} /r\nRUN cat /r/.git/HEAD >/head\n\
         FROM scratch\nCOPY --from=git /head /\n"
    ));
    assert_eq!(
        kiln.files(&project, &[]),
        format!("head 0644 0:0 = {commit}\\n\n")
    );
    kiln.assert_clean();
}

#[test]
fn added_repositories() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let repository = Repository::new(scratch.join("r.git"));
    let commit = repository.commit(&[("a", "A\n"), ("d/b", "B\n")]);
    let server = GitServer::new(scratch.path());
    let url = format!("{}/r.git", server.url);
    let project = Project::of(&format!("FROM scratch\nADD {url} /r\n"));
    assert_eq!(
        kiln.files(&project, &[])
            .lines()
            .filter(|l| l.contains(" = "))
            .collect::<Vec<_>>(),
        ["r/a 0644 0:0 = A\\n", "r/d/b 0644 0:0 = B\\n"]
    );
    let text = format!(
        "FROM alpine AS git\nADD --keep-git-dir=true {url} /r\nRUN cat /r/.git/HEAD >/head\n\
         FROM scratch\nCOPY --from=git /head /\nADD --checksum={commit} {url}#main:d /\n"
    );
    project.write("Dockerfile", &text);
    assert_eq!(
        kiln.files(&project, &[]),
        format!("b 0644 0:0 = B\\n\nhead 0644 0:0 = {commit}\\n\n")
    );
    // With the commit at hand nobody is asked: the server may be gone.
    std::fs::rename(scratch.join("r.git"), scratch.join("gone")).unwrap();
    let project = Project::of(&format!("FROM scratch\nADD {url}?commit={commit} /r\n"));
    kiln.build(&project, &[]);
    let project = Project::of(&format!("FROM scratch\nADD {url}#other /r\n"));
    let error = kiln.try_build(&project, &[]).error();
    assert!(error.contains("failed to load git source"), "{error}");
    kiln.assert_clean();
}

#[test]
fn named_contexts() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let repository = Repository::new(scratch.join("r"));
    repository.commit(&[("a", "A\n")]);
    let server = GitServer::new(scratch.path());
    let base = Project::of("FROM scratch\nCOPY Dockerfile /of-layout\nENV X=layout\n");
    let layout = scratch.join("layout");
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    kiln.build(&base, &["-t", "base:v1", "-o", &output]);
    let project = Project::of(
        "FROM base AS last\nWORKDIR /$X\nFROM scratch AS stage\nFROM last\nCOPY --from=stage a /b\n",
    );
    let contexts = [
        "--build-context",
        &format!("base=oci-layout://{}:v1", layout.display()),
        "--build-context",
        &format!("stage={}/r", server.url),
    ];
    let made = kiln.files(&project, &contexts);
    let names: Vec<&str> = made
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["b", "layout/", "of-layout"], "{made}");
    let project_of_nothing = Project::of("FROM base\nCOPY Dockerfile /a\n");
    let nothing = ["--build-context", "base=docker-image://scratch"];
    let made = kiln.files(&project_of_nothing, &nothing);
    assert!(
        made.starts_with("a 0644") && made.lines().count() == 1,
        "{made}"
    );
    let missing = format!("base=oci-layout://{}:v2", layout.display());
    let error = kiln
        .try_build(&project, &["--build-context", &missing])
        .error();
    assert!(error.contains("has no image \"v2\"; it has "), "{error}");
    let deep = format!(
        "base=oci-layout://{}",
        nested_layout(&scratch, 12).display()
    );
    let error = kiln
        .try_build(&project, &["--build-context", &deep])
        .error();
    assert!(
        error.ends_with("more than 8 indexes within each other"),
        "{error}"
    );
    kiln.assert_clean();
}

/// A layout whose indexes are `depth` within each other.
fn nested_layout(scratch: &Scratch, depth: usize) -> PathBuf {
    let layout = scratch.join("nested");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let index = |entries: &str| {
        let media_type = "application/vnd.oci.image.index.v1+json";
        format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{entries}]}}"#)
    };
    let mut text = index("");
    for _ in 0..depth {
        let digest = oci::Digest::of(text.as_bytes());
        std::fs::write(blobs.join(digest.hex()), &text).unwrap();
        let media_type = "application/vnd.oci.image.index.v1+json";
        let size = text.len();
        text = index(&format!(
            r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#
        ));
    }
    std::fs::write(layout.join("index.json"), text).unwrap();
    std::fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    layout
}
