//! Commands that remove what nobody needs, as they are typed.

use clap::Args;

use super::builders::Chosen;

/// Flags of `system prune`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln prune [OPTIONS]")]
pub struct Prune {
    /// Remove all unused images not just dangling ones, all build cache and cache mounts
    #[arg(short, long)]
    pub all: bool,
    /// Provide filter values (e.g. "until=24h", "label=stage", "type=exec.cachemount")
    #[arg(long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Whether it asks, and whether it does it.
    #[command(flatten)]
    pub care: Care,
    /// How much of the cache goes.
    #[command(flatten)]
    pub bounds: Bounds,
}

/// Flags of `image prune`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln image prune [OPTIONS]")]
pub struct ImagePrune {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    pub all: bool,
    /// Provide filter values (e.g. "until=24h", "label=stage")
    #[arg(long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Whether it asks, and whether it does it.
    #[command(flatten)]
    pub care: Care,
}

/// Flags of `builder prune`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln builder prune [OPTIONS]")]
pub struct BuilderPrune {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Remove all of the build cache, also what images use, and cache mounts
    #[arg(short, long)]
    pub all: bool,
    /// Provide filter values (e.g. "until=24h", "type=exec.cachemount")
    #[arg(long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Whether it asks, and whether it does it.
    #[command(flatten)]
    pub care: Care,
    /// How much of the cache goes.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Show each thing that is removed, with its size
    #[arg(long)]
    pub verbose: bool,
}

/// Whether a command that removes things asks first, and whether it does it at all.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Care {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

/// Bounds of the cache: the least recently used goes until they hold.
#[derive(Debug, Default, Args)]
pub struct Bounds {
    /// Amount of disk space always allowed to keep for cache
    #[arg(long, value_name = "bytes", overrides_with = "keep_storage")]
    pub reserved_space: Option<String>,
    /// The old name of --reserved-space.
    #[arg(long, value_name = "bytes", hide = true)]
    pub keep_storage: Option<String>,
    /// Maximum amount of disk space allowed to keep for cache
    #[arg(long, value_name = "bytes")]
    pub max_used_space: Option<String>,
    /// Target amount of free disk space after pruning
    #[arg(long, value_name = "bytes")]
    pub min_free_space: Option<String>,
}

/// Flags of `store gc`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln store gc [OPTIONS]")]
pub struct Gc {
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Show each thing that is removed, with its size
    #[arg(long)]
    pub verbose: bool,
    /// Started by a build.
    #[arg(long, hide = true)]
    pub background: bool,
}
