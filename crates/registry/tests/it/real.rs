//! Against the distribution project's own registry, judged by skopeo. Passes when neither is
//! installed.

use bytes::Bytes;
use oci::{MediaType, Reference};
use registry::{Client, HostConfig, Pushed};
use testkit::{Image, RealRegistry, Scratch, has_program, run};

use crate::case::{client, config, image, layer, pull};

async fn push(
    client: &Client,
    reference: &Reference,
    image: &Image,
    from: &[Reference],
) -> Vec<Pushed> {
    let mut pushed = Vec::new();
    for (blob, bytes) in &image.blobs {
        let source = Bytes::from(bytes.clone());
        pushed.push(
            client
                .push_blob(reference, blob, from, &source)
                .await
                .unwrap(),
        );
    }
    let bytes = Bytes::from(image.manifest.clone());
    let descriptor = client
        .put_manifest(reference, &image.descriptor.media_type, bytes)
        .await
        .unwrap();
    assert_eq!(descriptor, image.descriptor);
    pushed
}

#[tokio::test]
async fn there_and_back() {
    let scratch = Scratch::new();
    let Some(registry) = RealRegistry::start(scratch.path(), None) else {
        return;
    };
    let client = client(config());
    let named =
        |name: &str| -> Reference { format!("{}/{name}", registry.host()).parse().unwrap() };
    let (first, second) = (named("a/first:1"), named("second:1"));
    let image = image();

    assert_eq!(
        push(&client, &first, &image, &[]).await,
        [Pushed::Uploaded, Pushed::Uploaded]
    );
    assert_eq!(
        push(&client, &first, &image, &[]).await,
        [Pushed::Existed, Pushed::Existed]
    );
    let from = || Pushed::Mounted {
        from: first.clone(),
    };
    assert_eq!(
        push(&client, &second, &image, std::slice::from_ref(&first)).await,
        [from(), from()]
    );

    let resolved = client.resolve(&second).await.unwrap();
    assert_eq!(resolved.descriptor, image.descriptor);
    assert_eq!(client.descriptor(&second).await.unwrap(), image.descriptor);
    let blob = &image.layers()[0];
    assert_eq!(pull(&client, &second, blob, 0).await.unwrap(), layer());
    assert_eq!(
        pull(&client, &second, blob, 123_456).await.unwrap(),
        layer()[123_456..]
    );
    assert!(
        !client
            .has_blob(&named("third"), &blob.digest)
            .await
            .unwrap()
    );
    assert!(
        client
            .resolve(&named("second:2"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(client.tags(&second).await.unwrap(), ["1"]);

    let (descriptor, bytes) = Image::index(std::slice::from_ref(&image));
    let index = client
        .put_manifest(&named("second:multi"), &MediaType::OciIndex, bytes.into())
        .await;
    assert_eq!(index.unwrap(), descriptor);

    if has_program("skopeo") {
        let address = format!("docker://{second}");
        let raw = run(
            "skopeo",
            &["inspect", "--raw", "--tls-verify=false", &address],
        );
        assert_eq!(raw.as_bytes(), image.manifest);
        let layout = scratch.join("layout");
        let target = format!("oci:{}:x", layout.display());
        let _ = run(
            "skopeo",
            &[
                "copy",
                "--quiet",
                "--src-tls-verify=false",
                &address,
                &target,
            ],
        );
        assert_eq!(testkit::check_layout(&layout), ["x"]);
    }
}

#[tokio::test]
async fn chunked_uploads() {
    let scratch = Scratch::new();
    let Some(registry) = RealRegistry::start(scratch.path(), None) else {
        return;
    };
    let mut config = config();
    config.limits.upload_chunk = 90_000;
    config.limits.upload_whole_max = 90_000;
    let reference = format!("{}/app:1", registry.host()).parse().unwrap();
    let client = client(config);
    let pushed = push(&client, &reference, &image(), &[]).await;
    assert_eq!(pushed, [Pushed::Uploaded, Pushed::Uploaded]);
    assert_eq!(
        pull(&client, &reference, &image().layers()[0], 0)
            .await
            .unwrap(),
        layer()
    );
}

#[tokio::test]
async fn tls() {
    let scratch = Scratch::new();
    if !has_program("openssl") {
        return;
    }
    let (certificate, key) = (scratch.join("cert.pem"), scratch.join("key.pem"));
    let _ = run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-out",
            &certificate.display().to_string(),
            "-keyout",
            &key.display().to_string(),
        ],
    );
    let Some(registry) = RealRegistry::start(scratch.path(), Some((&certificate, &key))) else {
        return;
    };
    let reference: Reference = format!("{}/app:1", registry.host()).parse().unwrap();
    let with = |host: HostConfig| {
        let mut config = config();
        config.hosts.insert(registry.host().to_owned(), host);
        client(config)
    };
    let trusting = with(HostConfig {
        authorities: vec![std::fs::read(&certificate).unwrap()],
        ..HostConfig::default()
    });
    push(&trusting, &reference, &image(), &[]).await;
    assert_eq!(
        pull(&trusting, &reference, &image().layers()[0], 0)
            .await
            .unwrap(),
        layer()
    );

    let insecure = with(HostConfig {
        insecure: true,
        ..HostConfig::default()
    });
    assert_eq!(
        insecure.resolve(&reference).await.unwrap().descriptor,
        image().descriptor
    );
    // Loopback needs no settings: plain HTTP is refused there, and any certificate will do.
    assert_eq!(
        with(HostConfig::default())
            .resolve(&reference)
            .await
            .unwrap()
            .descriptor,
        image().descriptor
    );

    let mirror = HostConfig {
        mirrors: vec![format!("https://{}", registry.host())],
        ..HostConfig::default()
    };
    let error = with(mirror).resolve(&reference).await;
    assert!(error.is_ok(), "a mirror that is not trusted is passed over");
    let mut strict = config();
    strict.hosts.insert(
        "r.invalid".to_owned(),
        HostConfig {
            mirrors: vec![format!("https://{}", registry.host())],
            ..HostConfig::default()
        },
    );
    let error = client(strict)
        .resolve(&"r.invalid/app:1".parse().unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("TLS failed"), "{error}");
}
