//! Images of the store: listed, looked at, named, removed, saved and loaded.

use serde_json::Value;

use crate::kiln::{Kiln, Project};

fn built(kiln: &Kiln) {
    let dockerfile = "FROM alpine\nLABEL who=me\nENV A=1\nRUN echo x >/x\nCMD [\"cat\", \"/x\"]\n";
    kiln.build(
        &Project::of(dockerfile),
        &["-t", "app", "-t", "me/app:2", "--label", "more=yes"],
    );
}

#[test]
fn listed_and_looked_at() {
    let kiln = Kiln::new();
    built(&kiln);
    let listing = kiln.ok(["images"]);
    let head: Vec<&str> = listing.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        head,
        ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    );
    let names = kiln.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        ["app:latest", "me/app:2", "alpine:latest"]
    );
    let ids = kiln.ok(["images", "-q", "--no-trunc", "--filter", "reference=app"]);
    let id = kiln.ok(["inspect", "--format", "{{.Id}}", "me/app:2"]);
    assert_eq!(ids, id);

    let json: Value = serde_json::from_str(&kiln.ok(["inspect", "app"])).unwrap();
    let image = &json[0];
    assert_eq!(
        image["RepoTags"],
        serde_json::json!(["app:latest", "me/app:2"])
    );
    assert_eq!(
        image["Config"]["Labels"],
        serde_json::json!({"who": "me", "more": "yes"})
    );
    assert_eq!(
        image["Config"]["Env"],
        serde_json::json!(["PATH=/bin", "A=1"])
    );
    assert_eq!(image["Config"]["ArgsEscaped"], true);
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 2);

    let made = kiln.ok(["history", "--format", "{{.CreatedBy}}", "app"]);
    let expected = [
        "CMD [\"cat\" \"/x\"]",
        "RUN /bin/sh -c echo x >/x # buildkit",
        "ENV A=1",
        "LABEL who=me",
        "ADD busybox",
    ];
    assert_eq!(made.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn named_and_removed() {
    let kiln = Kiln::new();
    built(&kiln);
    kiln.ok(["tag", "app", "other:1"]);
    assert_eq!(kiln.ok(["rmi", "other:1"]), "Untagged: other:1\n");
    let id = kiln.ok(["images", "-q", "app"]);
    let refused = kiln.run(["rmi", id.trim()]);
    assert!(refused.error().contains("(must be forced)"));
    let removed = kiln.ok(["rmi", "-f", id.trim()]);
    assert!(
        removed.contains("Untagged: app:latest\nUntagged: me/app:2\nDeleted: sha256:"),
        "{removed}"
    );
    assert_eq!(
        kiln.ok(["images", "--format", "{{.Repository}}"]),
        "alpine\n"
    );
    let told = kiln.ok(["prune", "-af"]);
    assert!(told.contains("Total reclaimed space: "), "{told}");
    kiln.assert_clean();
    let rows = kiln.ok(["du", "--format", "{{.Type}} {{.TotalCount}}"]);
    assert!(
        rows.contains("Snapshots 0\n") && rows.contains("Blobs 0\n"),
        "{rows}"
    );
}

#[test]
fn saved_and_loaded() {
    let (from, to) = (Kiln::new(), Kiln::new());
    built(&from);
    let archive = from.root().with_extension("tar");
    let path = archive.to_str().unwrap();
    from.ok(["save", "-o", path, "app", "me/app:2"]);
    assert_eq!(
        to.ok(["load", "-i", path]),
        "Loaded image: app:latest\nLoaded image: me/app:2\n"
    );
    let id = |kiln: &Kiln| kiln.ok(["inspect", "--format", "{{.Id}}", "app"]);
    assert_eq!(id(&from), id(&to));
    assert_eq!(to.ok(["run", "--rm", "app"]), "x\n");
    to.assert_clean();

    let broken = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &broken[..broken.len() / 2]).unwrap();
    let third = Kiln::new();
    let ran = third.run(["load", "-i", path]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    third.assert_clean();
    assert_eq!(third.ok(["images", "-q"]), "");
}

#[test]
fn an_image_is_found_by_the_digest_that_only_the_store_has() {
    let kiln = Kiln::new();
    let project = Project::of("FROM scratch\nLABEL who=me\n");
    let metadata = project.join("metadata");
    let metadata = metadata.to_str().unwrap();
    kiln.build(&project, &["-t", "made:1", "--metadata-file", metadata]);
    let told: Value = serde_json::from_slice(&std::fs::read(metadata).unwrap()).unwrap();
    let digest = told["containerimage.digest"].as_str().unwrap();
    for (place, name) in ["made:1", "made", "made:other"].into_iter().enumerate() {
        let text = format!("FROM {name}@{digest}\nLABEL place={place}\n");
        kiln.build(&Project::of(&text), &["-t", "next"]);
        let labels = kiln.ok(["inspect", "--format", "{{json .Config.Labels}}", "next"]);
        let expected = format!("{{\"place\":\"{place}\",\"who\":\"me\"}}\n");
        assert_eq!(labels, expected, "{name}");
    }
    let other = digest.replace(['0', '1', '2'], "3");
    let text = format!("FROM made:1@{other}\n");
    let missing = kiln.try_build(&Project::of(&text), &[]).error();
    assert!(missing.contains(&other), "{missing}");
}
