//! Devices of the machine that steps may have, as files in a few directories register them: CDI,
//! the Container Device Interface.
//!
//! They are read once for each build, so a step gets what its key says. A file that is wrong takes
//! away its own devices and nothing else; it is told of when one is missed.

mod names;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockerfile::{AllowedDevices, Devices, RegisteredDevice};
use oci::Digest;

use crate::error::EngineError;

use spec::Spec;
pub use spec::UnusableDevice;
pub(crate) use spec::{Edits, Node, NodeKind, SpecMount};

/// Where BuildKit looks; the later ones win.
const DIRECTORIES: [&str; 3] = ["/etc/cdi", "/var/run/cdi", "/etc/buildkit/cdi"];
/// More than any such file has.
const MAX_FILE: u64 = 4 << 20;
/// By these annotations BuildKit knows classes of devices, and devices that all steps may have.
const CLASS: &str = "org.mobyproject.buildkit.device.class";
const FOR_ALL: &str = "org.mobyproject.buildkit.device.autoallow";

/// The devices that a machine has registered.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    devices: BTreeMap<String, Registered>,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Registered {
    file: Arc<PathBuf>,
    /// Which of the directories it is from.
    rank: usize,
    annotations: BTreeMap<String, String>,
    /// What all devices of the file change for a process, and what this one changes.
    edits: [Arc<Edits>; 2],
    digest: Digest,
}

impl Catalogue {
    /// Reads the files in `directories`, or where they are usually.
    pub(crate) fn read(directories: Option<&[PathBuf]>) -> Self {
        let mut catalogue = Self::default();
        let usual = || DIRECTORIES.iter().map(PathBuf::from).collect();
        let directories = directories.map_or_else(usual, <[PathBuf]>::to_vec);
        let mut in_conflict = BTreeSet::new();
        for (rank, directory) in directories.iter().enumerate() {
            for file in catalogue.files(directory) {
                match read(&file) {
                    Ok(spec) => catalogue.register(spec, file, rank, &mut in_conflict),
                    Err(problem) => catalogue.problem(&file, &problem),
                }
            }
        }
        catalogue
            .devices
            .retain(|name, device| !in_conflict.contains(&(device.rank, name.clone())));
        catalogue
    }

    /// As a Dockerfile may ask for them.
    pub(crate) fn offered(&self, allowed: AllowedDevices) -> Devices {
        let offered = |device: &Registered| RegisteredDevice {
            class: device.annotations.get(CLASS).cloned(),
            is_for_all: matches!(
                device.annotations.get(FOR_ALL).map(String::as_str),
                Some("1" | "t" | "T" | "true" | "TRUE" | "True")
            ),
            digest: match device.edits.iter().find_map(|edits| edits.unusable()) {
                None => Ok(device.digest),
                Some(reason) => Err(reason.to_string()),
            },
        };
        let registered = self.devices.iter();
        Devices {
            registered: registered
                .map(|(name, device)| (name.clone(), offered(device)))
                .collect(),
            problems: self.problems.clone(),
            allowed,
        }
    }

    /// What `devices` change for a process, in order; what several have in common comes once.
    pub(crate) fn edits(&self, devices: &[graph::Device]) -> Result<Vec<Arc<Edits>>, EngineError> {
        let mut list: Vec<Arc<Edits>> = Vec::new();
        for device in devices {
            let registered = self.devices.get(&device.name);
            let registered = registered.filter(|known| known.digest == device.digest);
            let Some(registered) = registered else {
                return Err(EngineError::LostDevice(device.name.clone()));
            };
            for edits in &registered.edits {
                if !list.iter().any(|known| Arc::ptr_eq(known, edits)) {
                    list.push(Arc::clone(edits));
                }
            }
        }
        Ok(list)
    }

    /// Those of a directory that can be what we look for, by name.
    fn files(&mut self, directory: &Path) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.problem(directory, &error.to_string());
                return Vec::new();
            }
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut files: Vec<PathBuf> = paths
            .filter(|path| {
                let extension = path.extension().and_then(OsStr::to_str);
                matches!(extension, Some("json" | "yaml"))
            })
            .collect();
        files.sort();
        files
    }

    fn register(
        &mut self,
        spec: Spec,
        file: PathBuf,
        rank: usize,
        in_conflict: &mut BTreeSet<(usize, String)>,
    ) {
        let file = Arc::new(file);
        let common = Arc::new(spec.container_edits);
        for device in spec.devices {
            let name = format!("{}={}", spec.kind, device.name);
            if let Some(other) = self.devices.get(&name)
                && other.rank == rank
            {
                let also = format!("device {name} is in {} too", other.file.display());
                self.problem(&file, &also);
                in_conflict.insert((rank, name.clone()));
            }
            let own = Arc::new(device.container_edits);
            let mut annotations = spec.annotations.clone();
            annotations.extend(device.annotations);
            let registered = Registered {
                file: Arc::clone(&file),
                rank,
                annotations,
                digest: digest(&common, &own),
                edits: [Arc::clone(&common), own],
            };
            self.devices.insert(name, registered);
        }
    }

    fn problem(&mut self, file: &Path, problem: &str) {
        self.problems.push(format!("{}: {problem}", file.display()));
    }
}

fn read(file: &Path) -> Result<Spec, String> {
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    opened
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err("more than 4 MiB".to_owned());
    }
    Spec::parse(&text)
}

fn digest(common: &Edits, own: &Edits) -> Digest {
    // Maps of strings and numbers always have a form in JSON.
    Digest::of(&serde_json::to_vec(&(common, own)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
