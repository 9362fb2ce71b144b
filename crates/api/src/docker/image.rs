//! Images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{bytes, or_nothing};

/// A row of `GET /images/json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageSummary {
    /// Digest of its config.
    pub id: String,
    /// Not known of images that were built elsewhere.
    pub parent_id: String,
    /// Its names.
    #[serde(deserialize_with = "or_nothing")]
    pub repo_tags: Vec<String>,
    /// The same by digest.
    #[serde(deserialize_with = "or_nothing")]
    pub repo_digests: Vec<String>,
    /// Seconds since 1970.
    pub created: i64,
    /// Bytes.
    #[serde(deserialize_with = "bytes")]
    pub size: u64,
    /// Docker's word for unknown is -1.
    pub shared_size: i64,
    /// Docker's word for unknown is -1.
    pub containers: i64,
    /// Labels of its config.
    #[serde(deserialize_with = "or_nothing")]
    pub labels: BTreeMap<String, String>,
}

/// `GET /images/{name}/json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// Digest of its config.
    pub id: String,
    /// Its names.
    pub repo_tags: Vec<String>,
    /// The same by digest.
    pub repo_digests: Vec<String>,
    /// Of the newest step.
    pub comment: String,
    /// RFC 3339.
    pub created: Option<String>,
    /// As `MAINTAINER` says.
    pub author: String,
    /// What a container of it runs.
    pub config: ImageConfig,
    /// As Go names it.
    pub architecture: String,
    /// Of the architecture.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// `linux`.
    pub os: String,
    /// Bytes.
    pub size: u64,
    /// Its layers.
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    /// What is known of it here.
    pub metadata: Value,
}

/// What a container of an image runs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageConfig {
    /// Who.
    pub user: String,
    /// `port/protocol` to nothing.
    pub exposed_ports: Option<Value>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Arguments.
    pub cmd: Option<Vec<String>>,
    /// How its health is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Value>,
    /// `Cmd` is one string for the shell (Windows).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// Path to nothing.
    pub volumes: Option<Value>,
    /// Where.
    pub working_dir: String,
    /// Program.
    pub entrypoint: Option<Vec<String>>,
    /// For images built on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    /// By key.
    pub labels: Option<Value>,
    /// By name or number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Of the shell form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// The layers of an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootFs {
    /// `layers`.
    pub r#type: String,
    /// Diff IDs, lowest first.
    pub layers: Vec<String>,
}

/// A row of `GET /images/{name}/history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HistoryRow {
    /// The image's on the newest row, else `<missing>`.
    pub id: String,
    /// Seconds since 1970.
    pub created: i64,
    /// What was done.
    pub created_by: String,
    /// Names of the image on the newest row.
    pub tags: Option<Vec<String>>,
    /// Bytes of its layer.
    #[serde(deserialize_with = "bytes")]
    pub size: u64,
    /// By who did it.
    pub comment: String,
}

/// A row of what `DELETE /images/{name}` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletedImage {
    /// A name leads nowhere now.
    Untagged(String),
    /// An image is gone.
    Deleted(String),
}
