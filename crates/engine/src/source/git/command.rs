//! The program `git`, started with nothing of the machine's: no configuration, no prompt, no hook,
//! no protocol but those that are meant. What is secret goes through its environment, since
//! everybody can read command lines.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use snapshot::snapshotter::Draft;
use solver::StepProgress;
use solver::progress::LogStream;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::agent::{AgentSocket, KnownHosts};
use super::refs::{Found, find, object_format};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::session::Session;

/// More than git says about anything that is asked here.
const MAX_OUTPUT: u64 = 64 << 20;

/// Why a repository cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no `git`.
    #[error("git is not installed: install it to use git repositories as contexts and with ADD")]
    NotInstalled,
    /// `git` could not be started.
    #[error("cannot start git")]
    Start(#[source] std::io::Error),
    /// `git` failed.
    #[error("failed to {action} {url}: {said}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The repository.
        url: String,
        /// What git said.
        said: String,
    },
    /// There is no such reference.
    #[error("repository does not contain ref {0}")]
    NoReference(String),
    /// A reference that git would take for an option.
    #[error("invalid ref {0:?}")]
    Reference(String),
    /// The reference leads elsewhere.
    #[error("expected checksum to match {expected}, got {found}")]
    Checksum {
        /// The commit, or its beginning.
        expected: String,
        /// Where it leads.
        found: String,
    },
    /// There is no such directory in the tree.
    #[error("subdir {0:?}: no such directory")]
    Subdirectory(String),
    /// A submodule that cannot be fetched.
    #[error("submodule {path:?}: {why}")]
    Submodule {
        /// Where it should be.
        path: String,
        /// Why not.
        why: &'static str,
    },
}

/// `git`, told about one remote.
#[derive(Debug)]
pub(super) struct Git {
    program: PathBuf,
    url: String,
    /// The environment of all its processes.
    environment: Vec<(String, String)>,
    _agent: Option<AgentSocket>,
    _known_hosts: KnownHosts,
}

/// A bare repository in the store.
#[derive(Debug)]
pub(super) struct Repository<'a> {
    pub(super) git: &'a Git,
    pub(super) path: &'a Path,
}

/// A URL without user and password.
pub(crate) fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

impl Git {
    pub(super) fn new(
        engine: &Arc<Inner>,
        url: &str,
        known_hosts: Option<&str>,
        session: &Session,
    ) -> Result<Self, EngineError> {
        let mut programs = engine.helper_path.iter().map(|path| path.join("git"));
        let program = programs.find(|path| path.is_file());
        let path = std::env::join_paths(&engine.helper_path).unwrap_or_default();
        let mut environment: Vec<(String, String)> = engine.fetch_variables.clone();
        let known_hosts = KnownHosts::new(engine, known_hosts)?;
        let settings = [
            ("PATH", path.to_string_lossy().into_owned()),
            ("HOME", "/nonexistent".to_owned()),
            ("LC_ALL", "C".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("GIT_ASKPASS", "/bin/false".to_owned()),
            ("GIT_ALLOW_PROTOCOL", "http:https:git:ssh:file".to_owned()),
        ];
        environment.extend(settings.map(|(name, value)| (name.to_owned(), value)));
        environment.push(known_hosts.variable());
        let agent = match session.git_agent() {
            Some(agent) => Some(AgentSocket::new(engine, agent)?),
            None => None,
        };
        environment.extend(agent.iter().map(AgentSocket::variable));
        let mut options = vec![
            ("remote.origin.url".to_owned(), url.to_owned()),
            ("core.hooksPath".to_owned(), "/dev/null".to_owned()),
            ("core.attributesFile".to_owned(), "/dev/null".to_owned()),
            ("credential.helper".to_owned(), String::new()),
            ("gc.auto".to_owned(), "0".to_owned()),
            ("maintenance.auto".to_owned(), "false".to_owned()),
            ("fetch.recurseSubmodules".to_owned(), "false".to_owned()),
            ("tar.umask".to_owned(), "0022".to_owned()),
            ("advice.detachedHead".to_owned(), "false".to_owned()),
        ];
        options.extend(authorization(url, session)?);
        environment.push(("GIT_CONFIG_COUNT".to_owned(), options.len().to_string()));
        for (number, (key, value)) in options.into_iter().enumerate() {
            environment.push((format!("GIT_CONFIG_KEY_{number}"), key));
            environment.push((format!("GIT_CONFIG_VALUE_{number}"), value));
        }
        Ok(Self {
            program: program.ok_or(GitError::NotInstalled)?,
            url: url.to_owned(),
            environment,
            _agent: agent,
            _known_hosts: known_hosts,
        })
    }

    /// Where the remote is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) const fn repository<'a>(&'a self, path: &'a Path) -> Repository<'a> {
        Repository { git: self, path }
    }

    /// What `reference` leads to at the remote.
    pub(super) async fn remote_reference(
        &self,
        reference: &str,
        told: &StepProgress,
    ) -> Result<Found, EngineError> {
        if reference.starts_with('-') {
            return Err(GitError::Reference(reference.to_owned()).into());
        }
        let peeled = format!("{reference}^{{}}");
        let arguments = ["ls-remote", "--", "origin", reference, &peeled];
        told.log(
            LogStream::Stderr,
            format!("git ls-remote {} {reference}\n", shown(&self.url)).into(),
        )
        .await;
        let output = self.run("load git source", None, &arguments).await?;
        let found = find(&String::from_utf8_lossy(&output), reference);
        found.ok_or_else(|| GitError::NoReference(reference.to_owned()).into())
    }

    /// Runs it to its end; what it printed.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &self,
        action: &'static str,
        directory: Option<&Path>,
        arguments: &[S],
    ) -> Result<Vec<u8>, EngineError> {
        let mut child = self
            .command(directory, arguments)
            .spawn()
            .map_err(GitError::Start)?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read_out = async {
            match stdout {
                Some(stdout) => stdout.take(MAX_OUTPUT).read_to_end(&mut out).await,
                None => Ok(0),
            }
        };
        let read_err = async {
            match stderr {
                Some(stderr) => stderr.take(MAX_OUTPUT).read_to_end(&mut err).await,
                None => Ok(0),
            }
        };
        let (read_out, read_err, status) = tokio::join!(read_out, read_err, child.wait());
        read_out.and(read_err).map_err(GitError::Start)?;
        if status.map_err(GitError::Start)?.success() {
            Ok(out)
        } else {
            Err(self.failed(action, &err).into())
        }
    }

    fn failed(&self, action: &'static str, said: &[u8]) -> GitError {
        let plain = shown(&self.url);
        let said = String::from_utf8_lossy(said).replace(&self.url, &plain);
        let said: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        GitError::Failed {
            action,
            url: plain,
            said: said.join("; "),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts git, which BuildKit uses too"
    )]
    fn command<S: AsRef<OsStr>>(&self, directory: Option<&Path>, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(directory.unwrap_or(Path::new("/")))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Repository<'_> {
    /// Runs git in the repository; what it printed.
    pub(super) async fn run(
        &self,
        action: &'static str,
        arguments: &[&str],
    ) -> Result<Vec<u8>, EngineError> {
        self.git.run(action, Some(self.path), arguments).await
    }

    /// Brings in the commit, unless it is here.
    pub(super) async fn fetch(&self, commit: &str, told: &StepProgress) -> Result<(), EngineError> {
        if !self.path.join("HEAD").is_file() {
            let format = object_format(commit);
            let init = ["init", "-q", "--bare", format, "--template=", "."];
            self.run("prepare for", &init).await?;
            // What a repository leaves out of its own archives belongs to its tree all the same.
            let attributes = self.path.join("info/attributes");
            let failed = |source| EngineError::WriteFile {
                path: attributes.clone(),
                source,
            };
            std::fs::create_dir_all(self.path.join("info")).map_err(failed)?;
            std::fs::write(&attributes, "* -export-ignore -export-subst\n").map_err(failed)?;
        }
        if self.has(commit).await {
            return Ok(());
        }
        let line = format!("git fetch {} {commit}\n", shown(&self.git.url));
        told.log(LogStream::Stderr, line.into()).await;
        let own = format!("+{commit}:refs/kiln/{commit}");
        let one = ["fetch", "-q", "--no-tags", "--depth=1", "origin", &own];
        let Err(refused) = self.run("fetch", &one).await else {
            return Ok(());
        };
        // A remote need not give a commit by its name; it then gives all that it has.
        let mut all = vec!["fetch", "-q", "--tags", "--force"];
        if self.path.join("shallow").exists() {
            all.push("--unshallow");
        }
        all.extend(["origin", "+refs/heads/*:refs/remotes/origin/*"]);
        self.run("fetch", &all).await?;
        if !self.has(commit).await {
            return Err(refused);
        }
        let name = format!("refs/kiln/{commit}");
        self.run("fetch", &["update-ref", &name, commit]).await?;
        Ok(())
    }

    /// When the commit, which is here, was committed, in seconds since 1970.
    pub(super) async fn time(&self, commit: &str) -> Result<i64, EngineError> {
        let line = ["show", "-s", "--format=%ct", commit];
        let said = self.run("read", &line).await?;
        let text = String::from_utf8_lossy(&said);
        let time = text.trim().parse();
        time.map_err(|_| self.git.failed("read", &said).into())
    }

    async fn has(&self, commit: &str) -> bool {
        let name = format!("refs/kiln/{commit}^{{commit}}");
        let plain = format!("{commit}^{{commit}}");
        let has = self
            .run("look into", &["cat-file", "-e", &name])
            .await
            .is_ok();
        // Not named yet, it came with others.
        let name = format!("refs/kiln/{commit}");
        has || (self
            .run("look into", &["cat-file", "-e", &plain])
            .await
            .is_ok()
            && self
                .run("look into", &["update-ref", &name, commit])
                .await
                .is_ok())
    }

    /// Unpacks the tree of the commit at `place` of the draft.
    pub(super) async fn unpack(
        &self,
        commit: &str,
        draft: Draft,
        place: &Path,
        limits: snapshot::Limits,
    ) -> Result<Draft, EngineError> {
        let arguments = ["archive", "--format=tar", commit];
        let mut child = self
            .git
            .command(Some(self.path), &arguments)
            .spawn()
            .map_err(GitError::Start)?;
        let stdout = child.stdout.take().and_then(|out| out.into_owned_fd().ok());
        let stdout = stdout.ok_or(EngineError::LostThread)?;
        let place = place.to_owned();
        let unpack = crate::blocking(move || {
            let mut tar = std::fs::File::from(stdout);
            let done = snapshot::unpack(
                &mut tar,
                draft.upper(),
                &place,
                snapshot::Overwrite::Anything,
                snapshot::Owners::Archive,
                limits,
            );
            // Git must not wait for somebody to read what is left.
            let _ = tar.read(&mut [0]);
            done.map(|()| draft)
        });
        let mut said = Vec::new();
        let stderr = child.stderr.take();
        let listen = async {
            if let Some(stderr) = stderr {
                // What cannot be read is not told; how it ended is known all the same.
                let _ = stderr.take(MAX_OUTPUT).read_to_end(&mut said).await;
            }
        };
        let (unpacked, (), status) = tokio::join!(unpack, listen, child.wait());
        if !status.map_err(GitError::Start)?.success() {
            return Err(self.git.failed("read", &said).into());
        }
        Ok(unpacked??)
    }
}

/// The header that the client's secrets make for a remote over HTTP.
fn authorization(url: &str, session: &Session) -> Result<Option<(String, String)>, EngineError> {
    let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else {
        return Ok(None);
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    for suffix in [format!(".{host}"), String::new()] {
        let secret = |name: &str| {
            let secret = session.secret(&format!("{name}{suffix}"))?;
            let text = secret.map(|s| String::from_utf8_lossy(s.expose()).trim().to_owned());
            Ok::<_, EngineError>(text)
        };
        let header = match (secret("GIT_AUTH_HEADER")?, secret("GIT_AUTH_TOKEN")?) {
            (Some(header), _) => header,
            (None, Some(token)) => {
                let pair = format!("x-access-token:{token}");
                format!(
                    "basic {}",
                    base64::engine::general_purpose::STANDARD.encode(pair)
                )
            }
            (None, None) => continue,
        };
        return Ok(Some((
            format!("http.{scheme}://{host}/.extraheader"),
            format!("Authorization: {header}"),
        )));
    }
    Ok(None)
}
