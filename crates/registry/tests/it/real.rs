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
    let with = |domain: &str, host: HostConfig| {
        let mut config = config();
        config.hosts.insert(domain.to_owned(), host);
        client(config)
    };
    let itself = registry.host();
    let authority = HostConfig {
        authorities: vec![std::fs::read(&certificate).unwrap()],
        ..HostConfig::default()
    };
    let trusting = with(itself, authority.clone());
    push(&trusting, &reference, &image(), &[]).await;
    let pulled = pull(&trusting, &reference, &image().layers()[0], 0).await;
    assert_eq!(pulled.unwrap(), layer());

    // Without verification, and loopback without settings: it refuses plain HTTP there.
    let insecure = HostConfig {
        insecure: true,
        ..HostConfig::default()
    };
    for host in [insecure, HostConfig::default()] {
        let resolved = with(itself, host).resolve(&reference).await;
        assert_eq!(resolved.unwrap().descriptor, image().descriptor);
    }

    // The certificate is for the address alone, and without it nobody believes the registry.
    let port = itself.rsplit(':').next().unwrap();
    let named = format!("localhost:{port}");
    let untrusted = HostConfig {
        mirrors: vec![format!("https://{itself}")],
        ..HostConfig::default()
    };
    for (domain, host) in [(named.as_str(), authority), ("r.invalid", untrusted)] {
        let reference = format!("{domain}/app:1").parse().unwrap();
        let error = with(domain, host).resolve(&reference).await.unwrap_err();
        assert!(error.to_string().contains("TLS failed"), "{error}");
    }

    // What is given as an authority has to be one.
    let nonsense = HostConfig {
        authorities: vec![b"nonsense".to_vec()],
        ..HostConfig::default()
    };
    let error = with(itself, nonsense)
        .resolve(&reference)
        .await
        .unwrap_err();
    let text = crate::case::describe(&error).replace(itself, "HOST");
    assert_eq!(
        text,
        "HOST/app:1: cannot set up HTTP <- no certificate in the PEM [TrustAuthority]"
    );
}
