//! Everything that goes wrong between the client and a registry.
//!
//! No message holds a URL's query or a credential: redirects are signed, and passwords are
//! nobody's business.

mod hint;
mod problem;
mod transport;

use std::fmt;
use std::time::Duration;

use oci::Digest;

use crate::CredentialsError;
pub use hint::Hint;
pub(crate) use problem::{Asked, Shown, check_status, content_type, next_chunk, read_bounded};
pub use problem::{Problem, Problems};
pub use transport::{SetupError, TransportError};

/// Why a registry did not give or take what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("{at}: cannot connect")]
    Connect {
        /// Where.
        at: Box<At>,
        /// What the connector says.
        #[source]
        source: TransportError,
    },
    /// The TLS handshake failed.
    #[error("{at}: TLS failed")]
    Tls {
        /// Where.
        at: Box<At>,
        /// What the TLS library says.
        #[source]
        source: TransportError,
    },
    /// HTTPS was tried with a server that speaks plain HTTP.
    #[error("{at}: the server speaks HTTP, not HTTPS")]
    PlainHttp {
        /// Where.
        at: Box<At>,
    },
    /// The connection broke in the middle.
    #[error("{at}: the connection broke")]
    Broken {
        /// Where.
        at: Box<At>,
        /// What broke it.
        #[source]
        source: TransportError,
    },
    /// The answer ended before all its bytes had come.
    #[error("{at}: the answer ended after {found} of {expected} bytes")]
    Short {
        /// Where.
        at: Box<At>,
        /// The size that the descriptor states.
        expected: u64,
        /// The bytes that came.
        found: u64,
    },
    /// No byte for too long.
    #[error("{at}: no answer for {} s", after.as_secs_f32())]
    Stalled {
        /// Where.
        at: Box<At>,
        /// The limit.
        after: Duration,
    },
    /// 401, or 403: the credentials, or the lack of them, do not allow it.
    #[error("{at}: {}{problems}", if *status == 403 { "access denied" } else { "not authorized" })]
    Unauthorized {
        /// Where.
        at: Box<At>,
        /// 401 or 403.
        status: u16,
        /// Whether credentials were sent.
        with_credentials: bool,
        /// What the registry says.
        problems: Problems,
    },
    /// 404.
    #[error("{at}: {what} not found{problems}")]
    NotFound {
        /// Where.
        at: Box<At>,
        /// What was asked for.
        what: What,
        /// What the registry says.
        problems: Problems,
    },
    /// 429.
    #[error("{at}: too many requests{problems}")]
    RateLimited {
        /// Where.
        at: Box<At>,
        /// When the registry wants to be asked again.
        retry_after: Option<Duration>,
        /// What the registry says.
        problems: Problems,
    },
    /// Any other status that is not a success.
    #[error("{at}: status {status}{problems}")]
    Status {
        /// Where.
        at: Box<At>,
        /// The status.
        status: u16,
        /// When the registry wants to be asked again.
        retry_after: Option<Duration>,
        /// What the registry says.
        problems: Problems,
    },
    /// A success, but not what the protocol says: a login page, a missing header.
    #[error("{at}: {found} where {expected} was expected")]
    Unexpected {
        /// Where.
        at: Box<At>,
        /// What came.
        found: String,
        /// What should have come.
        expected: &'static str,
    },
    /// A redirect that is not followed.
    #[error("{at}: refused redirect: {reason}")]
    Redirect {
        /// Where.
        at: Box<At>,
        /// Why.
        reason: &'static str,
    },
    /// The bytes are not those that the digest names.
    #[error("{at}: digest is {found} where {expected} was expected")]
    Digest {
        /// Where.
        at: Box<At>,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// A document or an answer of the API that is larger than any of its kind.
    #[error("{at}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// Where.
        at: Box<At>,
        /// The limit.
        limit: u64,
    },
    /// More bytes, or fewer, than the descriptor states.
    #[error("{at}: size is {found} where {expected} was expected")]
    Size {
        /// Where.
        at: Box<At>,
        /// The size that was stated.
        expected: u64,
        /// What came; for a body without end, the first size that was too much.
        found: u64,
    },
    /// A document that cannot be read.
    #[error("{at}: unusable document")]
    Document {
        /// Where.
        at: Box<At>,
        /// Why.
        #[source]
        source: oci::DocumentError,
    },
    /// The registry has lost an upload in the middle, or both sides disagree how far it is.
    #[error("{at}: the registry lost the upload (status {status}){problems}")]
    LostUpload {
        /// Where.
        at: Box<At>,
        /// 404, 416, or what it says to a part that it did not expect.
        status: u16,
        /// What the registry says.
        problems: Problems,
    },
    /// The token service did not give a token, or the challenge that names it is refused.
    #[error("{at}: cannot get a token from {realm}: {reason}")]
    Token {
        /// Where.
        at: Box<At>,
        /// The token service's host.
        realm: String,
        /// Why.
        reason: String,
        /// Whether asking again may help.
        retryable: bool,
    },
    /// The caller's credentials could not be looked up.
    #[error("{at}: no credentials")]
    Credentials {
        /// Where.
        at: Box<At>,
        /// Why.
        #[source]
        source: CredentialsError,
    },
    /// What is to be pushed could not be read.
    #[error("{at}: cannot read what is to be pushed")]
    Source {
        /// Where.
        at: Box<At>,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client could not be made: certificates or proxies that do not parse.
    #[error("{at}: cannot set up HTTP")]
    Setup {
        /// Where.
        at: Box<At>,
        /// Why.
        #[source]
        source: SetupError,
    },
    /// Mirrors failed before the registry itself did.
    #[error("{last}{}", MirrorList(mirrors))]
    Mirrored {
        /// What the mirrors said, in order.
        mirrors: Vec<Error>,
        /// What the registry itself said.
        #[source]
        last: Box<Error>,
    },
}

/// What a request was about and whom it asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The host that was asked, which may be a mirror.
    pub host: String,
    /// The image or repository that it was about.
    pub reference: String,
}

/// What a request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A manifest or an index.
    Manifest,
    /// A blob.
    Blob,
    /// An upload that was begun.
    Upload,
    /// A list of tags.
    Tags,
    /// The registry's API itself.
    Api,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference)?;
        match self.reference.split('/').next() {
            Some(domain) if domain == self.host => Ok(()),
            _ => write!(f, " (at {})", self.host),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Upload => "upload",
            Self::Tags => "repository",
            Self::Api => "registry API",
        })
    }
}

struct MirrorList<'a>(&'a [Error]);

impl fmt::Display for MirrorList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { " (mirrors: " } else { "; " })?;
            write!(f, "{error}")?;
        }
        f.write_str(if self.0.is_empty() { "" } else { ")" })
    }
}

impl Error {
    /// One error for a row of hosts, the registry itself last; `None` when no host was tried.
    pub(crate) fn of_hosts(mut errors: Vec<Self>) -> Option<Self> {
        let last = errors.pop()?;
        Some(if errors.is_empty() {
            last
        } else {
            Self::Mirrored {
                mirrors: errors,
                last: Box::new(last),
            }
        })
    }
}
