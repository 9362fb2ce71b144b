//! Pushing: what is skipped, mounted and sent, and how a broken upload goes on.

use std::io;

use bytes::Bytes;
use oci::Reference;
use registry::{BlobBody, BlobSource, Client, Config, Pushed};
use testkit::FakeRegistry;
use testkit::registry::{Effect, Fault, Login, Rules};

use crate::case::{
    basic, client, config, describe, image, impatient, layer, log_of, name_hosts, reference,
    registry_with,
};

/// The layer, in chunks of 1000 bytes.
fn source() -> impl BlobSource {
    |offset: u64| -> io::Result<BlobBody> {
        let rest = layer().split_off(usize::try_from(offset).unwrap());
        let chunks: Vec<_> = rest
            .chunks(1000)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        Ok(Box::pin(futures_util::stream::iter(chunks)))
    }
}

struct Case {
    title: &'static str,
    rules: fn(&mut Rules),
    faults: Vec<Fault>,
    from: &'static [&'static str],
    outcome: &'static str,
    log: &'static str,
}

impl Case {
    fn new(
        title: &'static str,
        faults: Vec<Fault>,
        outcome: &'static str,
        log: &'static str,
    ) -> Self {
        Self {
            title,
            rules: |_| {},
            faults,
            from: &[],
            outcome,
            log,
        }
    }
}

/// Pushes the layer to `target` of a registry that has it in `app`.
async fn check(case: Case) {
    let stalls = case
        .faults
        .iter()
        .any(|fault| matches!(fault.effect, Effect::Stall));
    check_with(case, if stalls { impatient() } else { config() }).await;
}

async fn check_with(case: Case, config: Config) {
    let registry = registry_with(&case.faults);
    registry.rules(case.rules);
    let blob = &image().layers()[0];
    let from: Vec<_> = case
        .from
        .iter()
        .map(|name| from_name(&registry, name))
        .collect();
    let client = client(config).with_credentials(basic("me", "p"));
    let target = reference(&registry, "target:1");
    let pushed = client.push_blob(&target, blob, &from, &source()).await;
    let outcome = match pushed {
        Ok(pushed) => {
            assert_eq!(
                registry.blob("target", blob.digest),
                Some(layer()),
                "{}",
                case.title
            );
            match pushed {
                Pushed::Existed => "existed".to_owned(),
                Pushed::Mounted { from } => format!("mounted from {from}"),
                Pushed::Uploaded => "uploaded".to_owned(),
            }
        }
        Err(error) => describe(&error),
    };
    assert_eq!(
        name_hosts(&outcome, &[(&registry, "HOST")]),
        case.outcome,
        "{}",
        case.title
    );
    assert_eq!(short_log(&registry), case.log, "{}", case.title);
}

fn from_name(registry: &FakeRegistry, name: &str) -> Reference {
    if name.contains('.') {
        name.parse().unwrap()
    } else {
        reference(registry, name)
    }
}

/// Methods and statuses, with what a mount is from and the range of a part.
fn short_log(registry: &FakeRegistry) -> String {
    let short: Vec<_> = registry
        .noted()
        .iter()
        .skip(1)
        .map(|request| {
            let status = request
                .status
                .map_or("-".to_owned(), |status| status.to_string());
            let from = request
                .target
                .split_once("&from=")
                .map_or(String::new(), |(_, from)| format!("<{from}"));
            let range = request
                .header("content-range")
                .map_or(String::new(), |range| format!("[{range}]"));
            format!("{}{from}{range} {status}", request.method)
        })
        .collect();
    short.join(", ")
}

#[tokio::test]
async fn skipped_or_sent() {
    check(Case::new(
        "plain",
        vec![],
        "uploaded",
        "HEAD 404, POST 202, PUT 201",
    ))
    .await;
    let registry = registry_with(&[]);
    let client = client(config());
    let blob = &image().layers()[0];
    let pushed = client
        .push_blob(&reference(&registry, "app"), blob, &[], &source())
        .await;
    assert_eq!(pushed.unwrap(), Pushed::Existed);
    assert_eq!(short_log(&registry), "HEAD 200");
    assert!(
        client
            .has_blob(&reference(&registry, "app"), &blob.digest)
            .await
            .unwrap()
    );
    assert!(
        !client
            .has_blob(&reference(&registry, "other"), &blob.digest)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn mounts() {
    for case in [
        Case {
            from: &["app"],
            ..Case::new(
                "mounted",
                vec![],
                "mounted from HOST/app",
                "HEAD 404, POST<app 201",
            )
        },
        Case {
            from: &["elsewhere.test/app", "target"],
            ..Case::new(
                "nothing to mount from",
                vec![],
                "uploaded",
                "HEAD 404, POST 202, PUT 201",
            )
        },
        Case {
            from: &["app"],
            rules: |rules| rules.mounts = false,
            ..Case::new(
                "an upload instead",
                vec![],
                "uploaded",
                "HEAD 404, POST<app 202, PUT 201",
            )
        },
        Case {
            from: &["secret", "app"],
            faults: vec![Fault::once("POST", "from=secret", Effect::status(403))],
            ..Case::new(
                "one may not be read",
                vec![],
                "mounted from HOST/app",
                "HEAD 404, POST<secret 403, POST<app 201",
            )
        },
        Case {
            from: &["app"],
            ..Case::new(
                "a try fails",
                vec![Fault::once("POST", "from=app", Effect::status(500))],
                "mounted from HOST/app",
                "HEAD 404, POST<app 500, POST<app 201",
            )
        },
    ] {
        check(case).await;
    }
    let registry = registry_with(&[]);
    let client = client(config());
    let (target, app) = (reference(&registry, "target"), reference(&registry, "app"));
    let digest = image().layers()[0].digest;
    assert!(client.mount_blob(&target, &digest, &app).await.unwrap());
    registry.rules(|rules| rules.mounts = false);
    assert!(!client.mount_blob(&target, &digest, &app).await.unwrap());
    assert_eq!(
        short_log(&registry),
        "POST<app 201, POST<app 202, DELETE 204"
    );
}

#[tokio::test]
async fn broken_uploads() {
    let put = |effect| Fault::once("PUT", "/uploads/", effect);
    for case in [
        Case::new(
            "no upload at first",
            vec![Fault::once("POST", "", Effect::status(503))],
            "uploaded",
            "HEAD 404, POST 503, POST 202, PUT 201",
        ),
        Case::new(
            "cut off",
            vec![put(Effect::DropUpload(70_000))],
            "uploaded",
            "HEAD 404, POST 202, PUT -, GET 204, PUT[70000-199999] 201",
        ),
        Case::new(
            "cut off twice",
            vec![put(Effect::DropUpload(70_000)).times(2)],
            "uploaded",
            "HEAD 404, POST 202, PUT -, GET 204, PUT[70000-199999] -, GET 204, PUT[140000-199999] 201",
        ),
        Case::new(
            "cut off at the start",
            vec![put(Effect::DropUpload(0))],
            "uploaded",
            "HEAD 404, POST 202, PUT -, GET 204, PUT 201",
        ),
        Case::new(
            "lost",
            vec![put(Effect::LoseUpload(70_000))],
            "uploaded",
            "HEAD 404, POST 202, PUT -, GET 404, POST 202, PUT 201",
        ),
        Case::new(
            "500 at the end",
            vec![put(Effect::status(500))],
            "uploaded",
            "HEAD 404, POST 202, PUT 500, GET 204, PUT 201",
        ),
        Case::new(
            "unknown at the end",
            vec![put(Effect::error(404, "BLOB_UPLOAD_UNKNOWN", "gone"))],
            "uploaded",
            "HEAD 404, POST 202, PUT 404, GET 204, PUT 201",
        ),
        Case::new(
            "429 with a wait",
            vec![put(Effect::retry_after(429, 0))],
            "uploaded",
            "HEAD 404, POST 202, PUT 429, GET 204, PUT 201",
        ),
        Case::new(
            "500 for ever",
            vec![put(Effect::status(500)).always()],
            "HOST/target:1: status 500 [retryable]",
            "HEAD 404, POST 202, PUT 500, GET 204, PUT 500, GET 204, PUT 500, GET 204, PUT 500",
        ),
        Case::new(
            "refused",
            vec![put(Effect::error(400, "DIGEST_INVALID", "no"))],
            "HOST/target:1: status 400: no (DIGEST_INVALID)",
            "HEAD 404, POST 202, PUT 400",
        ),
        Case::new(
            "no place to go",
            vec![Fault::once(
                "POST",
                "",
                Effect::Header("Location", String::new()),
            )],
            "HOST/target:1: no Location where an upload's Location was expected",
            "HEAD 404, POST 202",
        ),
        Case::new(
            "another digest",
            vec![put(Effect::Header(
                "Docker-Content-Digest",
                "sha256:0000000000000000000000000000000000000000000000000000000000000000"
                    .to_owned(),
            ))],
            "HOST/target:1: digest is sha256:0000000000000000000000000000000000000000000000000000000000000000 where LAYER was expected",
            "HEAD 404, POST 202, PUT 201",
        ),
        Case::new(
            "no answer",
            vec![put(Effect::Stall)],
            "uploaded",
            "HEAD 404, POST 202, PUT -, GET 204, PUT 201",
        ),
        Case {
            rules: |rules| rules.absolute_location = true,
            ..Case::new(
                "whole URLs",
                vec![],
                "uploaded",
                "HEAD 404, POST 202, PUT 201",
            )
        },
        Case {
            rules: |rules| rules.login = Login::Bearer("me", "p"),
            ..Case::new(
                "a token",
                vec![],
                "uploaded",
                "HEAD 401, GET 200, HEAD 404, POST 202, PUT 201",
            )
        },
        Case {
            rules: |rules| {
                rules.login = Login::Bearer("me", "p");
                rules.token_uses = 2;
            },
            ..Case::new(
                "a token that ends in the middle",
                vec![],
                "uploaded",
                "HEAD 401, GET 200, HEAD 404, POST 202, PUT 401, GET 200, PUT 201",
            )
        },
    ] {
        check(Case {
            outcome: Box::leak(
                case.outcome
                    .replace("LAYER", &image().layers()[0].digest.to_string())
                    .into_boxed_str(),
            ),
            ..case
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

#[tokio::test]
async fn manifests() {
    let registry = registry_with(&[Fault::once("PUT", "manifests", Effect::status(503))]);
    let client = client(config());
    let image = image();
    let bytes = Bytes::from(image.manifest.clone());
    let media_type = &image.descriptor.media_type;
    let put = async |name: &str| {
        let reference = reference(&registry, name);
        client
            .put_manifest(&reference, media_type, bytes.clone())
            .await
    };
    assert_eq!(put("app:2").await.unwrap(), image.descriptor);
    assert_eq!(registry.manifest("app", "2").unwrap().1, image.manifest);
    assert_eq!(put("app").await.unwrap(), image.descriptor);
    put(&format!("app:3@{}", image.descriptor.digest))
        .await
        .unwrap();
    let digest = format!("{}…", &image.descriptor.digest.to_string()[..14]);
    assert_eq!(
        log_of(&registry).lines().skip(1).collect::<Vec<_>>(),
        [
            "PUT app/manifests/2 503",
            "PUT app/manifests/2 201",
            &format!("PUT app/manifests/{} 201", digest.trim_end_matches('…')),
            "PUT app/manifests/3 201",
        ]
    );
    // Blobs come first; this repository has none.
    let error = name_hosts(
        &put("empty:1").await.unwrap_err().to_string(),
        &[(&registry, "HOST")],
    );
    assert_eq!(
        error,
        "HOST/empty:1: status 400: blob unknown to registry (MANIFEST_BLOB_UNKNOWN)"
    );
    let other = format!("app@sha256:{}", "0".repeat(64));
    assert!(matches!(
        put(&other).await,
        Err(registry::Error::Digest { .. })
    ));
    registry.fault(Fault::once(
        "PUT",
        "manifests",
        Effect::Header(
            "Docker-Content-Digest",
            format!("sha256:{}", "0".repeat(64)),
        ),
    ));
    assert!(matches!(
        put("app:4").await,
        Err(registry::Error::Digest { .. })
    ));
}

/// Callers spawn these: all futures must be `Send`.
#[test]
fn futures_are_send() {
    fn is_send<T: Send>(_: T) {}
    fn all(client: &Client, reference: &Reference) {
        let (blob, body) = (image().layers()[0].clone(), Bytes::new());
        is_send(client.resolve(reference));
        is_send(client.descriptor(reference));
        is_send(client.manifest_by_descriptor(reference, &blob));
        is_send(client.blob(reference, &blob, 0));
        is_send(client.has_blob(reference, &blob.digest));
        is_send(client.mount_blob(reference, &blob.digest, reference));
        is_send(client.push_blob(reference, &blob, &[], &body));
        is_send(client.put_manifest(reference, &blob.media_type, body.clone()));
        is_send(client.tags(reference));
    }
    let _: fn(&Client, &Reference) = all;
}
