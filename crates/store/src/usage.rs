//! What the store takes on disk.
//!
//! Bytes are those that the file system allocated, of every file below the root; what is
//! hard-linked is counted once. So the sum is that of `du`, and that of `df` up to data that files
//! share below that (reflinks).

mod measure;
mod survey;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) use measure::Sizes;

/// What takes space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A blob; named by digest.
    Blob,
    /// The snapshot of a layer; named by layer id. Where it has none, the layer's row.
    Snapshot,
    /// A cache record; named by key. It takes space in the database alone.
    Record,
    /// A cache mount; named by number.
    CacheMount,
    /// What a container wrote; named by container id.
    Container,
    /// A download that is not finished; named by digest.
    Download,
    /// A past build; named by id.
    Build,
    /// The metadata.
    Database,
    /// What a process left that died, or is still at work on; named by path below the root.
    Temporary,
    /// Directories, documents, locks: one item for all.
    Other,
}

/// A thing in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageItem {
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub id: String,
    /// What it is of, in words, where that is known.
    pub description: String,
    /// The bytes that it takes. What it shares with others is counted with one of them, with one
    /// that is in use if there is such a one.
    pub bytes: u64,
    /// When it was last used, where that is noted.
    pub used: Option<SystemTime>,
    /// Who needs it.
    pub need: Need,
}

/// Who needs a thing in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nobody, or only the build cache.
    Nobody,
    /// Images that builds brought in and nobody named.
    BuildImages,
    /// A live build.
    Builds,
    /// Images that somebody named, containers, or the store itself.
    Others,
}

/// All that a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// By kind, without records, which have no bytes of their own.
    pub items: Vec<UsageItem>,
    /// The number of cache records.
    pub records: u64,
}

/// Sums of some items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// How many there are.
    pub count: u64,
    /// What they take.
    pub bytes: u64,
    /// What those take that could go.
    pub reclaimable: u64,
}

impl UsageItem {
    /// Neither a tag nor a container nor a live build needs it.
    #[must_use]
    pub fn is_reclaimable(&self) -> bool {
        self.need == Need::Nobody
    }
}

impl Usage {
    /// The sum of the items of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> UsageSum {
        self.sum(|item| item.kind == kind)
    }

    /// The sum of all.
    #[must_use]
    pub fn total(&self) -> UsageSum {
        self.sum(|_| true)
    }

    fn sum(&self, wanted: impl Fn(&UsageItem) -> bool) -> UsageSum {
        let mut sum = UsageSum::default();
        for item in self.items.iter().filter(|item| wanted(item)) {
            sum.count += 1;
            sum.bytes += item.bytes;
            if item.is_reclaimable() {
                sum.reclaimable += item.bytes;
            }
        }
        sum
    }
}

/// `path` as it is named in reports.
pub(crate) fn below(root: &Path, path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root).unwrap_or(path).to_owned();
    path.to_string_lossy().into_owned()
}
