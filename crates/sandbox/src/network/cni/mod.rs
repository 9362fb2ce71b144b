//! Networks that plugins of the machine's owner set up, by the specification of CNI (the Container
//! Network Interface), version 1.1 and earlier.
//!
//! What always holds: all that plugins have set up they are told to take down, when the process has
//! ended, when they have failed halfway, and, where we are killed, by the next one that calls
//! [`sweep`].

mod error;
mod list;
mod plugin;
mod record;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub use error::{CniError, ListError};
pub use list::NetworkList;

use super::setup;
use crate::error::SandboxError;
use record::Record;

/// How a network is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cni {
    /// By which plugins.
    pub list: NetworkList,
    /// The directories that they are in.
    pub plugins: Vec<PathBuf>,
    /// The directories of the programs that they use.
    pub programs: Vec<PathBuf>,
    /// Where is kept what is set up.
    pub records: PathBuf,
    /// The process's host name, if one was chosen for it.
    pub hostname: Option<String>,
}

/// A network that plugins have set up. Dropping it has them take it down.
#[derive(Debug)]
pub(crate) struct Attachment(Option<Record>);

impl Attachment {
    /// Makes a network, and has it set up.
    pub(crate) fn add(cni: &Cni) -> Result<(Attachment, OwnedFd), SandboxError> {
        let record = Record::begin(cni)?;
        let place = record.place();
        let attachment = Attachment(Some(record));
        // What it cannot reach is for its plugins to say.
        let network = sys::network::make(&[]).map_err(setup("make a network"))?;
        sys::network::keep(&network, &place).map_err(setup("keep a network"))?;
        if let Some(record) = &attachment.0 {
            record.add()?;
        }
        Ok((attachment, network))
    }

    /// Has it taken down.
    ///
    /// # Errors
    /// A plugin could not, or something of it is left, which [`sweep`] tries again.
    pub(crate) fn remove(mut self) -> Result<(), CniError> {
        self.0.take().map_or(Ok(()), |record| record.delete())
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(record) = self.0.take() {
            // What is left is for the next sweep.
            let _ = record.delete();
        }
    }
}

/// Has the networks taken down whose process was lost with who started it, of those kept in
/// `records`; what could not be.
#[must_use]
pub fn sweep(records: &Path, programs: &[PathBuf]) -> Vec<CniError> {
    match Record::left(records, programs) {
        Ok(left) => left
            .into_iter()
            .filter_map(|record| record.and_then(|record| record.sweep()).err())
            .collect(),
        Err(error) => vec![error],
    }
}
