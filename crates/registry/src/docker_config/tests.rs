//! Configs as texts, and what they say of a domain.

use super::*;

fn check(config: &str, domain: &str, expected: &str) {
    let found = match DockerConfig::parse(config).map(|config| config.source(domain)) {
        Err(error) => error.to_string(),
        Ok(CredentialSource::Known(credential)) => show(&credential),
        Ok(CredentialSource::Helper {
            name,
            servers,
            otherwise,
        }) => {
            format!("{name} {} {}", servers.join(","), show(&otherwise))
        }
    };
    assert_eq!(found, expected, "{config}");
}

fn show(credential: &Credential) -> String {
    match credential {
        Credential::Anonymous => "anonymous".to_owned(),
        Credential::Basic { username, password } => format!("{username}/{}", password.expose()),
        Credential::IdentityToken(token) => format!("identity {}", token.expose()),
        Credential::RegistryToken(token) => format!("registry {}", token.expose()),
    }
}

#[test]
fn sources() {
    // base64 of "me:pass:word"
    let hub = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6cGFzczp3b3Jk"}}, "HttpHeaders": {"X": "y"}}"#;
    check(hub, "docker.io", "me/pass:word");
    check(hub, "ghcr.io", "anonymous");
    check("{}", "docker.io", "anonymous");
    check(
        r#"{"auths": {"https://r.test/v2/": {"username": "a", "password": "b"}}}"#,
        "r.test",
        "a/b",
    );
    check(
        r#"{"auths": {"r.test:5000": {"username": "a", "password": "b"}}}"#,
        "r.test",
        "anonymous",
    );
    check(
        r#"{"auths": {"https://r.test": {"username": "x"}, "r.test": {"username": "a", "password": "b"}}}"#,
        "r.test",
        "a/b",
    );
    check(
        r#"{"auths": {"r.test": {"auth": "bWU6", "identitytoken": "t"}}}"#,
        "r.test",
        "identity t",
    );
    check(
        r#"{"auths": {"r.test": {"registrytoken": "t"}}}"#,
        "r.test",
        "registry t",
    );
    check(
        r#"{"auths": {"r.test": {}}, "credsStore": "pass"}"#,
        "r.test",
        "pass r.test anonymous",
    );
    check(
        r#"{"auths": {"r.test": {"auth": "bWU6cA=="}}, "credHelpers": {"r.test": "ecr"}, "credsStore": "pass"}"#,
        "r.test",
        "ecr r.test me/p",
    );
    check(
        r#"{"credHelpers": {"r.test": "ecr"}, "credsStore": "pass"}"#,
        "docker.io",
        "pass https://index.docker.io/v1/,docker.io,registry-1.docker.io anonymous",
    );
    check(
        r#"{"auths": {"r.test": {"auth": "?"}}}"#,
        "r.test",
        "invalid Docker config: auth of \"r.test\" is not base64 of name:password",
    );
    check("[", "r.test", "invalid Docker config");
}

#[test]
fn secrets_are_not_printed() {
    let config =
        DockerConfig::parse(r#"{"auths": {"r.test": {"username": "a", "password": "hunter2"}}}"#);
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!format!("{}", Secret::new("hunter2")).contains("hunter2"));
}
