//! Who keeps images and containers: the store of this process, or a daemon that is another one and
//! answers Docker's API. Commands ask either in the same words and show what it answers by the same
//! code.
//!
//! What a daemon says that it has not is the engine's own error, so that it reads the same.

mod containers;
mod images;
mod shown;
mod transfer;

use std::fmt;
use std::future::Future;
use std::time::SystemTime;

use client::{Docker, DockerError};
use engine::{Engine, EngineError};

use crate::commands::session::block_on;
use crate::environment::Environment;
use crate::error::Error;
use crate::remote::{CredentialFiles, Host};

pub(crate) use images::{Listed, since_1970};
pub(crate) use shown::Shown;

/// Who keeps images and containers.
#[derive(Debug, Clone)]
pub(crate) enum Keeper {
    /// The store of this process.
    Here(Engine),
    /// A daemon that is another one.
    There(There),
}

/// A daemon that is another process, and where this user's credentials are, of which it is sent
/// those for the registry in question.
#[derive(Clone)]
pub(crate) struct There {
    docker: Docker,
    credentials: CredentialFiles,
    now: fn() -> SystemTime,
}

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum KeeperError {
    /// By the engine, or in its words.
    Engine(EngineError),
    /// By a daemon.
    Docker(DockerError),
}

impl There {
    /// The daemon at `host`.
    pub(crate) fn new(host: &Host, environment: &Environment) -> Self {
        Self {
            docker: Docker::new(host.address.clone()),
            credentials: CredentialFiles::of(environment),
            now: environment.now,
        }
    }

    /// What asks it.
    pub(crate) const fn docker(&self) -> &Docker {
        &self.docker
    }
}

impl KeeperError {
    /// A daemon has no such thing.
    const fn is_not_found(&self) -> bool {
        matches!(self, Self::Docker(error) if error.is_not_found())
    }

    /// There is no such image or container.
    pub(crate) const fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Engine(EngineError::NoSuchImage(_) | EngineError::NoSuchContainer(_))
        )
    }

    /// There is a container, and no such file in it.
    pub(crate) const fn is_missing_file(&self) -> bool {
        matches!(self, Self::Engine(EngineError::NoSuchFile { .. }))
    }
}

/// What a daemon answers.
fn ask<T>(
    asked: impl Future<Output = Result<T, DockerError>>,
) -> Result<Result<T, KeeperError>, Error> {
    Ok(block_on(asked)?.map_err(KeeperError::Docker))
}

/// What a daemon answers of a thing by name: what it has not is `missing`.
fn told<T>(
    answer: Result<T, KeeperError>,
    missing: impl FnOnce() -> EngineError,
) -> Result<T, KeeperError> {
    answer.map_err(|error| match error.is_not_found() {
        true => missing().into(),
        false => error,
    })
}

fn no_image(name: &str) -> impl FnOnce() -> EngineError {
    let name = name.to_owned();
    || EngineError::NoSuchImage(name)
}

fn no_container(name: &str) -> impl FnOnce() -> EngineError {
    let name = name.to_owned();
    || EngineError::NoSuchContainer(name)
}

impl From<EngineError> for KeeperError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<DockerError> for KeeperError {
    fn from(error: DockerError) -> Self {
        Self::Docker(error)
    }
}

impl From<KeeperError> for Error {
    fn from(error: KeeperError) -> Self {
        match error {
            KeeperError::Engine(error) => error.into(),
            KeeperError::Docker(error) => error.into(),
        }
    }
}

impl fmt::Debug for There {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("There").field(&self.docker).finish()
    }
}
