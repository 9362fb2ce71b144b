//! Uploads that break, are refused, or have to go in chunks.

use std::io;

use bytes::Bytes;
use registry::{BlobBody, BlobSource, Pushed};
use testkit::registry::{Effect, Fault, Login, Rules};

use crate::case::{
    basic, client, config, describe, image, layer, name_hosts, reference, registry_with,
};
use crate::pushes::{Case, check, check_with, source};

fn put(effect: Effect) -> Fault {
    Fault::once("PUT", "/uploads/", effect)
}

#[tokio::test]
async fn interrupted() {
    let cut = || put(Effect::DropUpload(70_000));
    let unavailable = || Fault::once("POST", "", Effect::status(503));
    let unknown = put(Effect::error(404, "BLOB_UPLOAD_UNKNOWN", "gone"));
    let no_part = put(Effect::error(400, "BLOB_UPLOAD_INVALID", "what part"));
    for (title, faults, log) in [
        (
            "no upload at first",
            vec![unavailable()],
            "POST 503, POST 202, PUT 201",
        ),
        (
            "cut off",
            vec![cut()],
            "POST 202, PUT -, GET 204, PUT[70000-199999] 201",
        ),
        (
            "cut off twice",
            vec![cut().times(2)],
            "POST 202, PUT -, GET 204, PUT[70000-199999] -, GET 204, PUT[140000-199999] 201",
        ),
        (
            "cut off at the start",
            vec![put(Effect::DropUpload(0))],
            "POST 202, PUT -, GET 204, PUT 201",
        ),
        (
            "lost",
            vec![put(Effect::LoseUpload(70_000))],
            "POST 202, PUT -, GET 404, POST 202, PUT 201",
        ),
        (
            "500 at the end",
            vec![put(Effect::status(500))],
            "POST 202, PUT 500, GET 204, PUT 201",
        ),
        (
            "unknown at the end",
            vec![unknown],
            "POST 202, PUT 404, GET 204, PUT 201",
        ),
        (
            "429 with a wait",
            vec![put(Effect::retry_after(429, 0))],
            "POST 202, PUT 429, GET 204, PUT 201",
        ),
        (
            "a registry that does not resume",
            vec![cut(), no_part],
            "POST 202, PUT -, GET 204, PUT[70000-199999] 400, POST 202, PUT 201",
        ),
        (
            "no answer",
            vec![put(Effect::Stall)],
            "POST 202, PUT -, GET 204, PUT 201",
        ),
    ] {
        check(Case::new(
            title,
            faults,
            "uploaded",
            &format!("HEAD 404, {log}"),
        ))
        .await;
    }
}

#[tokio::test]
async fn refused() {
    let nowhere = Fault::once("POST", "", Effect::Header("Location", String::new()));
    let zeros = format!("sha256:{}", "0".repeat(64));
    let other_digest = put(Effect::Header("Docker-Content-Digest", zeros));
    let invalid = put(Effect::error(400, "DIGEST_INVALID", "no"));
    for (title, fault, outcome, log) in [
        (
            "500 for ever",
            put(Effect::status(500)).always(),
            "HOST/target:1: status 500 [retryable]",
            "POST 202, PUT 500, GET 204, PUT 500, GET 204, PUT 500, GET 204, PUT 500",
        ),
        (
            "refused",
            invalid,
            "HOST/target:1: status 400: no (DIGEST_INVALID)",
            "POST 202, PUT 400",
        ),
        (
            "no place to go",
            nowhere,
            "HOST/target:1: no Location where an upload's Location was expected",
            "POST 202",
        ),
        (
            "another digest",
            other_digest,
            "HOST/target:1: digest is sha256:0000 where LAYER was expected",
            "POST 202, PUT 201",
        ),
    ] {
        check(Case::new(
            title,
            vec![fault],
            outcome,
            &format!("HEAD 404, {log}"),
        ))
        .await;
    }
}

#[tokio::test]
async fn rules() {
    let once: fn(&mut Rules) = |rules| rules.login = Login::Bearer("me", "p");
    let twice: fn(&mut Rules) = |rules| {
        rules.login = Login::Bearer("me", "p");
        rules.token_uses = 2;
    };
    let urls: fn(&mut Rules) = |rules| rules.absolute_location = true;
    for (title, rules, log) in [
        ("whole URLs", urls, "HEAD 404, POST 202, PUT 201"),
        (
            "a token",
            once,
            "HEAD 401, GET 200, HEAD 404, POST 202, PUT 201",
        ),
        (
            "a token that ends in the middle",
            twice,
            "HEAD 401, GET 200, HEAD 404, POST 202, PUT 401, GET 200, PUT 201",
        ),
    ] {
        check(Case {
            rules,
            ..Case::new(title, vec![], "uploaded", log)
        })
        .await;
    }
}

#[tokio::test]
async fn chunks() {
    let mut chunked = config();
    chunked.limits.upload_chunk = 90_000;
    let case = Case {
        rules: |rules| rules.max_request = 90_000,
        ..Case::new(
            "too much at once",
            vec![],
            "uploaded",
            "HEAD 404, POST 202, PUT 413, POST 202, PATCH[0-89999] 202, PATCH[90000-179999] 202, PUT[180000-199999] 201",
        )
    };
    check_with(case, chunked.clone()).await;
    let case = Case {
        rules: |rules| rules.max_request = 50_000,
        ..Case::new(
            "even a chunk is too much",
            vec![],
            "uploaded",
            "HEAD 404, POST 202, PUT 413, POST 202, PATCH[0-89999] 413, POST 202, PATCH[0-44999] 202, PATCH[45000-89999] 202, PATCH[90000-134999] 202, PATCH[135000-179999] 202, PUT[180000-199999] 201",
        )
    };
    check_with(case, chunked.clone()).await;
    let case = Case {
        rules: |rules| rules.max_request = 90_000,
        ..Case::new(
            "a chunk is cut off",
            vec![Fault::once("PATCH", "", Effect::DropUpload(10_000)).after(1)],
            "uploaded",
            "HEAD 404, POST 202, PUT 413, POST 202, PATCH[0-89999] 202, PATCH[90000-179999] -, GET 204, PATCH[100000-189999] 202, PUT[190000-199999] 201",
        )
    };
    check_with(case, chunked.clone()).await;
    let case = Case {
        rules: |rules| rules.max_request = 10,
        ..Case::new(
            "hopeless",
            vec![],
            "HOST/target:1: status 413",
            "HEAD 404, POST 202, PUT 413, POST 202, PATCH[0-89999] 413, POST 202, PATCH[0-44999] 413",
        )
    };
    chunked.limits.attempts = 1;
    check_with(case, chunked).await;
}

#[tokio::test]
async fn a_source_that_fails() {
    let registry = registry_with(&[]);
    let blob = &image().layers()[0];
    let target = reference(&registry, "target");
    let client = client(config());
    let missing = |_: u64| -> io::Result<BlobBody> { Err(io::Error::other("no such file")) };
    let short = Bytes::from_static(b"short");
    let breaks = |_: u64| -> io::Result<BlobBody> {
        let chunks = [
            Ok(Bytes::from_static(b"a")),
            Err(io::Error::other("bad disk")),
        ];
        Ok(Box::pin(futures_util::stream::iter(chunks)))
    };
    let cases: [(&dyn BlobSource, &str); 3] = [
        (&missing, "no such file"),
        (&short, "the source ended 199995 bytes early"),
        (&breaks, "bad disk"),
    ];
    for (source, cause) in cases {
        let error = client
            .push_blob(&target, blob, &[], source)
            .await
            .unwrap_err();
        let text = name_hosts(&describe(&error), &[(&registry, "HOST")]);
        assert_eq!(
            text,
            format!("HOST/target: cannot read what is to be pushed <- {cause}")
        );
    }
}

#[tokio::test]
async fn an_upload_elsewhere_gets_no_credentials() {
    let (front, storage) = (registry_with(&[]), registry_with(&[]));
    front.rules(|rules| rules.login = Login::Basic("me", "p"));
    // The storage begins an upload of its own, to which the front sends us.
    let begun = format!("http://{}/v2/target/blobs/uploads/", storage.host());
    front.fault(Fault::once("POST", "", Effect::redirect(begun)));
    let client = client(config()).with_credentials(basic("me", "p"));
    let blob = &image().layers()[0];
    let pushed = client
        .push_blob(&reference(&front, "target"), blob, &[], &source())
        .await;
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    assert_eq!(storage.blob("target", blob.digest), Some(layer()));
    assert!(
        storage
            .noted()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}
