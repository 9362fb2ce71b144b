//! How many requests a host bears at a time, and what is refused at the start.

use registry::{Client, Config, HostConfig};
use testkit::registry::{Effect, Fault};

use crate::case::{client, config, image, reference, registry_with};

#[tokio::test]
async fn pulls_of_one_host_are_limited() {
    let registry = registry_with(&[Fault::once("GET", "/blobs/", Effect::StallAfter(1)).always()]);
    let mut config = config();
    config.limits.pulls = 3;
    let client = client(config);
    let reference = reference(&registry, "app:1");
    let blob = &image().layers()[0];
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(client.blob(&reference, blob, 0).await.unwrap());
    }
    let mut fourth = Box::pin(client.blob(&reference, blob, 0));
    let poll = futures_util::future::poll_immediate(&mut fourth).await;
    assert!(poll.is_none(), "the fourth has to wait");
    // Documents are not held up by blobs.
    client.resolve(&reference).await.unwrap();
    open.pop();
    fourth.await.unwrap();
    let blobs = registry
        .log()
        .iter()
        .filter(|line| line.contains("/blobs/"))
        .count();
    assert_eq!(blobs, 4);
}

#[tokio::test]
async fn proxies() {
    let proxy = registry_with(&[]);
    let direct = registry_with(&[]);
    let mut config = config();
    config.proxy.http = Some(format!("http://{}", proxy.host()));
    for name in ["r.invalid", "direct.invalid"] {
        let host = HostConfig {
            http: true,
            ..HostConfig::default()
        };
        config.hosts.insert(name.to_owned(), host);
    }
    config.proxy.except = Some("direct.invalid".to_owned());
    let client = client(config);
    let resolved = client.resolve(&"r.invalid/app:1".parse().unwrap()).await;
    assert_eq!(resolved.unwrap().descriptor, image().descriptor);
    assert_eq!(proxy.log(), ["GET http://r.invalid/v2/app/manifests/1 200"]);
    // Loopback is never proxied, nor is what was excepted.
    client.resolve(&reference(&direct, "app:1")).await.unwrap();
    let excepted = client
        .resolve(&"direct.invalid/app:1".parse().unwrap())
        .await;
    assert!(matches!(excepted, Err(registry::Error::Connect { .. })));
    assert_eq!(proxy.log().len(), 1);
}

#[test]
fn configs() {
    let check = |change: fn(&mut Config), expected: &str| {
        let mut config = Config::default();
        change(&mut config);
        let error = Client::new(config, std::sync::Arc::new(registry::Anonymous)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        |config| config.limits.pulls = 0,
        "limit pulls must not be zero",
    );
    check(
        |config| config.limits.attempts = 0,
        "limit attempts must not be zero",
    );
    check(
        |config| {
            let host = HostConfig {
                mirrors: vec!["oops://x".to_owned()],
                ..HostConfig::default()
            };
            config.hosts.insert("r.test".to_owned(), host);
        },
        "invalid mirror \"oops://x\" of r.test: expected [http://|https://]host[:port][/path]",
    );
}
