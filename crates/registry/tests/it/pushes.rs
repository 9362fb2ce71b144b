//! Pushing: what is skipped, mounted and sent, and how a broken upload goes on.

use std::io;

use bytes::Bytes;
use oci::Reference;
use registry::{BlobBody, BlobSource, Client, Config, Pushed};
use testkit::FakeRegistry;
use testkit::registry::{Effect, Fault, Rules};

use crate::case::{
    basic, client, config, describe, image, impatient, layer, log_of, name_hosts, reference,
    registry_with,
};

/// The layer, in chunks of 1000 bytes.
pub(crate) fn source() -> impl BlobSource {
    |offset: u64| -> io::Result<BlobBody> {
        let rest = layer().split_off(usize::try_from(offset).unwrap());
        let chunks: Vec<_> = rest
            .chunks(1000)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        Ok(Box::pin(futures_util::stream::iter(chunks)))
    }
}

pub(crate) struct Case {
    pub(crate) title: &'static str,
    pub(crate) rules: fn(&mut Rules),
    pub(crate) faults: Vec<Fault>,
    pub(crate) from: &'static [&'static str],
    pub(crate) outcome: String,
    pub(crate) log: String,
}

impl Case {
    pub(crate) fn new(title: &'static str, faults: Vec<Fault>, outcome: &str, log: &str) -> Self {
        Self {
            title,
            rules: |_| {},
            faults,
            from: &[],
            outcome: outcome.to_owned(),
            log: log.to_owned(),
        }
    }
}

/// Pushes the layer to `target` of a registry that has it in `app`.
pub(crate) async fn check(case: Case) {
    let stalls = case
        .faults
        .iter()
        .any(|fault| matches!(fault.effect, Effect::Stall));
    check_with(case, if stalls { impatient() } else { config() }).await;
}

pub(crate) async fn check_with(case: Case, config: Config) {
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
    let outcome = name_hosts(&outcome, &[(&registry, "HOST")]);
    let outcome = outcome.replace(&blob.digest.to_string(), "LAYER");
    assert_eq!(
        outcome.replace(&"0".repeat(64), "0000"),
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
pub(crate) fn short_log(registry: &FakeRegistry) -> String {
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
