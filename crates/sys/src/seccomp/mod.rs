//! Filters of system calls, as the kernel takes them.

mod call;
mod listener;

use std::os::fd::OwnedFd;

use rustix::io::Errno;

pub use call::{Call, When};
pub use listener::{Listener, Notification};

/// The longest filter that the kernel takes.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// One instruction of the kernel's classic BPF machine.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip when a comparison holds.
    pub jump_true: u8,
    /// How many otherwise.
    pub jump_false: u8,
    /// The operand.
    pub operand: u32,
}

/// A filter: instructions, of a number that the kernel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Vec<Instruction>);

/// A filter that is empty or longer than [`MAX_INSTRUCTIONS`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("seccomp filter of {0} instructions: the kernel takes 1 to {MAX_INSTRUCTIONS}")]
pub struct FilterSize(pub usize);

impl Filter {
    /// A filter of these instructions. Whether they make sense is for the kernel to say.
    ///
    /// # Errors
    /// There are none, or too many.
    pub fn new(instructions: Vec<Instruction>) -> Result<Filter, FilterSize> {
        match instructions.len() {
            1..=MAX_INSTRUCTIONS => Ok(Filter(instructions)),
            length => Err(FilterSize(length)),
        }
    }

    /// The instructions.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}

/// Loads a filter that asks somebody about calls, as [`load`] does; a [`Listener`] answers through the
/// descriptor.
///
/// # Errors
/// As [`load`]; or another filter of the thread's asks already.
pub(crate) fn load_asking(filter: &Filter) -> Result<OwnedFd, Errno> {
    listener::load(filter.instructions())
}

/// Loads a filter into the calling thread, for good. It needs `CAP_SYS_ADMIN`, or no new
/// privileges.
///
/// # Errors
/// The kernel finds the filter invalid, or the thread lacks the right.
pub fn load(filter: &Filter) -> Result<(), Errno> {
    crate::raw::load_seccomp(filter.instructions())
}
