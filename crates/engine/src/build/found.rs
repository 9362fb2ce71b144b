//! What is known of a repository or of a file at a URL, for those who ask before anything is built.

use graph::SourceOp;
use oci::Digest;

use super::stages::Build;
use crate::error::EngineError;
use crate::request::BuildRequest;
use crate::session::Session;
pub use crate::source::FoundCommit;

/// What a source is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundSource {
    /// A commit of a repository.
    Git(FoundCommit),
    /// A file at a URL.
    File(FoundFile),
}

/// A file at a URL, which was brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Of its bytes.
    pub digest: Digest,
    /// The name that it gets.
    pub name: String,
    /// When its server says that it was last changed, in seconds since 1970.
    pub modified: Option<i64>,
}

impl Build {
    /// Finds a repository or a file at a URL, with what `request` offers; with the bytes of the
    /// commit and its tag if that is wanted.
    ///
    /// # Errors
    /// It could not be had, or is something else.
    pub async fn find_source(
        &self,
        request: &BuildRequest,
        source: &SourceOp,
        with_objects: bool,
        name: &str,
    ) -> Result<FoundSource, EngineError> {
        let task = self.task(name);
        let told = task.progress();
        let session = Session::of(request);
        let engine = self.engine();
        let found = async {
            match source {
                SourceOp::Git(git) => {
                    let found = engine.find_git(git, with_objects, &session, &told);
                    found.await.map(FoundSource::Git)
                }
                SourceOp::Http(http) => {
                    let fetched = engine.download(http, &session, &told).await?;
                    Ok(FoundSource::File(FoundFile {
                        digest: fetched.digest,
                        name: http.file_name.clone(),
                        modified: fetched.modified,
                    }))
                }
                SourceOp::Image(_) | SourceOp::Local(_) | SourceOp::Archive(_) => Err(
                    EngineError::Solve("neither a repository nor a URL".to_owned()),
                ),
            }
        };
        let found = found.await;
        task.end(found)
    }
}
