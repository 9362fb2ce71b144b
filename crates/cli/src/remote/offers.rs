//! What the session of a build offers: files of directories, secrets, agents and credentials.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use client::{
    Agent, BoxFuture, Content, Credentials, Directory, Files, Kind, Located, Login, Offered,
    Secret, Secrets, Selection,
};
use engine::{
    ClientFile, ClientFileKind, Credential, Landmark, LocalSource, OfferedSecret, SshAgent,
};

use crate::error::chain;

/// A directory of this machine.
#[derive(Debug)]
pub(super) struct Disk(pub(super) PathBuf);

/// A few files that are not on the disk.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<String, Arc<[u8]>>);

/// Secrets by their names.
#[derive(Debug)]
pub(super) struct OfferedSecrets(pub(super) BTreeMap<String, OfferedSecret>);

/// An agent, or keys in files.
#[derive(Debug)]
pub(super) struct OfferedAgent(pub(super) SshAgent);

/// What docker's configuration has for registries.
pub(super) struct OfferedCredentials(pub(super) Arc<dyn engine::Credentials>);

impl Directory for Disk {
    fn files(&self, selection: &Selection) -> io::Result<Files> {
        let Selection {
            directory,
            include,
            follow,
            exclude,
        } = selection.clone();
        let source = LocalSource {
            name: directory,
            include,
            exclude,
            follow,
        };
        let root = self.0.clone();
        let files = engine::offered_files(&root, &source).map_err(unreadable)?;
        Ok(Files {
            modified: files.modified(),
            all: Box::new(files.map(move |file| {
                let file = file.map_err(unreadable)?;
                Ok(offered(file, &root))
            })),
        })
    }

    fn located(&self) -> Option<Located> {
        // What cannot be told apart is sent.
        let Landmark { path, mark } = Landmark::of(&self.0).ok()?;
        Some(Located { path, mark })
    }
}

impl Memory {
    /// These files, each with its text.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().into());
        Self(files.iter().map(file).collect())
    }
}

impl Directory for Memory {
    /// Those that are named, or all; what is no name is no file here.
    fn files(&self, selection: &Selection) -> io::Result<Files> {
        let Selection {
            directory: _,
            include,
            follow,
            exclude,
        } = selection;
        let named: Vec<&String> = include.iter().chain(follow).collect();
        let is_wanted =
            |name: &String| (named.is_empty() || named.contains(&name)) && !exclude.contains(name);
        let wanted = self.0.iter().filter(|(name, _)| is_wanted(name));
        let offered: Vec<io::Result<Offered>> = wanted
            .map(|(name, bytes)| {
                let content = Content::Bytes(Arc::clone(bytes));
                Ok(Offered {
                    path: PathBuf::from(name),
                    kind: Kind::File(bytes.len() as u64, content),
                    mode: 0o644,
                    modified: 0,
                    attributes: BTreeMap::new(),
                })
            })
            .collect();
        Ok(Files {
            all: Box::new(offered.into_iter()),
            modified: 0,
        })
    }
}

impl Secrets for OfferedSecrets {
    fn get(&self, id: &str) -> io::Result<Option<Secret>> {
        let Some(offered) = self.0.get(id) else {
            return Ok(None);
        };
        let secret = offered.source.read().map_err(unreadable)?;
        Ok(Some(Secret::new(secret.expose().to_vec())))
    }
}

impl Agent for OfferedAgent {
    fn connect(&self) -> io::Result<UnixStream> {
        self.0.connect()
    }
}

impl Credentials for OfferedCredentials {
    fn lookup(&self, host: String) -> BoxFuture<'_, Result<Login, String>> {
        Box::pin(async move {
            let domain = match host.as_str() {
                "registry-1.docker.io" | "index.docker.io" => "docker.io",
                other => other,
            };
            let found = self.0.lookup(domain).await.map_err(|error| chain(&error))?;
            Ok(match found {
                Credential::Anonymous => Login::default(),
                Credential::Basic { username, password } => Login {
                    username,
                    secret: password.expose().to_owned().into(),
                },
                Credential::IdentityToken(token) | Credential::RegistryToken(token) => Login {
                    username: String::new(),
                    secret: token.expose().to_owned().into(),
                },
            })
        })
    }
}

impl fmt::Debug for OfferedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfferedCredentials(…)")
    }
}

fn offered(file: ClientFile, root: &std::path::Path) -> Offered {
    let ClientFile {
        path,
        kind,
        mode,
        modified,
        attributes,
    } = file;
    let kind = match kind {
        ClientFileKind::File(size) => Kind::File(size, Content::File(root.join(&path))),
        ClientFileKind::Link(first) => Kind::Link(first),
        ClientFileKind::Directory => Kind::Directory,
        ClientFileKind::Symlink(target) => Kind::Symlink(target),
        ClientFileKind::Fifo => Kind::Fifo,
        ClientFileKind::CharDevice(major, minor) => Kind::CharDevice(major, minor),
        ClientFileKind::BlockDevice(major, minor) => Kind::BlockDevice(major, minor),
    };
    Offered {
        path,
        kind,
        mode,
        modified,
        attributes,
    }
}

fn unreadable(error: engine::EngineError) -> io::Error {
    io::Error::other(chain(&error))
}
