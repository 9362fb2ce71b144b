//! Results for other tools, judged by them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::Scratch;

use crate::kiln::{Kiln, Project, finish, tool};
use crate::serving::Daemon;
use crate::unpacked::is_root;

/// Everything that a layer can hold, changed by a second step.
const DOCKERFILE: &str = "FROM alpine\n\
     RUN mkdir -p /t/gone /t/opaque /t/kept && cd /t && echo 1 >gone/x && echo 1 >opaque/old && echo 1 >kept/x \\\n\
      && echo h >hard1 && ln hard1 hard2 && ln -s hard1 soft && mkfifo pipe && mknod null c 1 3 \\\n\
      && cp /bin/busybox suid && chmod 4755 suid && chown 12:34 hard1 && mkdir -m 1777 sticky \\\n\
      && dd if=/dev/zero of=sparse bs=1 count=1 seek=1048575 2>/dev/null \\\n\
      && echo l >$(printf 'n%.0s' $(seq 1 200))\n\
     RUN cd /t && rm -r gone && rm -r opaque && mkdir opaque && echo 2 >opaque/new && chmod 600 kept/x\n\
     CMD [\"sh\", \"-c\", \"cd /t && find . | sort | xargs stat -c '%n %f %u %g %t %T %Y' && cat soft opaque/new\"]\n";

/// An ordinary user's steps can make no device.
fn dockerfile() -> String {
    let node = if is_root() {
        "mknod null c 1 3"
    } else {
        "true"
    };
    DOCKERFILE.replace("mknod null c 1 3", node)
}

fn oci_layout(kiln: &Kiln, scratch: &Scratch) -> String {
    let archive = scratch.join("image.tar");
    let output = format!("type=oci,name=img,dest={}", archive.display());
    kiln.build(&Project::of(&dockerfile()), &["-o", &output]);
    let layout = scratch.join("layout").display().to_string();
    let from = format!("oci-archive:{}", archive.display());
    tool(
        "skopeo",
        &["copy", "-q", &from, &format!("oci:{layout}:img")],
    );
    layout
}

#[test]
fn an_oci_archive_unpacked_by_umoci_and_run_by_runc_is_what_kiln_runs() {
    let (kiln, scratch) = (Kiln::new(), Scratch::new());
    let layout = oci_layout(&kiln, &scratch);
    let bundle = scratch.join("bundle").display().to_string();
    tool(
        "umoci",
        &["unpack", "--image", &format!("{layout}:img"), &bundle],
    );
    let unpacked = testkit::tree::list(&Path::new(&bundle).join("rootfs/t"));
    let long = "n".repeat(200);
    for line in [
        "hard1 0644 12:34 = h\\n",
        "hard2 == hard1",
        "kept/x 0600 0:0 = 1\\n",
        "null 0644 0:0 char 1:3",
        "opaque/new 0644 0:0 = 2\\n",
        "pipe 0644 0:0 fifo",
        "soft 0:0 -> hard1",
        "sparse 0644 0:0 zeros 1048576",
        "sticky/ 1777 0:0",
        &format!("{long} 0644 0:0 = l\\n"),
    ] {
        assert!(
            unpacked.lines().any(|found| found == line),
            "{line} is not in\n{unpacked}"
        );
    }
    assert!(
        unpacked
            .lines()
            .any(|line| line.starts_with("suid 4755 0:0 ")),
        "{unpacked}"
    );
    for gone in ["gone", "opaque/old"] {
        assert!(!unpacked.contains(gone), "{gone} is in\n{unpacked}");
    }

    kiln.build(&Project::of(&dockerfile()), &["-t", "img"]);
    let ours = kiln.ok(["run", "--rm", "img"]);
    let theirs = run_by_runc(&bundle);
    assert_eq!(ours, theirs);
}

/// Standard output of the bundle's process.
fn run_by_runc(bundle: &str) -> String {
    let path = Path::new(bundle).join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    fs::write(&path, config.to_string()).unwrap();
    let id = format!("kiln-e2e-{}", std::process::id());
    let state = Path::new(bundle).join("state").display().to_string();
    tool("runc", &["--root", &state, "run", "--bundle", bundle, &id])
}

#[test]
fn the_store_is_a_layout_that_skopeo_reads() {
    let (kiln, scratch) = (Kiln::new(), Scratch::new());
    kiln.build(
        &Project::of("FROM alpine\nRUN echo x >/x\n"),
        &["-t", "app:1"],
    );
    let from = format!("oci:{}:docker.io/library/app:1", kiln.root().display());
    let seen: Value = serde_json::from_str(&tool("skopeo", &["inspect", &from])).unwrap();
    assert_eq!(seen["Layers"].as_array().unwrap().len(), 2);
    let to = format!("oci:{}:copied", scratch.join("copy").display());
    tool("skopeo", &["copy", "-q", &from, &to]);
    assert_eq!(testkit::check_layout(&scratch.join("copy")), ["copied"]);
}

#[test]
fn a_docker_archive_is_read_by_skopeo() {
    let (kiln, scratch) = (Kiln::new(), Scratch::new());
    let archive = scratch.join("image.tar");
    let output = format!("type=docker,dest={}", archive.display());
    kiln.build(
        &Project::of("FROM alpine\nRUN echo x >/x\n"),
        &["-t", "app:1", "-o", &output],
    );
    let from = format!("docker-archive:{}", archive.display());
    let seen: Value = serde_json::from_str(&tool("skopeo", &["list-tags", &from])).unwrap();
    assert_eq!(seen["Tags"], json!(["app:1"]));
}

/// Whoever reads a layout while it is exported again reads what was there, or what is there then.
#[test]
fn files_of_a_layout_are_replaced_and_never_written_over() {
    let kiln = Kiln::new();
    let project = Project::new(&[("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", "1\n")]);
    let out = kiln.scratch("out");
    let layout = out.join("layout");
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    kiln.build(&project, &["-o", &output]);
    let (index, held) = (layout.join("index.json"), out.join("held"));
    fs::hard_link(&index, &held).unwrap();
    let before = fs::read(&index).unwrap();
    project.write("a", "2\n");
    kiln.build(&project, &["-o", &output]);
    assert_ne!(fs::read(&index).unwrap(), before);
    assert_eq!(fs::read(&held).unwrap(), before);
    for directory in [&layout, &layout.join("blobs/sha256")] {
        for entry in fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with('.'), "{name} was left there");
        }
    }
}

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
        let project = Project::of(&dockerfile());
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

/// A registry of which a certificate is expected, and that speaks plain HTTP.
#[test]
fn a_push_takes_a_registry_as_it_is_when_that_is_asked_for() {
    let registry = testkit::FakeRegistry::start();
    let host = registry.host();
    let authority = Path::new("/etc/ssl/certs/ca-certificates.crt");
    let kiln = Kiln::configured(&format!("[registry.\"{host}\"]\nca = [{authority:?}]\n"));
    let project = Project::of("FROM scratch\nCOPY Dockerfile /\n");
    let push = |name: &str, more: &str| {
        let output = format!("type=image,name={host}/{name}:1,push=true{more}");
        kiln.try_build(&project, &["-o", &output])
    };
    let error = push("strict", "").error();
    assert!(error.contains("speaks HTTP, not HTTPS"), "{error}");
    assert!(registry.manifest("strict", "1").is_none());
    push("lax", ",registry.insecure=true").ok();
    assert!(registry.manifest("lax", "1").is_some());
    // It was about that push alone.
    assert_ne!(push("strict", ",registry.insecure=false").code, 0);
    let error = kiln.try_build(&project, &["-o", "type=oci,dest=x,registry.insecure=true"]);
    assert!(error.error().contains("registry.insecure"));
}

#[test]
fn a_builder_is_told_how_its_push_takes_a_registry() {
    let registry = testkit::FakeRegistry::start();
    let host = registry.host();
    let authority = Path::new("/etc/ssl/certs/ca-certificates.crt");
    let strict = format!("[registry.\"{host}\"]\nca = [{authority:?}]\n");
    let daemon = Daemon::of_kiln(Kiln::configured(&strict));
    let builder = format!("unix://{}", daemon.socket.display());
    let (kiln, project) = (
        Kiln::new(),
        Project::of("FROM scratch\nCOPY Dockerfile /\n"),
    );
    for (more, is_pushed) in [("", false), (",registry.insecure=true", true)] {
        let output = format!("type=image,name={host}/app:1,push=true{more}");
        let ran = kiln.try_build(&project, &["--builder", &builder, "-o", &output]);
        assert_eq!(ran.code == 0, is_pushed, "{}", ran.stderr);
        assert_eq!(registry.manifest("app", "1").is_some(), is_pushed);
    }
    assert_eq!(daemon.stop().code, 0);
}
