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
pub use list::{NetworkList, is_bridge};

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

impl Cni {
    /// Looks whether there is all that it takes, as far as that can be seen without making anything.
    ///
    /// # Errors
    /// A program is missing, or the host name cannot be told.
    pub fn check(&self) -> Result<(), CniError> {
        self.hostname.as_deref().map_or(Ok(()), check_host_name)?;
        let find = |name| plugin::find(name, self.list.name(), &self.plugins).map(drop);
        self.list.programs().try_for_each(find)
    }
}

/// A word of its own: what comes after `;` would be another, such as the address that is asked for.
fn check_host_name(name: &str) -> Result<(), CniError> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match name.len() <= 253 && name.bytes().all(is_part) {
        true => Ok(()),
        false => Err(CniError::HostName(name.to_owned())),
    }
}

/// A network that plugins have set up. Dropping it has them take it down.
#[derive(Debug)]
pub(crate) struct Attachment(Option<Record>);

impl Attachment {
    /// Makes a network, and has it set up.
    pub(crate) fn add(cni: &Cni) -> Result<(Attachment, OwnedFd), SandboxError> {
        cni.check()?;
        // What it cannot reach is for its plugins to say.
        let network = sys::network::make(&[]).map_err(setup("make a network"))?;
        let record = Record::begin(cni)?;
        if let Err(error) = sys::network::keep(&network, &record.place()) {
            record.forget();
            return Err(setup("keep a network")(error));
        }
        let added = record.add();
        let attachment = Attachment(Some(record));
        added?;
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
