//! What containers share: volumes and networks.

use std::collections::BTreeMap;

use serde::Serialize;

/// A volume.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// RFC 3339.
    pub created_at: String,
    /// `local`.
    pub driver: String,
    /// Free key and value pairs.
    pub labels: Option<BTreeMap<String, String>>,
    /// Where its files are.
    pub mountpoint: String,
    /// Its name.
    pub name: String,
    /// None.
    pub options: Option<BTreeMap<String, String>>,
    /// `local`.
    pub scope: String,
}

/// `GET /volumes`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VolumeList {
    /// By name.
    pub volumes: Vec<Volume>,
    /// None.
    pub warnings: Option<Vec<String>>,
}

/// A network.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    /// `bridge`, `host` or `none`.
    pub name: String,
    /// Its identifier.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// `local`.
    pub scope: String,
    /// What makes it.
    pub driver: String,
    /// Whether it has addresses of version 6.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: bool,
    /// Whether nothing outside is reached.
    pub internal: bool,
    /// Who is in it.
    pub containers: NetworkContainers,
    /// None.
    pub options: BTreeMap<String, String>,
    /// None.
    pub labels: BTreeMap<String, String>,
}

/// Who is in a network: none has an address there.
pub type NetworkContainers = BTreeMap<String, String>;
