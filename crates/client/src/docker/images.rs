//! What is asked of images.

use std::io::{Read, Write};

use api::docker::{DeletedImage, Heard, HistoryRow, ImageSummary};
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::bodies::{self, Unread};
use super::rows::Rows;
use super::{Answer, Asked, Docker, DockerError, RegistryLogin};

/// What a prune removed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PruneAnswer {
    /// Images, and names of images.
    pub images_deleted: Option<Vec<DeletedImage>>,
    /// IDs of containers.
    pub containers_deleted: Option<Vec<String>>,
    /// Bytes.
    pub space_reclaimed: u64,
}

impl Docker {
    /// Images, and with `all` those that are only steps to others.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn images(&self, all: bool) -> Result<Vec<ImageSummary>, DockerError> {
        let asked = Asked::new(Method::GET, "/images/json").when("all", all);
        let Rows(images) = self.document(asked).await?;
        Ok(images)
    }

    /// All that is known of an image: the document as it came.
    ///
    /// # Errors
    /// There is none.
    pub async fn image(&self, name: &str) -> Result<String, DockerError> {
        self.text_of(Asked::image(Method::GET, name, "json")?).await
    }

    /// What made an image.
    ///
    /// # Errors
    /// There is none.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryRow>, DockerError> {
        let asked = Asked::image(Method::GET, name, "history")?;
        let Rows(rows) = self.document(asked).await?;
        Ok(rows)
    }

    /// Gives an image a further name.
    ///
    /// # Errors
    /// There is none.
    pub async fn tag(&self, name: &str, repository: &str, tag: &str) -> Result<(), DockerError> {
        let asked = Asked::image(Method::POST, name, "tag")?;
        let asked = asked.with("repo", repository).with("tag", tag);
        self.send(asked).await.map(drop)
    }

    /// Removes a name, or an image that has none.
    ///
    /// # Errors
    /// There is none, or it is in use.
    pub async fn remove_image(
        &self,
        name: &str,
        force: bool,
    ) -> Result<Vec<DeletedImage>, DockerError> {
        let asked = Asked::image(Method::DELETE, name, "")?;
        self.document(asked.when("force", force)).await
    }

    /// Removes what nobody needs of `kind`: `images` or `containers`.
    ///
    /// # Errors
    /// The daemon does not know the filters, a document of its own.
    pub async fn prune(&self, kind: &str, filters: &str) -> Result<PruneAnswer, DockerError> {
        let asked = Asked::new(Method::POST, format!("/{kind}/prune"));
        self.document(asked.with("filters", filters)).await
    }

    /// Has an image brought from its registry, and tells how far that is.
    ///
    /// # Errors
    /// It cannot be had.
    pub async fn pull(
        &self,
        (name, tag): (&str, &str),
        platform: Option<&str>,
        login: &RegistryLogin,
        told: mpsc::Sender<Heard>,
    ) -> Result<(), DockerError> {
        let asked = Asked::new(Method::POST, "/images/create");
        let asked = asked.with("fromImage", name).with("tag", tag);
        let asked = asked.maybe("platform", platform).login(login);
        self.hear(self.send(asked).await?, told).await
    }

    /// Has an image sent to its registry, and tells how far that is.
    ///
    /// # Errors
    /// There is none, or the registry refuses it.
    pub async fn push(
        &self,
        (name, tag): (&str, &str),
        login: &RegistryLogin,
        told: mpsc::Sender<Heard>,
    ) -> Result<(), DockerError> {
        let asked = Asked::image(Method::POST, name, "push")?;
        let asked = asked.with("tag", tag).login(login);
        self.hear(self.send(asked).await?, told).await
    }

    /// Writes images as an archive. May block.
    ///
    /// # Errors
    /// There is none, or the archive broke off.
    pub async fn save(&self, names: &[String], output: impl Write) -> Result<(), DockerError> {
        let asked = Asked::new(Method::GET, "/images/get");
        let asked = names
            .iter()
            .fold(asked, |asked, name| asked.with("names", name));
        self.save_to(self.send(asked).await?, output).await
    }

    /// Takes over the images of an archive, and tells which.
    ///
    /// # Errors
    /// The archive is none, or cannot be read.
    pub async fn load(
        &self,
        input: impl Read + Send + 'static,
        told: mpsc::Sender<Heard>,
    ) -> Result<(), DockerError> {
        let answer = self.upload(Asked::new(Method::POST, "/images/load"), input);
        self.hear(answer.await?, told).await
    }

    /// Sends a request with an archive.
    pub(super) async fn upload(
        &self,
        asked: Asked,
        input: impl Read + Send + 'static,
    ) -> Result<Answer, DockerError> {
        let mut tasks = JoinSet::new();
        let kind = HeaderValue::from_static("application/x-tar");
        let mut asked = asked.header(CONTENT_TYPE, kind);
        let unread = Unread::default();
        asked.body = bodies::reading(input, unread.clone(), &mut tasks);
        let answer = self.send(asked).await;
        // What became of the request is only a consequence.
        unread
            .take()
            .map_or(answer, |error| Err(DockerError::Input(error)))
    }
}
