//! Mirrors before the registry, redirects to storage, and which scheme a host speaks.

use registry::{Config, HostConfig};
use testkit::FakeRegistry;
use testkit::registry::{Effect, Fault, Login};

use crate::case::{
    basic, client, config, describe, image, impatient, layer, log_of, name_hosts, pull,
    registry_with,
};

/// `r.test` with these mirrors; the registry itself cannot be reached.
fn mirrored(mirrors: &[String]) -> Config {
    let mut config = config();
    let host = HostConfig {
        mirrors: mirrors.to_vec(),
        ..HostConfig::default()
    };
    config.hosts.insert("r.invalid".to_owned(), host);
    config
}

#[tokio::test]
async fn mirrors_come_first_and_in_order() {
    let (empty, full) = (FakeRegistry::start(), registry_with(&[]));
    let config = mirrored(&[empty.host(), format!("http://{}/", full.host())]);
    let client = client(config);
    let reference = "r.invalid/app:1".parse().unwrap();
    assert_eq!(
        client.resolve(&reference).await.unwrap().descriptor,
        image().descriptor
    );
    assert_eq!(
        pull(&client, &reference, &image().layers()[0], 0)
            .await
            .unwrap(),
        layer()
    );
    let namespace = "?ns=r.invalid";
    assert_eq!(
        log_of(&empty).replace(namespace, "?N"),
        format!(
            "GET ?N 200\nGET app/manifests/1?N 404\nGET app/blobs/{}?N 404",
            &image().layers()[0].digest.to_string()[..14]
        )
    );
    assert!(
        log_of(&full)
            .replace(namespace, "?N")
            .starts_with("GET app/manifests/1?N 200")
    );
}

#[tokio::test]
async fn a_mirror_below_a_path() {
    let registry = FakeRegistry::start();
    registry.put_image("cache/hub/library/app", "1", &image());
    let mut config = config();
    let host = HostConfig {
        mirrors: vec![format!("{}/cache/hub", registry.host())],
        ..HostConfig::default()
    };
    config.hosts.insert("docker.io".to_owned(), host);
    let resolved = client(config)
        .resolve(&"app:1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(resolved.descriptor, image().descriptor);
}

#[tokio::test]
async fn a_blob_goes_on_at_the_next_host() {
    let broken =
        registry_with(&[Fault::once("GET", "/blobs/", Effect::DropAfter(40_000)).always()]);
    let sound = registry_with(&[]);
    let client = client(mirrored(&[broken.host(), sound.host()]));
    let reference = "r.invalid/app:1".parse().unwrap();
    assert_eq!(
        pull(&client, &reference, &image().layers()[0], 0)
            .await
            .unwrap(),
        layer()
    );
    let ranges = |registry: &FakeRegistry| -> Vec<String> {
        let noted = registry.noted();
        noted
            .iter()
            .filter_map(|request| request.header("range").map(str::to_owned))
            .collect()
    };
    assert_eq!(ranges(&broken), ["bytes=40000-"]);
    assert_eq!(ranges(&sound), ["bytes=80000-"]);
}

#[tokio::test]
async fn a_mirror_that_lies_is_passed_over() {
    let liar = registry_with(&[Fault::once("GET", "manifests", Effect::Corrupt).always()]);
    let sound = registry_with(&[]);
    let client = client(mirrored(&[liar.host(), sound.host()]));
    let name = format!("r.invalid/app@{}", image().descriptor.digest);
    assert_eq!(
        client
            .resolve(&name.parse().unwrap())
            .await
            .unwrap()
            .descriptor,
        image().descriptor
    );
}

#[tokio::test]
async fn a_mirror_that_is_down_is_asked_once() {
    let silent = registry_with(&[Fault::once("GET", "", Effect::Stall).always()]);
    let sound = registry_with(&[]);
    let mut config = mirrored(&[format!("http://{}", silent.host()), sound.host()]);
    config.limits = impatient().limits;
    config.limits.attempts = 1;
    let client = client(config);
    let reference = "r.invalid/app:1".parse().unwrap();
    for _ in 0..3 {
        assert_eq!(
            client.resolve(&reference).await.unwrap().descriptor,
            image().descriptor
        );
    }
    assert_eq!(silent.log().len(), 1);
    assert_eq!(sound.log().len(), 4);
}

#[tokio::test]
async fn the_error_names_all_hosts() {
    let (one, two) = (
        FakeRegistry::start(),
        registry_with(&[Fault::once("GET", "manifests", Effect::status(500)).always()]),
    );
    let mut config = config();
    let host = HostConfig {
        mirrors: vec![one.host()],
        ..HostConfig::default()
    };
    config.hosts.insert(two.host(), host);
    let error = client(config)
        .resolve(&crate::case::reference(&two, "app:1"))
        .await
        .unwrap_err();
    assert_eq!(
        name_hosts(&error.to_string(), &[(&one, "ONE"), (&two, "TWO")]),
        "TWO/app:1: status 500 (mirrors: TWO/app:1 (at ONE): manifest not found: manifest unknown (MANIFEST_UNKNOWN))"
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn storage_gets_no_credentials() {
    let (front, storage) = (registry_with(&[]), registry_with(&[]));
    let path = format!("/v2/app/blobs/{}", image().layers()[0].digest);
    front.rules(|rules| rules.login = Login::Basic("me", "secret"));
    front.fault(
        Fault::once(
            "GET",
            "/blobs/",
            Effect::redirect(format!("http://{}{path}?signature=s", storage.host())),
        )
        .always(),
    );
    storage.fault(Fault::once("GET", "/blobs/", Effect::DropAfter(10_000)));
    let client = client(config()).with_credentials(basic("me", "secret"));
    let reference = crate::case::reference(&front, "app:1");
    client.resolve(&reference).await.unwrap();
    assert_eq!(
        pull(&client, &reference, &image().layers()[0], 0)
            .await
            .unwrap(),
        layer()
    );
    assert_eq!(storage.noted().len(), 2, "the redirect is taken anew");
    assert!(
        storage
            .noted()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    assert!(storage.noted()[1].header("range").is_some());

    // A failure there names the storage, and not the signature.
    storage.fault(Fault::once(
        "GET",
        "/blobs/",
        Effect::error(403, "Expired", "too late"),
    ));
    let error = pull(&client, &reference, &image().layers()[0], 0)
        .await
        .unwrap_err();
    let text = name_hosts(
        &describe(&error),
        &[(&front, "FRONT"), (&storage, "STORAGE")],
    );
    assert_eq!(
        text,
        "FRONT/app:1 (at STORAGE): status 403: too late (Expired)"
    );
}

#[tokio::test]
async fn a_server_that_wants_https_is_not_taken_for_http() {
    // What Go's servers and nginx say to plain HTTP. This one speaks no TLS either.
    let registry = registry_with(&[Fault::once(
        "GET",
        "",
        Effect::Answer {
            status: 400,
            headers: vec![],
            body: "Client sent an HTTP request to an HTTPS server.".to_owned(),
        },
    )]);
    let client = client(config());
    let error = client
        .resolve(&crate::case::reference(&registry, "app:1"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, registry::Error::PlainHttp { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn https_to_a_plain_server() {
    let registry = registry_with(&[]);
    let mut config = config();
    let host = HostConfig {
        mirrors: vec![format!("https://{}", registry.host())],
        ..HostConfig::default()
    };
    config.hosts.insert(registry.host(), host.clone());
    let reference = crate::case::reference(&registry, "app:2");
    let error = client(config.clone())
        .resolve(&reference)
        .await
        .unwrap_err();
    assert_eq!(
        name_hosts(&error.to_string(), &[(&registry, "HOST")]),
        "HOST/app:2: manifest not found: manifest unknown (MANIFEST_UNKNOWN) (mirrors: HOST/app:2: the server speaks HTTP, not HTTPS)"
    );
    // `http` with `insecure` tries both.
    config.hosts.insert(
        registry.host(),
        HostConfig {
            http: true,
            insecure: true,
            ..HostConfig::default()
        },
    );
    let resolved = client(config)
        .resolve(&crate::case::reference(&registry, "app:1"))
        .await;
    assert_eq!(resolved.unwrap().descriptor, image().descriptor);
}
