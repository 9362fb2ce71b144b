//! One build for several platforms: an index of images, judged by skopeo.
//!
//! No step runs on a machine that this one is not: files come from a stage on `$BUILDPLATFORM`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::Scratch;

use crate::caching::steps;
use crate::kiln::{Kiln, Project, tool};
use crate::standin;
use crate::unpacked::unpack;

const DOCKERFILE: &str = "FROM --platform=$BUILDPLATFORM alpine AS build\n\
     RUN echo shared >/shared\n\
     ARG TARGETARCH\n\
     RUN echo $TARGETARCH >/arch\n\
     FROM scratch\n\
     ARG TARGETARCH\n\
     COPY --from=build /shared /arch /\n\
     COPY --from=build /arch /only/$TARGETARCH\n\
     LABEL arch=$TARGETARCH\n";
const BOTH: [&str; 2] = ["--platform", "linux/amd64,linux/arm64"];

fn build(kiln: &Kiln, project: &Project, more: &[&str]) -> String {
    kiln.build(project, &[&BOTH, more].concat())
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What skopeo says of the image for an architecture.
fn inspect(from: &str, architecture: &str, more: &[&str]) -> Value {
    let line = [
        "inspect",
        "--tls-verify=false",
        "--override-arch",
        architecture,
    ];
    json_of(&tool("skopeo", &[&line, more, &[from]].concat()))
}

/// The image at `from` is one for each of the two platforms, with layers of its own.
fn assert_index(from: &str) {
    let raw = json_of(&tool(
        "skopeo",
        &["inspect", "--tls-verify=false", "--raw", from],
    ));
    let platforms = raw["manifests"].as_array().unwrap().iter();
    let platforms: Vec<_> = platforms.map(|entry| entry["platform"].clone()).collect();
    let expected = ["amd64", "arm64"].map(|arch| json!({"architecture": arch, "os": "linux"}));
    assert_eq!(platforms, expected, "{raw}");
    let layers = ["amd64", "arm64"].map(|arch| {
        let config = inspect(from, arch, &["--config"]);
        assert_eq!(config["architecture"], arch);
        assert_eq!(config["config"]["Labels"]["arch"], arch);
        inspect(from, arch, &[])["Layers"].clone()
    });
    assert_eq!(layers[0].as_array().unwrap().len(), 2);
    assert_ne!(layers[0], layers[1]);
}

#[test]
fn an_archive_has_an_image_for_each() {
    let (kiln, project, scratch) = (Kiln::new(), Project::of(DOCKERFILE), Scratch::new());
    kiln.lend(scratch.path());
    let archive = scratch.join("both.tar");
    let output = format!("type=oci,dest={}", archive.display());
    let told = build(&kiln, &project, &["-o", &output]);
    let (run, _) = steps(&told);
    let count = |step: &str| run.iter().filter(|run| run.contains(step)).count();
    assert_eq!(count("RUN echo shared"), 1, "{told}");
    for own in ["RUN echo amd64", "RUN echo arm64"] {
        assert_eq!(count(own), 1, "{told}");
    }
    assert!(told.contains("[linux/arm64 stage-1 1/2] COPY"), "{told}");
    // Of an archive skopeo makes a directory where a container has none.
    let layout = scratch.join("layout");
    fs::create_dir(&layout).unwrap();
    let [from, to] = [&archive, &layout].map(|path| path.to_str().unwrap());
    tool("tar", &["-xf", from, "-C", to]);
    assert_index(&format!("oci:{to}"));

    let again = build(&kiln, &project, &["-o", &output]);
    assert_eq!(steps(&again).0, Vec::<&str>::new(), "{again}");
    // What one platform alone needs is known from both.
    let alone = kiln.build(&project, &["--platform", "linux/arm64"]);
    assert_eq!(steps(&alone).0, Vec::<&str>::new(), "{alone}");
    kiln.assert_clean();
}

#[test]
fn a_registry_and_the_store_have_an_index() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let name = format!("{}/me/both:1", registry.host());
    let project = Project::of(
        "FROM --platform=$BUILDPLATFORM alpine\n\
         ARG TARGETARCH\n\
         RUN echo $TARGETARCH >/arch\n\
         LABEL arch=$TARGETARCH\n\
         CMD [\"cat\", \"/arch\"]\n",
    );
    let scratch = Scratch::new();
    kiln.lend(scratch.path());
    let (id, metadata) = (scratch.join("id"), scratch.join("metadata"));
    let files = [
        "--iidfile",
        id.to_str().unwrap(),
        "--metadata-file",
        metadata.to_str().unwrap(),
    ];
    build(
        &kiln,
        &project,
        &[&["--push", "-t", &name], &files[..]].concat(),
    );
    assert_index(&format!("docker://{name}"));
    let (pushed, _) = registry.manifest("me/both", "1").unwrap();
    let metadata = json_of(&fs::read_to_string(metadata).unwrap());
    assert_eq!(metadata["containerimage.digest"], pushed.digest.to_string());
    assert_eq!(metadata.get("containerimage.config.digest"), None);
    assert_eq!(fs::read_to_string(id).unwrap(), pushed.digest.to_string());

    let here = oci::Platform::host().architecture;
    assert_eq!(kiln.ok(["run", "--rm", &name]), format!("{here}\n"));
    let other = Kiln::with_mirror(&registry.host());
    assert_eq!(other.ok(["run", "--rm", &name]), format!("{here}\n"));
    // The store's index is a base for both.
    let above = Project::of(&format!(
        "FROM {name} AS both\nFROM scratch\nCOPY --from=both /arch /\n"
    ));
    let out = scratch.join("out");
    let dest = format!("type=local,dest={}", out.display());
    build(&kiln, &above, &["-o", &dest]);
    for arch in ["amd64", "arm64"] {
        let file = out.join(format!("linux_{arch}/arch"));
        assert_eq!(fs::read_to_string(file).unwrap(), format!("{arch}\n"));
    }
}

#[test]
fn an_image_has_the_cache_of_its_platform() {
    let registry = standin::new_registry();
    let name = format!("{}/me/cached:1", registry.host());
    // What runs is a layer of the image.
    let project = Project::of(
        "FROM --platform=$BUILDPLATFORM alpine\nARG TARGETARCH\nRUN echo $TARGETARCH >/arch\n",
    );
    let first = Kiln::with_mirror(&registry.host());
    let line = ["--push", "-t", &name, "--cache-to", "type=inline"];
    build(&first, &project, &line);
    let from = format!("type=registry,ref={name}");
    let second = Kiln::with_mirror(&registry.host());
    let told = build(&second, &project, &["--cache-from", &from]);
    let (run, cached) = steps(&told);
    assert_eq!(run, Vec::<&str>::new(), "{told}");
    assert_eq!(
        cached,
        ["RUN echo amd64 >/arch", "RUN echo arm64 >/arch"],
        "{told}"
    );
}

#[test]
fn files_are_in_a_directory_for_each() {
    let (kiln, project, scratch) = (Kiln::new(), Project::of(DOCKERFILE), Scratch::new());
    kiln.lend(scratch.path());
    let (directory, tar) = (scratch.join("directory"), scratch.join("files.tar"));
    let local = format!("type=local,dest={}", directory.display());
    let tarball = format!("type=tar,dest={}", tar.display());
    build(&kiln, &project, &["-o", &local, "-o", &tarball]);
    let unpacked = scratch.dir("unpacked");
    let listed = unpack(&tar, &unpacked);
    for root in [&directory, &unpacked] {
        for arch in ["amd64", "arm64"] {
            let own = root.join(format!("linux_{arch}"));
            let read = |name: &str| fs::read_to_string(own.join(name)).unwrap();
            assert_eq!(read("arch"), format!("{arch}\n"), "{listed}");
            assert_eq!(read("shared"), "shared\n", "{listed}");
        }
    }

    let merged = scratch.join("merged");
    let dest = format!("type=local,dest={},platform-split=false", merged.display());
    let line = [&BOTH[..], &["-o", &dest]].concat();
    let error = kiln.try_build(&project, &line).error();
    let expected = "cannot overwrite arch from linux/amd64 with linux/arm64 when split option is \
                    disabled";
    assert!(error.ends_with(expected), "{error}");
    assert!(!Path::new(&merged).join("arch").exists());
    let apart = DOCKERFILE.replace("COPY --from=build /shared /arch /\n", "");
    build(&kiln, &Project::of(&apart), &["-o", &dest]);
    for arch in ["amd64", "arm64"] {
        let file = merged.join("only").join(arch);
        assert_eq!(fs::read_to_string(file).unwrap(), format!("{arch}\n"));
    }
    let one = format!("type=local,dest={},platform-split=true", merged.display());
    kiln.build(&project, &["--platform", "linux/arm64", "-o", &one]);
    assert!(merged.join("linux_arm64/arch").exists());
}

#[test]
fn a_step_for_another_machine_says_what_is_missing() {
    // The beginning of a program for a machine with another order of bytes.
    let program = "\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16\0\0\0\x01";
    let project = Project::new(&[
        (
            "Dockerfile",
            "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n",
        ),
        ("sh", program),
    ]);
    let kiln = Kiln::new();
    let ran = kiln.try_build(&project, &["--platform", "linux/s390x"]);
    assert!(ran.stderr.contains("exit code: 126"), "{}", ran.stderr);
    for words in [
        "/bin/sh is for linux/s390x",
        "no emulator registered",
        "qemu-user-static",
        "FROM --platform=$BUILDPLATFORM",
    ] {
        assert!(ran.stderr.contains(words), "{words} in {}", ran.stderr);
    }
}

#[test]
fn the_history_knows_all_platforms() {
    let (kiln, project) = (Kiln::new(), Project::of(DOCKERFILE));
    let told = build(&kiln, &project, &["--explain"]);
    assert!(told.contains("RUN echo shared"), "{told}");
    let about = kiln.ok(["history", "inspect"]);
    let line = about.lines().find(|line| line.starts_with("Platform"));
    let line = line.unwrap_or_else(|| panic!("{about}"));
    assert!(line.ends_with("linux/amd64,linux/arm64"), "{line}");
    let error = kiln.try_build(
        &project,
        &[&BOTH[..], &["-o", "type=docker,dest=x.tar"]].concat(),
    );
    let hint = "use type=oci, or build for each platform on its own";
    assert_eq!(error.hints(), [hint], "{}", error.stderr);
}

#[test]
fn files_and_configs_are_for_windows_too() {
    let (kiln, scratch) = (Kiln::new(), Scratch::new());
    kiln.lend(scratch.path());
    let project = Project::of(
        "FROM scratch\n\
         ARG TARGETPLATFORM\n\
         WORKDIR C:/app\n\
         COPY <<EOF where\n$TARGETPLATFORM\nEOF\n\
         ENTRYPOINT run it\n",
    );
    let layout = scratch.join("layout");
    let platform = "windows(10.0.1)/amd64";
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    kiln.build(&project, &["--platform", platform, "-o", &output]);
    let from = format!("oci:{}", layout.display());
    let line = ["inspect", "--override-os", "windows", "--config", &from];
    let config = json_of(&tool("skopeo", &line));
    assert_eq!(config["os"], "windows", "{config}");
    assert_eq!(config["os.version"], "10.0.1");
    let expected = json!({
        "Entrypoint": ["cmd", "/S", "/C", "run it"],
        "WorkingDir": "\\app",
    });
    assert_eq!(config["config"], expected);

    let files = scratch.join("files");
    let both = format!("{platform},linux/amd64");
    let output = format!("type=local,dest={}", files.display());
    kiln.build(&project, &["--platform", &both, "-o", &output]);
    let of_windows = files.join("windows(10.0.1)_amd64/app/where");
    assert_eq!(
        fs::read_to_string(of_windows).unwrap(),
        format!("{platform}\n")
    );

    let steps = Project::of("FROM scratch\nRUN dir\n");
    let error = kiln
        .try_build(&steps, &["--platform", "windows/amd64"])
        .error();
    let expected = "RUN for windows/amd64 is not supported: steps run on linux alone";
    assert!(error.ends_with(expected), "{error}");
    kiln.assert_clean();
}
