//! `history` as it is typed: docker's, about an image, and buildx's, about past builds.

use clap::{Args, Subcommand};

use super::builders::Chosen;

/// `kiln history IMAGE` and `kiln history COMMAND`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "kiln history [OPTIONS] IMAGE"
)]
pub struct History {
    /// What is done with past builds.
    #[command(subcommand)]
    pub command: Option<Builds>,
    /// The image whose history is shown, when it is not about builds.
    #[command(flatten)]
    pub image: super::image::ImageHistory,
}

/// What is done with past builds.
#[derive(Debug, Subcommand)]
pub enum Builds {
    /// Show what a build was and what became of its steps
    Inspect(Inspect),
    /// Print the log of a build
    Logs(Logs),
    /// List builds
    #[command(alias = "list")]
    Ls(Ls),
    /// Forget builds
    #[command(alias = "remove")]
    Rm(Rm),
    /// Say why steps of a build ran, or where their results were
    Why(Why),
    /// Open a build in Docker Desktop
    #[command(hide = true)]
    Open(Other),
    /// Show a trace
    #[command(hide = true)]
    Trace(Other),
    /// Export builds into Docker Desktop's format
    #[command(hide = true)]
    Export(Other),
    /// Import builds into Docker Desktop
    #[command(hide = true)]
    Import(Other),
}

impl Builds {
    /// The builder that is typed.
    #[must_use]
    pub const fn builder(&self) -> Option<&String> {
        let chosen = match self {
            Self::Inspect(args) => &args.chosen,
            Self::Logs(args) => &args.chosen,
            Self::Ls(args) => &args.chosen,
            Self::Rm(args) => &args.chosen,
            Self::Why(args) => &args.chosen,
            Self::Open(_) | Self::Trace(_) | Self::Export(_) | Self::Import(_) => return None,
        };
        chosen.builder.as_ref()
    }
}

/// Flags of `history ls`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln history ls [OPTIONS]")]
pub struct Ls {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Provide filter values (e.g., "status=error", "duration>30s")
    #[arg(long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only show build IDs
    #[arg(short, long)]
    pub quiet: bool,
}

/// Flags of `history inspect`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln history inspect [OPTIONS] [BUILD]")]
pub struct Inspect {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Format output: "pretty", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// ID, its beginning, or ^N; the latest build when none
    #[arg(value_name = "BUILD")]
    pub build: Option<String>,
}

/// Flags of `history logs`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln history logs [OPTIONS] [BUILD]")]
pub struct Logs {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Also tell of each step why it ran, or where its result was
    #[arg(long)]
    pub explain: bool,
    /// Form of the output ("plain", "rawjson")
    #[arg(long, value_name = "string")]
    pub progress: Option<String>,
    /// ID, its beginning, or ^N; the latest build when none
    #[arg(value_name = "BUILD")]
    pub build: Option<String>,
}

/// Flags of `history why`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln history why [OPTIONS] [BUILD [STEP]]")]
pub struct Why {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Format output: "pretty", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// ID, its beginning, or ^N; the latest build when none
    #[arg(value_name = "BUILD")]
    pub build: Option<String>,
    /// Number of the step, or a part of its name; all steps when none
    #[arg(value_name = "STEP")]
    pub step: Option<String>,
}

/// Flags of `history rm`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln history rm [OPTIONS] BUILD [BUILD...]")]
pub struct Rm {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Forget all builds that are not running
    #[arg(long, conflicts_with = "builds")]
    pub all: bool,
    /// IDs, their beginnings, or ^N
    #[arg(value_name = "BUILD", required_unless_present = "all")]
    pub builds: Vec<String>,
}

/// Arguments of what is Docker Desktop's.
#[derive(Debug, Args)]
pub struct Other {
    /// Whatever buildx takes
    #[arg(
        value_name = "ARG",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub arguments: Vec<String>,
}
