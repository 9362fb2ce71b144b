//! Which process is who: the kernel keeps a number with each, and here is what the numbers mean.

use rustix::io::Errno;
use sys::process::other;

use super::credentials::Credentials;

/// Far from any limit that somebody would set.
const FIRST: u64 = 0x6b69_6c6e_0000_0000;
/// More identities than programs have a use for.
const MOST: usize = 4096;

/// The identities that processes have had so far.
#[derive(Debug)]
pub(super) struct Table {
    first: Credentials,
    known: Vec<Credentials>,
}

impl Table {
    /// All processes begin as `first`.
    pub(super) const fn new(first: Credentials) -> Table {
        Table {
            first,
            known: Vec::new(),
        }
    }

    /// Who a process is.
    pub(super) fn get(&self, pid: i32) -> Result<&Credentials, Errno> {
        let mark = other::mark(pid)?;
        let known = mark
            .checked_sub(FIRST)
            .and_then(|index| self.known.get(usize::try_from(index).ok()?));
        Ok(known.unwrap_or(&self.first))
    }

    /// Makes a process somebody else.
    pub(super) fn set(&mut self, pid: i32, credentials: Credentials) -> Result<(), Errno> {
        let known = self.known.iter().position(|known| *known == credentials);
        let index = match known {
            Some(index) => index,
            None if self.known.len() == MOST => return Err(Errno::AGAIN),
            None => {
                self.known.push(credentials);
                self.known.len() - 1
            }
        };
        other::set_mark(pid, FIRST + index as u64)
    }
}
