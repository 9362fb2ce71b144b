//! From the arguments of `build` to a [`engine::BuildRequest`]: first what they mean here
//! ([`plan`], pure), then the files they name ([`load`]).

mod call;
pub mod load;
mod places;
pub mod plan;
mod policy;

pub use call::{Call, Method, call};
pub use load::{dockerfile_path, load};
pub use plan::{AgentAt, BuildPlan, ContextAt, DockerfileAt, OnFailure, ProgressMode, plan};
pub(crate) use policy::source_rules;
