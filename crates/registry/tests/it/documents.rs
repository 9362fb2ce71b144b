//! Resolving references, with everything that a registry can do to it.

use oci::MediaType;
use testkit::registry::{Effect, Fault};
use testkit::{FakeRegistry, Image};

use crate::case::{
    client, describe, image, impatient, limits, log_of, name_hosts, reference, registry_with,
};

/// Resolves `name` and compares outcome and requests.
async fn check(title: &str, faults: &[Fault], name: &str, outcome: &str, log: &str) {
    let registry = registry_with(faults);
    let stalls = faults
        .iter()
        .any(|fault| matches!(fault.effect, Effect::Stall | Effect::StallAfter(_)));
    let config = if stalls {
        impatient()
    } else {
        crate::case::config()
    };
    let found = match client(config).resolve(&reference(&registry, name)).await {
        Ok(resolved) => {
            let descriptor = &resolved.descriptor;
            assert_eq!(resolved.bytes.len() as u64, descriptor.size, "{title}");
            assert_eq!(
                oci::Digest::of(&resolved.bytes),
                descriptor.digest,
                "{title}"
            );
            format!("{}", descriptor.media_type)
        }
        Err(error) => describe(&error),
    };
    let found = name_hosts(&found, &[(&registry, "HOST")]);
    let found = found.replace(&image().descriptor.digest.to_string(), "DIGEST");
    assert_eq!(found, outcome, "{title}");
    assert_eq!(
        log_of(&registry).trim_start_matches("GET  200\n"),
        log,
        "{title}"
    );
}

const OK: &str = "application/vnd.oci.image.manifest.v1+json";
const GET: &str = "GET app/manifests/1 ";

fn times(line: &str, statuses: &[&str]) -> String {
    statuses
        .iter()
        .map(|status| format!("{line}{status}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn resolve() {
    check("plain", &[], "app:1", OK, &times(GET, &["200"])).await;
    check("a tag that is not there", &[], "app:2", "HOST/app:2: manifest not found: manifest unknown (MANIFEST_UNKNOWN) [check the name and the tag; a private repository needs a login to be seen]", "GET app/manifests/2 404").await;
    check(
        "one 500",
        &[Fault::once("GET", "manifests", Effect::status(500))],
        "app:1",
        OK,
        &times(GET, &["500", "200"]),
    )
    .await;
    check(
        "three 503",
        &[Fault::once("GET", "manifests", Effect::status(503)).times(3)],
        "app:1",
        OK,
        &times(GET, &["503", "503", "503", "200"]),
    )
    .await;
    check(
        "502 for ever",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::error(502, "UPSTREAM", "bad gateway"),
        )
        .always()],
        "app:1",
        "HOST/app:1: status 502: bad gateway (UPSTREAM) [retryable]",
        &times(GET, &["502", "502", "502", "502"]),
    )
    .await;
    check(
        "429 that says when",
        &[Fault::once("GET", "manifests", Effect::retry_after(429, 0))],
        "app:1",
        OK,
        &times(GET, &["429", "200"]),
    )
    .await;
    check(
        "429 that asks for too much",
        &[Fault::once("GET", "manifests", Effect::retry_after(429, 100_000)).always()],
        "app:1",
        "HOST/app:1: too many requests [retryable] [wait, log in, or use a mirror]",
        &times(GET, &["429"]),
    )
    .await;
    check(
        "the connection ends",
        &[Fault::once("GET", "manifests", Effect::Drop)],
        "app:1",
        OK,
        &times(GET, &["-", "200"]),
    )
    .await;
    check(
        "the body breaks",
        &[Fault::once("GET", "manifests", Effect::DropAfter(100))],
        "app:1",
        OK,
        &times(GET, &["200", "200"]),
    )
    .await;
    check(
        "no answer",
        &[Fault::once("GET", "manifests", Effect::Stall)],
        "app:1",
        OK,
        &times(GET, &["-", "200"]),
    )
    .await;
    check(
        "the body stalls",
        &[Fault::once("GET", "manifests", Effect::StallAfter(10))],
        "app:1",
        OK,
        &times(GET, &["200", "200"]),
    )
    .await;
    check(
        "no answer for ever",
        &[Fault::once("GET", "manifests", Effect::Stall).always()],
        "app:1",
        "HOST/app:1: no answer for 0.15 s [retryable] [check the name HOST, the network and the proxy]",
        &times(GET, &["-", "-", "-", "-"]),
    )
    .await;
    check(
        "no length",
        &[Fault::once("GET", "manifests", Effect::Chunked)],
        "app:1",
        OK,
        &times(GET, &["200"]),
    )
    .await;
    check(
        "a login page",
        &[Fault::once("GET", "manifests", Effect::html())],
        "app:1",
        "HOST/app:1: text/html where a manifest was expected",
        &times(GET, &["200"]),
    )
    .await;
    check(
        "403",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::error(403, "DENIED", "no"),
        )],
        "app:1",
        "HOST/app:1: access denied: no (DENIED) [log in to HOST]",
        &times(GET, &["403"]),
    )
    .await;
    check(
        "401 without a challenge",
        &[Fault::once("GET", "manifests", Effect::status(401))],
        "app:1",
        "HOST/app:1: not authorized [log in to HOST]",
        &times(GET, &["401"]),
    )
    .await;
    check(
        "410",
        &[Fault::once("GET", "manifests", Effect::status(410))],
        "app:1",
        "HOST/app:1: status 410",
        &times(GET, &["410"]),
    )
    .await;
    check(
        "a type that was lost",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::Header("Content-Type", "application/json".to_owned()),
        )],
        "app:1",
        OK,
        &times(GET, &["200"]),
    )
    .await;
    check(
        "no type",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::Header("Content-Type", String::new()),
        )],
        "app:1",
        OK,
        &times(GET, &["200"]),
    )
    .await;
    check(
        "a type with a parameter",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::Header("Content-Type", format!("{OK}; charset=utf-8")),
        )],
        "app:1",
        OK,
        &times(GET, &["200"]),
    )
    .await;
    check(
        "a type that is wrong",
        &[Fault::once("GET", "manifests", Effect::Header("Content-Type", MediaType::OciIndex.to_string()))],
        "app:1",
        "HOST/app:1: unusable document <- unsupported media type \"application/vnd.oci.image.index.v1+json\" where a manifest was expected",
        &times(GET, &["200"]),
    )
    .await;
    check(
        "another digest than the header says",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::Header(
                "Docker-Content-Digest",
                format!("sha256:{}", "0".repeat(64)),
            ),
        )],
        "app:1",
        &format!(
            "HOST/app:1: digest is DIGEST where sha256:{} was expected",
            "0".repeat(64)
        ),
        &times(GET, &["200"]),
    )
    .await;
    check(
        "a digest of another kind",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::Header("Docker-Content-Digest", "sha512:00".to_owned()),
        )],
        "app:1",
        OK,
        &times(GET, &["200"]),
    )
    .await;
    check(
        "not JSON",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::Answer {
                status: 200,
                headers: vec![],
                body: "hello".to_owned(),
            },
        )],
        "app:1",
        "HOST/app:1: unusable document <- invalid manifest <- expected value at line 1 column 1",
        &times(GET, &["200"]),
    )
    .await;
    check(
        "too large",
        &[Fault::once("GET", "manifests", Effect::Extend(5 << 20))],
        "app:1",
        "HOST/app:1: the answer is larger than 4194304 bytes",
        &times(GET, &["200"]),
    )
    .await;
    check(
        "a redirect",
        &[Fault::once(
            "GET",
            "manifests/1",
            Effect::redirect("/v2/app/manifests/1?again"),
        )],
        "app:1",
        OK,
        "GET app/manifests/1 307\nGET app/manifests/1?again 200",
    )
    .await;
    check(
        "redirects without end",
        &[Fault::once("GET", "manifests", Effect::redirect("/v2/app/manifests/1")).always()],
        "app:1",
        "HOST/app:1: refused redirect: too many in a row",
        &times(GET, &["307"; 6]),
    )
    .await;
    check(
        "a redirect to nowhere",
        &[Fault::once("GET", "manifests", Effect::status(302))],
        "app:1",
        "HOST/app:1: refused redirect: it does not say where to",
        &times(GET, &["302"]),
    )
    .await;
    check(
        "a redirect to a file",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::redirect("file:///etc/passwd"),
        )],
        "app:1",
        "HOST/app:1: refused redirect: it leads to neither HTTP nor HTTPS",
        &times(GET, &["307"]),
    )
    .await;
    check(
        "words that end on a terminal",
        &[Fault::once(
            "GET",
            "manifests",
            Effect::Answer {
                status: 418,
                headers: vec![],
                body: "\u{1b}[2Jtea\npot".to_owned(),
            },
        )],
        "app:1",
        "HOST/app:1: status 418:  [2Jtea pot",
        &times(GET, &["418"]),
    )
    .await;
}

#[tokio::test]
async fn resolve_by_digest() {
    let digest = image().descriptor.digest;
    let name = format!("app@{digest}");
    let line = format!("GET app/manifests/{}", &digest.to_string()[..14]);
    check("plain", &[], &name, OK, &format!("{line} 200")).await;
    check(
        "a tag beside it is not asked for",
        &[],
        &format!("app:nope@{digest}"),
        OK,
        &format!("{line} 200"),
    )
    .await;
    let registry = registry_with(&[Fault::once("GET", "", Effect::Corrupt).after(1).always()]);
    registry.rules(|rules| rules.states_digest = false);
    let error = client(crate::case::config())
        .resolve(&reference(&registry, &name))
        .await
        .unwrap_err();
    assert!(matches!(error, registry::Error::Digest { expected, .. } if expected == digest));
}

#[tokio::test]
async fn index_and_its_manifests() {
    let registry = FakeRegistry::start();
    let images = [Image::of_layers(&[b"a"]), Image::of_layers(&[b"b"])];
    for image in &images {
        registry.put_image("multi", "x", image);
    }
    let (descriptor, bytes) = Image::index(&images);
    registry.put_manifest("multi", "1", MediaType::OciIndex, &bytes);
    let client = client(crate::case::config());
    let reference = reference(&registry, "multi:1");

    let resolved = client.resolve(&reference).await.unwrap();
    assert_eq!(resolved.descriptor, descriptor);
    let oci::Document::Index(index) = resolved.document else {
        panic!("not an index")
    };
    let one = client
        .manifest_by_descriptor(&reference, &index.manifests[1])
        .await
        .unwrap();
    assert_eq!(one.descriptor, images[1].descriptor);

    let mut wrong = index.manifests[1].clone();
    wrong.size += 1;
    let error = client
        .manifest_by_descriptor(&reference, &wrong)
        .await
        .unwrap_err();
    assert!(matches!(error, registry::Error::Size { .. }), "{error}");
    wrong.size -= 1;
    wrong.media_type = MediaType::OciIndex;
    let error = client
        .manifest_by_descriptor(&reference, &wrong)
        .await
        .unwrap_err();
    assert!(matches!(error, registry::Error::Document { .. }), "{error}");
}

#[tokio::test]
async fn descriptor_without_document() {
    let head = "HEAD app/manifests/1 ";
    for (title, faults, log) in [
        ("plain", vec![], format!("{head}200")),
        (
            "no digest",
            vec![Fault::once(
                "HEAD",
                "",
                Effect::Header("Docker-Content-Digest", String::new()),
            )],
            format!("{head}200\n{GET}200"),
        ),
        (
            "no type",
            vec![Fault::once(
                "HEAD",
                "",
                Effect::Header("Content-Type", String::new()),
            )],
            format!("{head}200\n{GET}200"),
        ),
        (
            "not allowed",
            vec![Fault::once("HEAD", "", Effect::status(405))],
            format!("{head}405\n{GET}200"),
        ),
        (
            "twice",
            vec![Fault::once("HEAD", "", Effect::status(500))],
            format!("{head}500\n{head}200"),
        ),
    ] {
        let registry = registry_with(&faults);
        let client = client(crate::case::config());
        let found = client
            .descriptor(&reference(&registry, "app:1"))
            .await
            .unwrap();
        assert_eq!(found, image().descriptor, "{title}");
        assert_eq!(
            log_of(&registry).trim_start_matches("GET  200\n"),
            log,
            "{title}"
        );
    }
}

#[tokio::test]
async fn tags_come_in_pages() {
    let registry = FakeRegistry::start();
    for tag in ["a", "b", "c", "d", "e"] {
        registry.put_image("app", tag, &image());
    }
    registry.rules(|rules| rules.tags_page = 2);
    let client = client(crate::case::config());
    let tags = client.tags(&reference(&registry, "app")).await.unwrap();
    assert_eq!(tags, ["a", "b", "c", "d", "e"]);
    assert_eq!(
        log_of(&registry),
        "GET  200\nGET app/tags/list 200\nGET app/tags/list?last=b 200\nGET app/tags/list?last=d 200"
    );
}

#[tokio::test]
async fn nobody_listens() {
    let host = testkit::registry::closed_port();
    let mut config = crate::case::config();
    config.limits = limits();
    let reference = format!("{host}/app:1").parse().unwrap();
    let error = client(config).resolve(&reference).await.unwrap_err();
    let text = describe(&error).replace(&host, "HOST");
    assert_eq!(
        text,
        "HOST/app:1: cannot connect <- Connection refused (os error 111) [retryable] [check the name HOST, the network and the proxy]"
    );
}
