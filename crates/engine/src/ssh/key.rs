//! Private keys in files, in OpenSSH's form and in those of PEM. What is read of a file is wiped
//! when it is no longer needed, and a key is never shown.

use std::path::{Path, PathBuf};

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use base64::Engine as _;
use zeroize::Zeroizing;

use super::rsa;
use super::wire::{Fields, integer, put_string};

/// More than any key takes.
const MAX_FILE: u64 = 64 << 10;
/// What an OpenSSH key begins with (PROTOCOL.key).
const OPENSSH: &[u8] = b"openssh-key-v1\0";
/// Bits of a request for a signature that ask an RSA key for a hash.
const WANTS_SHA256: u32 = 2;
const WANTS_SHA512: u32 = 4;

/// Why a file gives no key.
#[derive(Debug, thiserror::Error)]
pub enum SshKeyError {
    /// It cannot be read.
    #[error("cannot read the SSH key {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no private key in it.
    #[error("no private SSH key in {0}: expected OpenSSH's form or PEM")]
    None(PathBuf),
    /// A passphrase protects it.
    #[error(
        "the SSH key {0} is encrypted: add it to an ssh-agent and name the agent's socket instead"
    )]
    Encrypted(PathBuf),
    /// A kind of key that is not supported.
    #[error("the SSH key {path} is of the kind {kind}: kiln has ed25519, ECDSA and RSA")]
    Kind {
        /// The file.
        path: PathBuf,
        /// What kind.
        kind: String,
    },
    /// It is cut off or damaged.
    #[error("the SSH key {0} is damaged")]
    Damaged(PathBuf),
    /// No key should be like that.
    #[error("the SSH key {path} is refused")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyRejected,
    },
}

/// A key that signs.
pub(super) struct SshKey {
    pair: Pair,
    /// As agents list it.
    pub(super) public: Vec<u8>,
    /// The name of its file.
    pub(super) comment: String,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair, &'static Curve),
    Rsa(RsaKeyPair),
}

struct Curve {
    name: &'static str,
    algorithm: &'static EcdsaSigningAlgorithm,
    /// Bytes of a private key.
    size: usize,
}

static CURVES: &[Curve] = &[
    Curve {
        name: "nistp256",
        algorithm: &ECDSA_P256_SHA256_FIXED_SIGNING,
        size: 32,
    },
    Curve {
        name: "nistp384",
        algorithm: &ECDSA_P384_SHA384_FIXED_SIGNING,
        size: 48,
    },
    Curve {
        name: "nistp521",
        algorithm: &ECDSA_P521_SHA512_FIXED_SIGNING,
        size: 66,
    },
];

/// Why bytes are no key that signs; the file is added by who knows it.
enum Fault {
    None,
    Encrypted,
    Kind(String),
    Damaged,
    Refused(KeyRejected),
}

impl SshKey {
    /// The key in the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, SshKeyError> {
        let text = read(path).map_err(|source| SshKeyError::Read {
            path: path.to_owned(),
            source,
        })?;
        let pair = pair(&text).map_err(|fault| fault.of(path))?;
        let comment = path.file_name().unwrap_or_default();
        Ok(Self {
            public: pair.public().ok_or(Fault::Damaged.of(path))?,
            pair,
            comment: comment.to_string_lossy().into_owned(),
        })
    }

    /// The signature of `data` as agents send it; none when it is asked for what is not done.
    pub(super) fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let (name, bytes) = match &self.pair {
            Pair::Ed25519(pair) => {
                let signature = pair.try_sign(data).ok()?;
                ("ssh-ed25519".to_owned(), signature.as_ref().to_vec())
            }
            Pair::Ecdsa(pair, curve) => {
                let signature = pair.sign(&random, data).ok()?;
                let (r, s) = signature.as_ref().split_at_checked(curve.size)?;
                let mut both = Vec::new();
                put_string(&mut both, &integer(r));
                put_string(&mut both, &integer(s));
                (format!("ecdsa-sha2-{}", curve.name), both)
            }
            Pair::Rsa(pair) => {
                // SHA-1, which no flag means, is no longer safe.
                let (name, padding) = if flags & WANTS_SHA512 != 0 {
                    ("rsa-sha2-512", &RSA_PKCS1_SHA512)
                } else if flags & WANTS_SHA256 != 0 {
                    ("rsa-sha2-256", &RSA_PKCS1_SHA256)
                } else {
                    return None;
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, data, &mut signature).ok()?;
                (name.to_owned(), signature)
            }
        };
        let mut signature = Vec::new();
        put_string(&mut signature, name.as_bytes());
        put_string(&mut signature, &bytes);
        Some(signature)
    }
}

impl Pair {
    fn public(&self) -> Option<Vec<u8>> {
        let mut public = Vec::new();
        match self {
            Self::Ed25519(pair) => {
                put_string(&mut public, b"ssh-ed25519");
                put_string(&mut public, pair.public_key().as_ref());
            }
            Self::Ecdsa(pair, curve) => {
                put_string(&mut public, format!("ecdsa-sha2-{}", curve.name).as_bytes());
                put_string(&mut public, curve.name.as_bytes());
                put_string(&mut public, pair.public_key().as_ref());
            }
            Self::Rsa(pair) => {
                let (modulus, exponent) = rsa::public_numbers(pair.public_key().as_ref())?;
                put_string(&mut public, b"ssh-rsa");
                put_string(&mut public, exponent);
                put_string(&mut public, modulus);
            }
        }
        Some(public)
    }
}

impl Fault {
    fn of(self, path: &Path) -> SshKeyError {
        let path = path.to_owned();
        match self {
            Self::None => SshKeyError::None(path),
            Self::Encrypted => SshKeyError::Encrypted(path),
            Self::Kind(kind) => SshKeyError::Kind { path, kind },
            Self::Damaged => SshKeyError::Damaged(path),
            Self::Refused(source) => SshKeyError::Refused { path, source },
        }
    }
}

impl From<KeyRejected> for Fault {
    fn from(rejected: KeyRejected) -> Self {
        Self::Refused(rejected)
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read as _;
    // With room for all from the beginning, so that no copy of a part is left somewhere.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize));
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    Ok(Zeroizing::new(text.to_owned()))
}

fn pair(text: &str) -> Result<Pair, Fault> {
    let (label, body) = block(text).ok_or(Fault::None)?;
    if label == "ENCRYPTED" || body.contains("ENCRYPTED") {
        return Err(Fault::Encrypted);
    }
    let mut joined = Zeroizing::new(String::with_capacity(body.len()));
    joined.extend(body.split_ascii_whitespace());
    let mut bytes = Zeroizing::new(Vec::with_capacity(joined.len()));
    base64::engine::general_purpose::STANDARD
        .decode_vec(joined.as_bytes(), &mut bytes)
        .map_err(|_| Fault::Damaged)?;
    match label {
        "OPENSSH" => openssh(&bytes),
        "RSA" => Ok(Pair::Rsa(RsaKeyPair::from_der(&bytes)?)),
        "EC" => ecdsa(&bytes),
        "" => pkcs8(&bytes),
        kind => Err(Fault::Kind(kind.to_owned())),
    }
}

/// The first private key in a text of PEM: what kind, and what lies between its lines.
fn block(text: &str) -> Option<(&str, &str)> {
    const BEGIN: &str = "-----BEGIN ";
    let mut rest = text;
    loop {
        let (_, block) = rest.split_once(BEGIN)?;
        let (label, body) = block.split_once("-----")?;
        let (body, after) = body.split_once("-----END ")?;
        if let Some(kind) = label.strip_suffix("PRIVATE KEY") {
            return Some((kind.trim_end(), body));
        }
        rest = after;
    }
}

fn pkcs8(bytes: &[u8]) -> Result<Pair, Fault> {
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes) {
        return Ok(Pair::Ed25519(pair));
    }
    match ecdsa(bytes) {
        Ok(pair) => Ok(pair),
        Err(_) => Ok(Pair::Rsa(RsaKeyPair::from_pkcs8(bytes)?)),
    }
}

fn ecdsa(bytes: &[u8]) -> Result<Pair, Fault> {
    let mut why = Fault::Damaged;
    for curve in CURVES {
        match EcdsaKeyPair::from_private_key_der(curve.algorithm, bytes) {
            Ok(pair) => return Ok(Pair::Ecdsa(pair, curve)),
            Err(rejected) => why = rejected.into(),
        }
    }
    Err(why)
}

fn openssh(bytes: &[u8]) -> Result<Pair, Fault> {
    let mut fields = Fields(bytes.strip_prefix(OPENSSH).ok_or(Fault::Damaged)?);
    let mut next = || fields.string().ok_or(Fault::Damaged);
    let (cipher, _function, _options) = (next()?, next()?, next()?);
    if cipher != b"none" {
        return Err(Fault::Encrypted);
    }
    let (1, Some(_public), Some(private)) = (
        fields.number().unwrap_or_default(),
        fields.string(),
        fields.string(),
    ) else {
        return Err(Fault::Damaged);
    };
    let mut fields = Fields(private);
    if fields.number() != fields.number() {
        return Err(Fault::Damaged);
    }
    let kind = fields.string().ok_or(Fault::Damaged)?;
    match kind {
        b"ssh-ed25519" => {
            let public = fields.string().ok_or(Fault::Damaged)?;
            let private = fields.string().ok_or(Fault::Damaged)?;
            // The seed, and the public key once more.
            let seed = private.get(..32).ok_or(Fault::Damaged)?;
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public)?;
            Ok(Pair::Ed25519(pair))
        }
        b"ssh-rsa" => {
            let document = rsa::from_openssh(&mut fields).ok_or(Fault::Damaged)?;
            Ok(Pair::Rsa(RsaKeyPair::from_der(&document)?))
        }
        _ => openssh_ecdsa(kind, fields),
    }
}

fn openssh_ecdsa(kind: &[u8], mut fields: Fields<'_>) -> Result<Pair, Fault> {
    let shown = || String::from_utf8_lossy(kind).into_owned();
    let name = kind.strip_prefix(b"ecdsa-sha2-").unwrap_or_default();
    let Some(curve) = CURVES.iter().find(|curve| curve.name.as_bytes() == name) else {
        return Err(Fault::Kind(shown()));
    };
    let mut next = || fields.string().ok_or(Fault::Damaged);
    let (_curve, public, number) = (next()?, next()?, next()?);
    let digits = number.strip_prefix(&[0]).unwrap_or(number);
    let zeros = curve.size.checked_sub(digits.len()).ok_or(Fault::Damaged)?;
    let mut private = Zeroizing::new(Vec::with_capacity(curve.size));
    private.resize(zeros, 0);
    private.extend_from_slice(digits);
    let pair = EcdsaKeyPair::from_private_key_and_public_key(curve.algorithm, &private, public)?;
    Ok(Pair::Ecdsa(pair, curve))
}
