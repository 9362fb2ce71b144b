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
