//! Why the value of a flag is not one.

/// Why the value of a flag is not one; the words are docker's where docker has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A quote in a field that does not start with one.
    #[error("parse error in {0:?}: bare \" in non-quoted field")]
    BareQuote(String),
    /// A quoted field that does not end, or goes on after its end.
    #[error("parse error in {0:?}: extraneous or missing \" in quoted-field")]
    Quote(String),
    /// Not what is stated of where something came from.
    #[error(transparent)]
    Provenance(#[from] engine::ProvenanceError),
    /// No description of how an SBOM is made.
    #[error(transparent)]
    Sbom(#[from] engine::SbomError),
    /// Not a size in bytes.
    #[error("invalid size: '{0}'")]
    Size(String),
    /// Not `name=soft[:hard]`.
    #[error("invalid ulimit argument: {0}")]
    Ulimit(String),
    /// Not a limit that Linux has.
    #[error("invalid ulimit type: {0}")]
    UlimitName(String),
    /// The soft limit is above the hard one.
    #[error("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")]
    UlimitOrder {
        /// The soft limit.
        soft: i64,
        /// The hard limit.
        hard: i64,
    },
    /// Not what a step may take.
    #[error(transparent)]
    Resource(#[from] engine::ResourceError),
    /// Not a host and addresses.
    #[error("invalid host {0}")]
    Host(String),
    /// A host that stands for the machine.
    #[error("invalid host {0}: steps share the host's network, where the host is 127.0.0.1")]
    HostGateway(String),
    /// An empty key.
    #[error("invalid value {0:?}, expected key=value")]
    Pair(String),
    /// Not `name=value`.
    #[error("invalid context value: {0}, expected key=value")]
    Context(String),
    /// A name of a context that no stage and no image can have.
    #[error("invalid context name {0}")]
    ContextName(String),
    /// A kind of context that kiln does not have.
    #[error(
        "unsupported context {value:?} for {name}: kiln takes a directory, a git repository, a URL, docker-image://NAME or oci-layout://PATH"
    )]
    ContextKind {
        /// Its name.
        name: String,
        /// What was typed for it.
        value: String,
    },
    /// A field of a secret without a value.
    #[error("invalid field '{0}' must be a key=value pair")]
    SecretField(String),
    /// A kind of secret that there is not.
    #[error("unsupported secret type {0:?}")]
    SecretType(String),
    /// What there is not of a secret for cache keys.
    #[error("invalid secret cache {0:?}: expected digest")]
    SecretCache(String),
    /// A field that secrets do not have.
    #[error("unexpected key '{key}' in '{field}'")]
    SecretKey {
        /// The key.
        key: String,
        /// The whole field.
        field: String,
    },
    /// A secret without a name.
    #[error("secret {0:?} has no id")]
    SecretId(String),
    /// An agent without a name.
    #[error("invalid ssh agent {0:?}: it has no id")]
    SshId(String),
    /// A field of an output without a value.
    #[error("invalid value {0}")]
    OutputField(String),
    /// An output without a type.
    #[error("type is required for output")]
    OutputType,
    /// An output of a type that kiln does not have.
    #[error("unknown output type {0:?}: kiln has image, registry, oci, docker, local and tar")]
    OutputTypeUnknown(String),
    /// An attribute that kiln does not honour for this type of output.
    #[error("unsupported attribute {key:?} of output type {kind:?}")]
    Attribute {
        /// The attribute.
        key: String,
        /// The type of output.
        kind: String,
    },
    /// A value that kiln does not honour for this attribute.
    #[error("invalid value {value:?} for output attribute {key:?}: {expected}")]
    AttributeValue {
        /// The attribute.
        key: String,
        /// What was typed.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A cache without a type.
    #[error("type is required for cache {0:?}")]
    CacheType(String),
    /// A cache of a type that kiln does not have.
    #[error("unsupported cache type {kind:?}: {instead}")]
    CacheKind {
        /// The type.
        kind: String,
        /// What to do.
        instead: &'static str,
    },
    /// An attribute that kiln does not honour for this type of cache.
    #[error("unsupported attribute {key:?} of cache type {kind:?}")]
    CacheAttribute {
        /// The attribute.
        key: String,
        /// The type of cache.
        kind: String,
    },
    /// A cache without an attribute that its type must have.
    #[error("{key} is required for cache type {kind:?}")]
    CacheRequires {
        /// The attribute.
        key: &'static str,
        /// The type of cache.
        kind: String,
    },
    /// A value that an attribute of a cache does not take.
    #[error("invalid value {value:?} for cache attribute {key:?}: {expected}")]
    CacheValue {
        /// The attribute.
        key: String,
        /// What was typed.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// An output that needs to be told where to.
    #[error("dest is required for output type {0:?}")]
    OutputDestination(String),
    /// A name that is not a reference.
    #[error("invalid tag {name:?}: {source}")]
    Tag {
        /// What was typed.
        name: String,
        /// Why it is none.
        source: oci::ReferenceError,
    },
    /// A tag with a digest, which only content decides.
    #[error("refusing to create a tag with a digest reference: {0}")]
    TagDigest(String),
    /// A variable without a name.
    #[error("invalid environment variable: {0}")]
    Env(String),
    /// A line of a file of variables.
    #[error("invalid line {line:?} in {file}: {reason}")]
    EnvFile {
        /// The file.
        file: String,
        /// The line.
        line: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A filter that kiln does not have.
    #[error("invalid filter '{0}'")]
    Filter(String),
    /// A condition on the cache that is none.
    #[error("invalid filter '{filter}': {source}")]
    CacheFilter {
        /// What was typed.
        filter: String,
        /// What is wrong with it.
        source: engine::PruneFilterError,
    },
    /// A value that this filter does not take.
    #[error("invalid value {value:?} for filter '{name}'")]
    FilterValue {
        /// The filter.
        name: String,
        /// What was typed.
        value: String,
    },
}
