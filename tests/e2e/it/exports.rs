//! Results for other tools, judged by them.

use std::fs;

use serde_json::Value;
use testkit::Scratch;

use crate::kiln::{Kiln, Project, finish};

/// Everything that a layer can hold, changed by a second step.
const DOCKERFILE: &str = "FROM alpine\n\
     RUN mkdir -p /t/gone /t/opaque /t/kept && cd /t && echo 1 >gone/x && echo 1 >opaque/old && echo 1 >kept/x \\\n\
      && echo h >hard1 && ln hard1 hard2 && ln -s hard1 soft && mkfifo pipe && mknod null c 1 3 \\\n\
      && cp /bin/busybox suid && chmod 4755 suid && chown 12:34 hard1 && mkdir -m 1777 sticky \\\n\
      && dd if=/dev/zero of=sparse bs=1 count=1 seek=1048575 2>/dev/null \\\n\
      && echo l >$(printf 'n%.0s' $(seq 1 200))\n\
     RUN cd /t && rm -r gone && rm -r opaque && mkdir opaque && echo 2 >opaque/new && chmod 600 kept/x\n\
     CMD [\"sh\", \"-c\", \"cd /t && ls -lnR . | grep -v ^total && cat soft opaque/new\"]\n";

#[test]
fn archives_on_standard_output() {
    let kiln = Kiln::new();
    let project = Project::of("FROM scratch\nCOPY Dockerfile /x\n");
    let path = project.path().to_str().unwrap();
    let out = kiln
        .command()
        .args(["build", "-o", "-", path])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        text.starts_with("x\0") && text.contains("FROM scratch"),
        "{text}"
    );
}

#[test]
fn two_stores_make_the_same_bytes() {
    let build = |jobs: &str, compression: &str| {
        let (kiln, scratch) = (Kiln::new(), Scratch::new());
        let archive = scratch.join("image.tar");
        let output = format!(
            "type=oci,dest={},compression={compression}",
            archive.display()
        );
        let project = Project::of(DOCKERFILE);
        let path = project.path().to_str().unwrap();
        let line = ["build", "--jobs", jobs, "-o", &output, path];
        let ran = finish(
            kiln.command()
                .args(line)
                .env("SOURCE_DATE_EPOCH", "1600000000"),
        );
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        oci::Digest::of(&fs::read(archive).unwrap())
    };
    for compression in ["gzip", "zstd", "uncompressed"] {
        assert_eq!(
            build("1", compression),
            build("4", compression),
            "{compression}"
        );
    }
}

#[test]
fn files_about_the_build() {
    let kiln = Kiln::new();
    let project = Project::of("FROM scratch\nCOPY Dockerfile /\n");
    let scratch = Scratch::new();
    let (iid, meta) = (scratch.join("iid"), scratch.join("meta"));
    let arguments = [
        "-t",
        "a",
        "--iidfile",
        iid.to_str().unwrap(),
        "--metadata-file",
        meta.to_str().unwrap(),
    ];
    kiln.build(&project, &arguments);
    let id = fs::read_to_string(&iid).unwrap();
    assert_eq!(
        format!("{id}\n"),
        kiln.ok(["inspect", "--format", "{{.Id}}", "a"])
    );
    let meta: Value = serde_json::from_slice(&fs::read(&meta).unwrap()).unwrap();
    assert_eq!(meta["containerimage.config.digest"], id);
    assert_eq!(meta["image.name"], "docker.io/library/a:latest");
    assert_eq!(
        meta["containerimage.descriptor"]["digest"],
        meta["containerimage.digest"]
    );
    let path = project.path().to_str().unwrap();
    assert_eq!(kiln.ok(["build", "-q", path]), format!("{id}\n"));
    // A build that fails leaves no ID of an earlier one behind.
    project.write("Dockerfile", "FROM scratch\nCOPY nope /\n");
    kiln.try_build(&project, &arguments).error();
    assert!(!iid.exists());
}

#[test]
fn progress_as_json() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN echo hello\n");
    let path = project.path().to_str().unwrap();
    let told = kiln.run(["build", "--progress", "rawjson", path]).stderr;
    let lines: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let logged = lines
        .iter()
        .filter_map(|line| line["logs"].as_array())
        .flatten();
    let data: Vec<&str> = logged.map(|log| log["data"].as_str().unwrap()).collect();
    assert_eq!(data, ["aGVsbG8K"]);
}
