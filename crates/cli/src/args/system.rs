//! Commands about kiln itself as they are typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::bake::Bake;
use super::build::Build;
use super::builders::{self, Chosen};
use super::prune::{BuilderPrune, Gc, Prune};

/// `kiln builder …`
#[derive(Debug, Subcommand)]
pub enum Builder {
    /// Build targets of bake files together
    #[command(
        alias = "f",
        override_usage = "kiln builder bake [OPTIONS] [TARGET...]"
    )]
    Bake(Box<Bake>),
    /// Build an image from a Dockerfile
    #[command(alias = "b")]
    Build(Box<Build>),
    /// Make a builder under a name, or change its nodes
    Create(Box<builders::Create>),
    /// Pass standard input and output on to a builder's API
    DialStdio(builders::DialStdio),
    /// Show disk usage
    Du(Du),
    /// Show past builds
    #[command(subcommand, override_usage = "kiln builder history COMMAND")]
    History(super::history::Builds),
    /// Work on images in registries
    #[command(subcommand, override_usage = "kiln builder imagetools COMMAND")]
    Imagetools(super::imagetools::ImageTools),
    /// Show a builder and its nodes
    Inspect(builders::Inspect),
    /// List builders
    Ls(builders::Ls),
    /// Remove build cache
    Prune(BuilderPrune),
    /// Remove builders
    Rm(builders::Rm),
    /// Stop a builder that its driver started
    Stop(builders::Stop),
    /// Choose a builder
    Use(builders::Use),
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
    /// Remove what the policy in kiln.toml says, as happens by itself after builds
    Gc(Gc),
}

/// Flags of `system df`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln system df [OPTIONS]")]
pub struct Du {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Show detailed information on space usage
    #[arg(short, long)]
    pub verbose: bool,
}

/// Flags of `store fsck`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln store fsck [OPTIONS]")]
pub struct Fsck {
    /// Read every blob and compare its digest
    #[arg(long)]
    pub deep: bool,
    /// Remove what is wrong and can be had or made again
    #[arg(long)]
    pub repair: bool,
}

/// Flags of `serve`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln serve [OPTIONS]")]
pub struct Serve {
    /// Where to listen: "unix://PATH", "tcp://ADDRESS:PORT" or "fd://" for what systemd hands over
    #[arg(short = 'H', long, value_name = "list")]
    pub host: Vec<String>,
    /// Certificates of who signs those of clients on TCP
    #[arg(long, value_name = "file")]
    pub tlscacert: Option<PathBuf>,
    /// Certificate that clients on TCP are shown
    #[arg(long, value_name = "file")]
    pub tlscert: Option<PathBuf>,
    /// Key of that certificate
    #[arg(long, value_name = "file")]
    pub tlskey: Option<PathBuf>,
    /// Answer /metrics and /healthz, and nothing else, on this address
    #[arg(long, value_name = "address")]
    pub metrics: Option<String>,
    /// Form of the log: "text" or "json"
    #[arg(long, value_name = "string")]
    pub log_format: Option<String>,
    /// What is in the log: "debug", "info", "warn" or "error"
    #[arg(long, value_name = "string")]
    pub log_level: Option<String>,
    /// Group of the socket, whose members may do what kiln may
    #[arg(short = 'G', long, value_name = "string")]
    pub group: Option<String>,
}

/// Flags of `doctor`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln doctor [OPTIONS]")]
pub struct Doctor {
    /// Format output: "json"
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
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
