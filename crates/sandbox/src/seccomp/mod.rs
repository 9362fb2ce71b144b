//! Docker's default filter of system calls, compiled for the kernel.
//!
//! [`profile`] says what is allowed, [`compile`] turns that into the kernel's instructions: one
//! search per architecture that this machine's kernel can run, since a filter sees all of them. A call that is
//! denied fails with `EPERM`; one that is newer than the profile fails with `ENOSYS`, so that a C
//! library falls back to the older one that it knows.

mod compile;
mod profile;

use sys::capability::CapabilitySet;
use sys::seccomp::{Filter, FilterSize};

/// The filter for processes that may at most have these capabilities.
///
/// # Errors
/// It would be longer than the kernel takes; the profile is fixed, and a test compiles it whole.
pub(crate) fn filter(capabilities: CapabilitySet) -> Result<Filter, FilterSize> {
    compile::compile(&profile::architectures(capabilities))
}

#[cfg(test)]
mod machine;
#[cfg(test)]
mod tests;
