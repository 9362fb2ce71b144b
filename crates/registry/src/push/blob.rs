//! Getting a blob into a repository: it is there, it is mounted, or it is uploaded.

use std::sync::Arc;

use oci::{Descriptor, Digest, Reference};
use reqwest::{Method, StatusCode};

use super::BlobSource;
use super::upload::Upload;
use crate::auth::Scopes;
use crate::client::slot;
use crate::endpoint::Endpoint;
use crate::error::What;
use crate::exchange::{Answer, Call};
use crate::{Client, Error};

/// How a blob came to be in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Existed,
    /// The registry took it from another of its repositories.
    Mounted {
        /// Which.
        from: Reference,
    },
    /// It was sent.
    Uploaded,
}

/// What a registry says to a request to mount.
enum Mount {
    Done,
    /// It did not, and begins an upload instead.
    Begun(Upload),
    /// The source may not be read, or mounting is unknown.
    Refused,
}

impl Client {
    /// Whether the repository of `reference` has the blob.
    ///
    /// # Errors
    /// The registry does not say.
    pub async fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, Error> {
        let ask = |endpoint| self.ask_for_blob(endpoint, reference, digest);
        self.on_registry(reference, ask).await
    }

    /// Takes the blob over from the repository of `from`, on the same registry. `false` when
    /// the registry does not do that.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub async fn mount_blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        from: &Reference,
    ) -> Result<bool, Error> {
        let mount = |endpoint| self.try_mount(endpoint, reference, digest, from);
        match self.on_registry(reference, mount).await? {
            Mount::Done => Ok(true),
            Mount::Refused => Ok(false),
            Mount::Begun(upload) => {
                self.cancel(reference, &upload).await;
                Ok(false)
            }
        }
    }

    /// Sees to it that the repository of `reference` has the blob: it is not sent when it is
    /// there or can be mounted from one of `sources`. Sources on other registries are passed
    /// over.
    ///
    /// # Errors
    /// The registry does not take it, or `body` cannot be read.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        sources: &[Reference],
        body: &dyn BlobSource,
    ) -> Result<Pushed, Error> {
        let endpoint = self.wire.endpoints.for_push(reference.domain());
        let _slot = slot(&endpoint.pushes).await;
        if self.has_blob(reference, &descriptor.digest).await? {
            return Ok(Pushed::Existed);
        }
        let mut upload = None;
        for from in sources.iter().filter(|from| is_elsewhere(reference, from)) {
            let mount = |endpoint| self.try_mount(endpoint, reference, &descriptor.digest, from);
            match self.on_registry(reference, mount).await? {
                Mount::Done => return Ok(Pushed::Mounted { from: from.clone() }),
                Mount::Refused => {}
                // Registries that do not mount begin an upload instead; it is as good as ours.
                Mount::Begun(begun) => {
                    upload = Some(begun);
                    break;
                }
            }
        }
        self.upload(&endpoint, reference, descriptor, body, upload)
            .await?;
        Ok(Pushed::Uploaded)
    }

    async fn ask_for_blob(
        &self,
        endpoint: Arc<Endpoint>,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let _slot = slot(&endpoint.requests).await;
        let path = format!("blobs/{digest}");
        let mut call = Call::new(&endpoint, reference, Method::HEAD, &path);
        call.scopes = Scopes::push(reference);
        let answer = self.exchange(&call).await?;
        if answer.response.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        answer.success(What::Blob).await.map(|_| true)
    }

    async fn try_mount(
        &self,
        endpoint: Arc<Endpoint>,
        reference: &Reference,
        digest: &Digest,
        from: &Reference,
    ) -> Result<Mount, Error> {
        let _slot = slot(&endpoint.requests).await;
        let path = format!("blobs/uploads/?mount={digest}&from={}", from.repository());
        let mut call = Call::new(&endpoint, reference, Method::POST, &path);
        call.scopes = Scopes::push(reference).and_pull(from);
        let answer: Answer = self.exchange(&call).await?;
        match answer.response.status().as_u16() {
            201 => Ok(Mount::Done),
            202 => Upload::of(&answer).map(Mount::Begun),
            400..=405 => Ok(Mount::Refused),
            _ => answer.success(What::Blob).await.map(|_| Mount::Refused),
        }
    }
}

fn is_elsewhere(target: &Reference, source: &Reference) -> bool {
    target.domain() == source.domain() && target.repository() != source.repository()
}
