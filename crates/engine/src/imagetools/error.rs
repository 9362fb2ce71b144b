//! Why an image in a registry is not looked at or put together.

use oci::Digest;

use crate::annotation::AnnotationError;

/// What is wrong with sources, or with what is to be made of them.
#[derive(Debug, thiserror::Error)]
pub enum ImageToolsError {
    /// A text that names no source.
    #[error(
        "failed to parse source {text:?}, valid sources are digests, references and descriptors"
    )]
    Source {
        /// The text.
        text: String,
        /// What is wrong with it, read as what it looks like most.
        #[source]
        source: SourceError,
    },
    /// Nothing names a repository.
    #[error("no repositories specified, please set a reference in tag or source")]
    NoRepository,
    /// A digest alone, where it may be in more repositories than one.
    #[error("multiple repositories specified, cannot infer repository for {0:?}")]
    SeveralRepositories(String),
    /// Nothing to make an image of.
    #[error("no sources specified")]
    NoSources,
    /// The descriptor that was given is of other content.
    #[error("invalid size mismatch for {digest}, {given} != {found}")]
    Size {
        /// What it is about.
        digest: Digest,
        /// The size that was given.
        given: u64,
        /// The size that it has.
        found: u64,
    },
    /// The descriptor that was given says that it is an index, and it is none, or the reverse.
    #[error("{digest} is given as {given:?}, and it is {found}")]
    Type {
        /// What it is about.
        digest: Digest,
        /// The media type that was given.
        given: String,
        /// The media type that it has.
        found: String,
    },
    /// An annotation that is none.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// An annotation for what is not made here.
    #[error("{0:?} annotations are not supported: use index or manifest-descriptor")]
    AnnotationPlace(&'static str),
    /// The only source is for no platform that is wanted.
    #[error("input platform {0} does not match any of the provided platforms")]
    OtherPlatform(String),
    /// No part of the index is for a platform that is wanted.
    #[error("none of the manifests match the provided platforms")]
    NoPlatform,
    /// An index leads to indexes that lead to indexes, and so on.
    #[error("index {0} is nested too deeply")]
    Nested(Digest),
    /// An index leads to more than is looked at.
    #[error("index {digest} leads to more than {most} manifests")]
    TooMany {
        /// The index.
        digest: Digest,
        /// The most that are looked at.
        most: usize,
    },
    /// A blob that is read as a whole, and is larger than what is read so.
    #[error("blob {digest} of {size} bytes: at most {most} are read")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size, as its manifest says.
        size: u64,
        /// The most that is read.
        most: u64,
    },
    /// A config that is not JSON.
    #[error("invalid image config {digest}")]
    Config {
        /// The config.
        digest: Digest,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A statement about an image that is not in the form that it says.
    #[error("invalid statement {digest}")]
    Statement {
        /// The statement.
        digest: Digest,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The new index could not be written as JSON.
    #[error("cannot write JSON")]
    Serialize(#[source] serde_json::Error),
}

/// Why a text names no source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It looks like a digest.
    #[error(transparent)]
    Digest(oci::DigestError),
    /// It looks like a name.
    #[error(transparent)]
    Name(oci::ReferenceError),
    /// It looks like a descriptor.
    #[error("invalid descriptor")]
    Descriptor(#[source] serde_json::Error),
    /// It is a whole manifest or index.
    #[error("expected a descriptor, got a manifest or index (schemaVersion {0})")]
    Document(u64),
}
