//! Images, of either keeper.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use api::docker::{DeletedImage, Heard, HistoryRow, ImageSummary};
use client::{BoxFuture, RegistryLogin};
use daemon::view;
use engine::Credential;
use engine::events::ProgressSender;
use jiff::Timestamp;
use oci::{Platform, Reference};
use tokio::sync::mpsc;

use super::transfer::Transfer;
use super::{Keeper, KeeperError, Shown, There, ask, no_image, told};
use crate::commands::session::block_on;
use crate::error::Error;

/// What a daemon tells that waits to be shown, in documents.
const WAITING: usize = 16;

/// A line of the list of images.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Its name; none when nobody gave it one.
    pub(crate) reference: Option<Reference>,
    /// The digest of its config.
    pub(crate) id: String,
    /// The digest that its name leads to, where that is told.
    pub(crate) digest: Option<String>,
    /// When it was made.
    pub(crate) created: Option<Timestamp>,
    /// Bytes.
    pub(crate) size: u64,
    /// Labels of its config.
    pub(crate) labels: BTreeMap<String, String>,
}

/// What a pull came to.
#[derive(Debug)]
pub(crate) struct Pulled {
    /// What the name leads to.
    pub(crate) digest: String,
    /// It led to something else before, or nowhere.
    pub(crate) is_new: bool,
}

/// What a push came to.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// The manifest's digest.
    pub(crate) digest: String,
    /// Its bytes.
    pub(crate) size: u64,
}

impl Keeper {
    /// Images, each as often as it has names; with `all` also those that a daemon keeps as steps to
    /// others.
    pub(crate) fn images(&self, all: bool) -> Result<Vec<Listed>, Error> {
        match self {
            Self::Here(engine) => Ok(engine.images()?.into_iter().map(Listed::from).collect()),
            Self::There(there) => {
                let images = ask(there.docker.images(all))??;
                Ok(images.iter().flat_map(listed).collect())
            }
        }
    }

    /// All that is known of an image.
    pub(crate) fn image(&self, name: &str) -> Result<Shown, Error> {
        Ok(self.try_image(name)??)
    }

    /// The same, when it is not there without an end.
    pub(crate) fn try_image(&self, name: &str) -> Result<Result<Shown, KeeperError>, Error> {
        Ok(match self {
            Self::Here(engine) => match engine.inspect_image(name) {
                Ok(found) => Ok(Shown::Image(Box::new(view::image(found)))),
                Err(error) => Err(error.into()),
            },
            Self::There(there) => told(ask(there.docker.image(name))?, no_image(name))
                .and_then(|text| Shown::read(&there.docker, &text)),
        })
    }

    /// What made an image, newest first.
    pub(crate) fn image_history(&self, name: &str) -> Result<Vec<HistoryRow>, Error> {
        match self {
            Self::Here(engine) => Ok(view::history(engine.image_history(name)?, &[])),
            Self::There(there) => {
                let rows = ask(there.docker.image_history(name))?;
                Ok(told(rows, no_image(name))?)
            }
        }
    }

    /// Gives an image a further name.
    pub(crate) fn tag(&self, name: &str, target: &Reference) -> Result<(), Error> {
        match self {
            Self::Here(engine) => Ok(engine.tag_image(name, target)?),
            Self::There(there) => {
                let (repository, tag) = parts(target);
                let tagged = ask(there.docker.tag(name, &repository, &tag))?;
                Ok(told(tagged, no_image(name))?)
            }
        }
    }

    /// Removes a name, or an image that has none.
    pub(crate) fn remove_image(
        &self,
        name: &str,
        force: bool,
    ) -> Result<Result<Vec<DeletedImage>, KeeperError>, Error> {
        Ok(match self {
            Self::Here(engine) => match engine.remove_image(name, force) {
                Ok(removed) => Ok(view::removed(removed)),
                Err(error) => Err(error.into()),
            },
            Self::There(there) => {
                let removed = ask(there.docker.remove_image(name, force))?;
                told(removed, no_image(name))
            }
        })
    }

    /// Writes images as an archive.
    pub(crate) fn save(
        &self,
        names: &[String],
        output: impl Write + Send + 'static,
    ) -> Result<(), Error> {
        match self {
            Self::Here(engine) => Ok(block_on(engine.save(names, output))??),
            Self::There(there) => {
                let saved = block_on(there.docker.save(names, output))?;
                Ok(saved.map_err(KeeperError::from)?)
            }
        }
    }

    /// Takes over the images of an archive, and tells a line of each.
    pub(crate) fn load(
        &self,
        input: impl Read + Send + 'static,
        mut tell: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Here(engine) => {
                let loaded = block_on(engine.load(input))??;
                let mut lines = loaded.iter().map(view::loaded);
                lines.try_for_each(|line| tell(&line))
            }
            Self::There(there) => block_on(there.load(input, tell))?,
        }
    }

    /// Brings an image from its registry; of the platform that is asked for, else that of the
    /// keeper's machine.
    pub(crate) async fn pull(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        progress: ProgressSender,
    ) -> Result<Pulled, KeeperError> {
        let engine = match self {
            Self::Here(engine) => engine,
            Self::There(there) => return there.pull(reference, platform, progress).await,
        };
        let before = engine.inspect_image(&reference.familiar());
        let before = before.ok().map(|known| known.summary.digest);
        let host = Platform::host();
        let pulled = engine.pull(reference, platform.unwrap_or(&host), &progress);
        let digest = pulled.await?;
        Ok(Pulled {
            digest: digest.to_string(),
            is_new: before != Some(digest),
        })
    }

    /// Sends an image to its registry.
    pub(crate) async fn push(
        &self,
        reference: &Reference,
        progress: ProgressSender,
    ) -> Result<Pushed, KeeperError> {
        match self {
            Self::Here(engine) => {
                let manifest = engine.push(reference, &progress).await?;
                Ok(Pushed {
                    digest: manifest.digest.to_string(),
                    size: manifest.size,
                })
            }
            Self::There(there) => there.push(reference, progress).await,
        }
    }
}

impl There {
    async fn load(
        &self,
        input: impl Read + Send + 'static,
        mut tell: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (sender, mut heard) = mpsc::channel(WAITING);
        let loading = self.docker.load(input, sender);
        let listening = async {
            let mut told = Ok(());
            while let Some(Heard { stream, .. }) = heard.recv().await {
                let line = stream.trim_end();
                if !line.is_empty() && told.is_ok() {
                    told = tell(line);
                }
            }
            told
        };
        let (loaded, told) = tokio::join!(loading, listening);
        loaded.map_err(KeeperError::from)?;
        told
    }

    async fn pull(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        progress: ProgressSender,
    ) -> Result<Pulled, KeeperError> {
        let login = self.login(reference).await?;
        let (repository, tag) = parts(reference);
        let platform = platform.map(ToString::to_string);
        let mut pulled = Pulled {
            digest: String::new(),
            is_new: true,
        };
        let name = format!("pulling {reference}");
        let ask = |sender| {
            let from = (repository.as_str(), tag.as_str());
            let pull = self.docker.pull(from, platform.as_deref(), &login, sender);
            Box::pin(pull) as BoxFuture<'_, _>
        };
        self.follow(&name, progress, ask, |heard| {
            if let Some(digest) = heard.status.strip_prefix("Digest: ") {
                digest.clone_into(&mut pulled.digest);
            }
            pulled.is_new &= !heard.status.starts_with("Status: Image is up to date");
        })
        .await?;
        Ok(pulled)
    }

    async fn push(
        &self,
        reference: &Reference,
        progress: ProgressSender,
    ) -> Result<Pushed, KeeperError> {
        let login = self.login(reference).await?;
        let (repository, tag) = parts(reference);
        let mut pushed = Pushed {
            digest: String::new(),
            size: 0,
        };
        let name = format!("pushing {reference}");
        let ask = |sender| {
            let to = (repository.as_str(), tag.as_str());
            Box::pin(self.docker.push(to, &login, sender)) as BoxFuture<'_, _>
        };
        self.follow(&name, progress, ask, |heard| {
            let aux = heard.aux.as_ref().filter(|aux| !aux.digest.is_empty());
            let told = aux.map(|aux| (aux.digest.as_str(), aux.size));
            if let Some((digest, size)) = told.or_else(|| what_was_pushed(&heard.status)) {
                (pushed.digest, pushed.size) = (digest.to_owned(), size);
            }
        })
        .await?;
        Ok(pushed)
    }

    /// Asks for a transfer called `name`, shows how far it is, and looks at what is told.
    async fn follow<'a>(
        &'a self,
        name: &str,
        progress: ProgressSender,
        ask: impl FnOnce(mpsc::Sender<Heard>) -> BoxFuture<'a, Result<(), client::DockerError>>,
        mut look: impl FnMut(&Heard),
    ) -> Result<(), KeeperError> {
        let (sender, mut heard) = mpsc::channel(WAITING);
        let mut transfer = Transfer::begin(name, progress, self.now).await;
        let showing = async {
            while let Some(heard) = heard.recv().await {
                look(&heard);
                transfer.heard(&heard).await;
            }
        };
        let (done, ()) = tokio::join!(ask(sender), showing);
        transfer.end(done.as_ref().err()).await;
        Ok(done?)
    }

    /// What this user has for the registry of an image.
    async fn login(&self, reference: &Reference) -> Result<RegistryLogin, KeeperError> {
        let credentials = self.credentials.read()?;
        let found = credentials.lookup(reference.domain()).await;
        let found = found.map_err(|error| {
            let why = crate::error::chain(&error);
            KeeperError::Docker(client::DockerError::Failed(why))
        })?;
        Ok(match found {
            Credential::Anonymous => RegistryLogin::Anonymous,
            Credential::Basic { username, password } => RegistryLogin::Basic {
                username,
                password: password.expose().to_owned().into(),
            },
            Credential::IdentityToken(token) => {
                RegistryLogin::IdentityToken(token.expose().to_owned().into())
            }
            Credential::RegistryToken(token) => {
                RegistryLogin::RegistryToken(token.expose().to_owned().into())
            }
        })
    }
}

/// `TAG: digest: DIGEST size: BYTES`, which is all that some daemons say.
fn what_was_pushed(status: &str) -> Option<(&str, u64)> {
    let (_, told) = status.split_once(": digest: ")?;
    let (digest, size) = told.split_once(" size: ")?;
    Some((digest, size.parse().ok()?))
}

/// The repository, and the tag or digest in it.
fn parts(reference: &Reference) -> (String, String) {
    let of = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    (reference.familiar_name(), of)
}

impl From<engine::ImageSummary> for Listed {
    fn from(image: engine::ImageSummary) -> Self {
        Self {
            reference: image.reference,
            id: image.id.to_string(),
            digest: Some(image.digest.to_string()),
            created: image.created.and_then(|text| text.parse().ok()),
            size: image.size,
            labels: image.labels,
        }
    }
}

/// A line for each name of an image, or one for an image without.
fn listed(row: &ImageSummary) -> Vec<Listed> {
    let line = |reference: Option<Reference>| {
        let name = reference.as_ref().map(Reference::familiar_name);
        let mut digests = row.repo_digests.iter();
        let digest = digests.find_map(|digest| {
            let (of, digest) = digest.split_once('@')?;
            (Some(of) == name.as_deref()).then(|| digest.to_owned())
        });
        Listed {
            reference,
            id: row.id.clone(),
            digest,
            created: since_1970(row.created).and_then(|time| Timestamp::try_from(time).ok()),
            size: row.size,
            labels: row.labels.clone(),
        }
    };
    let names = row.repo_tags.iter();
    let lines: Vec<Listed> = names
        .filter_map(|name| name.parse().ok())
        .map(|reference| line(Some(reference)))
        .collect();
    match lines.is_empty() {
        true => vec![line(None)],
        false => lines,
    }
}

/// A time that the API has in seconds since 1970. What is before has none: daemons say the year 1
/// where they know none.
pub(crate) fn since_1970(seconds: i64) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
