//! SSH agents that steps and git may use: the client's, or one of kiln's own for keys in files.
//!
//! Keys are listed and sign, and that is all: no request adds, removes or locks one.

mod key;
mod relay;
mod rsa;
mod wire;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use key::SshKeyError;
pub(crate) use relay::Relay;

use key::SshKey;
use wire::{Fields, put_number, put_string};

/// Which keys there are (draft-miller-ssh-agent).
const LIST: u8 = 11;
const LISTED: u8 = 12;
/// A signature.
const SIGN: u8 = 13;
const SIGNED: u8 = 14;
/// The answer to all others: a failure.
const REFUSAL: &[u8] = &[5];

/// An agent that the client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshAgent {
    /// One that listens there.
    Socket(PathBuf),
    /// kiln itself.
    Keys(SshKeys),
}

/// Private keys, never shown.
#[derive(Clone)]
pub struct SshKeys(Arc<[SshKey]>);

impl SshKeys {
    /// Reads the keys in files.
    ///
    /// # Errors
    /// One cannot be read, is encrypted, or is no key that kiln has.
    pub fn read<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self, SshKeyError> {
        paths
            .into_iter()
            .map(SshKey::read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What an agent answers.
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        match request.split_first() {
            Some((&LIST, _)) => self.list(),
            Some((&SIGN, fields)) => self.sign(Fields(fields)).unwrap_or(REFUSAL.to_vec()),
            _ => REFUSAL.to_vec(),
        }
    }

    fn list(&self) -> Vec<u8> {
        let mut answer = vec![LISTED];
        put_number(&mut answer, self.0.len());
        for key in &*self.0 {
            put_string(&mut answer, &key.public);
            put_string(&mut answer, key.comment.as_bytes());
        }
        answer
    }

    fn sign(&self, mut fields: Fields<'_>) -> Option<Vec<u8>> {
        let (public, data, flags) = (fields.string()?, fields.string()?, fields.number()?);
        let key = self.0.iter().find(|key| key.public == public)?;
        let mut answer = vec![SIGNED];
        put_string(&mut answer, &key.sign(data, flags)?);
        Some(answer)
    }
}

/// They are the same where they sign the same.
impl PartialEq for SshKeys {
    fn eq(&self, other: &Self) -> bool {
        let (own, others) = (self.0.iter(), other.0.iter());
        own.map(|key| &key.public).eq(others.map(|key| &key.public))
    }
}

impl Eq for SshKeys {}

impl fmt::Debug for SshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SshKeys(…)")
    }
}

#[cfg(test)]
mod tests;
