//! About the daemon.

use std::collections::BTreeMap;

use serde::Serialize;

/// `GET /version`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// kiln's.
    pub version: String,
    /// The newest of the API.
    pub api_version: String,
    /// The oldest of the API.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: String,
    /// `linux`.
    pub os: String,
    /// As Go names it.
    pub arch: String,
    /// The kernel's release.
    pub kernel_version: String,
    /// The parts that the daemon is made of.
    pub components: Vec<Component>,
    /// What the daemon is.
    pub platform: Platform,
}

/// A part of the daemon.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Component {
    /// Which one.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The same as of the whole, by the names that clients look for.
    pub details: BTreeMap<&'static str, String>,
}

/// What the daemon is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Platform {
    /// Its name.
    pub name: String,
}

/// `GET /info`, as far as it is known.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    /// Identifies the store.
    #[serde(rename = "ID")]
    pub id: String,
    /// Containers in all.
    pub containers: usize,
    /// Those that run.
    pub containers_running: usize,
    /// None ever is.
    pub containers_paused: usize,
    /// Those that do not run.
    pub containers_stopped: usize,
    /// Names of images.
    pub images: usize,
    /// How layers are mounted.
    pub driver: String,
    /// Where the store is.
    pub docker_root_dir: String,
    /// The host's name.
    pub name: String,
    /// kiln's.
    pub server_version: String,
    /// The kernel's release.
    pub kernel_version: String,
    /// What it runs on.
    pub operating_system: String,
    /// `linux`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// As the kernel names it.
    pub architecture: String,
    /// Processors.
    #[serde(rename = "NCPU")]
    pub processors: usize,
    /// Bytes of memory.
    pub mem_total: u64,
    /// Where images come from that name no registry.
    pub index_server_address: String,
}

impl Version {
    /// Of a kiln of this version.
    #[must_use]
    pub fn new(version: &str, kernel: &str) -> Self {
        let oci::Platform {
            os, architecture, ..
        } = oci::Platform::host();
        let (newest, oldest) = (super::NEWEST.to_string(), super::OLDEST.to_string());
        let details = BTreeMap::from([
            ("ApiVersion", newest.clone()),
            ("Arch", architecture.clone()),
            ("KernelVersion", kernel.to_owned()),
            ("MinAPIVersion", oldest.clone()),
            ("Os", os.clone()),
        ]);
        let component = |name: &str, version: &str, details| Component {
            name: name.to_owned(),
            version: version.to_owned(),
            details,
        };
        Self {
            version: super::STANDS_FOR.to_owned(),
            api_version: newest,
            min_api_version: oldest,
            os,
            arch: architecture,
            kernel_version: kernel.to_owned(),
            components: vec![
                component("Engine", super::STANDS_FOR, details),
                component("kiln", version, BTreeMap::new()),
            ],
            platform: Platform {
                name: "kiln".to_owned(),
            },
        }
    }
}
