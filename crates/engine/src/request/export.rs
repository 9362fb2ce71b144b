//! What becomes of the result of a build.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use oci::{Compression, Reference};

use crate::annotation::Annotations;
use crate::export::ExportedImage;

/// What becomes of the result.
#[derive(Debug, Clone)]
pub enum Export {
    /// An image in the store, pushed too when asked.
    Image(ImageExport),
    /// An archive that other tools load.
    Archive(ArchiveExport),
    /// The files of the result, without being an image.
    Files(FilesExport),
}

impl Export {
    pub(crate) const IMAGE: &str = "image";

    /// What an image says of itself; none if it is no image.
    pub const fn annotations_mut(&mut self) -> Option<&mut Annotations> {
        match self {
            Self::Image(image) => Some(&mut image.annotations),
            Self::Archive(archive) => Some(&mut archive.annotations),
            Self::Files(_) => None,
        }
    }

    /// What BuildKit calls it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Image(_) => Self::IMAGE,
            Self::Archive(archive) => match archive.kind {
                ArchiveKind::Oci => "oci",
                ArchiveKind::Docker => "docker",
            },
            Self::Files(FilesExport::Directory { .. }) => "local",
            Self::Files(FilesExport::Tar { .. }) => "tar",
        }
    }
}

/// An image in the store.
#[derive(Debug, Clone)]
pub struct ImageExport {
    /// Names beside the request's tags.
    pub names: Vec<Reference>,
    /// Push it under all its names.
    pub push: bool,
    /// Push it by its digest alone, into the repositories of its names, and keep no name of it.
    pub by_digest: bool,
    /// Push it whatever certificate the registry shows, and by plain HTTP where there is no HTTPS.
    pub insecure: bool,
    /// Keep it in the store under its names.
    pub store: bool,
    /// How its layers are written for a push.
    pub layers: LayerFormat,
    /// How what is stated about it is written.
    pub attestations: AttestationFormat,
    /// What becomes of times.
    pub times: Times,
    /// What it says of itself where it is pushed and stored.
    pub annotations: Annotations,
}

/// An archive that other tools load.
#[derive(Debug, Clone)]
pub struct ArchiveExport {
    /// What it looks like inside.
    pub kind: ArchiveKind,
    /// Names beside the request's tags.
    pub names: Vec<Reference>,
    /// Where it goes.
    pub destination: Destination,
    /// How its layers are written.
    pub layers: LayerFormat,
    /// How what is stated about the image is written.
    pub attestations: AttestationFormat,
    /// What becomes of times.
    pub times: Times,
    /// What the image says of itself.
    pub annotations: Annotations,
}

/// What an archive looks like inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// An OCI layout (`skopeo … oci-archive:`).
    Oci,
    /// What `docker load` reads, which is an OCI layout too.
    Docker,
}

/// Files without an image.
#[derive(Debug, Clone)]
pub enum FilesExport {
    /// Into a directory of this machine.
    Directory {
        /// Where it is.
        path: PathBuf,
        /// Whether each platform has a directory in it; when there are several, if nothing is said.
        split: Option<bool>,
        /// No time of a file is later.
        latest: Latest,
        /// What names of statements begin with that lie beside the files.
        statement_prefix: String,
    },
    /// As one tar. Of several platforms each has a directory in it.
    Tar {
        /// Where it goes.
        destination: Destination,
        /// No time of a file is later.
        latest: Latest,
        /// What names of statements begin with that lie beside the files.
        statement_prefix: String,
    },
}

impl FilesExport {
    /// No time of a file is later.
    pub(crate) const fn latest(&self) -> Latest {
        match self {
            Self::Directory { latest, .. } | Self::Tar { latest, .. } => *latest,
        }
    }

    /// What names of statements begin with that lie beside the files.
    pub(crate) fn statement_prefix(&self) -> &str {
        match self {
            Self::Directory {
                statement_prefix, ..
            }
            | Self::Tar {
                statement_prefix, ..
            } => statement_prefix,
        }
    }
}

/// Whether names of files can begin with this.
#[must_use]
pub fn is_name_prefix(text: &str) -> bool {
    !text.contains('/') && !text.contains('\0')
}

/// Where an archive goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// A file of this machine.
    File(PathBuf),
    /// Standard output of the client.
    Stdout,
    /// A directory of this machine that becomes an OCI layout (`tar=false`).
    Directory(PathBuf),
    /// To a client, once.
    Stream(ClientStream),
}

/// Where bytes go that a client takes, once.
#[derive(Clone)]
pub struct ClientStream(Arc<Mutex<Option<Box<dyn Sink>>>>);

/// Takes bytes on a thread that may block.
pub trait Sink: Write + Send {
    /// What will be written is an archive of this.
    fn about(&mut self, image: &ExportedImage) {
        let _ = image;
    }

    /// All was written; returns when it has arrived. A sink that is dropped without this tells
    /// that something is missing.
    ///
    /// # Errors
    /// It did not arrive.
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}

impl ClientStream {
    /// Of what `sink` takes.
    #[must_use]
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(sink)))))
    }

    /// Says what will be written.
    pub(crate) fn about(&self, image: &ExportedImage) {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = sink.as_mut() {
            sink.about(image);
        }
    }

    /// The sink; none the second time.
    pub(crate) fn take(&self) -> Option<Box<dyn Sink>> {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sink.take()
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientStream(…)")
    }
}

/// How layers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFormat {
    /// Compression of layers that have no blob yet.
    pub compression: Compression,
    /// The format's own level; its default when none.
    pub level: Option<i32>,
    /// Compress layers again that have a blob in another format.
    pub force: bool,
    /// OCI's media types; Docker's otherwise.
    pub oci_media_types: bool,
}

/// How attestations are written, which are what is stated about images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestationFormat {
    /// Those too that are only for images with an index, which a single image has for them then.
    pub inline: bool,
    /// As artifacts that refer to their image; otherwise as images of no platform.
    pub artifact: bool,
}

impl AttestationFormat {
    /// What images have that are stored or pushed.
    pub const IMAGE: Self = Self {
        inline: true,
        artifact: true,
    };
    /// What archives have.
    pub const ARCHIVE: Self = Self {
        inline: false,
        artifact: true,
    };
}

/// What becomes of times in an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// None of them is later.
    pub latest: Latest,
    /// Whether that holds for files in layers too, whose descriptors then say so. When nothing is
    /// asked for it does, and nothing says so.
    pub rewrite: Option<bool>,
}

/// The latest time of what is exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Latest {
    /// `SOURCE_DATE_EPOCH` of the build, if it has one.
    #[default]
    OfBuild,
    /// There is none, whatever the build says.
    Any,
    /// In seconds since 1970, in place of what the build says.
    Seconds(i64),
}

impl Latest {
    /// In seconds, where `of_build` is the build's own.
    pub(crate) const fn seconds(self, of_build: Option<i64>) -> Option<i64> {
        match self {
            Self::OfBuild => of_build,
            Self::Any => None,
            Self::Seconds(seconds) => Some(seconds),
        }
    }
}

impl Times {
    /// The latest time in layers.
    pub(crate) const fn of_layers(self, of_build: Option<i64>) -> Option<i64> {
        match self.rewrite {
            Some(false) => None,
            Some(true) | None => self.latest.seconds(of_build),
        }
    }

    /// That which stands for all times of the documents; what a file says of itself stays.
    pub(crate) fn of_documents(self, of_build: Option<i64>) -> Option<i64> {
        self.latest.seconds(of_build).or(of_build)
    }
}

impl Default for LayerFormat {
    fn default() -> Self {
        Self {
            compression: Compression::Gzip,
            level: None,
            force: false,
            oci_media_types: true,
        }
    }
}
