//! What both ends of BuildKit's file sync have in common. Whoever has the files tells of all of them
//! in order, and sends the content of those that the other asks for, until that one has enough.
//!
//! Pure: packets come in and go out, and whoever has a connection carries them. A client sends its
//! contexts so, and a daemon sends what is exported.

pub mod mode;
mod sender;

pub use sender::{Content, Heard, PIECE, Sender, packet};
