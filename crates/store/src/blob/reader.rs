//! Reading a blob and verifying it on the way.

use std::io::{Read, Result};

use oci::{Digest, Hasher};

use crate::error::StoreError;

/// Passes bytes on, and fails instead of ending if they are not those that the digest names.
#[derive(Debug)]
pub struct VerifiedReader<R> {
    from: R,
    expected: Digest,
    hasher: Option<Hasher>,
}

impl<R> VerifiedReader<R> {
    /// Reads `from`, whose bytes must be those of `expected`.
    pub fn new(from: R, expected: Digest) -> Self {
        Self {
            from,
            expected,
            hasher: Some(Hasher::new()),
        }
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.from.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..read]);
        }
        if read == 0
            && !buffer.is_empty()
            && let Some(hasher) = self.hasher.take()
        {
            let found = hasher.finish();
            if found != self.expected {
                // A reader that asks again gets the error again.
                self.hasher = Some(Hasher::new());
                return Err(StoreError::DigestMismatch {
                    expected: self.expected,
                    found,
                }
                .into());
            }
        }
        Ok(read)
    }
}
