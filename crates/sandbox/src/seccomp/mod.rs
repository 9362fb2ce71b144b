//! Docker's default filter of system calls, compiled for the kernel.
//!
//! [`profile`] says what is allowed, [`compile`] turns that into the kernel's instructions: one
//! search per architecture that this machine's kernel can run, since a filter sees all of them. A
//! call that is denied fails with `EPERM`; one that is newer than the profile fails with `ENOSYS`,
//! so that a C library falls back to the older one that it knows.

mod compile;
mod profile;

use sys::capability::CapabilitySet;
use sys::seccomp::{Filter, FilterSize};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The profile does not cover this kind of machine.
    #[error("no system call filter for {0}")]
    Machine(&'static str),
    /// It is longer than the kernel takes.
    #[error(transparent)]
    Size(#[from] FilterSize),
}

/// The filter for processes that may at most have these capabilities.
///
/// # Errors
/// The profile does not cover this machine.
pub(crate) fn filter(capabilities: CapabilitySet) -> Result<Filter, FilterError> {
    filter_for(std::env::consts::ARCH, capabilities)
}

fn filter_for(machine: &'static str, capabilities: CapabilitySet) -> Result<Filter, FilterError> {
    let architectures =
        profile::architectures(machine, capabilities).ok_or(FilterError::Machine(machine))?;
    Ok(compile::compile(&architectures)?)
}

#[cfg(test)]
mod machine;
#[cfg(test)]
mod tests;
