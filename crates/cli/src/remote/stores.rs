//! OCI layouts of this machine as stores of a session: caches in directories, and images that are
//! contexts. The builder takes blobs out of them and puts blobs there; the index is ours.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use client::{Sink, Store};
use engine::{HeldLayout, LayoutCache};
use oci::{Descriptor, Digest, Hasher};
use tempfile::NamedTempFile;

use crate::error::Error;

/// By which a builder tells the manifest of a cache that it has sent.
const MANIFEST: &str = "cache.manifest";

/// A cache that a builder sends us.
#[derive(Debug)]
pub(crate) struct Taken {
    layout: HeldLayout,
    reset: bool,
    now: fn() -> SystemTime,
}

impl Taken {
    /// Makes the directory, and holds it for what comes.
    pub(super) fn new(
        layout: &LayoutCache,
        reset: bool,
        now: fn() -> SystemTime,
    ) -> Result<Self, Error> {
        Ok(Self {
            layout: HeldLayout::new(layout.clone())?,
            reset,
            now,
        })
    }

    /// Names what has come. A build without results has no cache.
    pub(crate) fn finish(self, response: &HashMap<String, String>) -> Result<(), Error> {
        let Some(json) = response.get(MANIFEST) else {
            return Ok(());
        };
        let manifest: Descriptor = serde_json::from_str(json).map_err(|error| {
            Error::new(format!(
                "the builder tells no manifest of the cache: {error}"
            ))
        })?;
        Ok(self.layout.finish(manifest, self.reset, (self.now)())?)
    }
}

/// The blobs of a layout.
#[derive(Debug)]
pub(super) struct Blobs(pub(super) PathBuf);

impl Blobs {
    pub(super) fn of(layout: &Path) -> Arc<dyn Store> {
        Arc::new(Self(layout.join("blobs/sha256")))
    }

    /// Where the blob is, and its digest.
    fn place(&self, digest: &str) -> io::Result<(PathBuf, Digest)> {
        let parsed: Result<Digest, _> = digest.parse();
        let digest = parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok((self.0.join(digest.hex()), digest))
    }
}

impl Store for Blobs {
    fn open(&self, digest: &str) -> io::Result<Option<File>> {
        match File::open(self.place(digest)?.0) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn begin(&self, digest: &str) -> io::Result<Box<dyn Sink>> {
        let (place, digest) = self.place(digest)?;
        fs::create_dir_all(&self.0)?;
        Ok(Box::new(NewBlob {
            file: NamedTempFile::new_in(&self.0)?,
            hasher: Hasher::new(),
            digest,
            place,
        }))
    }
}

/// A blob that is not whole; removed when it never is.
struct NewBlob {
    file: NamedTempFile,
    hasher: Hasher,
    digest: Digest,
    place: PathBuf,
}

impl Write for NewBlob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for NewBlob {
    fn finish(self: Box<Self>) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let Self {
            file,
            hasher,
            digest,
            place,
        } = *self;
        if hasher.finish() != digest {
            return Err(io::Error::other(format!("{digest} has other bytes")));
        }
        let readable = fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(readable)?;
        file.as_file().sync_all()?;
        file.persist(place)?;
        Ok(())
    }
}
