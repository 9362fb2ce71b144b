//! What a fake registry holds and has seen.

use std::collections::BTreeMap;

use oci::{Descriptor, Digest};

use super::{Fault, Login};

/// How the registry behaves as a whole.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who may use it.
    pub login: Login,
    /// Where its challenge says that tokens are; its own `/token` when not set.
    pub realm: Option<String>,
    /// `expires_in` of tokens.
    pub token_life: Option<u64>,
    /// How many requests a token is good for.
    pub token_uses: u32,
    /// Whether blobs can be mounted from other repositories.
    pub mounts: bool,
    /// The largest request that it takes; more is 413.
    pub max_request: usize,
    /// Whether it says the digest in `Docker-Content-Digest`.
    pub states_digest: bool,
    /// Whether `Location` is a whole URL.
    pub absolute_location: bool,
    /// The most tags in one answer.
    pub tags_page: usize,
}

/// A request that was made.
#[derive(Debug, Clone)]
pub struct Noted {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The status of the answer; none when there was no answer.
    pub status: Option<u16>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) address: String,
    pub(super) rules: Rules,
    pub(super) faults: Vec<Fault>,
    pub(super) noted: Vec<Noted>,
    pub(super) tokens: Vec<Token>,
    pub(super) uploads: BTreeMap<String, Upload>,
    repositories: BTreeMap<String, Repository>,
}

#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) scopes: Vec<String>,
    pub(super) uses: u32,
}

#[derive(Debug, Default)]
pub(super) struct Upload {
    pub(super) bytes: Vec<u8>,
    /// Changes with each answer: a client must go where the last one said.
    pub(super) turn: u32,
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    blobs: BTreeMap<Digest, Vec<u8>>,
    manifests: BTreeMap<Digest, (Descriptor, Vec<u8>)>,
    tags: BTreeMap<String, Digest>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            login: Login::Open,
            realm: None,
            token_life: None,
            token_uses: u32::MAX,
            mounts: true,
            max_request: usize::MAX,
            states_digest: true,
            absolute_location: false,
            tags_page: 1000,
        }
    }
}

impl Noted {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// `METHOD PATH STATUS`; of a digest seven characters, of an upload and a token nothing.
    #[must_use]
    pub fn line(&self) -> String {
        let status = self
            .status
            .map_or_else(|| "-".to_owned(), |status| status.to_string());
        let mut target = self.target.replace("%3A", ":");
        if let Some((path, _)) = target.split_once("/token?") {
            target = format!("{path}/token");
        }
        if let Some(start) = target.find("/uploads/upload-") {
            let start = start + "/uploads/".len();
            let end = target[start..]
                .find('&')
                .map_or(target.len(), |end| start + end);
            target.replace_range(start..end, "…");
        }
        let mut short = String::new();
        let mut rest = target.as_str();
        while let Some(start) = rest.find("sha256:") {
            let hex = start + "sha256:".len();
            short += &rest[..(hex + 7).min(rest.len())];
            rest = rest.get(hex + 64..).unwrap_or_default();
        }
        format!("{} {short}{rest} {status}", self.method)
    }
}

impl State {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            rules: Rules::default(),
            faults: Vec::new(),
            noted: Vec::new(),
            tokens: Vec::new(),
            uploads: BTreeMap::new(),
            repositories: BTreeMap::new(),
        }
    }

    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}

impl Repository {
    pub(super) fn put_blob(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.blobs.insert(digest, bytes.to_vec());
        digest
    }

    pub(super) fn put_manifest(&mut self, tag: Option<&str>, descriptor: Descriptor, bytes: &[u8]) {
        if let Some(tag) = tag {
            self.tags.insert(tag.to_owned(), descriptor.digest);
        }
        self.manifests
            .insert(descriptor.digest, (descriptor, bytes.to_vec()));
    }

    pub(super) fn blob(&self, digest: Digest) -> Option<Vec<u8>> {
        self.blobs.get(&digest).cloned()
    }

    /// By tag or digest.
    pub(super) fn manifest(&self, name: &str) -> Option<(Descriptor, Vec<u8>)> {
        let digest = name.parse().ok().or_else(|| self.tags.get(name).copied())?;
        self.manifests.get(&digest).cloned()
    }

    pub(super) fn has(&self, digest: Digest) -> bool {
        self.blobs.contains_key(&digest) || self.manifests.contains_key(&digest)
    }

    pub(super) fn tags(&self) -> Vec<String> {
        self.tags.keys().cloned().collect()
    }
}
