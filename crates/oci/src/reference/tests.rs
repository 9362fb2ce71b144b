//! References as text.

use super::*;

#[test]
fn texts() {
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (text, full, familiar) in [
        ("alpine", "docker.io/library/alpine", "alpine"),
        (
            "alpine:3.19",
            "docker.io/library/alpine:3.19",
            "alpine:3.19",
        ),
        ("me/app", "docker.io/me/app", "me/app"),
        ("localhost/app", "localhost/app", "localhost/app"),
        (
            "127.0.0.1:5000/a/b:t",
            "127.0.0.1:5000/a/b:t",
            "127.0.0.1:5000/a/b:t",
        ),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ("index.docker.io/library/x", "docker.io/library/x", "x"),
        (
            &format!("a@sha256:{hex}"),
            &format!("docker.io/library/a@sha256:{hex}"),
            &format!("a@sha256:{hex}"),
        ),
    ] {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(
            (
                reference.to_string().as_str(),
                reference.familiar().as_str()
            ),
            (full, familiar)
        );
    }
    for (text, error) in [
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a//b", "invalid reference format"),
        (
            "Build",
            "invalid reference format: repository name (library/Build) must be lowercase",
        ),
        (
            hex,
            &format!("invalid repository name ({hex}), cannot specify 64-byte hexadecimal strings"),
        ),
    ] {
        assert_eq!(
            text.parse::<Reference>().unwrap_err().to_string(),
            error,
            "{text}"
        );
    }
}
