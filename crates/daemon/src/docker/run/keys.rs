//! The keys by which a person leaves a terminal without ending what runs in it.

use bytes::Bytes;

/// The keys, and how many of them were pressed just now.
#[derive(Debug, Clone)]
pub(super) struct DetachKeys {
    keys: Vec<u8>,
    pressed: usize,
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q`, which is what is meant by nothing; none if it is no such list.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = if text.is_empty() {
            "ctrl-p,ctrl-q"
        } else {
            text
        };
        let keys = text.split(',').map(key).collect::<Option<_>>()?;
        Some(Self { keys, pressed: 0 })
    }

    /// What is to be passed on of `bytes`; none once all keys were pressed one after the other.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Bytes> {
        let mut passed = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.keys.get(self.pressed) == Some(byte) {
                self.pressed += 1;
                if self.pressed == self.keys.len() {
                    return None;
                }
                continue;
            }
            passed.extend_from_slice(&self.keys[..self.pressed]);
            self.pressed = usize::from(self.keys.first() == Some(byte));
            if self.pressed == 0 {
                passed.push(*byte);
            }
        }
        Some(passed.into())
    }
}

/// A letter, or one with the control key.
fn key(text: &str) -> Option<u8> {
    match text.strip_prefix("ctrl-").map(str::as_bytes) {
        Some([letter @ b'a'..=b'z']) => Some(letter - b'a' + 1),
        Some([b'@']) => Some(0),
        Some([other @ b'['..=b'_']) => Some(other - b'@'),
        Some(_) => None,
        None => match text.as_bytes() {
            [letter] => Some(*letter),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_held_back_until_it_is_clear_what_they_are() {
        let mut keys = DetachKeys::parse("").unwrap();
        assert_eq!(keys.take(b"ab\x10").as_deref(), Some(&b"ab"[..]));
        assert_eq!(keys.take(b"c").as_deref(), Some(&b"\x10c"[..]));
        assert_eq!(keys.take(b"\x10\x10").as_deref(), Some(&b"\x10"[..]));
        assert_eq!(keys.take(b"\x11"), None);
        assert!(DetachKeys::parse("ctrl-p,no").is_none());
        assert_eq!(DetachKeys::parse("a,ctrl-[").unwrap().keys, [b'a', 27]);
    }
}
