//! `RUN --device`: which devices of the machine a step means, and whether it may have them.
//!
//! As BuildKit reads names: `vendor/class=name` is one device, `vendor/class` the first of its
//! kind, `vendor/class=*` all of them, and anything else the class that devices say they are in.

use std::collections::{BTreeMap, BTreeSet};

use graph::Device;
use oci::Digest;

use crate::instruction;
use crate::quote::quote;
use crate::suggest;

/// The devices that a machine has registered, and which of them steps may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// By `vendor/class=name`.
    pub registered: BTreeMap<String, RegisteredDevice>,
    /// Why there may be devices that are not among them.
    pub problems: Vec<String>,
    /// Which of them the request allows.
    pub allowed: AllowedDevices,
}

/// A device that a machine has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredDevice {
    /// The class by which it can be asked for too.
    pub class: Option<String>,
    /// It was registered for all steps.
    pub is_for_all: bool,
    /// The digest of what it changes for a process, or why no step can have it.
    pub digest: Result<Digest, String>,
}

/// Which devices a request allows to steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedDevices {
    /// Whichever they ask for.
    pub all: bool,
    /// These, named as in `RUN --device`.
    pub names: BTreeSet<String>,
    /// What is meant by names that are the Dockerfile's own; that is allowed too.
    pub aliases: BTreeMap<String, String>,
}

/// Why a step cannot have a device; the words are BuildKit's where it has any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error("required device {} is not registered{hint}{}", quote(.name), because(.problems))]
    NotRegistered {
        name: String,
        hint: String,
        problems: Vec<String>,
    },
    #[error("device {0} is requested by the build but not allowed; --allow device={0} allows it")]
    NotAllowed(String),
    #[error(
        "devices {} are requested by the build but not allowed; --allow device allows them",
        .0.join(", ")
    )]
    SeveralNotAllowed(Vec<String>),
    #[error("device {name}: {reason}")]
    Unusable { name: String, reason: String },
}

impl Devices {
    /// The devices that a step gets.
    pub(super) fn of(&self, asked: &[instruction::Device]) -> Result<Vec<Device>, DeviceError> {
        let mut given = Vec::new();
        let mut forbidden = Vec::new();
        for device in asked {
            let alias = self.allowed.aliases.get(&device.name);
            let name = alias.unwrap_or(&device.name);
            let found = self.find(name);
            if found.is_empty() && device.required {
                return Err(self.not_registered(name));
            }
            for name in found {
                if alias.is_none() && !self.may_have(name) && !forbidden.contains(name) {
                    forbidden.push(name.clone());
                }
                if !given.contains(&name) {
                    given.push(name);
                }
            }
        }
        match forbidden.as_slice() {
            [] => given.into_iter().map(|name| self.given(name)).collect(),
            [one] => Err(DeviceError::NotAllowed(one.clone())),
            _ => Err(DeviceError::SeveralNotAllowed(forbidden)),
        }
    }

    /// The full names of those that `name` means.
    fn find(&self, name: &str) -> Vec<&String> {
        let (kind, device) = name.split_once('=').unwrap_or((name, ""));
        let is_qualified = kind
            .split_once('/')
            .is_some_and(|(vendor, class)| !vendor.is_empty() && !class.is_empty());
        let of_kind = self.registered.keys().filter(|full| {
            let rest = full.strip_prefix(kind);
            rest.is_some_and(|rest| rest.starts_with('='))
        });
        let found: Vec<&String> = match device {
            _ if !is_qualified => Vec::new(),
            "" => of_kind.take(1).collect(),
            "*" => of_kind.collect(),
            _ => of_kind.filter(|full| *full == name).collect(),
        };
        if !found.is_empty() {
            return found;
        }
        let of_class =
            |(_, device): &(&String, &RegisteredDevice)| device.class.as_deref() == Some(name);
        let of_class = self.registered.iter().filter(of_class);
        of_class.map(|(full, _)| full).collect()
    }

    fn may_have(&self, name: &String) -> bool {
        let device = self.registered.get(name);
        let mut allowed = self.allowed.names.iter();
        self.allowed.all
            || device.is_some_and(|device| device.is_for_all)
            || allowed.any(|allowed| self.find(allowed).contains(&name))
    }

    fn given(&self, name: &str) -> Result<Device, DeviceError> {
        let Some(device) = self.registered.get(name) else {
            return Err(self.not_registered(name));
        };
        match &device.digest {
            Ok(digest) => Ok(Device {
                name: name.to_owned(),
                digest: *digest,
            }),
            Err(reason) => Err(DeviceError::Unusable {
                name: name.to_owned(),
                reason: reason.clone(),
            }),
        }
    }

    fn not_registered(&self, name: &str) -> DeviceError {
        let known = self.registered.keys().map(String::as_str);
        DeviceError::NotRegistered {
            name: name.to_owned(),
            hint: suggest::hint(name, known),
            problems: self.problems.clone(),
        }
    }
}

fn because(problems: &[String]) -> String {
    problems
        .iter()
        .map(|problem| format!("; {problem}"))
        .collect()
}
