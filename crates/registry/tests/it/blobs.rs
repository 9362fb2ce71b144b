//! Pulling blobs through every way in which a transfer breaks.

use testkit::registry::{Effect, Fault};

use crate::case::{
    client, describe, image, impatient, layer, log_of, name_hosts, pull, reference, registry_with,
};

/// Pulls the layer from `offset` on and compares outcome and statuses of the requests.
async fn check(title: &str, faults: &[Fault], offset: u64, outcome: &str, statuses: &str) {
    let registry = registry_with(faults);
    let stalls = faults
        .iter()
        .any(|fault| matches!(fault.effect, Effect::Stall | Effect::StallAfter(_)));
    let config = if stalls {
        impatient()
    } else {
        crate::case::config()
    };
    let blob = &image().layers()[0];
    let pulled = pull(
        &client(config),
        &reference(&registry, "app:1"),
        blob,
        offset,
    )
    .await;
    let found = match pulled {
        Ok(bytes) => {
            assert_eq!(
                bytes,
                layer()[usize::try_from(offset).unwrap()..],
                "{title}"
            );
            "ok".to_owned()
        }
        Err(error) => describe(&error),
    };
    let found =
        name_hosts(&found, &[(&registry, "HOST")]).replace(&blob.digest.to_string(), "DIGEST");
    assert_eq!(found, outcome, "{title}");
    let noted = registry.noted();
    let seen: Vec<_> = noted
        .iter()
        .filter(|request| request.target.contains("/blobs/"))
        .map(|request| {
            let status = request
                .status
                .map_or("-".to_owned(), |status| status.to_string());
            request
                .header("range")
                .map_or(status.clone(), |range| format!("{range}:{status}"))
        })
        .collect();
    assert_eq!(seen.join(" "), statuses, "{title}");
}

fn on(effect: Effect) -> Fault {
    Fault::once("GET", "/blobs/", effect)
}

#[tokio::test]
async fn whole() {
    check("plain", &[], 0, "ok", "200").await;
    check("no length", &[on(Effect::Chunked)], 0, "ok", "200").await;
    check(
        "cut off",
        &[on(Effect::DropAfter(50_000))],
        0,
        "ok",
        "200 bytes=50000-:206",
    )
    .await;
    check(
        "cut off before the first byte",
        &[on(Effect::DropAfter(0))],
        0,
        "ok",
        "200 200",
    )
    .await;
    check("no answer at first", &[on(Effect::Drop)], 0, "ok", "- 200").await;
    check(
        "cut off before the last byte",
        &[on(Effect::DropAfter(199_999))],
        0,
        "ok",
        "200 bytes=199999-:206",
    )
    .await;
    check(
        "stalls",
        &[on(Effect::StallAfter(1000))],
        0,
        "ok",
        "200 bytes=1000-:206",
    )
    .await;
    check("stalls at once", &[on(Effect::Stall)], 0, "ok", "- 200").await;
    check(
        "ends early without a length",
        &[on(Effect::ChunkedAfter(70_000))],
        0,
        "ok",
        "200 bytes=70000-:206",
    )
    .await;
    check(
        "cut off thrice",
        &[on(Effect::DropAfter(60_000)).times(3)],
        0,
        "ok",
        "200 bytes=60000-:206 bytes=120000-:206 bytes=180000-:206",
    )
    .await;
    check(
        "no ranges",
        &[on(Effect::DropAfter(60_000)), on(Effect::IgnoreRange)],
        0,
        "ok",
        "200 bytes=60000-:200",
    )
    .await;
    check(
        "503 in the middle",
        &[on(Effect::DropAfter(60_000)), on(Effect::status(503))],
        0,
        "ok",
        "200 bytes=60000-:503 bytes=60000-:206",
    )
    .await;
    check(
        "429 first",
        &[on(Effect::retry_after(429, 0))],
        0,
        "ok",
        "429 200",
    )
    .await;
    check(
        "cut off each time, with too little in between",
        &[on(Effect::DropAfter(10)).always()],
        0,
        "HOST/app:1: the connection broke <- end of file before message length reached [retryable]",
        "200 bytes=10-:206 bytes=20-:206 bytes=30-:206",
    )
    .await;
}

#[tokio::test]
async fn wrong() {
    let digest = oci::Digest::of(&{
        let mut bytes = layer();
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    });
    check(
        "another byte",
        &[on(Effect::Corrupt)],
        0,
        &format!("HOST/app:1: digest is {digest} where DIGEST was expected"),
        "200",
    )
    .await;
    check(
        "too few bytes",
        &[on(Effect::Truncate(5))],
        0,
        "HOST/app:1: size is 5 where 200000 was expected",
        "200",
    )
    .await;
    check(
        "too many bytes",
        &[on(Effect::Extend(1))],
        0,
        "HOST/app:1: size is 200001 where 200000 was expected",
        "200",
    )
    .await;
    check(
        "a login page",
        &[on(Effect::html())],
        0,
        "HOST/app:1: text/html where a blob was expected",
        "200",
    )
    .await;
    check(
        "a part that was not asked for",
        &[Fault::once(
            "GET",
            "/blobs/",
            Effect::Header("Content-Range", "bytes 7-199999/200000".to_owned()),
        )],
        5,
        "HOST/app:1: a later part where a part of a blob was expected",
        "bytes=5-:206",
    )
    .await;
    check(
        "a part of something else",
        &[Fault::once(
            "GET",
            "/blobs/",
            Effect::Header("Content-Range", "bytes 5-9/10".to_owned()),
        )],
        5,
        "HOST/app:1: size is 10 where 200000 was expected",
        "bytes=5-:206",
    )
    .await;
    check(
        "a part without a range",
        &[Fault::once(
            "GET",
            "/blobs/",
            Effect::Header("Content-Range", String::new()),
        )],
        5,
        "HOST/app:1: a part without Content-Range where a part of a blob was expected",
        "bytes=5-:206",
    )
    .await;
    check(
        "not there",
        &[on(Effect::error(
            404,
            "BLOB_UNKNOWN",
            "blob unknown to registry",
        ))],
        0,
        "HOST/app:1: blob not found: blob unknown to registry (BLOB_UNKNOWN) [CheckName]",
        "404",
    )
    .await;
    check(
        "an offset that is beyond",
        &[],
        200_001,
        "HOST/app:1: size is 200001 where 200000 was expected",
        "",
    )
    .await;
}

#[tokio::test]
async fn resumed_by_the_caller() {
    check("the rest", &[], 150_000, "ok", "bytes=150000-:206").await;
    check("nothing is left", &[], 200_000, "ok", "").await;
    check(
        "a registry without ranges",
        &[on(Effect::IgnoreRange)],
        150_000,
        "ok",
        "bytes=150000-:200",
    )
    .await;
    check(
        "a part that begins before",
        &[on(Effect::Header("X", String::new()))],
        1,
        "ok",
        "bytes=1-:206",
    )
    .await;
}

#[tokio::test]
async fn resumption_names_the_version() {
    let registry = registry_with(&[on(Effect::DropAfter(50_000))]);
    let blob = &image().layers()[0];
    pull(
        &client(crate::case::config()),
        &reference(&registry, "app:1"),
        blob,
        0,
    )
    .await
    .unwrap();
    let noted = registry.noted();
    let second = noted.last().unwrap();
    assert_eq!(
        second.header("if-range"),
        Some(format!("\"{}\"", blob.digest).as_str())
    );
}

#[tokio::test]
async fn empty_blob() {
    let registry = registry_with(&[]);
    registry.put_blob("app", b"");
    let blob = oci::Descriptor::of(oci::MediaType::OciConfig, b"");
    let client = client(crate::case::config());
    assert_eq!(
        pull(&client, &reference(&registry, "app"), &blob, 0)
            .await
            .unwrap(),
        b""
    );
    let lie = oci::Descriptor::new(blob.media_type, image().descriptor.digest, 0);
    let error = pull(&client, &reference(&registry, "app"), &lie, 0)
        .await
        .unwrap_err();
    assert!(matches!(error, registry::Error::Digest { .. }), "{error}");
}

#[tokio::test]
async fn a_read_that_was_dropped_is_taken_up_again() {
    // The second connection never answers; the read that waits for it is dropped.
    let registry = registry_with(&[on(Effect::DropAfter(50_000)), on(Effect::Stall)]);
    let blob = &image().layers()[0];
    let client = client(crate::case::config());
    let mut stream = client
        .blob(&reference(&registry, "app:1"), blob, 0)
        .await
        .unwrap();
    let mut bytes = Vec::new();
    loop {
        let wait = std::time::Duration::from_millis(100);
        match tokio::time::timeout(wait, stream.next()).await {
            Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => assert!(bytes.len() <= 50_000),
        }
    }
    assert_eq!(bytes, layer());
}

#[tokio::test]
async fn as_a_stream() {
    use futures_util::TryStreamExt as _;
    let registry = registry_with(&[]);
    let blob = &image().layers()[0];
    let client = client(crate::case::config());
    let stream = client
        .blob(&reference(&registry, "app:1"), blob, 0)
        .await
        .unwrap();
    let chunks: Vec<bytes::Bytes> = stream.into_stream().try_collect().await.unwrap();
    assert_eq!(chunks.concat(), layer());
    assert!(log_of(&registry).ends_with("200"));
}
