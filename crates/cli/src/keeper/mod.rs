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
use std::sync::Arc;
use std::time::SystemTime;

use client::{Docker, DockerError};
use engine::{Engine, EngineError};

use crate::environment::Environment;
use crate::error::Error;
use crate::remote::{self, Host};

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

/// A daemon that is another process, and what of this user's it may be sent.
#[derive(Clone)]
pub(crate) struct There {
    docker: Docker,
    credentials: Arc<dyn engine::Credentials>,
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
    ///
    /// # Errors
    /// Docker's configuration, which has credentials, makes no sense.
    pub(crate) fn new(host: Host, environment: &Environment) -> Result<Self, Error> {
        Ok(Self {
            docker: Docker::new(host.address),
            credentials: remote::credentials(environment)?,
            now: environment.now,
        })
    }

    /// What asks it.
    pub(crate) const fn docker(&self) -> &Docker {
        &self.docker
    }
}

impl KeeperError {
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

/// What a daemon says of a thing by name: what it has not is `missing`.
fn told<T>(
    answer: Result<T, DockerError>,
    missing: impl FnOnce() -> EngineError,
) -> Result<T, KeeperError> {
    answer.map_err(|error| match error.is_not_found() {
        true => KeeperError::Engine(missing()),
        false => KeeperError::Docker(error),
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
        let error = match error {
            KeeperError::Engine(error) => return error.into(),
            KeeperError::Docker(error) => error,
        };
        let dressed = Self::new(error.to_string());
        match error {
            DockerError::NoApi { .. } => dressed.hint(
                "a builder alone has no images and containers: those of kiln's daemon are had over \
                 Docker's API (kiln serve)",
            ),
            DockerError::Connect(_) => dressed.hint("is a daemon running? kiln serve"),
            _ => dressed,
        }
    }
}

impl fmt::Debug for There {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("There").field(&self.docker).finish()
    }
}
