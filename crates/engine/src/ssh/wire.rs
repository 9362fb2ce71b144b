//! The fields of SSH's messages and keys (RFC 4251, section 5): whatever is read, was there.

use zeroize::Zeroizing;

/// Fields that are still to be read.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `length` bytes.
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let bytes = self.bytes(4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.bytes(length)
    }
}

pub(super) fn put_number(to: &mut Vec<u8>, number: usize) {
    // Nothing that is sent is longer than a message may be.
    to.extend(u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

pub(super) fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len());
    to.extend_from_slice(bytes);
}

/// The bytes of a positive number without those that it does not need, as SSH and DER write it.
pub(super) fn integer(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    let mut integer = Zeroizing::new(Vec::with_capacity(digits.len() + 1));
    if digits.first().is_some_and(|byte| byte & 0x80 != 0) {
        integer.push(0);
    }
    integer.extend_from_slice(digits);
    integer
}
