//! Credential helpers: programs in a scratch directory that do as they are told.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use registry::Credential;
use registry::docker_config::run_helper;
use testkit::Scratch;

/// Runs a helper whose script this is.
async fn check(script: &str, expected: &str) {
    let scratch = Scratch::new();
    let program = scratch.file("docker-credential-t", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let directories = [scratch.path().to_owned()];
    let timeout = Duration::from_millis(if script.contains("sleep") { 50 } else { 20_000 });
    let found = match run_helper("t", "r.test", &directories, timeout).await {
        Ok(Credential::Anonymous) => "anonymous".to_owned(),
        Ok(Credential::Basic { username, password }) => format!("{username}/{}", password.expose()),
        Ok(Credential::IdentityToken(token)) => format!("identity {}", token.expose()),
        Ok(Credential::RegistryToken(_)) => unreachable!(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{script}");
}

#[tokio::test]
async fn answers() {
    check(
        r#"read s; echo "{\"ServerURL\":\"$s\",\"Username\":\"$s-$1\",\"Secret\":\"p\"}""#,
        "r.test-get/p",
    )
    .await;
    check(
        r#"echo '{"Username":"<token>","Secret":"t"}'"#,
        "identity t",
    )
    .await;
    check(r#"echo '{"Username":"","Secret":""}'"#, "anonymous").await;
    check(
        "echo 'credentials not found in native keychain'; exit 1",
        "anonymous",
    )
    .await;
    check(
        "echo 'the keyring is locked'; exit 1",
        "docker-credential-t failed: the keyring is locked",
    )
    .await;
    check(
        "echo hello",
        "docker-credential-t gave an answer that is no credential",
    )
    .await;
    check(
        "exec sleep 100",
        "docker-credential-t gave no answer for 0.05 s",
    )
    .await;
}

#[tokio::test]
async fn programs() {
    let timeout = Duration::from_secs(20);
    let error = run_helper("../evil", "r.test", &[], timeout)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid credential helper name \"../evil\""
    );
    let error = run_helper("none-such", "r.test", &[], timeout)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "docker-credential-none-such is not in PATH"
    );
}
