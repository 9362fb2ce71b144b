//! Why stages cannot become a graph; the words are BuildKit's where it has any.

use crate::instruction::{FlagError, MountError};
use crate::lint::CheckOptionsError;
use crate::parser::ParseError;
use crate::quote::quote;
use crate::word::WordError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LowerError {
    // Stages.
    #[error("dockerfile contains no stages to build")]
    NoStages,
    #[error("base name ({0}) should not be blank")]
    BlankBase(String),
    #[error("from name ({0}) should not be blank")]
    BlankFrom(String),
    #[error("failed to parse stage name {}: {error}", quote(.name))]
    StageName {
        name: String,
        error: oci::ReferenceError,
    },
    #[error("failed to process arguments for platform {platform}: {error}")]
    PlatformWord { platform: String, error: WordError },
    #[error("empty platform value from expression {written}{hint}")]
    EmptyPlatform { written: String, hint: String },
    #[error("failed to parse platform {written}: {reason}{hint}")]
    Platform {
        written: String,
        reason: String,
        hint: String,
    },
    #[error("target stage {} could not be found{hint}", quote(.name))]
    Target { name: String, hint: String },
    #[error("required stage {} could not be found{hint}", quote(.name))]
    Required { name: String, hint: String },
    #[error("invalid stage index {0}")]
    StageIndex(i64),
    #[error("circular dependency detected on stage: {0}")]
    Circle(String),
    #[error(
        "cannot copy from stage {}, it needs to be defined before current stage {}",
        quote(.from),
        quote(.stage)
    )]
    CopyForward { from: String, stage: String },
    #[error(
        "cannot mount from stage {} to {}, stage needs to be defined before current command",
        quote(.from),
        quote(.target)
    )]
    MountForward { from: String, target: String },
    #[error("{name}: {reason}{hint}")]
    Image {
        name: String,
        reason: String,
        hint: String,
    },

    // The request.
    #[error(
        "the Dockerfile asks to be read by {0}, which `kiln serve` runs for docker buildx; `kiln build` has docker/dockerfile alone"
    )]
    Syntax(String),
    #[error("failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: {0}")]
    CheckArgument(CheckOptionsError),
    #[error("invalid boolean value for multi-platform: {0}")]
    MultiPlatform(String),
    #[error("invalid context name {0}")]
    ContextName(String),
    #[error("invalid SOURCE_DATE_EPOCH: {0}")]
    Epoch(String),
    #[error("SOURCE_DATE_EPOCH stage must use FROM scratch")]
    EpochBase,
    #[error("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD with one source")]
    EpochSources,
    #[error("SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD")]
    EpochKind,
    #[error(
        "SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported {0} instruction"
    )]
    EpochInstruction(String),
    #[error(
        "the build definition has more than {} bytes",
        super::budget::MAX_BYTES
    )]
    TooLarge,

    // Instructions.
    #[error(transparent)]
    Word(#[from] WordError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Flag(#[from] FlagError),
    #[error("the base has more than {} triggers", crate::limits::MAX_TRIGGERS)]
    TooManyTriggers,
    #[error(transparent)]
    Trigger(#[from] ParseError),
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    #[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
    Octal(String),
    #[error("invalid chmod parameter: '{0}': invalid syntax: expected such as u=rwX,go=rX")]
    Mode(String),
    #[error("checksum can't be specified for multiple sources")]
    ChecksumSources,
    #[error("checksum requires HTTP(S) or Git sources")]
    ChecksumKind,
    #[error(transparent)]
    Checksum(#[from] oci::DigestError),
    #[error("checksum mismatch {} != {}", quote(.0), quote(.1))]
    ChecksumMismatch(String, String),
    #[error("source can't be a git ref for COPY")]
    CopyGit,
    #[error("source can't be a URL for COPY")]
    CopyUrl,
    #[error("inconsistent keep-git-dir configuration")]
    KeepGit,
    #[error(transparent)]
    Git(#[from] super::git::GitError),
    #[error("arguments are required")]
    NoArguments,
    #[error("invalid mount target {}", quote(.0))]
    MountTarget(String),
    #[error("ssh does not support source")]
    SshSource,
    #[error(transparent)]
    Device(#[from] super::device::DeviceError),
    #[error("security.insecure is not allowed; --allow security.insecure allows it")]
    Insecure,
    #[error("invalid signal: {0}")]
    Signal(String),
    #[error("VOLUME specified can not be an empty string")]
    EmptyVolume,
    #[error(transparent)]
    Expose(#[from] super::expose::ExposeError),
    #[error("the path is not on the system drive (C:): {}", quote(.0))]
    Drive(String),
    #[error("UNC paths are not supported: {}", quote(.0))]
    Share(String),
    #[error("RUN for {0} is not supported: steps run on linux alone")]
    ForeignStep(String),
    #[error(
        "files of a base image for windows cannot be copied or added to: its layers are not plain files"
    )]
    WindowsLayers,
}
