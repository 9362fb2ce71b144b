//! Images: reading them from the store, finding them by name, bringing them in and sending them
//! out.

mod commands;
mod fetch;
mod load;
mod names;
mod push;
mod resolve;
mod select;
mod stored;
mod transfer;

pub use commands::{HistoryRow, ImageDetails, ImageSummary, Removed};
pub(crate) use load::{LoadedImage, load, load_any, load_config, parse_document};
pub use names::is_untagged;
pub(crate) use names::untagged;
pub(crate) use push::blob_file;
pub(crate) use resolve::ResolvedImage;
pub(crate) use select::select;
