//! What goes wrong with networks of CNI.

use std::io;
use std::path::PathBuf;

/// Why a network of CNI is not set up, or not taken down.
#[derive(Debug, thiserror::Error)]
pub enum CniError {
    /// It takes the machine's root.
    #[error("networks of CNI are parts of the machine's own, which only root may make")]
    NotRoot,
    /// A configuration makes no sense.
    #[error("CNI configuration {}: {why}", path.display())]
    Configuration {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        why: ListError,
    },
    /// A plugin is nowhere.
    #[error(
        "CNI plugin {plugin:?} of network {network:?} is not in {}",
        list(directories)
    )]
    Missing {
        /// Which plugin.
        plugin: String,
        /// Of which network.
        network: String,
        /// Where it was looked for.
        directories: Vec<PathBuf>,
    },
    /// A plugin says that it has failed.
    #[error("CNI plugin {plugin:?} of network {network:?}: {command}: {said}")]
    Plugin {
        /// Which plugin.
        plugin: String,
        /// Of which network.
        network: String,
        /// What it was to do.
        command: &'static str,
        /// What it says.
        said: String,
    },
    /// Plugins are told names among other words, which a name must not become.
    #[error(
        "host name {0:?} cannot be told to plugins of CNI: it may have letters, digits, `_`, `.` and \
         `-`, at most 253"
    )]
    HostName(String),
    /// A network could not be taken down too often, or nothing is known of it.
    #[error("what is left of a network is not tried again: {0}")]
    GivenUp(#[source] Box<CniError>),
    /// What is kept of networks could not be read or written.
    #[error("{action} {}", path.display())]
    Record {
        /// What was done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Why a text configures no network.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It is no JSON, or something in it is of another kind.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It has no end that would be reached soon, or the files beside it.
    #[error("it is more than 1 MiB, with the files of its plugins")]
    Long,
    /// It has no plugin.
    #[error("it names no plugin")]
    Empty,
    /// Names begin with a letter or digit, and go on with these, `_`, `.` and `-`.
    #[error("{0:?} is no name of a network")]
    Name(String),
    /// Plugins are files.
    #[error("{0:?} is no name of a plugin")]
    Type(String),
    /// Versions are three numbers.
    #[error("{0:?} is no version of CNI")]
    Version(String),
    /// None of its versions is one that is spoken here.
    #[error("version {0} of CNI is not spoken: those from 0.1.0 to 1.1.0 are")]
    Unspoken(String),
}

fn list(directories: &[PathBuf]) -> String {
    let shown = directories.iter().map(|path| path.display().to_string());
    shown.collect::<Vec<_>>().join(":")
}
