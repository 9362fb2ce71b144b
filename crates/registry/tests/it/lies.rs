//! Registries that lie: what one says that is not so, and what comes of it. Those that break off,
//! stall or refuse are in the modules of what is asked of them.

use registry::HostConfig;
use testkit::FakeRegistry;
use testkit::registry::{Effect, Fault, Login};

use crate::case::{
    basic, client, config, describe, image, name_hosts, pull, reference, registry_with,
};

const META_DATA: &str = "http://169.254.169.254/latest/meta-data/";

/// What a request for the manifest and then for the layer comes to.
async fn outcome(registry: &FakeRegistry) -> String {
    let client = client(config()).with_credentials(basic("me", "p"));
    let reference = reference(registry, "app:1");
    let fetched = async {
        client.resolve(&reference).await?;
        pull(&client, &reference, &image().layers()[0], 0).await
    };
    match fetched.await {
        Ok(bytes) => {
            assert_eq!(bytes, crate::case::layer());
            "ok".to_owned()
        }
        Err(error) => name_hosts(&describe(&error), &[(registry, "HOST")]),
    }
}

fn header(path: &'static str, name: &'static str, value: &str) -> Fault {
    Fault::once("GET", path, Effect::Header(name, value.to_owned()))
}

fn later(when: &str) -> Fault {
    let now = "Sun, 06 Nov 1994 08:49:38 GMT".to_owned();
    let headers = vec![("Date", now), ("Retry-After", when.to_owned())];
    let effect = Effect::Answer {
        status: 429,
        headers,
        body: String::new(),
    };
    Fault::once("GET", "manifests", effect)
}

#[tokio::test]
async fn headers() {
    let far = "HOST/app:1: too many requests [retryable] [SlowDown]";
    for (name, fault, expected) in [
        (
            "later, which was long ago",
            later("Sun, 06 Nov 1994 08:49:37 GMT"),
            "ok",
        ),
        (
            "later, in many years",
            later("Fri, 31 Dec 9999 23:59:59 GMT"),
            far,
        ),
        (
            "later, in more seconds than there are",
            later("18446744073709551615"),
            far,
        ),
        ("later, before now", later("-1"), "ok"),
        ("later, in words", later("soon"), "ok"),
        (
            "compressed, which it is not",
            header("manifests", "Content-Encoding", "gzip"),
            "ok",
        ),
        (
            "a compressed blob, which it is not",
            header("/blobs/", "Content-Encoding", "gzip"),
            "ok",
        ),
        (
            "compressed in a way that nobody knows",
            header("/blobs/", "Content-Encoding", "x-secret"),
            "ok",
        ),
        (
            "a page, which is the blob",
            header("/blobs/", "Content-Type", "text/html"),
            "ok",
        ),
        (
            "a part of a blob that was asked for in whole",
            header("/blobs/", "Content-Range", "bytes 5-199999/200000"),
            "ok",
        ),
        (
            "a digest of nothing",
            header("manifests", "Docker-Content-Digest", "sha256:"),
            "ok",
        ),
        (
            "a link to a next page of a manifest",
            header("manifests", "Link", "</v2/>; rel=\"next\""),
            "ok",
        ),
    ] {
        let registry = registry_with(&[fault]);
        assert_eq!(outcome(&registry).await, expected, "{name}");
    }
}

/// Where a registry at a public address may not send anybody.
#[tokio::test]
async fn redirects_to_private_addresses() {
    let refused = "r.invalid/app:1: refused redirect: it leads to a private address (private-redirects would allow it)";
    for (name, to, allowed, expected) in [
        (
            "meta-data of the cloud",
            META_DATA.to_owned(),
            false,
            refused,
        ),
        (
            "this machine",
            "http://127.0.0.1:1/".to_owned(),
            false,
            refused,
        ),
        (
            "this machine by its name",
            "http://localhost:1/".to_owned(),
            false,
            refused,
        ),
        (
            "this machine in another way",
            "http://[::ffff:7f00:1]:1/".to_owned(),
            false,
            refused,
        ),
        ("its network", "http://10.0.0.1/".to_owned(), false, refused),
        (
            "another public host",
            "http://r.invalid/v2/app/manifests/2".to_owned(),
            false,
            "r.invalid/app:1: manifest not found: manifest unknown (MANIFEST_UNKNOWN) [CheckName]",
        ),
        (
            "this machine, if that is allowed",
            "http://127.0.0.1:1/".to_owned(),
            true,
            "r.invalid/app:1 (at 127.0.0.1:1): cannot connect <- Connection refused (os error 111) [retryable] [CheckNetwork]",
        ),
    ] {
        // The registry's name leads nowhere from here, as behind a proxy.
        let proxy =
            registry_with(&[Fault::once("GET", "manifests/1", Effect::redirect(to)).always()]);
        let mut config = config();
        config.proxy.http = Some(format!("http://{}", proxy.host()));
        let host = HostConfig {
            http: true,
            private_redirects: allowed,
            ..HostConfig::default()
        };
        config.hosts.insert("r.invalid".to_owned(), host);
        let wanted = "r.invalid/app:1".parse().unwrap();
        let error = client(config).resolve(&wanted).await.unwrap_err();
        assert_eq!(describe(&error), expected, "{name}");
    }
}

#[tokio::test]
async fn tokens_that_are_good_for_ever() {
    let registry = registry_with(&[]);
    registry.rules(|rules| {
        rules.login = Login::Bearer("me", "p");
        rules.token_life = Some(u64::MAX);
    });
    assert_eq!(outcome(&registry).await, "ok");
}

#[tokio::test]
async fn challenges() {
    let challenge = |text: &str| {
        let headers = vec![("WWW-Authenticate", text.to_owned())];
        let effect = Effect::Answer {
            status: 401,
            headers,
            body: String::new(),
        };
        Fault::once("GET", "manifests", effect).always()
    };
    let unauthorized = "HOST/app:1: not authorized [LogIn]";
    for (name, text, expected) in [
        ("nothing", "", unauthorized),
        (
            "a scheme that nobody knows",
            "Magic realm=\"x\"",
            unauthorized,
        ),
        ("a token from nowhere", "Bearer service=\"x\"", unauthorized),
        (
            "a token from a file",
            "Bearer realm=\"file:///etc/passwd\"",
            "HOST/app:1: cannot get a token from file:///etc/passwd: the realm is neither HTTP nor HTTPS [CheckCredentials]",
        ),
        (
            "a token from what is no URL",
            "Bearer realm=\"://\"",
            "HOST/app:1: cannot get a token from ://: the realm is not a URL [CheckCredentials]",
        ),
        (
            "a token by somebody else's name",
            "Bearer realm=\"http://you:pw@x.invalid/\"",
            "HOST/app:1: cannot get a token from http://you:pw@x.invalid/: the realm carries credentials [CheckCredentials]",
        ),
    ] {
        let registry = registry_with(&[challenge(text)]);
        let client = client(config());
        let reference = reference(&registry, "app:1");
        let error = describe(&client.resolve(&reference).await.unwrap_err());
        assert_eq!(
            name_hosts(&error, &[(&registry, "HOST")]),
            expected,
            "{name}"
        );
    }
}

/// A list of tags whose next page is itself.
#[tokio::test]
async fn pages_without_end() {
    let link = Effect::Header("Link", "</v2/app/tags/list>; rel=\"next\"".to_owned());
    let registry = registry_with(&[Fault::once("GET", "tags", link).always()]);
    let client = client(config());
    let tags = client.tags(&reference(&registry, "app")).await.unwrap();
    assert_eq!(tags, ["1"]);
}

/// A manifest that `HEAD` and `GET` tell differently of.
#[tokio::test]
async fn another_digest_before() {
    let other = format!("sha256:{}", "0".repeat(64));
    let lie = Effect::Header("Docker-Content-Digest", other.clone());
    let registry = registry_with(&[Fault::once("HEAD", "manifests", lie)]);
    let client = client(config());
    let reference = reference(&registry, "app:1");
    let told = client.descriptor(&reference).await.unwrap();
    assert_eq!(told.digest.to_string(), other);
    let error = client
        .manifest_by_descriptor(&reference, &told)
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}
