//! Progress on a terminal, as lines, as JSON, or not at all.
//!
//! Renderers are pure: they are told what happens and what time it is, and give back the text to
//! write. [`display`] drives them.

pub mod display;
pub mod explain;
pub mod log;
pub mod plain;
pub mod raw_json;
pub mod summary;
pub mod trace;
pub mod tty;

pub use display::{Display, Renderer};
pub use plain::Plain;
pub use raw_json::RawJson;
pub use summary::Summary;
pub use tty::Tty;
