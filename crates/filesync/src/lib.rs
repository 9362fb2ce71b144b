//! What both ends of BuildKit's file sync have in common. Whoever has the files tells of all of them
//! in order, and sends the content of those that the other asks for, until that one has enough.
//!
//! Pure: packets come in and go out, and whoever has a connection carries them. A client sends its
//! contexts so, and a daemon sends what is exported.

pub mod mode;
pub mod place;
mod sender;

/// Metadata of an answer: when the directory itself was last changed, in nanoseconds since 1970. It
/// is kiln's own; others pass it over.
pub const MODIFIED: &str = "x-kiln-modified";

pub use sender::{Content, Heard, PIECE, Sender, packet};
