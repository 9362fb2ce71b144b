//! Documents of the Docker Engine API, as its versions 1.24 to 1.51 have them
//! (<https://docs.docker.com/reference/api/engine/version/v1.51/>).
//!
//! Fields that kiln knows nothing of are left out, never invented, unless clients fail without.

mod build;
mod container;
mod event;
mod exec;
mod heard;
mod image;
mod place;
mod shown_container;
mod system;

use serde::{Deserialize, Deserializer, Serialize};

pub use build::{Aux, ErrorDetail, Message, ProgressDetail, Pushed};
pub use container::{
    AskedMount, AskedUlimit, CreateContainer, Created, HostConfig, PathStat, PortBinding, Refused,
    file_mode,
};
pub use event::{Actor, Event};
pub use exec::{CreateExec, Exec, ExecProcess, StartExec};
pub use heard::Heard;
pub use image::{DeletedImage, HistoryRow, Image, ImageConfig, ImageSummary, RootFs};
pub use place::{Network, NetworkContainers, Volume, VolumeList};
pub use shown_container::{
    Container, ContainerConfig, ContainerState, ContainerSummary, Endpoint, ListedHostConfig,
    LogConfig, MountPoint, NetworkSettings, Port, RestartPolicy, ShownHostConfig,
};
pub use system::{Info, Version};

/// The version of Docker's engine that kiln stands in for; clients choose by it what they ask for.
pub const STANDS_FOR: &str = "28.5.2";

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

/// A value that daemons leave empty with `null`.
fn or_nothing<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A number of bytes, of which Go's daemons say less than nought where it is not known.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(known_bytes(deserializer)?.unwrap_or_default())
}

/// The same where it matters whether it is known.
fn known_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number: Option<i64> = Option::deserialize(deserializer)?;
    Ok(number.and_then(|number| u64::try_from(number).ok()))
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
