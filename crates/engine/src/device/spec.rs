//! One of CDI's files: the devices of a kind, and what each changes for a process.
//!
//! What kiln cannot do is read all the same, so that a device that asks for it is refused by its
//! name and others are not.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::names::{check_device, check_kind};

/// Versions of CDI whose files are read.
const VERSIONS: [&str; 8] = [
    "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0",
];

/// A file of CDI's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Spec {
    cdi_version: String,
    /// `vendor/class`.
    pub(super) kind: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) devices: Vec<SpecDevice>,
    /// For whoever has any of the devices.
    #[serde(default)]
    pub(super) container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SpecDevice {
    pub(super) name: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// What is changed for a process.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Edits {
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
    pub(crate) device_nodes: Vec<Node>,
    pub(crate) mounts: Vec<SpecMount>,
    pub(crate) additional_gids: Vec<u32>,
    hooks: Vec<Hook>,
    #[serde(skip_serializing)]
    net_devices: Vec<IgnoredAny>,
    #[serde(skip_serializing)]
    intel_rdt: Option<IgnoredAny>,
}

/// A node for a device.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Node {
    /// Where the process finds it.
    pub(crate) path: String,
    /// Where it is on the machine, if not there.
    #[serde(default)]
    pub(crate) host_path: Option<String>,
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<NodeKind>,
    #[serde(default)]
    pub(crate) major: u32,
    #[serde(default)]
    pub(crate) minor: u32,
    #[serde(default)]
    pub(crate) file_mode: Option<u32>,
    #[serde(default)]
    permissions: String,
    #[serde(default)]
    pub(crate) uid: Option<u32>,
    #[serde(default)]
    pub(crate) gid: Option<u32>,
}

/// What kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum NodeKind {
    #[serde(rename = "b")]
    Block,
    #[serde(rename = "c", alias = "u")]
    Character,
    #[serde(rename = "p")]
    Pipe,
}

/// Files of the machine's that the process finds at a path.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SpecMount {
    pub(crate) host_path: String,
    pub(crate) container_path: String,
    #[serde(default)]
    pub(crate) options: Vec<String>,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Hook {
    hook_name: String,
    path: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    timeout: Option<i64>,
}

/// Why no step can have a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableDevice {
    /// Programs that are to run beside the process.
    #[error("the hook {name} {path:?} is not supported: kiln runs nothing outside of a step")]
    Hook {
        /// When it is to run.
        name: String,
        /// What is to run.
        path: String,
    },
    /// Network interfaces.
    #[error("netDevices are not supported: a step has the host's network, or none")]
    Network,
    /// Limits to caches and memory.
    #[error("intelRdt is not supported: limit kiln itself")]
    ResourceDirector,
    /// A node where nodes do not work.
    #[error("device node {0:?} is not supported: only nodes in /dev work in a step")]
    Place(String),
    /// Rights that cannot be withheld.
    #[error(
        "device node {path:?} with the permissions {permissions:?} is not supported: a step can \
         read and write its devices"
    )]
    Permissions {
        /// The node.
        path: String,
        /// What is to be allowed.
        permissions: String,
    },
    /// A file system that is not the machine's.
    #[error(
        "mount {path:?} of type {kind:?} is not supported: only files of the host can be mounted"
    )]
    MountKind {
        /// Where it is to be.
        path: String,
        /// Of which type.
        kind: String,
    },
    /// A mount that is not plain.
    #[error("mount {path:?} with the option {option:?} is not supported")]
    MountOption {
        /// Where it is to be.
        path: String,
        /// The option.
        option: String,
    },
}

impl Spec {
    /// Reads YAML, which JSON is too.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let options = serde_saphyr::options! {
            legacy_octal_numbers: true,
            with_snippet: false,
        };
        let spec: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| error.to_string())?;
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<(), String> {
        if !VERSIONS.contains(&self.cdi_version.trim_start_matches('v')) {
            return Err(format!("unknown cdiVersion {:?}", self.cdi_version));
        }
        check_kind(&self.kind)?;
        self.container_edits.check()?;
        if self.devices.is_empty() {
            return Err("no devices".to_owned());
        }
        for (number, device) in self.devices.iter().enumerate() {
            check_device(&device.name)?;
            device.container_edits.check()?;
            if self.devices[..number].iter().any(|d| d.name == device.name) {
                return Err(format!("device {:?} twice", device.name));
            }
        }
        Ok(())
    }
}

impl Edits {
    fn check(&self) -> Result<(), String> {
        let is_variable = |entry: &&String| !matches!(entry.find('='), None | Some(0));
        if let Some(entry) = self.env.iter().find(|entry| !is_variable(entry)) {
            return Err(format!("invalid environment variable {entry:?}"));
        }
        for node in &self.device_nodes {
            let is_known = node.permissions.chars().all(|c| "rwm".contains(c));
            if !is_known && node.permissions != "none" {
                let (path, permissions) = (&node.path, &node.permissions);
                return Err(format!(
                    "device {path:?}: invalid permissions {permissions:?}"
                ));
            }
        }
        Ok(())
    }

    /// Why no step can have it, if none can.
    pub(super) fn unusable(&self) -> Option<UnusableDevice> {
        if let Some(hook) = self.hooks.first() {
            return Some(UnusableDevice::Hook {
                name: hook.hook_name.clone(),
                path: hook.path.clone(),
            });
        }
        if !self.net_devices.is_empty() {
            return Some(UnusableDevice::Network);
        }
        if self.intel_rdt.is_some() {
            return Some(UnusableDevice::ResourceDirector);
        }
        let node = self.device_nodes.iter().find_map(Node::unusable);
        node.or_else(|| self.mounts.iter().find_map(SpecMount::unusable))
    }
}

impl Node {
    fn unusable(&self) -> Option<UnusableDevice> {
        let has = |right: char| self.permissions.contains(right);
        if !sandbox::is_device_path(self.path.as_ref()) {
            return Some(UnusableDevice::Place(self.path.clone()));
        }
        // That a step may make nodes of its own is no matter: they do not work.
        let is_whole = self.permissions.is_empty() || (has('r') && has('w'));
        (!is_whole).then(|| UnusableDevice::Permissions {
            path: self.path.clone(),
            permissions: self.permissions.clone(),
        })
    }
}

impl SpecMount {
    fn unusable(&self) -> Option<UnusableDevice> {
        let path = || self.container_path.clone();
        if !matches!(self.kind.as_str(), "" | "none" | "bind") {
            return Some(UnusableDevice::MountKind {
                path: path(),
                kind: self.kind.clone(),
            });
        }
        let is_known = |option: &&String| {
            matches!(
                option.as_str(),
                "bind"
                    | "rbind"
                    | "ro"
                    | "rw"
                    | "nosuid"
                    | "nodev"
                    | "noexec"
                    | "suid"
                    | "exec"
                    | "private"
                    | "rprivate"
            )
        };
        let option = self.options.iter().find(|option| !is_known(option))?;
        Some(UnusableDevice::MountOption {
            path: path(),
            option: option.clone(),
        })
    }

    /// Whether it has the option.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|known| known == option)
    }
}
