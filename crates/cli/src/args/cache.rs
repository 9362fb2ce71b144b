//! Commands about what builds keep between them, as they are typed.

use clap::{Args, Subcommand};

/// `kiln cache …`
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// Manage the directories of RUN --mount=type=cache
    #[command(subcommand, override_usage = "kiln cache mounts COMMAND")]
    Mounts(Mounts),
}

/// `kiln cache mounts …`
#[derive(Debug, Subcommand)]
pub enum Mounts {
    /// List cache mounts
    #[command(visible_alias = "list")]
    Ls(Ls),
    /// Display detailed information on one or more cache mounts
    #[command(visible_alias = "inspect")]
    Show(Show),
    /// Show what cache mounts take on disk
    Du(Du),
    /// Remove one or more cache mounts
    Rm(Rm),
    /// Write a cache mount as a tar archive (streamed to STDOUT by default)
    Export(Export),
    /// Make a cache mount of a tar archive or STDIN
    Import(Import),
    /// Set or show how much cache mounts may take
    Limit(Limit),
}

/// Flags of `cache mounts ls`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln cache mounts ls [OPTIONS]")]
pub struct Ls {
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Only display the numbers of instances
    #[arg(short, long)]
    pub quiet: bool,
}

/// Flags of `cache mounts show`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln cache mounts show [OPTIONS] MOUNT [MOUNT...]")]
pub struct Show {
    /// Format output: "json" or a template
    #[arg(short, long, value_name = "string")]
    pub format: Option<String>,
    /// Ids of Dockerfiles, or numbers of instances
    #[arg(value_name = "MOUNT", required = true)]
    pub mounts: Vec<String>,
}

/// Flags of `cache mounts du`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln cache mounts du [OPTIONS] [MOUNT...]")]
pub struct Du {
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Ids of Dockerfiles, or numbers of instances; all when none
    #[arg(value_name = "MOUNT")]
    pub mounts: Vec<String>,
}

/// Flags of `cache mounts rm`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln cache mounts rm [OPTIONS] MOUNT [MOUNT...]")]
pub struct Rm {
    /// Remove all cache mounts
    #[arg(short, long)]
    pub all: bool,
    /// Do not report cache mounts that are not there
    #[arg(short, long)]
    pub force: bool,
    /// Ids of Dockerfiles, or numbers of instances
    #[arg(value_name = "MOUNT", required_unless_present = "all")]
    pub mounts: Vec<String>,
}

/// Flags of `cache mounts export`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln cache mounts export [OPTIONS] MOUNT")]
pub struct Export {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    pub output: Option<String>,
    /// An id of Dockerfiles, or the number of an instance
    #[arg(value_name = "MOUNT", required = true)]
    pub mount: String,
}

/// Flags of `cache mounts import`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln cache mounts import [OPTIONS] ID")]
pub struct Import {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, value_name = "string")]
    pub input: Option<String>,
    /// mode= in Dockerfiles, instead of the archive's
    #[arg(long, value_name = "octal")]
    pub mode: Option<String>,
    /// uid= in Dockerfiles, instead of the archive's
    #[arg(long, value_name = "int")]
    pub uid: Option<u32>,
    /// gid= in Dockerfiles, instead of the archive's
    #[arg(long, value_name = "int")]
    pub gid: Option<u32>,
    /// Put it in the place of what is there
    #[arg(long)]
    pub replace: bool,
    /// The id in Dockerfiles
    #[arg(value_name = "ID", required = true)]
    pub id: String,
}

/// Flags of `cache mounts limit`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln cache mounts limit [OPTIONS] [ID SIZE]")]
pub struct Limit {
    /// What goes beyond the limit: "whole" mounts, or the "files" that were not used for longest
    #[arg(long, value_name = "string", default_value = "whole")]
    pub evict: String,
    /// Take the limit away
    #[arg(long)]
    pub unset: bool,
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// The id in Dockerfiles
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// What each of its instances may take, such as 2g
    #[arg(value_name = "SIZE", requires = "id")]
    pub size: Option<String>,
}
