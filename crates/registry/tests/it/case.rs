//! What all cases share: a registry with an image, a client that waits for nothing, and
//! outcomes as text.

use std::sync::Arc;
use std::time::Duration;

use oci::{Descriptor, Reference};
use registry::{Anonymous, Client, Config, Credential, Credentials, Error, Limits, Secret};
use testkit::registry::Fault;
use testkit::{FakeRegistry, Image};

/// The bytes of the layer that cases pull: long enough for several reads.
pub(crate) fn layer() -> Vec<u8> {
    (0..200_000_u32).map(|i| (i * 7 % 251) as u8).collect()
}

/// An image with that layer.
pub(crate) fn image() -> Image {
    Image::of_layers(&[&layer()])
}

/// A registry that has the image as `app:1`.
pub(crate) fn registry_with(faults: &[Fault]) -> FakeRegistry {
    let registry = FakeRegistry::start();
    registry.put_image("app", "1", &image());
    for fault in faults {
        registry.fault(fault.clone());
    }
    registry
}

/// Limits under which nothing waits longer than it has to.
pub(crate) fn limits() -> Limits {
    Limits {
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(2),
        attempts: 4,
        stall_timeout: Duration::from_secs(20),
        ..Limits::default()
    }
}

pub(crate) fn config() -> Config {
    Config {
        limits: limits(),
        ..Config::default()
    }
}

/// A config under which a stall is soon noticed; for cases that stall.
pub(crate) fn impatient() -> Config {
    let mut config = config();
    config.limits.stall_timeout = Duration::from_millis(150);
    config.limits.commit_timeout = Duration::from_millis(150);
    config
}

pub(crate) fn client(config: Config) -> Client {
    Client::new(config, Arc::new(Anonymous)).unwrap()
}

/// Credentials that are the same for every host.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) Credential);

impl Credentials for Fixed {
    fn lookup<'a>(
        &'a self,
        _domain: &'a str,
    ) -> registry::BoxFuture<'a, Result<Credential, registry::CredentialsError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

pub(crate) fn basic(username: &str, password: &str) -> Arc<Fixed> {
    Arc::new(Fixed(Credential::Basic {
        username: username.to_owned(),
        password: Secret::new(password),
    }))
}

pub(crate) fn reference(registry: &FakeRegistry, rest: &str) -> Reference {
    format!("{}/{rest}", registry.host()).parse().unwrap()
}

/// Reads a blob to its end.
pub(crate) async fn pull(
    client: &Client,
    reference: &Reference,
    blob: &Descriptor,
    offset: u64,
) -> Result<Vec<u8>, Error> {
    let mut stream = client.blob(reference, blob, offset).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await? {
        bytes.extend_from_slice(&chunk);
        assert_eq!(offset + bytes.len() as u64, stream.position());
    }
    assert!(
        matches!(stream.next().await, Ok(None)),
        "the end stays the end"
    );
    Ok(bytes)
}

/// An error as a user sees it with its causes, and what follows from it.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(" <- {error}");
        cause = error.source();
    }
    if error.is_retryable() {
        text += " [retryable]";
    }
    if let Some(hint) = error.hint() {
        let name = format!("{hint:?}");
        text += &format!(" [{}]", name.split(' ').next().unwrap());
    }
    text
}

/// Names of registries instead of ports, and what a log says after `/v2/`.
pub(crate) fn name_hosts(text: &str, registries: &[(&FakeRegistry, &str)]) -> String {
    registries
        .iter()
        .fold(text.to_owned(), |text, (registry, name)| {
            text.replace(&registry.host(), name)
        })
}

/// The log as one text, short.
pub(crate) fn log_of(registry: &FakeRegistry) -> String {
    let lines: Vec<_> = registry
        .log()
        .into_iter()
        .map(|line| line.replace(" /v2/", " "))
        .collect();
    lines.join("\n")
}
