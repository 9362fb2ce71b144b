//! JSON as Go writes structures whose fields say `omitempty`.

use oci::Digest;
use serde::Serialize;

/// What Go leaves out.
pub(crate) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The digest of a value as Go writes it.
pub(crate) fn digest<T: Serialize>(value: &T) -> Option<Digest> {
    let bytes = oci::to_canonical_json(value).ok()?;
    Some(Digest::of(&bytes))
}
