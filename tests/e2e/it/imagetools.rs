//! Images in registries looked at and put together, as buildx does.

use oci::{Descriptor, Digest, MediaType, Platform};
use serde_json::{Value, json};
use testkit::FakeRegistry;
use testkit::registry::{Effect, Fault};

use crate::clients::{like, link};
use crate::kiln::{Kiln, Project, Ran, command, finish, tool, variable};
use crate::standin;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry with an image for two platforms and statements about both, under `me/app:1`.
fn stated() -> (FakeRegistry, Kiln) {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let output = format!("type=registry,name={}/me/app:1", registry.host());
    let platforms = "linux/amd64,linux/arm64";
    let project = Project::of(
        "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY <<E /x\n$TARGETARCH\nE\n",
    );
    kiln.build(
        &project,
        &[
            "--platform",
            platforms,
            "--provenance=mode=min",
            "-o",
            &output,
        ],
    );
    (registry, kiln)
}

fn parsed(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// What a name of the registry leads to.
fn found(registry: &FakeRegistry, repository: &str, tag: &str) -> Value {
    parsed(&registry.manifest(repository, tag).unwrap().1)
}

fn digests(index: &Value) -> Vec<&str> {
    let manifests = index["manifests"].as_array().unwrap().iter();
    manifests
        .map(|part| part["digest"].as_str().unwrap())
        .collect()
}

#[test]
fn inspected_as_text_as_bytes_and_by_templates() {
    let (registry, kiln) = stated();
    let name = format!("{}/me/app:1", registry.host());
    let (descriptor, bytes) = registry.manifest("me/app", "1").unwrap();
    let inspect = |more: &[&str]| kiln.ok([&["imagetools", "inspect", &name], more].concat());
    assert_eq!(inspect(&["--raw"]).into_bytes(), bytes);

    let text = inspect(&[]);
    let index = parsed(&bytes);
    let part = &index["manifests"][3];
    let about = &part["annotations"];
    let head = format!(
        "Name:      {name}\nMediaType: {INDEX}\nDigest:    {}\n           \nManifests: \n  \
         Name:      {name}@{}\n  MediaType: application/vnd.oci.image.manifest.v1+json\n  \
         Platform:  linux/amd64\n             \n  Name:",
        descriptor.digest,
        digests(&index)[0]
    );
    // Cells are aligned with those of the manifest whose annotations end them.
    let squeezed = |text: &str| {
        let lines = text.lines();
        let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<String>>().join("\n")
    };
    assert!(squeezed(&text).starts_with(&squeezed(&head)), "{text}");
    let tail = format!(
        "  Annotations: \n    vnd.docker.reference.digest: {}\n    vnd.docker.reference.type:   \
         attestation-manifest\n",
        about["vnd.docker.reference.digest"].as_str().unwrap()
    );
    assert!(text.ends_with(&tail), "{text}");

    let format = |template: &str| inspect(&["--format", template]);
    assert_eq!(format("{{.Manifest}}"), text);
    assert_eq!(
        format("{{.Name}} {{.Manifest.Digest}}"),
        format!("{name} {}", descriptor.digest)
    );
    let manifest = parsed(format("{{json .Manifest}}").as_bytes());
    assert_eq!(manifest["manifests"], index["manifests"]);
    assert_eq!(manifest["size"], descriptor.size);
    let images = parsed(format("{{json .Image}}").as_bytes());
    assert_eq!(
        images["linux/arm64"]["config"]["Labels"],
        json!({"arch": "arm64"})
    );
    let one = r#"{{(index .Image "linux/amd64").Architecture}}"#;
    assert_eq!(format(one), "amd64");
    let all = parsed(format("{{json .}}").as_bytes());
    assert_eq!(all["image"], images);
    let stated = parsed(format("{{json .Provenance}}").as_bytes());
    let statement = &stated["linux/arm64"]["SLSA"];
    assert!(statement["buildDefinition"].is_object(), "{stated}");
    assert_eq!(format("{{json .SBOM}}"), "{}");
}

#[test]
fn one_image_is_inspected_without_its_platform() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let alpine = &standin::alpine().descriptor;
    let inspect = |more: &[&str]| kiln.ok([&["imagetools", "inspect", "alpine"], more].concat());
    assert_eq!(
        inspect(&[]),
        format!(
            "Name:      docker.io/library/alpine:latest\nMediaType: {}\nDigest:    {}\n",
            alpine.media_type, alpine.digest
        )
    );
    let format = |template: &str| inspect(&["--format", template]);
    assert_eq!(
        format("{{.Image.OS}} {{len .Image.RootFS.DiffIDs}}"),
        "linux 1"
    );
    let platform = format!(
        "{{\n  \"mediaType\": \"{}\",\n  \"digest\": \"{}\",\n  \"size\": {}\n}}",
        alpine.media_type, alpine.digest, alpine.size
    );
    assert_eq!(format("{{json .Manifest}}"), platform);
    assert_eq!(format("{{json .Provenance}}"), "{}");
    // Nothing of this needs a store.
    assert!(!kiln.root().exists());
}

#[test]
fn within_a_repository_only_the_index_is_put() {
    let (registry, kiln) = stated();
    let name = |tag: &str| format!("{}/me/app:{tag}", registry.host());
    registry.clear_log();
    let index = found(&registry, "me/app", "1");
    let parts = digests(&index);
    let line = [
        "imagetools",
        "create",
        "-t",
        &name("some"),
        "-t",
        &name("more"),
    ];
    kiln.ok([&line[..], &["-p", "linux/arm64", &name("1")]].concat());
    let written = |line: &&String| !line.starts_with("GET") && !line.starts_with("HEAD");
    let log = registry.log();
    assert_eq!(
        log.iter().filter(written).collect::<Vec<_>>(),
        [
            "PUT /v2/me/app/manifests/some 201",
            "PUT /v2/me/app/manifests/more 201"
        ]
    );
    let some = found(&registry, "me/app", "some");
    assert_eq!(some, found(&registry, "me/app", "more"));
    let platforms = some["manifests"].as_array().unwrap().iter();
    let platforms: Vec<_> = platforms
        .map(|part| part["platform"]["architecture"].clone())
        .collect();
    assert_eq!(platforms, ["arm64", "unknown"]);
    // What is appended comes after what is there.
    kiln.ok([
        "imagetools",
        "create",
        "--append",
        "-t",
        &name("some"),
        &name("1"),
    ]);
    let appended = found(&registry, "me/app", "some");
    let mut all = digests(&some);
    all.extend(
        parts
            .iter()
            .filter(|digest| !digests(&some).contains(digest)),
    );
    assert_eq!(digests(&appended), all);
    // A digest alone is of the repository of the names.
    kiln.ok(["imagetools", "create", "-t", &name("one"), parts[0]]);
    let one = found(&registry, "me/app", "one");
    assert_eq!(one["manifests"][0]["platform"]["architecture"], "amd64");
    kiln.ok([
        "imagetools",
        "create",
        "--prefer-index=false",
        "-t",
        &name("plain"),
        parts[0],
    ]);
    let (plain, _) = registry.manifest("me/app", "plain").unwrap();
    assert_eq!(plain.digest.to_string(), parts[0]);
}

/// What is copied is whole wherever it goes, and names come last.
#[test]
fn copied_between_repositories_and_registries() {
    let (registry, kiln) = stated();
    let other = FakeRegistry::start();
    kiln.configure(&format!("[registry.\"{}\"]\nhttp = true\n", other.host()));
    let source = format!("{}/me/app:1", registry.host());
    let (_, bytes) = registry.manifest("me/app", "1").unwrap();
    for (at, place) in [(&registry, "mine/copy"), (&other, "their/copy")] {
        at.clear_log();
        let (first, second) = (
            format!("{}/{place}:1", at.host()),
            format!("{}/{place}", at.host()),
        );
        kiln.ok(["imagetools", "create", "-t", &first, "-t", &second, &source]);
        assert_eq!(at.manifest(place, "1").unwrap().1, bytes);
        let log = at.log();
        let names: Vec<_> = log.iter().rev().take(2).collect();
        assert_eq!(
            names,
            [
                &format!("PUT /v2/{place}/manifests/latest 201"),
                &format!("PUT /v2/{place}/manifests/1 201")
            ]
        );
        let sent = log
            .iter()
            .filter(|line| line.starts_with("PUT ") && line.contains("/blobs/uploads/"))
            .count();
        assert_eq!(sent == 0, place == "mine/copy", "{log:?}");
        let archive = kiln.scratch("out").join(place.replace('/', "-"));
        let from = format!("docker://{first}");
        let to = format!("oci:{}", archive.display());
        tool(
            "skopeo",
            &["copy", "--all", "--src-tls-verify=false", &from, &to],
        );
        // What is there is not copied again.
        at.clear_log();
        kiln.ok(["imagetools", "create", "-t", &first, &source]);
        assert!(
            !at.log().iter().any(|line| line.contains("/blobs/")),
            "{:?}",
            at.log()
        );
    }
}

#[test]
fn no_name_leads_to_what_is_not_whole() {
    let (registry, kiln) = stated();
    let other = FakeRegistry::start();
    kiln.configure(&format!("[registry.\"{}\"]\nhttp = true\n", other.host()));
    other.fault(Fault {
        method: "PUT",
        path: "/manifests/",
        skip: 2,
        times: 1,
        effect: Effect::error(403, "DENIED", "no more"),
    });
    let source = format!("{}/me/app:1", registry.host());
    let name = format!("{}/their/copy:1", other.host());
    let error = kiln
        .run(["imagetools", "create", "-t", &name, &source])
        .error();
    assert!(error.contains("no more"), "{error}");
    assert!(other.manifest("their/copy", "1").is_none());
}

#[test]
fn descriptors_and_annotations() {
    let (registry, kiln) = stated();
    let name = |tag: &str| format!("{}/me/app:{tag}", registry.host());
    let index = found(&registry, "me/app", "1");
    let mut given = index["manifests"][0].clone();
    given["platform"]["os.version"] = json!("10.1");
    given["annotations"] = json!({"given": "<here>"});
    let file = kiln.scratch("files").join("descriptor.json");
    std::fs::write(&file, format!("{given}\n")).unwrap();
    let metadata = kiln.scratch("files").join("metadata.json");
    let line = [
        "imagetools",
        "create",
        "--annotation",
        "index:of=all",
        "--annotation",
        "manifest-descriptor[linux/arm64]:of=one",
        "--metadata-file",
        metadata.to_str().unwrap(),
        "-t",
        &name("made"),
        "-f",
        file.to_str().unwrap(),
        "-f",
        "-",
    ];
    let arm = digests(&index)[1].to_owned();
    kiln.run_with(&line, format!("{arm}\n").as_bytes()).ok();
    let (descriptor, bytes) = registry.manifest("me/app", "made").unwrap();
    let made = parsed(&bytes);
    assert_eq!(made["manifests"][0], given);
    assert_eq!(made["annotations"], json!({"of": "all"}));
    assert_eq!(made["manifests"][1]["annotations"], json!({"of": "one"}));
    let metadata = parsed(&std::fs::read(&metadata).unwrap());
    assert_eq!(metadata["containerimage.descriptor"], json!(descriptor));
    assert_eq!(
        metadata["image.name"],
        format!("{}/me/app", registry.host())
    );
    let one = name("1");
    let dry = [&line[..6], &["--dry-run", &one]].concat();
    let shown = kiln.ok(dry);
    assert_eq!(
        parsed(shown.as_bytes())["annotations"],
        json!({"of": "all"})
    );
    assert!(shown.ends_with("\n}\n"), "{shown}");
}

/// An image in Docker's words under `old/app:1`.
fn put_dockers(registry: &FakeRegistry) {
    let mut image = standin::alpine().clone();
    let (oci, docker) = (MediaType::OciManifest, MediaType::DockerManifest);
    let manifest = String::from_utf8(image.manifest).unwrap();
    let manifest = manifest.replace(oci.as_str(), docker.as_str());
    image.manifest = manifest.into_bytes();
    image.descriptor = Descriptor::of(docker, &image.manifest);
    registry.put_image("old/app", "1", &image);
}

/// As buildx does: what has only Docker's manifests is a manifest list, which has no annotations.
#[test]
fn dockers_manifests() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    put_dockers(&registry);
    let name = format!("{}/old/app:1", registry.host());
    let line = [
        "imagetools",
        "create",
        "--annotation",
        "index:a=b",
        "--dry-run",
        &name,
    ];
    let ran = kiln.run(line);
    assert!(
        ran.stderr.starts_with("WARNING: no annotation is set"),
        "{}",
        ran.stderr
    );
    let made = parsed(ran.ok().as_bytes());
    assert_eq!(made["mediaType"], MediaType::DockerIndex.as_str());
    let platform = &made["manifests"][0]["platform"];
    assert_eq!(platform["architecture"], Platform::host().architecture);
    assert_eq!(made["annotations"], Value::Null);
}

#[test]
fn under_the_names_of_clients() {
    let (registry, kiln) = stated();
    let bin = kiln.scratch("bin");
    let (docker, plugin) = (
        link(&kiln, &bin, "docker"),
        link(&kiln, &bin, "docker-buildx"),
    );
    let name = format!("{}/me/app:1", registry.host());
    let expected = kiln.ok(["imagetools", "inspect", &name]);
    for (program, line) in [
        (&docker, &["buildx", "imagetools"][..]),
        (&plugin, &["imagetools"]),
        (&plugin, &["buildx", "imagetools"]),
    ] {
        let line = [line, &["inspect", &name]].concat();
        assert_eq!(finish(like(&kiln, program).args(line)).ok(), expected);
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let error = |line: &[&str]| kiln.run([&["imagetools"], line].concat()).error();
    let missing = Digest::of(b"").to_string();
    for (line, said) in [
        (&["create", "-t", "a"][..], "no sources specified"),
        (&["create", "alpine"], "please set --tag or --dry-run"),
        (
            &["create", "--dry-run", &missing],
            "no repositories specified",
        ),
        (
            &["create", "-t", "me/other", "alpine", &missing],
            "cannot infer repository",
        ),
        (&["create", "--dry-run", "{}"], "valid sources are digests"),
        (
            &["create", "--dry-run", "alpine:none"],
            "manifest not found",
        ),
        (
            &["create", "--dry-run", "--annotation", "a=b", "alpine"],
            "use index or manifest-descriptor",
        ),
        (
            &["create", "--dry-run", "-p", "linux/s390x", "alpine"],
            "none of the manifests match",
        ),
        (
            &["create", "--dry-run", "-f", "/nowhere", "alpine"],
            "read /nowhere",
        ),
        (
            &["create", "--builder", "x", "alpine"],
            "kiln asks registries itself",
        ),
        (
            &["inspect", "--raw", "--format", "x", "alpine"],
            "cannot be used together",
        ),
        (
            &["inspect", "--format", "{{.Nope}}", "alpine"],
            "can't evaluate field Nope",
        ),
        (
            &["inspect", "--format", "{{nope}}", "alpine"],
            "function \"nope\" not defined",
        ),
    ] {
        let error = error(line);
        assert!(error.contains(said), "{line:?}: {error}");
    }
}

/// Lines that kiln and buildx answer alike; `HERE` is the registry, `PART` the first manifest.
const LINES: &[&str] = &[
    "inspect HERE/me/app:1",
    "inspect HERE/old/app:1",
    "inspect --raw HERE/me/app:1",
    "inspect --format {{.Name}} HERE/me/app:1",
    "inspect --format {{json\u{a0}.Manifest}} HERE/me/app:1",
    "inspect --format {{json\u{a0}.Manifest}} HERE/old/app:1",
    "inspect --format {{json\u{a0}.Image}} HERE/me/app:1",
    "inspect --format {{json\u{a0}.Provenance}} HERE/me/app:1",
    "inspect --format {{json\u{a0}.SBOM}} HERE/me/app:1",
    "inspect --format {{json\u{a0}.}} HERE/old/app:1",
    "create --dry-run HERE/me/app:1",
    "create --dry-run HERE/old/app:1",
    "create --dry-run --prefer-index=false HERE/old/app:1",
    "create --dry-run HERE/old/app:1 HERE/me/app:1",
    "create --dry-run --annotation index:a=<b> HERE/me/app:1",
    "create --dry-run --annotation manifest-descriptor[linux/arm64]:a=b HERE/me/app:1",
    "create --dry-run --annotation index:a=b HERE/old/app:1",
    "create --dry-run -p linux/arm64 HERE/me/app:1",
    "create --dry-run -p linux/s390x HERE/me/app:1",
    "create --dry-run -t HERE/me/app:2 PART",
    "create --dry-run --append -t HERE/me/app:1 HERE/me/app:1 PART",
    "create --dry-run -t HERE/me/app:2 {\"digest\":\"PART\",\"annotations\":{\"a\":\"b\"}}",
    "create --dry-run PART",
    "create -t HERE/me/app:2",
    "create HERE/me/app:1",
];

/// The real buildx on the same registry. Needs the clients of `cargo xtask test --peers`.
#[test]
fn as_buildx_answers() {
    let Some(root) = variable("KILN_TEST_PEERS") else {
        return;
    };
    let (registry, kiln) = stated();
    put_dockers(&registry);
    let client = kiln.scratch("client");
    let index = found(&registry, "me/app", "1");
    // The order of annotations is Go's maps', which have none.
    let answer = |ran: Ran| {
        let mut lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        if ran.stdout.starts_with("Name:") {
            lines.sort();
        }
        (ran.code, lines)
    };
    for line in LINES {
        let line = line.replace("HERE", &registry.host());
        let line = line.replace("PART", digests(&index)[0]);
        let words = line.split(' ').map(|word| word.replace('\u{a0}', " "));
        let words: Vec<String> = words.collect();
        let mut buildx = command("chroot");
        buildx.arg(&root).args(["docker", "buildx", "imagetools"]);
        let theirs = finish(buildx.args(&words).env("DOCKER_CONFIG", &client));
        let ours = kiln.run(["imagetools".to_owned()].into_iter().chain(words));
        assert_eq!(answer(ours), answer(theirs), "{line}");
    }
}
