//! What is in images, as a scanner in an image of its own tells it.

use std::path::Path;

use serde_json::{Value, json};
use testkit::Scratch;

use crate::kiln::{Kiln, Project, tool};
use crate::place::is_in_container;
use crate::standin;

/// Writes a document for each file system that it is shown, and what it was told into the first.
const SCANNER: &[(&str, &str)] = &[
    (
        "Dockerfile",
        "FROM alpine\nWORKDIR /w\nENV OWN=own\nCOPY scan /scan\nENTRYPOINT [\"/bin/sh\", \"/scan\"]\n\
         CMD [\"an argument\"]\n",
    ),
    (
        "scan",
        r#"set -e
scan() {
    name=$(basename "$1")
    files=$(cd "$1" && find . -type f | sort | sed 's|^\./\(.*\)|{"fileName":"\1"}|')
    files=$(echo $files | sed 's/ /,/g')
    echo '{"_type":"x","predicateType":"https://spdx.dev/Document","predicate":{' \
        "\"spdxVersion\":\"SPDX-2.3\",\"name\":\"$name\",\"files\":[$files]," \
        "\"told\":\"$OWN $PWD $1 $* $BUILDKIT_SCAN_MORE\"}}" \
        >"$BUILDKIT_SCAN_DESTINATION/$name.spdx.json"
}
scan "$BUILDKIT_SCAN_SOURCE" "$@"
if [ -n "$BUILDKIT_SCAN_SOURCE_EXTRAS" ]; then
    for extra in "$BUILDKIT_SCAN_SOURCE_EXTRAS"/*; do scan "$extra"; done
fi
echo scanned "$BUILDKIT_SCAN_SOURCE"
"#,
    ),
];

/// The scanner makes sure that it cannot write to what it scans, where that is not found out
/// afterwards.
const CHECK: &str = "if touch \"$BUILDKIT_SCAN_SOURCE/x\" 2>/dev/null; then exit 3; fi\n";

/// What the scanner's image is built of.
pub(crate) fn scanner() -> Project {
    let project = Project::new(SCANNER);
    if !is_in_container() {
        let scan = project.join("scan");
        let text = std::fs::read_to_string(&scan).unwrap();
        std::fs::write(scan, format!("{CHECK}{text}")).unwrap();
    }
    project
}

/// A store with the scanner in it.
fn with_scanner() -> Kiln {
    let kiln = Kiln::new();
    kiln.build(&scanner(), &["-t", "scanner:1"]);
    kiln
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn read(path: &Path) -> Value {
    parsed(&std::fs::read_to_string(path).unwrap())
}

fn blob(layout: &Path, digest: &Value) -> Value {
    let name = digest.as_str().unwrap().replace(':', "/");
    read(&layout.join("blobs").join(name))
}

const PROJECT: &[(&str, &str)] = &[
    (
        "Dockerfile",
        "ARG BUILDKIT_SBOM_SCAN_CONTEXT\n\
         FROM alpine AS base\nRUN mkdir /b && echo b >/b/b\n\
         FROM scratch AS more\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nCOPY --from=base /b /\n\
         FROM scratch\nCOPY --from=more /b /c\nCOPY a /a\n",
    ),
    ("a", "a\n"),
    ("unread", ""),
];

#[test]
fn an_index_leads_to_what_a_scanner_found() {
    let (kiln, scratch) = (with_scanner(), Scratch::new());
    let project = Project::new(PROJECT);
    let layout = scratch.join("out");
    let output = format!("type=oci,tar=false,name=img,dest={}", layout.display());
    let flags = [
        "--sbom=generator=scanner:1,MORE=more",
        "--provenance=mode=min",
        "--build-arg",
        "BUILDKIT_SBOM_SCAN_CONTEXT=true",
        "--progress=plain",
        "-o",
        &output,
    ];
    let told = kiln.build(&project, &flags);
    let step = "] generating sbom using docker.io/library/scanner:1@sha256:";
    assert!(
        told.contains(step) && told.contains("scanned /run/src/core/sbom"),
        "{told}"
    );
    let raw = tool(
        "skopeo",
        &["inspect", "--raw", &format!("oci:{}", layout.display())],
    );
    let index = parsed(&raw);
    let image = &index["manifests"][0];
    let attached = blob(&layout, &index["manifests"][1]["digest"]);
    let kinds = attached["layers"].as_array().unwrap().iter();
    let kinds = kinds.map(|layer| {
        layer["annotations"]["in-toto.io/predicate-type"]
            .as_str()
            .unwrap()
    });
    let spdx = "https://spdx.dev/Document";
    let slsa = "https://slsa.dev/provenance/v1";
    assert_eq!(kinds.collect::<Vec<_>>(), [spdx, spdx, spdx, slsa]);
    let statement = |place: usize| blob(&layout, &attached["layers"][place]["digest"]);
    let manifest = blob(&layout, &image["digest"]);
    let layer = |place: usize| {
        format!(
            "layerID: {}",
            manifest["layers"][place]["digest"].as_str().unwrap()
        )
    };
    let core = statement(0);
    let hex = core["subject"][0]["digest"]["sha256"].as_str().unwrap();
    assert_eq!(image["digest"], format!("sha256:{hex}"));
    let files = json!([
        {"fileName": "a", "comment": layer(1)},
        {"fileName": "c", "comment": layer(0)},
    ]);
    assert_eq!(core["predicate"]["files"], files);
    assert_eq!(
        core["predicate"]["told"],
        "own /w /run/src/core/sbom /run/src/core/sbom an argument more"
    );
    let names = [&statement(1)["predicate"], &statement(2)["predicate"]];
    assert_eq!(names[0]["name"], "sbom-context");
    assert_eq!(
        names[0]["files"],
        json!([{"fileName": "Dockerfile"}, {"fileName": "a"}, {"fileName": "unread"}])
    );
    assert_eq!(names[1]["name"], "sbom-more");
    assert_eq!(names[1]["files"], json!([{"fileName": "b"}]));

    // What was scanned is known.
    let again = kiln.build(&project, &flags);
    assert!(!again.contains("scanned /run"), "{again}");
    let plain = scratch.join("plain");
    let output = format!("type=oci,tar=false,name=img,dest={}", plain.display());
    kiln.build(&project, &["-o", &output]);
    let raw = tool(
        "skopeo",
        &["inspect", "--raw", &format!("oci:{}", plain.display())],
    );
    assert_eq!(parsed(&raw), manifest);
}

#[test]
fn what_is_pushed_tells_of_its_own_layers() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let generator = format!("{}/me/scanner:1", registry.host());
    let other = Kiln::with_mirror(&registry.host());
    other.build(&scanner(), &["-t", &generator, "--push"]);
    let name = format!("{}/me/app:1", registry.host());
    let attest = format!("type=sbom,generator={generator}");
    let project = Project::new(PROJECT);
    kiln.build(&project, &["--attest", &attest, "-t", &name]);
    kiln.ok(["push", &name]);
    let inspect = |format: &str| kiln.ok(["imagetools", "inspect", &name, "--format", format]);
    let sbom = parsed(&inspect("{{json .SBOM}}"));
    let image = format!("docker://{name}");
    let raw = tool("skopeo", &["inspect", "--tls-verify=false", &image]);
    let layers = parsed(&raw)["Layers"].clone();
    let layer = |place: usize| format!("layerID: {}", layers[place].as_str().unwrap());
    let files = json!([
        {"fileName": "a", "comment": layer(1)},
        {"fileName": "c", "comment": layer(0)},
    ]);
    assert_eq!(sbom["SPDX"]["files"], files);
    assert_eq!(kiln.ok(["images", "-q", &name]).lines().count(), 1);
}

#[test]
fn files_have_it_beside_them() {
    let (kiln, scratch) = (with_scanner(), Scratch::new());
    let project = Project::new(&[("Dockerfile", "FROM scratch\nCOPY a /d/a\n"), ("a", "x\n")]);
    let directory = scratch.join("out");
    let output = format!(
        "type=local,dest={},attestation-prefix=my-",
        directory.display()
    );
    let flags = ["--sbom=generator=scanner:1", "--provenance=true", "-o"];
    kiln.build(&project, &[&flags[..], &[&output]].concat());
    let statement = read(&directory.join("my-sbom.spdx.json"));
    assert_eq!(statement["subject"][0]["name"], "d/a");
    assert_eq!(
        statement["predicate"]["files"],
        json!([{"fileName": "d/a"}])
    );
    assert!(directory.join("my-provenance.json").exists());

    let tar = scratch.join("out.tar");
    let output = format!("type=tar,dest={}", tar.display());
    kiln.build(&project, &[&flags[..], &[&output]].concat());
    let names = tool("tar", &["tf", tar.to_str().unwrap()]);
    assert_eq!(names, "d/\nd/a\nsbom.spdx.json\nprovenance.json\n");
    let both = ["--platform=linux/amd64,linux/arm64", "-o", &output];
    kiln.build(&project, &[&flags[..2], &both].concat());
    let names = tool("tar", &["tf", tar.to_str().unwrap()]);
    let beside =
        |at: &str| format!("{at}/\n{at}/d/\n{at}/d/a\n{at}/sbom.spdx.json\n{at}/provenance.json\n");
    assert_eq!(names, beside("linux_amd64") + &beside("linux_arm64"));
    let side = scratch.join("side");
    let output = format!("type=local,platform-split=false,dest={}", side.display());
    let same = Project::new(&[
        (
            "Dockerfile",
            "FROM scratch AS s\nARG TARGETARCH\nCOPY a /$TARGETARCH\n",
        ),
        ("a", "x\n"),
    ]);
    let both = ["--platform=linux/amd64,linux/arm64", "-o", &output];
    kiln.build(&same, &[&flags[..1], &both].concat());
    let arm = read(&side.join("sbom.spdx.linux_arm64.json"));
    assert_eq!(arm["predicate"]["files"], json!([{"fileName": "arm64"}]));
}

#[test]
fn what_is_no_sbom_fails_the_build() {
    let kiln = with_scanner();
    let project = Project::of("FROM scratch\nLABEL a=b\n");
    let scanner = |dockerfile: &str, name: &str| {
        kiln.build(&Project::of(dockerfile), &["-t", name]);
        let flag = format!("--sbom=generator={name}");
        kiln.try_build(&project, &[&flag]).error()
    };
    let refused = scanner("FROM scratch\nLABEL a=c\n", "none");
    assert!(
        refused.contains("scanner docker.io/library/none:latest does not have cmd"),
        "{refused}"
    );
    let wrong = scanner("FROM alpine\nCMD echo {} >/run/out/a\n", "wrong");
    assert!(
        wrong.contains("the scanner's a is of type \"\": expected https://spdx.dev/Document"),
        "{wrong}"
    );
    let failed = scanner("FROM alpine\nCMD exit 4\n", "failed");
    assert!(failed.contains("exit code: 4"), "{failed}");
    let twice = [
        "--sbom=generator=scanner:1",
        "--provenance=filename=sbom.spdx.json",
        "-o",
        "-",
    ];
    let twice = kiln.try_build(&project, &twice).error();
    assert!(
        twice.contains("two attestations have the name sbom.spdx.json"),
        "{twice}"
    );
}
