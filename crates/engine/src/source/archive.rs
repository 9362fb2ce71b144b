//! Archives whose files are a context: a blob in the store, unpacked once and known by its digest.

use std::io::{BufReader, Read, Write as _};
use std::path::Path;
use std::sync::Arc;

use graph::{ArchiveSource, ContentHash as _, ContentHasher};
use oci::Digest;
use snapshot::archive::{Compression, START};
use solver::CacheKey;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::Stack;

/// What the archive's files are known by.
pub(crate) fn key(source: &ArchiveSource) -> CacheKey {
    let mut hasher = ContentHasher::new("archive");
    source.digest.feed(&mut hasher);
    CacheKey(*hasher.finish().as_bytes())
}

impl Inner {
    /// The archive's files.
    pub(crate) async fn archive(
        self: &Arc<Self>,
        source: &ArchiveSource,
    ) -> Result<Stack, EngineError> {
        let (engine, source) = (Arc::clone(self), source.clone());
        crate::blocking(move || {
            if let Some(stack) = engine.recorded(key(&source))? {
                return Ok(stack);
            }
            let stack = engine.unpack_archive(&source.digest)?;
            let of = (store::RecordKind::Regular, "an unpacked archive");
            engine.record(key(&source), &stack, of)?;
            Ok(stack)
        })
        .await?
    }

    fn unpack_archive(&self, digest: &Digest) -> Result<Stack, EngineError> {
        let failed = |source| EngineError::Io {
            action: "read the archive",
            source,
        };
        let compression = self.compression_of_archive(digest)?;
        let blob = BufReader::with_capacity(START, self.store.blobs().open(digest)?);
        let tar = compression
            .unwrap_or(Compression::None)
            .decode(blob, &self.config.limits.archive())
            .map_err(failed)?;
        let draft = self.draft(&[])?;
        snapshot::unpack(
            tar,
            draft.upper(),
            Path::new("/"),
            snapshot::Overwrite::Anything,
            snapshot::Owners::Archive,
            self.config.limits.archive(),
        )?;
        Ok(Stack::new(vec![self.publish(draft.commit())?]))
    }

    /// How the blob is compressed; none when it is no archive.
    pub(crate) fn compression_of_archive(
        &self,
        digest: &Digest,
    ) -> Result<Option<Compression>, EngineError> {
        let mut start = Vec::new();
        let read = self.store.blobs().open(digest)?;
        read.take(START as u64)
            .read_to_end(&mut start)
            .map_err(|source| EngineError::Io {
                action: "read a blob",
                source,
            })?;
        Ok(Compression::of_archive(&start))
    }

    /// Keeps what the client sends as a blob.
    pub(crate) fn keep_stream(
        &self,
        mut stream: Box<dyn Read + Send>,
    ) -> Result<Digest, EngineError> {
        let mut writer = self.store.blobs().writer(&self.lease, None)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let action = "read standard input";
                    return Err(EngineError::Io { action, source });
                }
            };
            writer
                .write_all(&buffer[..read])
                .map_err(|source| EngineError::Write { source })?;
        }
        Ok(writer.commit()?.digest)
    }
}
