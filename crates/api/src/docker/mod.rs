//! Documents of the Docker Engine API, as its versions 1.24 to 1.51 have them
//! (<https://docs.docker.com/reference/api/engine/version/v1.51/>).
//!
//! Fields that kiln knows nothing of are left out, never invented, unless clients fail without.

mod build;
mod container;
mod image;
mod system;

use serde::Serialize;

pub use build::{Aux, ErrorDetail, Message};
pub use container::{
    Container, ContainerConfig, ContainerState, ContainerSummary, CreateContainer, Created,
    HostConfig, PathStat, Refused, file_mode,
};
pub use image::{DeletedImage, HistoryRow, Image, ImageConfig, ImageSummary, RootFs};
pub use system::{Info, Version};

/// The newest version that is spoken.
pub const NEWEST: ApiVersion = ApiVersion(1, 51);
/// The oldest version that is spoken.
pub const OLDEST: ApiVersion = ApiVersion(1, 24);

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub u32, pub u32);

/// What went wrong, as the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// In words.
    pub message: String,
}

impl ApiVersion {
    /// Reads `1.43`, as paths have it behind a `v`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}
