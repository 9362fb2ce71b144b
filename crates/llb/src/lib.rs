//! LLB to graph: what clients and front ends of BuildKit send, as kiln's own values.
//!
//! Pure: no I/O. The bytes are hostile: sizes and numbers are bounded ([`limits`]), every index is
//! checked, and what kiln cannot do is an error that names it; no field is passed over, not even
//! one that a newer BuildKit added. The same step makes the same op as `dockerfile` makes of the
//! instruction that a front end would have made it of, so that their results are found by the
//! same keys.
//!
//! A definition may hold another one that is not known yet: the build op reads it from a file of
//! the graph. [`Loading`] asks for that file and is resumed with it.

mod caps;
mod checks;
mod container;
mod copy;
mod error;
mod exec;
mod file;
mod frame;
pub mod limits;
mod load;
mod mount;
mod name;
mod offered;
mod options;
mod path;
mod places;
mod policy;
mod schema;
mod simple;
mod source;
mod vertex;
mod wire;

pub use bollard_buildkit_proto::pb;
pub use caps::capabilities;
pub use container::{ContainerMounts, container_mounts};
pub use error::{LoadError, Problem};
pub use load::{FileQuestion, Loading, SourceQuestion, Step};
pub use options::{DeviceLookup, KnownResult, Options};
pub use policy::{PolicyError, SourcePolicy, parse_policy};
pub use schema::{Field, Kind, Message, OP};
pub use source::image::{image_attributes, normalised};
pub use source::layout::{Layout, layout_attributes, layouts_in};
pub use source::named::{name_source, read_remote, read_source, source_platform};
pub use source::result::{of_result, results_in};
pub use vertex::{Loaded, LoadedVertex, Place, ProgressGroup, SourceFile};
pub use wire::decode;
