//! Bake files: what to build together, in HCL, in JSON, or as services of a compose file.
//!
//! Pure: no I/O, no clock, no environment; what files may ask for is [`Given`]. [`read`] makes
//! [`Definitions`] of several files, and [`Definitions::select`] makes of those the targets that
//! are asked for. What comes out is what `docker buildx bake --print` prints for the same files.
//! However hostile a file is, its values take bounded room.

mod compose;
mod csv;
mod definitions;
mod error;
mod eval;
mod functions;
mod given;
mod kind;
mod module;
mod number;
mod overrides;
mod path;
mod resolve;
mod selection;
mod syntax;
mod target;
mod value;

pub use compose::{dot_env, has_compose, variable_files};
pub use definitions::{Definitions, TARGET, read};
pub use error::{BakeError, Place, Problem};
pub use given::{File, Given};
pub use module::Variable;
pub use path::{clean, is_remote};
pub use selection::Selection;
pub use target::{Attest, Entry, Group, Secret, Ssh, Target};

/// Where bake files are looked for when none is named; all that are there count, in this order.
pub const USUAL_FILES: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];
