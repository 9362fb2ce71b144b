//! What can be asked about a Dockerfile in place of a build, as BuildKit answers it: to clients of
//! its API, and to who types `kiln build --call`.

pub mod describe;
mod json;
pub mod text;

pub use json::{Location, Position, Range, location, outline, targets};
