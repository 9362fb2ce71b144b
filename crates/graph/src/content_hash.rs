//! Stable hashing: the same value has the same digest in every process, on every machine and in
//! every release that keeps [`VERSION`]. Never `std::hash::Hash`, which promises none of that.
//!
//! Everything of varying length is preceded by its length and every enum by the number of its
//! variant, so that no two different values feed the same bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::{Digest, Platform, Reference};

/// Enters every digest; a change makes all cache keys new.
const VERSION: u8 = 3;

/// Feeds values to a digest. What is fed is short and comes in many parts, so that it is gathered
/// and then hashed at once.
#[derive(Debug)]
pub struct ContentHasher(Vec<u8>);

/// Room for what most values feed.
const CAPACITY: usize = 1024;

impl ContentHasher {
    /// A hasher for values of the kind that `domain` names; equal bytes in two domains differ.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        let mut hasher = Self(Vec::with_capacity(CAPACITY));
        hasher.0.push(VERSION);
        hasher.bytes(domain.as_bytes());
        hasher
    }

    /// Adds bytes, preceded by their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Adds a number: seven bits in a byte, the lowest first, so that small ones, which most are,
    /// take one. No number's bytes begin another's.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest::of(&self.0)
    }
}

/// A value with a stable digest.
pub trait ContentHash {
    /// Feeds the whole value to `hasher`.
    fn feed(&self, hasher: &mut ContentHasher);
}

/// Implements [`ContentHash`] for a struct by feeding each field in turn. Naming every field is
/// what the compiler checks: a new field that is not named here does not build.
macro_rules! content_hash_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::ContentHash for $name {
            fn feed(&self, hasher: &mut $crate::ContentHasher) {
                let Self { $($field),* } = self;
                $($crate::ContentHash::feed($field, hasher);)*
            }
        }
    };
}
pub(crate) use content_hash_struct;

/// Implements [`ContentHash`] for an enum of variants that hold nothing.
macro_rules! content_hash_plain_enum {
    ($name:ident) => {
        impl $crate::ContentHash for $name {
            fn feed(&self, hasher: &mut $crate::ContentHasher) {
                hasher.number(*self as u64);
            }
        }
    };
}
pub(crate) use content_hash_plain_enum;

impl ContentHash for str {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.bytes(self.as_bytes());
    }
}

impl ContentHash for String {
    fn feed(&self, hasher: &mut ContentHasher) {
        self.as_str().feed(hasher);
    }
}

impl ContentHash for bool {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.number(u64::from(*self));
    }
}

impl ContentHash for u32 {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.number(u64::from(*self));
    }
}

impl ContentHash for u64 {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.number(*self);
    }
}

impl ContentHash for i64 {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.number(self.cast_unsigned());
    }
}

impl ContentHash for Digest {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.bytes(self.as_bytes());
    }
}

impl ContentHash for Reference {
    fn feed(&self, hasher: &mut ContentHasher) {
        self.to_string().feed(hasher);
    }
}

impl ContentHash for Platform {
    fn feed(&self, hasher: &mut ContentHasher) {
        self.to_string().feed(hasher);
        self.os_version.feed(hasher);
    }
}

impl<T: ContentHash> ContentHash for Option<T> {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.number(u64::from(self.is_some()));
        if let Some(value) = self {
            value.feed(hasher);
        }
    }
}

impl<T: ContentHash> ContentHash for [T] {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.number(self.len() as u64);
        self.iter().for_each(|value| value.feed(hasher));
    }
}

impl<T: ContentHash> ContentHash for Vec<T> {
    fn feed(&self, hasher: &mut ContentHasher) {
        self.as_slice().feed(hasher);
    }
}

impl<T: ContentHash + ?Sized> ContentHash for Arc<T> {
    fn feed(&self, hasher: &mut ContentHasher) {
        self.as_ref().feed(hasher);
    }
}

impl<K: ContentHash, V: ContentHash> ContentHash for BTreeMap<K, V> {
    fn feed(&self, hasher: &mut ContentHasher) {
        hasher.number(self.len() as u64);
        for (key, value) in self {
            key.feed(hasher);
            value.feed(hasher);
        }
    }
}
