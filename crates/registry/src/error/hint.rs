//! What can be done about an error: whether to try again, and what to tell the user.

use std::fmt;
use std::time::Duration;

use super::{At, Error, Problems};

/// Advice that goes with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// No credentials were sent: log in.
    LogIn {
        /// To whom.
        host: String,
    },
    /// The credentials that were sent do not suffice.
    CheckCredentials {
        /// To whom.
        host: String,
    },
    /// The name or the tag does not exist, or needs a login to be seen.
    CheckName,
    /// Configure the host as plain HTTP.
    AllowHttp {
        /// Which.
        host: String,
    },
    /// Trust the host's authority.
    TrustAuthority {
        /// Which.
        host: String,
    },
    /// The host's name, port or the network.
    CheckNetwork {
        /// Which.
        host: String,
    },
    /// The registry limits how often it is asked.
    SlowDown,
}

impl Error {
    /// Whether the same request may succeed when it is made again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Short { .. }
            | Self::Stalled { .. }
            | Self::LostUpload { .. }
            | Self::RateLimited { .. } => true,
            Self::Status { status, .. } => {
                matches!(status, 408 | 425 | 500 | 502..=504 | 520..=599)
            }
            Self::Token { retryable, .. } => *retryable,
            Self::Mirrored { last, .. } => last.is_retryable(),
            _ => false,
        }
    }

    /// How long the registry wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Status { retry_after, .. } => {
                *retry_after
            }
            Self::Mirrored { last, .. } => last.retry_after(),
            _ => None,
        }
    }

    /// The status of the answer, when one came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized { status, .. }
            | Self::Status { status, .. }
            | Self::LostUpload { status, .. } => Some(*status),
            Self::NotFound { .. } => Some(404),
            Self::RateLimited { .. } => Some(429),
            Self::Mirrored { last, .. } => last.status(),
            _ => None,
        }
    }

    /// Whether the registry says that there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// What the registry itself says is wrong.
    #[must_use]
    pub fn problems(&self) -> Option<&Problems> {
        match self {
            Self::Unauthorized { problems, .. }
            | Self::NotFound { problems, .. }
            | Self::RateLimited { problems, .. }
            | Self::LostUpload { problems, .. }
            | Self::Status { problems, .. } => Some(problems),
            Self::Mirrored { last, .. } => last.problems(),
            _ => None,
        }
    }

    /// Where it happened.
    #[must_use]
    pub fn at(&self) -> &At {
        match self {
            Self::Connect { at, .. }
            | Self::Tls { at, .. }
            | Self::PlainHttp { at }
            | Self::Broken { at, .. }
            | Self::Short { at, .. }
            | Self::Stalled { at, .. }
            | Self::Unauthorized { at, .. }
            | Self::NotFound { at, .. }
            | Self::RateLimited { at, .. }
            | Self::Status { at, .. }
            | Self::Unexpected { at, .. }
            | Self::Redirect { at, .. }
            | Self::Digest { at, .. }
            | Self::TooLarge { at, .. }
            | Self::Size { at, .. }
            | Self::Document { at, .. }
            | Self::LostUpload { at, .. }
            | Self::Token { at, .. }
            | Self::Credentials { at, .. }
            | Self::Source { at, .. }
            | Self::Setup { at, .. } => at,
            Self::Mirrored { last, .. } => last.at(),
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        let host = self.at().host.clone();
        Some(match self {
            Self::Unauthorized {
                with_credentials: false,
                ..
            } => Hint::LogIn { host },
            Self::Unauthorized { .. } | Self::Credentials { .. } | Self::Token { .. } => {
                Hint::CheckCredentials { host }
            }
            Self::NotFound { .. } => Hint::CheckName,
            Self::PlainHttp { .. } => Hint::AllowHttp { host },
            Self::Tls { .. } | Self::Setup { .. } => Hint::TrustAuthority { host },
            Self::Connect { .. } | Self::Stalled { .. } => Hint::CheckNetwork { host },
            Self::RateLimited { .. } => Hint::SlowDown,
            Self::Mirrored { last, .. } => return last.hint(),
            _ => return None,
        })
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogIn { host } => write!(
                f,
                "log in to {host}, or check the name: what is private looks like what is not there"
            ),
            Self::CheckCredentials { host } => write!(f, "check the credentials for {host}"),
            Self::CheckName => f.write_str(
                "check the name and the tag; a private repository needs a login to be seen",
            ),
            Self::AllowHttp { host } => write!(f, "set `http = true` for {host}"),
            Self::TrustAuthority { host } => {
                write!(f, "give the certificate of the authority of {host}")
            }
            Self::CheckNetwork { host } => {
                write!(f, "check the name {host}, the network and the proxy")
            }
            Self::SlowDown => f.write_str("wait, log in, or use a mirror"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let host = || "r.test".to_owned();
        for (hint, text) in [
            (
                Hint::LogIn { host: host() },
                "log in to r.test, or check the name: what is private looks like what is not there",
            ),
            (
                Hint::CheckCredentials { host: host() },
                "check the credentials for r.test",
            ),
            (
                Hint::AllowHttp { host: host() },
                "set `http = true` for r.test",
            ),
        ] {
            assert_eq!(hint.to_string(), text);
        }
    }
}
