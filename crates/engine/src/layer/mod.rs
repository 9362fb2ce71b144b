//! Layer references: a layer is a snapshot, a blob, or both, and each is made from the other when
//! somebody needs it.

mod active;
mod blob;
mod chain;
pub(crate) mod owners;
mod unpack;

pub(crate) use active::adopt_root;
pub(crate) use blob::{Wanted, is_as_wanted};
