//! Network configurations: which plugins set a network up, and what each of them is told.

use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::{CniError, ListError};

/// The versions of CNI that are spoken here: all that there are.
const SPOKEN: [Version; 7] = [
    Version([0, 1, 0]),
    Version([0, 2, 0]),
    Version([0, 3, 0]),
    Version([0, 3, 1]),
    Version([0, 4, 0]),
    Version([1, 0, 0]),
    Version([1, 1, 0]),
];
/// Bytes that the files of one network have at most.
const MOST: u64 = 1 << 20;
/// Bytes that the name of an interface has at most: the kernel's `IFNAMSIZ`, without the zero behind.
const LONGEST_INTERFACE: usize = 15;
/// The first in which a plugin is told what had been set up when it is to take it down.
const TELLS_AT_END: Version = Version([0, 4, 0]);

/// A network, as its plugins make it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkList {
    version: String,
    name: String,
    plugins: Vec<Map<String, Value>>,
}

/// A file with a whole network in it, or with one plugin's part, which is a network then.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    cni_version: String,
    #[serde(default)]
    cni_versions: Vec<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    load_only_inlined_plugins: bool,
    plugins: Option<Vec<Map<String, Value>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl NetworkList {
    /// Reads the file `path`, and what plugins a directory beside it adds, which has the network's
    /// name.
    ///
    /// # Errors
    /// A file cannot be read, or configures no network.
    pub fn read(path: &Path) -> Result<NetworkList, CniError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |why| CniError::Configuration { path, why }
        };
        let mut left = MOST;
        let (mut list, is_open) = bounded(path, &mut left)
            .and_then(|text| parse(&text))
            .map_err(failed(path))?;
        if is_open {
            let directory = path.with_file_name(&list.name);
            for more in further(&directory).map_err(|error| failed(&directory)(error.into()))? {
                let text = bounded(&more, &mut left);
                let plugin = text.and_then(|text| plugin(serde_json::from_slice(&text)?));
                list.plugins.push(plugin.map_err(failed(&more))?);
            }
        }
        match list.plugins.is_empty() {
            true => Err(failed(path)(ListError::Empty)),
            false => Ok(list),
        }
    }

    /// The network with the name of its bridge, `bridge`, which [`is_bridge`] takes, and addresses of
    /// `subnet`, into which nothing comes from others.
    #[must_use]
    pub fn bridge(bridge: &str, subnet: &str) -> NetworkList {
        let plugins = [
            json!({
                "type": "bridge",
                "bridge": bridge,
                "isDefaultGateway": true,
                "ipMasq": true,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]]},
            }),
            json!({"type": "firewall", "ingressPolicy": "same-bridge"}),
        ];
        let plugins = plugins.into_iter().filter_map(|plugin| match plugin {
            Value::Object(plugin) => Some(plugin),
            _ => None,
        });
        NetworkList {
            version: "1.0.0".to_owned(),
            name: bridge.to_owned(),
            plugins: plugins.collect(),
        }
    }

    /// The network's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugins by name, in the order in which they set the network up.
    pub fn plugins(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        let plugins = self.plugins.iter();
        plugins.map(|plugin| plugin.get("type").and_then(Value::as_str).unwrap_or(""))
    }

    /// All programs that take part, by name: the plugins, each with the one that it has give out
    /// addresses.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        let plugins = self.plugins.iter();
        plugins.flat_map(|plugin| {
            let addresses = addresses(plugin);
            let name = plugin.get("type").and_then(Value::as_str);
            name.into_iter().chain(addresses)
        })
    }

    /// What the plugin with this number is told, besides what the one before it has set up.
    pub(super) fn request(&self, number: usize, previous: Option<&Value>) -> Value {
        let mut request = self.plugins.get(number).cloned().unwrap_or_default();
        request.retain(|key, _| key != "capabilities" && !key.starts_with("cni.dev/"));
        request.insert("cniVersion".to_owned(), self.version.as_str().into());
        request.insert("name".to_owned(), self.name.as_str().into());
        request.remove("prevResult");
        if let Some(previous) = previous {
            request.insert("prevResult".to_owned(), previous.clone());
        }
        request.into()
    }

    /// Whether plugins are told what had been set up when they are to take it down.
    pub(super) fn tells_at_end(&self) -> bool {
        Version::parse(&self.version).is_ok_and(|version| version >= TELLS_AT_END)
    }
}

/// The network of a file, and whether others may add plugins to it.
pub(super) fn parse(text: &[u8]) -> Result<(NetworkList, bool), ListError> {
    let whole: Map<String, Value> = serde_json::from_slice(text)?;
    let file: File = serde_json::from_value(whole.clone().into())?;
    let version = version(&file.cni_version, &file.cni_versions)?;
    if !is_name(&file.name) {
        return Err(ListError::Name(file.name));
    }
    let (plugins, is_open) = match file.plugins {
        Some(plugins) => (plugins, !file.load_only_inlined_plugins),
        None if whole.contains_key("type") => (vec![whole], false),
        None => (Vec::new(), !file.load_only_inlined_plugins),
    };
    let list = NetworkList {
        version,
        name: file.name,
        plugins: plugins.into_iter().map(plugin).collect::<Result<_, _>>()?,
    };
    Ok((list, is_open))
}

fn plugin(plugin: Map<String, Value>) -> Result<Map<String, Value>, ListError> {
    let name = plugin.get("type").and_then(Value::as_str).unwrap_or("");
    // Both become paths, and are no way out of the directories that plugins are in.
    for name in [name].into_iter().chain(addresses(&plugin)) {
        if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
            return Err(ListError::Type(name.to_owned()));
        }
    }
    Ok(plugin)
}

/// Who gives out addresses for a plugin, if it has somebody do that.
fn addresses(plugin: &Map<String, Value>) -> Option<&str> {
    let name = plugin.get("ipam")?.get("type")?.as_str()?;
    Some(name).filter(|name| !name.is_empty())
}

/// The newest version that is spoken on both sides.
pub(super) fn version(only: &str, several: &[String]) -> Result<String, ListError> {
    let said = several.iter().map(String::as_str);
    let said: Vec<&str> = said
        .chain([only].into_iter().filter(|only| !only.is_empty()))
        .collect();
    if said.is_empty() {
        // What was spoken before there were versions.
        return Ok("0.1.0".to_owned());
    }
    let mut best = None;
    for text in &said {
        let version = Version::parse(text)?;
        if SPOKEN.contains(&version) && best.is_none_or(|(best, _)| version > best) {
            best = Some((version, *text));
        }
    }
    match best {
        Some((_, text)) => Ok(text.to_owned()),
        None => Err(ListError::Unspoken(said.join(", "))),
    }
}

impl Version {
    fn parse(text: &str) -> Result<Version, ListError> {
        let wrong = || ListError::Version(text.to_owned());
        let numbers = text.split('.').map(str::parse);
        let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().map_err(|_| wrong())?;
        numbers.try_into().map(Version).map_err(|_| wrong())
    }
}

fn is_name(name: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_inside)
}

/// Whether a bridge can have this name, and a network that of its bridge.
#[must_use]
pub fn is_bridge(name: &str) -> bool {
    is_name(name) && name.len() <= LONGEST_INTERFACE
}

/// A file, of which no more is read than there is `left` to read of all.
fn bounded(path: &Path, left: &mut u64) -> Result<Vec<u8>, ListError> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path)?;
    let length = file.take(*left + 1).read_to_end(&mut text)? as u64;
    *left = left.checked_sub(length).ok_or(ListError::Long)?;
    Ok(text)
}

/// Files with plugins that are added, in the order of their names.
fn further(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "conf") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
