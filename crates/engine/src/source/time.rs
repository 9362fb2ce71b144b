//! When a source was made: the time of a repository's commit, of a file as its server tells it, or
//! of the newest file in an archive.

use std::io::BufReader;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use graph::{GitSource, HttpSource, SourceOp};
use oci::Digest;
use reqwest::Method;
use reqwest::header::{HeaderMap, LAST_MODIFIED};
use snapshot::tar::{EntryKind, Reader};
use solver::ProgressSender;

use super::git::shown;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::progress::Task;
use crate::request::BuildRequest;
use crate::session::Session;

/// What a server says of when a file was last changed, in seconds since 1970.
pub(super) fn last_modified(headers: &HeaderMap) -> Option<i64> {
    date(headers.get(LAST_MODIFIED)?.to_str().ok()?)
}

/// A date of HTTP, in any of the three forms that servers have written over time. Some call its zone
/// UTC.
fn date(text: &str) -> Option<i64> {
    let text = text.trim();
    let time = match text.strip_suffix("UTC") {
        Some(rest) => httpdate::parse_http_date(&format!("{rest}GMT")),
        None => httpdate::parse_http_date(text),
    };
    let since = time.ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

impl Inner {
    /// When `op` was made, in seconds since 1970; none when nobody says.
    pub(crate) async fn time_of(
        self: &Arc<Self>,
        op: &SourceOp,
        request: &BuildRequest,
        progress: &ProgressSender,
    ) -> Result<Option<i64>, EngineError> {
        let name = match op {
            SourceOp::Git(git) => format!("[internal] load time of {}", shown(&git.url)),
            SourceOp::Http(http) => format!("[internal] load time of {}", http.url),
            _ => "[internal] load time of archive".to_owned(),
        };
        let task = Task::begin(progress, &self.clock, &name);
        let told = task.progress();
        let session = Session::of(request);
        let time = async {
            match op {
                SourceOp::Git(git) => self.commit_time(git, &session, &told).await.map(Some),
                SourceOp::Http(http) => self.file_time(http, &session, &told).await,
                SourceOp::Archive(archive) => self.blob_time(archive.digest).await,
                SourceOp::Image(_) | SourceOp::Local(_) => Ok(None),
            }
        };
        let time = time.await;
        task.end(time)
    }

    async fn commit_time(
        self: &Arc<Self>,
        source: &GitSource,
        session: &Session,
        told: &solver::StepProgress,
    ) -> Result<i64, EngineError> {
        let commit = self.resolve_git(source, session, told).await?;
        self.time_of_commit(source, &commit, session, told).await
    }

    /// Asks the server, and looks into the file if it does not say.
    async fn file_time(
        self: &Arc<Self>,
        source: &HttpSource,
        session: &Session,
        told: &solver::StepProgress,
    ) -> Result<Option<i64>, EngineError> {
        if let Some(time) = source.checksum.and_then(|known| self.told_time(&known)) {
            return Ok(Some(time));
        }
        // A server that does not answer this answers the download.
        let asked = self.request(Method::HEAD, source, session)?;
        if let Ok(answer) = asked.send().await
            && let Some(time) = last_modified(answer.headers())
        {
            return Ok(Some(time));
        }
        let fetched = self.download(source, session, told).await?;
        self.blob_time(fetched.digest).await
    }

    /// The time that the server told of the blob, or else of the newest file in it.
    async fn blob_time(self: &Arc<Self>, digest: Digest) -> Result<Option<i64>, EngineError> {
        if let Some(time) = self.told_time(&digest) {
            return Ok(Some(time));
        }
        let engine = Arc::clone(self);
        crate::blocking(move || engine.newest_file(&digest)).await?
    }

    fn told_time(&self, digest: &Digest) -> Option<i64> {
        let times = self.times.lock();
        let times = times.unwrap_or_else(std::sync::PoisonError::into_inner);
        times.get(digest).copied()
    }

    fn newest_file(&self, digest: &Digest) -> Result<Option<i64>, EngineError> {
        let Some(compression) = self.compression_of_archive(digest)? else {
            return Ok(None);
        };
        let blob = BufReader::new(self.store.blobs().open(digest)?);
        let tar = compression.decode(blob, &self.config.limits.archive());
        let tar = tar.map_err(|source| EngineError::Io {
            action: "read the archive",
            source,
        })?;
        let mut reader = Reader::new(BufReader::new(tar));
        let mut newest = None;
        while let Some(entry) = reader.next_entry()? {
            if entry.kind == EntryKind::File {
                newest = newest.max(Some(entry.modified.seconds));
            }
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_of_http_have_three_forms() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Tuesday, 14-Nov-23 22:16:41 UTC", Some(1_700_000_201)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("1994-11-06T08:49:37Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(date(text), expected, "{text:?}");
        }
    }
}
