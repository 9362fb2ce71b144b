//! Why steps run, and where the results were of those that do not, in lines of a log.

use engine::events::{Origin, Progress};

/// What `progress` says of that, to be shown before it.
#[must_use]
pub fn line(progress: &Progress) -> Option<Progress> {
    let (vertex, reason) = match progress {
        Progress::Explained { vertex, reason } => (vertex, format!("not cached: {reason}")),
        // That it was imported is told in any case, with the name of the cache.
        Progress::Cached { vertex, origin, .. } if *origin != Origin::Imported => {
            (vertex, format!("cached: {}", self::origin(*origin)))
        }
        Progress::Shared { vertex } => (vertex, "shared: another build runs it too".to_owned()),
        _ => return None,
    };
    let vertex = *vertex;
    Some(Progress::Explained { vertex, reason })
}

/// Where a result was.
#[must_use]
pub const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Recorded => "its result is in this store",
        Origin::Imported => "its result is in an imported cache",
        Origin::MadeMeanwhile => "another build made it while this one waited for it",
        Origin::MadeBefore => "this build made it before, for a step that is the same",
        Origin::NotNeeded => "only steps whose results are known need it",
    }
}
