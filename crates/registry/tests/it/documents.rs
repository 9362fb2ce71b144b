//! Resolving references, with everything that a registry can do to it.

use oci::MediaType;
use testkit::registry::{Effect, Fault};
use testkit::{FakeRegistry, Image};

use crate::case::{
    client, describe, image, impatient, limits, log_of, name_hosts, reference, registry_with,
};

/// Resolves `name` and compares outcome and requests.
async fn check_name(title: &str, faults: &[Fault], name: &str, outcome: &str, log: &str) {
    let registry = registry_with(faults);
    let stalls = |fault: &Fault| matches!(fault.effect, Effect::Stall | Effect::StallAfter(_));
    let config = if faults.iter().any(stalls) {
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
            descriptor.media_type.to_string()
        }
        Err(error) => describe(&error),
    };
    let found = name_hosts(&found, &[(&registry, "HOST")]);
    let found = found.replace(&image().descriptor.digest.to_string(), "DIGEST");
    let found = found.replace(&"0".repeat(64), "0000");
    assert_eq!(found, outcome, "{title}");
    let seen = log_of(&registry)
        .trim_start_matches("GET  200\n")
        .to_owned();
    assert_eq!(seen, log, "{title}");
}

/// Resolves `app:1` under one fault; the statuses are those of the requests for its manifest.
async fn check(title: &str, fault: Fault, outcome: &str, statuses: &[&str]) {
    let lines: Vec<_> = statuses
        .iter()
        .map(|status| format!("{GET}{status}"))
        .collect();
    check_name(title, &[fault], "app:1", outcome, &lines.join("\n")).await;
}

const OK: &str = "application/vnd.oci.image.manifest.v1+json";
const GET: &str = "GET app/manifests/1 ";

fn on(effect: Effect) -> Fault {
    Fault::once("GET", "manifests", effect)
}

fn header(name: &'static str, value: &str) -> Fault {
    on(Effect::Header(name, value.to_owned()))
}

fn answer(status: u16, body: &str) -> Fault {
    on(Effect::Answer {
        status,
        headers: vec![],
        body: body.to_owned(),
    })
}

#[tokio::test]
async fn tried_again() {
    let bad = on(Effect::error(502, "UPSTREAM", "bad gateway")).always();
    let late = on(Effect::retry_after(429, 100_000)).always();
    let stall = on(Effect::Stall);
    check("one 500", on(Effect::status(500)), OK, &["500", "200"]).await;
    check(
        "three 503",
        on(Effect::status(503)).times(3),
        OK,
        &["503", "503", "503", "200"],
    )
    .await;
    check(
        "502 for ever",
        bad,
        "HOST/app:1: status 502: bad gateway (UPSTREAM) [retryable]",
        &["502"; 4],
    )
    .await;
    check(
        "429 that says when",
        on(Effect::retry_after(429, 0)),
        OK,
        &["429", "200"],
    )
    .await;
    check(
        "429 that asks for too much",
        late,
        "HOST/app:1: too many requests [retryable] [SlowDown]",
        &["429"],
    )
    .await;
    check("the connection ends", on(Effect::Drop), OK, &["-", "200"]).await;
    check(
        "the body breaks",
        on(Effect::DropAfter(100)),
        OK,
        &["200", "200"],
    )
    .await;
    check("no answer", stall.clone(), OK, &["-", "200"]).await;
    check(
        "the body stalls",
        on(Effect::StallAfter(10)),
        OK,
        &["200", "200"],
    )
    .await;
    check(
        "no answer for ever",
        stall.always(),
        "HOST/app:1: no answer for 0.15 s [retryable] [CheckNetwork]",
        &["-"; 4],
    )
    .await;
}

#[tokio::test]
async fn refused() {
    let missing = "HOST/app:2: manifest not found: manifest unknown (MANIFEST_UNKNOWN) [CheckName]";
    let denied = on(Effect::error(403, "DENIED", "no"));
    check_name(
        "a tag that is not there",
        &[],
        "app:2",
        missing,
        "GET app/manifests/2 404",
    )
    .await;
    check(
        "403",
        denied,
        "HOST/app:1: access denied: no (DENIED) [LogIn]",
        &["403"],
    )
    .await;
    check(
        "401 without a challenge",
        on(Effect::status(401)),
        "HOST/app:1: not authorized [LogIn]",
        &["401"],
    )
    .await;
    check(
        "410",
        on(Effect::status(410)),
        "HOST/app:1: status 410",
        &["410"],
    )
    .await;
    check(
        "words that end on a terminal",
        answer(418, "\u{1b}[2Jtea\npot"),
        "HOST/app:1: status 418:  [2Jtea pot",
        &["418"],
    )
    .await;
}

#[tokio::test]
async fn documents_of_all_kinds() {
    let zeros = format!("sha256:{}", "0".repeat(64));
    let with_parameter = format!("{OK}; charset=utf-8");
    let index = MediaType::OciIndex.to_string();
    let wrong_type = format!(
        "HOST/app:1: unusable document <- unsupported media type {index:?} where a manifest was expected"
    );
    let wrong_digest = "HOST/app:1: digest is DIGEST where sha256:0000 was expected";
    let no_json =
        "HOST/app:1: unusable document <- invalid manifest <- expected value at line 1 column 1";
    for (title, fault, outcome) in [
        ("nothing wrong", on(Effect::Header("X", "y".to_owned())), OK),
        ("no length", on(Effect::Chunked), OK),
        (
            "a login page",
            on(Effect::html()),
            "HOST/app:1: text/html where a manifest was expected",
        ),
        (
            "a type that was lost",
            header("Content-Type", "application/json"),
            OK,
        ),
        ("no type", header("Content-Type", ""), OK),
        (
            "a type with a parameter",
            header("Content-Type", &with_parameter),
            OK,
        ),
        (
            "a type that is wrong",
            header("Content-Type", &index),
            &wrong_type,
        ),
        (
            "a header with another digest",
            header("Docker-Content-Digest", &zeros),
            wrong_digest,
        ),
        (
            "a digest of another kind",
            header("Docker-Content-Digest", "sha512:00"),
            OK,
        ),
        ("not JSON", answer(200, "hello"), no_json),
        (
            "too large",
            on(Effect::Extend(5 << 20)),
            "HOST/app:1: the answer is larger than 4194304 bytes",
        ),
    ] {
        check(title, fault, outcome, &["200"]).await;
    }
}

#[tokio::test]
async fn redirects() {
    let again = Fault::once(
        "GET",
        "manifests/1",
        Effect::redirect("/v2/app/manifests/1?again"),
    );
    let log = format!("{GET}307\nGET app/manifests/1?again 200");
    check_name("a redirect", &[again], "app:1", OK, &log).await;
    let round = on(Effect::redirect("/v2/app/manifests/1")).always();
    check(
        "without end",
        round,
        "HOST/app:1: refused redirect: too many in a row",
        &["307"; 6],
    )
    .await;
    let nowhere = "HOST/app:1: refused redirect: it does not say where to";
    check("to nowhere", on(Effect::status(302)), nowhere, &["302"]).await;
    let file = "HOST/app:1: refused redirect: it leads to neither HTTP nor HTTPS";
    check(
        "to a file",
        on(Effect::redirect("file:///etc/passwd")),
        file,
        &["307"],
    )
    .await;
}

#[tokio::test]
async fn resolve_by_digest() {
    let digest = image().descriptor.digest;
    let name = format!("app@{digest}");
    let line = format!("GET app/manifests/{}", &digest.to_string()[..14]);
    check_name("plain", &[], &name, OK, &format!("{line} 200")).await;
    check_name(
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
        "HOST/app:1: cannot connect <- Connection refused (os error 111) [retryable] [CheckNetwork]"
    );
}
