//! What kiln's own agent lists and signs, and which files give no key.

use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;

use super::*;

const DATA: &[u8] = b"what a server asks to be signed";

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ssh/tests");
    folder.join(name)
}

/// The number as `size` bytes.
fn padded(number: &[u8], size: usize) -> Vec<u8> {
    let digits = number.strip_prefix(&[0]).unwrap_or(number);
    [&vec![0; size - digits.len()][..], digits].concat()
}

/// What is said of a signature by `public`, the name of its algorithm first.
fn verified(public: &[u8], signature: &[u8]) -> String {
    let (mut public, mut signature) = (Fields(public), Fields(signature));
    let kind = String::from_utf8(public.string().unwrap().to_vec()).unwrap();
    let name = String::from_utf8(signature.string().unwrap().to_vec()).unwrap();
    let mut bytes = signature.string().unwrap().to_vec();
    assert_eq!(signature.0, b"");
    let verified = if kind == "ssh-rsa" {
        let (e, n) = (public.string().unwrap(), public.string().unwrap());
        let n = n.strip_prefix(&[0]).unwrap();
        let parameters = match name.as_str() {
            "rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
            _ => &RSA_PKCS1_2048_8192_SHA512,
        };
        RsaPublicKeyComponents { n, e }.verify(parameters, DATA, &bytes)
    } else {
        let (algorithm, size): (&dyn VerificationAlgorithm, usize) = match kind.as_str() {
            "ssh-ed25519" => (&ED25519, 0),
            "ecdsa-sha2-nistp256" => (&ECDSA_P256_SHA256_FIXED, 32),
            "ecdsa-sha2-nistp384" => (&ECDSA_P384_SHA384_FIXED, 48),
            _ => (&ECDSA_P521_SHA512_FIXED, 66),
        };
        if size > 0 {
            let mut both = Fields(&bytes);
            let (r, s) = (both.string().unwrap(), both.string().unwrap());
            let both = [padded(r, size), padded(s, size)].concat();
            bytes = both;
            assert_eq!(kind, format!("ecdsa-sha2-{}", text(public.string())));
        }
        UnparsedPublicKey::new(algorithm, public.string().unwrap()).verify(DATA, &bytes)
    };
    match verified {
        Ok(()) => name,
        Err(_) => format!("{name} is wrong"),
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

fn signed(keys: &SshKeys, public: &[u8], flags: usize) -> String {
    let mut request = vec![SIGN];
    put_string(&mut request, public);
    put_string(&mut request, DATA);
    put_number(&mut request, flags);
    let answer = keys.answer(&request);
    match answer.split_first() {
        Some((&SIGNED, rest)) => verified(public, Fields(rest).string().unwrap()),
        _ => format!("{answer:?}"),
    }
}

#[test]
fn keys_of_all_kinds() {
    // As ssh-keygen tells the public keys of these files.
    let expected: Vec<(&str, Vec<u8>)> = include_str!("tests/public.txt")
        .lines()
        .map(|line| {
            let (name, public) = line.split_once(' ').unwrap();
            let public = base64::engine::general_purpose::STANDARD.decode(public);
            (name, public.unwrap())
        })
        .collect();
    let paths: Vec<PathBuf> = expected.iter().map(|(name, _)| fixture(name)).collect();
    let keys = SshKeys::read(paths.iter().map(PathBuf::as_path)).unwrap();
    let listed = keys.answer(&[LIST]);
    let mut listed = Fields(listed.strip_prefix(&[LISTED]).unwrap());
    assert_eq!(listed.number(), Some(expected.len() as u32));
    for (name, public) in &expected {
        assert_eq!(listed.string(), Some(&public[..]), "{name}");
        assert_eq!(text(listed.string()), *name);
    }
    assert_eq!(listed.0, b"");
    let made: Vec<String> = expected
        .iter()
        .map(|(name, public)| {
            let sign = |flags| signed(&keys, public, flags);
            format!("{name}: {}, {}, {}", sign(0), sign(2), sign(4))
        })
        .collect();
    assert_eq!(
        made,
        [
            "ed25519.openssh: ssh-ed25519, ssh-ed25519, ssh-ed25519",
            "rsa.openssh: [5], rsa-sha2-256, rsa-sha2-512",
            "ecdsa521.openssh: ecdsa-sha2-nistp521, ecdsa-sha2-nistp521, ecdsa-sha2-nistp521",
            "ecdsa384.sec1: ecdsa-sha2-nistp384, ecdsa-sha2-nistp384, ecdsa-sha2-nistp384",
            "rsa.pkcs1: [5], rsa-sha2-256, rsa-sha2-512",
            "ecdsa256.pkcs8: ecdsa-sha2-nistp256, ecdsa-sha2-nistp256, ecdsa-sha2-nistp256",
            "rsa.pkcs8: [5], rsa-sha2-256, rsa-sha2-512",
            "ed25519.pkcs8: ssh-ed25519, ssh-ed25519, ssh-ed25519",
        ]
    );
    let (_, public) = &expected[0];
    let only = SshKeys::read([paths[1].as_path()]).unwrap();
    assert_eq!(signed(&only, public, 0), "[5]");
    for request in [&[][..], &[17, 0], &[SIGN], &[SIGN, 0, 0, 0, 9, 1]] {
        assert_eq!(only.answer(request), REFUSAL, "{request:?}");
    }
    assert_eq!(format!("{keys:?}"), "SshKeys(…)");
}

#[test]
fn files_that_are_no_keys() {
    let scratch = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(fixture("ed25519.openssh")).unwrap();
    let pem = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let encrypted = "is encrypted: add it to an ssh-agent and name the agent's socket instead";
    for (content, expected) in [
        (
            std::fs::read_to_string(fixture("encrypted.openssh")).unwrap(),
            encrypted,
        ),
        (
            pem(
                "RSA PRIVATE KEY",
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA",
            ),
            encrypted,
        ),
        (pem("ENCRYPTED PRIVATE KEY", "AAAA"), encrypted),
        (
            pem("DSA PRIVATE KEY", "AAAA"),
            "is of the kind DSA: kiln has ed25519, ECDSA and RSA",
        ),
        (pem("EC PRIVATE KEY", "AAAA"), "is refused"),
        (pem("OPENSSH PRIVATE KEY", "AAAA"), "is damaged"),
        (pem("PRIVATE KEY", "*"), "is damaged"),
        (good[..good.len() / 2].to_owned(), "no private SSH key in"),
        (
            "ssh-ed25519 AAAA me".to_owned(),
            "expected OpenSSH's form or PEM",
        ),
        (String::new(), "no private SSH key in"),
    ] {
        let path = scratch.path().join("key");
        std::fs::write(&path, &content).unwrap();
        let error = SshKeys::read([path.as_path()]).unwrap_err().to_string();
        assert!(error.contains(expected), "{content}: {error}");
    }
    let missing = scratch.path().join("missing");
    let error = SshKeys::read([missing.as_path()]).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the SSH key"), "{error}");
}

#[test]
fn cut_off_anywhere() {
    let text = std::fs::read_to_string(fixture("rsa.openssh")).unwrap();
    let body: String = text.lines().filter(|line| !line.contains("---")).collect();
    let engine = base64::engine::general_purpose::STANDARD;
    let bytes = engine.decode(body).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key");
    // The padding at the end is not read.
    for length in (0..bytes.len() - 16).step_by(7) {
        let body = engine.encode(&bytes[..length]);
        let label = "OPENSSH PRIVATE KEY";
        let text = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        std::fs::write(&path, text).unwrap();
        let error = SshKeys::read([path.as_path()]).unwrap_err().to_string();
        assert!(error.ends_with("is damaged"), "{length}: {error}");
    }
}
