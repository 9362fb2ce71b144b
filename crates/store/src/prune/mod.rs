//! Removing what nobody needs: on demand, and by the rules of a policy.
//!
//! Decisions are made while nobody can take anything or write (`locks/collect`, `locks/write`).
//! Rows go first, in one transaction; then files are moved aside, and removed when others may go on
//! again. A death in between leaves files without rows, which the next collection finds.

mod choice;
mod filter;
mod leftovers;
mod plan;
mod rule;
mod sweep;

use std::time::SystemTime;

use crate::Store;
use crate::disk::Disk;
use crate::error::Result;
use crate::lease;
use crate::usage::Kind;

pub use filter::{Filter, FilterError};
pub(crate) use leftovers::find as find_leftovers;
pub use rule::{Rule, Told};

use choice::{Choice, Measured};

/// Which past builds stay, apart from those that are in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// All.
    #[default]
    All,
    /// Those used since then.
    UsedSince(SystemTime),
    /// None.
    Nothing,
}

/// What is to be removed. What neither a tag, a container, a live lease nor a record that stays
/// needs goes in any case, as do leftovers of dead processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneRequest {
    /// The present time.
    pub now: SystemTime,
    /// Which cache records and cache mounts go; applied in order.
    pub rules: Vec<Rule>,
    /// Which past builds stay in the history.
    pub builds: Keep,
    /// Nothing stays that is there for builds alone: images that builds brought in and nobody named,
    /// and downloads that nobody is at work on; those that nobody went on with for a day go in any
    /// case.
    pub everything: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// A thing that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// What it was.
    pub kind: Kind,
    /// Which one.
    pub id: String,
    /// The bytes that the file system got back.
    pub bytes: u64,
}

/// What is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// By kind.
    pub removed: Vec<Removed>,
    /// What the cache takes now beyond what images and containers need, if it was measured.
    pub used: Option<u64>,
}

impl PruneRequest {
    /// Keeps all records, cache mounts and builds.
    #[must_use]
    pub const fn new(now: SystemTime) -> Self {
        Self {
            now,
            rules: Vec::new(),
            builds: Keep::All,
            everything: false,
            dry_run: false,
        }
    }
}

impl Pruned {
    /// The bytes that the file system got back.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.removed.iter().map(|removed| removed.bytes).sum()
    }
}

impl Keep {
    /// Whether something stays that was last used then, in milliseconds since 1970.
    fn keeps(self, used: i64) -> bool {
        match self {
            Self::All => true,
            Self::UsedSince(time) => used >= crate::db::millis(time),
            Self::Nothing => false,
        }
    }
}

impl Store {
    /// Removes what nobody needs. Others wait while it is decided what goes, not while sizes are
    /// measured nor while files are removed.
    ///
    /// # Errors
    /// The store cannot be read or written, or a document cannot be read that says what a tag
    /// needs. What was removed before the error stays removed.
    pub fn prune(&self, request: &PruneRequest) -> Result<Pruned> {
        let lease = self.lease(request.now)?;
        let measured = self.measure_for(request)?;
        let mut plan;
        {
            let _collect = lease::collect_lock(self.layout())?;
            let lock = self.database().lock()?;
            plan = self.database().read(|connection| {
                plan::Plan::make(self, connection, request, measured.as_ref())
            })?;
            if !request.dry_run {
                sweep::forget(self, &lock, &plan, request.now)?;
                sweep::move_aside(&mut plan, &lease)?;
            }
        }
        sweep::finish(plan, request.dry_run)
    }

    /// Sizes, if the rules need them: measuring takes as long as a walk over all files.
    fn measure_for(&self, request: &PruneRequest) -> Result<Option<Measured>> {
        if !request.rules.iter().any(Rule::is_bounded) {
            return Ok(None);
        }
        let disk = Disk::of(self.root())?;
        let is_needed = {
            let _collect = lease::collect_lock(self.layout())?;
            self.database().read(|connection| {
                Ok(Choice::gather(self, connection, request)?.needs_sizes(request, disk))
            })?
        };
        if !is_needed {
            return Ok(None);
        }
        let sizes = self.sizes()?;
        Ok(Some(Measured { sizes, disk }))
    }

    /// Removes what dead processes left, and nothing else. Worth a call before each build.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn clean(&self, now: SystemTime) -> Result<Pruned> {
        let lease = self.lease(now)?;
        let mut plan = plan::Plan::default();
        {
            let _collect = lease::collect_lock(self.layout())?;
            let _lock = self.database().lock()?;
            self.database()
                .read(|connection| leftovers::gather(&mut plan, self, connection))?;
            sweep::move_aside(&mut plan, &lease)?;
        }
        sweep::finish(plan, false)
    }
}
