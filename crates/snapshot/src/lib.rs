//! File systems of layers: made, read, copied between, turned into layer tars and back.
//!
//! A *layer directory* holds what one layer changes, in the form that overlayfs gives an upper
//! directory: whiteouts are character devices 0:0, opaque directories carry an attribute. A *stack*
//! is a list of layer directories, bottom first. Layer directories never change once they are
//! published, and everything here relies on that.
//!
//! Reading order: [`Tree`] reads a directory or a stack without mounting it; [`Upper`] writes a new
//! layer above a stack; [`diff`] and [`apply`] turn layer directories into tars and back;
//! [`copy`](mod@copy) and [`checksum`] are what `COPY` does and what it depends on.

pub mod apply;
pub mod archive;
pub mod changes;
pub mod checksum;
pub mod copy;
pub mod diff;
mod edit;
mod extract;
mod file;
mod marks;
mod select;
pub mod snapshotter;
pub mod tar;
mod tree;
mod unpack;
mod upper;

pub use edit::{EditError, Mkdir, Mkfile, Remove, Symlink};
pub use extract::{Bound, ExtractError, Limits, Overwrite};
pub use file::{FileError, Kind, Stat, Time};
pub use marks::{Marks, is_content_attribute};
pub use select::{SelectError, Selector};
pub use tar::Xattr;
pub use tree::{
    Dir, Entry, Filter, Found, Include, Resolved, Tree, Verdict, has_wildcards, matches,
};
pub use unpack::{Owners, unpack};
pub use upper::{Attributes, Made, NewDirectory, Upper, UpperDir, UpperError};

pub(crate) use copy::CopyError;
