//! From stages to a build graph.
//!
//! In order: [`table`] names the stages and what each needs; [`driver`] asks for the images that
//! the target reaches and runs `ONBUILD` triggers, which may reach more; then [`dispatch`] goes
//! through the stages in order and their instructions change a [`scope::Scope`], which holds what
//! the file system, the environment and the image config are at that point.

mod base;
mod budget;
mod circle;
mod config;
mod copy;
mod device;
mod dispatch;
mod done;
mod driver;
mod env;
mod epoch;
mod error;
mod expose;
mod foreign;
mod from;
mod git;
mod globals;
mod image;
mod mount;
mod name;
mod node;
mod onbuild;
mod options;
mod outline;
mod request;
mod run;
mod scan;
mod scope;
mod signal;
mod source;
mod table;
mod transfer;
mod url;

pub use device::{AllowedDevices, Devices, RegisteredDevice};
pub use driver::{ImageAnswer, ImageQuestion, Lowering, QuestionId, Step};
pub use git::{GitError, git_context};
pub use image::{HistoryLayer, Lowered, TargetImage};
pub use options::{BuildContext, Checks, NamedContext, NoCache, Options, Steps};
pub use outline::{Outline, OutlineArg, OutlineMount};
pub use scan::Scan;
