//! Commands about kiln itself as they are typed.

use clap::{Args, Subcommand};

use super::build::Build;

/// `kiln builder …`
#[derive(Debug, Subcommand)]
pub enum Builder {
    /// Build an image from a Dockerfile
    #[command(alias = "b")]
    Build(Box<Build>),
    /// Show disk usage
    Du(Du),
    /// Remove build cache
    Prune(BuilderPrune),
    /// Show the version
    Version(Version),
}

/// `kiln system …`
#[derive(Debug, Subcommand)]
pub enum System {
    /// Show disk usage
    Df(Du),
    /// Remove unused data
    Prune(Prune),
}

/// `kiln store …`
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Check that everything in the store is whole
    Fsck(Fsck),
}

/// Flags of `system df`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln system df [OPTIONS]")]
pub struct Du {
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Show detailed information on space usage
    #[arg(short, long)]
    pub verbose: bool,
}

/// Flags of `system prune`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln prune [OPTIONS]")]
pub struct Prune {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    pub all: bool,
    /// Provide filter values (e.g. "until=24h")
    #[arg(long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Flags of `image prune`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln image prune [OPTIONS]")]
pub struct ImagePrune {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    pub all: bool,
    /// Provide filter values (e.g. "until=24h")
    #[arg(long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Flags of `builder prune`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln builder prune [OPTIONS]")]
pub struct BuilderPrune {
    /// Remove all of the build cache, also what images use
    #[arg(short, long)]
    pub all: bool,
    /// Provide filter values (e.g. "until=24h")
    #[arg(long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Flags of `store fsck`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln store fsck [OPTIONS]")]
pub struct Fsck {
    /// Read every blob and compare its digest
    #[arg(long)]
    pub deep: bool,
}

/// Flags of `version`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln version [OPTIONS]")]
pub struct Version {
    /// Format output: "json" or a template
    #[arg(short, long, value_name = "string")]
    pub format: Option<String>,
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln completion SHELL")]
pub struct Completion {
    /// "bash", "elvish", "fish", "powershell" or "zsh"
    #[arg(value_name = "SHELL", required = true)]
    pub shell: String,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln man [COMMAND...]")]
pub struct Man {
    /// The command; kiln itself when none
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Arguments of `login` and `logout`, which kiln leaves to docker.
#[derive(Debug, Args)]
#[command(override_usage = "kiln login [SERVER]")]
pub struct Login {
    /// Whatever docker takes
    #[arg(
        value_name = "ARG",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub arguments: Vec<String>,
}
