//! Arguments as they were typed: docker's commands, flags and abbreviations.
//!
//! Nothing here looks at the environment or at a file. A flag of docker's that kiln does not have
//! is an error that names it and says what to do instead ([`unsupported`]); help and errors are
//! laid out as docker lays them out ([`help`], [`refuse`]).

pub mod bake;
pub mod build;
pub mod builders;
pub mod cache;
pub mod container;
pub mod debug;
pub mod help;
pub mod history;
pub mod image;
pub mod imagetools;
pub mod limits;
pub mod prune;
pub mod refuse;
pub mod system;
pub mod unsupported;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use client::{TlsFiles, Way};

use crate::error::Error;
use crate::values::go_bool;

/// A container image builder in one static binary.
#[derive(Debug, Parser)]
#[command(
    name = "kiln",
    version,
    disable_help_subcommand = true,
    args_override_self = true,
    infer_long_args = false,
    override_usage = "kiln [OPTIONS] COMMAND",
    after_help = "With KILN_HOST=unix://PATH or tcp://HOST:PORT set, the daemon there does what is asked."
)]
pub struct Arguments {
    /// For every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Directory of the store (env: KILN_ROOT)
    #[arg(long, global = true, value_name = "dir", display_order = 1000)]
    pub root: Option<PathBuf>,
    /// Configuration file (env: KILN_CONFIG)
    #[arg(long, global = true, value_name = "file", display_order = 1001)]
    pub config: Option<PathBuf>,
    /// Say more about errors
    #[arg(short = 'D', long, global = true, display_order = 1002)]
    pub debug: bool,
    /// A daemon that is named as another client names it; not typed as a flag of kiln's.
    #[arg(skip)]
    pub daemon: Option<NamedDaemon>,
    /// The client that kiln is called as, if it is docker's; not typed as a flag of kiln's.
    #[arg(skip)]
    pub client: Option<DockerClient>,
}

/// What a client of docker's means by builders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerClient {
    /// The docker for which a builder may have been chosen: its address or its context.
    pub endpoint: String,
    /// The builder that was chosen counts.
    pub picks_current: bool,
    /// The builder that is named before the command.
    pub builder: Option<String>,
}

/// A daemon that flags, variables or a context of another client's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedDaemon {
    /// Such as `unix:///run/docker.sock`.
    pub address: String,
    /// How the two show who they are on TCP; they do not without.
    pub tls: Option<TlsFiles>,
    /// Whose certificate the daemon shows, if it is not that of its address.
    pub server: Option<String>,
    /// How its builder is reached there.
    pub way: Way,
}

/// Everything that kiln does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a Dockerfile
    #[command(visible_alias = "b")]
    Build(Box<build::Build>),
    /// Build targets of bake files together
    Bake(Box<bake::Bake>),
    /// Create and run a new container from an image
    Run(Box<container::Run>),
    /// Create a new container
    Create(Box<container::Create>),
    /// Copy files/folders between a container and the local filesystem
    Cp(container::Cp),
    /// List containers
    Ps(container::Ls),
    /// Remove one or more containers
    Rm(container::Rm),
    /// List images
    Images(image::Ls),
    /// Return low-level information on images and containers
    Inspect(image::Inspect),
    /// Show the history of an image, or past builds
    History(history::History),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(image::Tag),
    /// Remove one or more images
    Rmi(image::Rm),
    /// Download an image from a registry
    Pull(image::Pull),
    /// Upload an image to a registry
    Push(image::Push),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(image::Save),
    /// Load an image from a tar archive or STDIN
    Load(image::Load),
    /// Show disk usage
    Du(system::Du),
    /// Remove unused data
    Prune(prune::Prune),
    /// Answer clients of Docker's and BuildKit's APIs
    Serve(system::Serve),
    /// Say where kiln runs, what would be better, and whether all is well
    Doctor(system::Doctor),
    /// Show the version
    Version(system::Version),
    /// Print the completion script of a shell
    Completion(system::Completion),
    /// Print a manual page
    #[command(hide = true)]
    Man(system::Man),
    /// Log in to a registry
    #[command(hide = true)]
    Login(system::Login),
    /// Log out from a registry
    #[command(hide = true)]
    Logout(system::Login),
    /// Manage images
    #[command(
        subcommand,
        override_usage = "kiln image COMMAND",
        display_order = 2000
    )]
    Image(image::Image),
    /// Manage containers
    #[command(
        subcommand,
        override_usage = "kiln container COMMAND",
        display_order = 2001
    )]
    Container(container::Container),
    /// Manage builds
    #[command(
        subcommand,
        visible_alias = "buildx",
        override_usage = "kiln builder COMMAND",
        display_order = 2002
    )]
    Builder(system::Builder),
    /// Work on images in registries
    #[command(
        subcommand,
        override_usage = "kiln imagetools COMMAND",
        display_order = 2003
    )]
    Imagetools(imagetools::ImageTools),
    /// Manage what builds keep between them
    #[command(
        subcommand,
        override_usage = "kiln cache COMMAND",
        display_order = 2004
    )]
    Cache(cache::Cache),
    /// Enter failed steps that were kept
    #[command(
        subcommand,
        override_usage = "kiln debug COMMAND",
        display_order = 2005
    )]
    Debug(debug::Debug),
    /// Manage kiln
    #[command(
        subcommand,
        override_usage = "kiln system COMMAND",
        display_order = 2006
    )]
    System(system::System),
    /// Look after the store
    #[command(
        subcommand,
        override_usage = "kiln store COMMAND",
        display_order = 2007
    )]
    Store(system::Store),
}

impl Command {
    /// Whether it works on a store, whose files belong to more users than one.
    #[must_use]
    pub const fn needs_store(&self) -> bool {
        if let Self::Bake(bake) | Self::Builder(system::Builder::Bake(bake)) = self {
            return !bake.print && bake.list.is_none();
        }
        !matches!(
            self,
            Self::Version(_)
                | Self::Builder(
                    system::Builder::Create(_)
                        | system::Builder::DialStdio(_)
                        | system::Builder::Imagetools(_)
                        | system::Builder::Inspect(_)
                        | system::Builder::Ls(_)
                        | system::Builder::Rm(_)
                        | system::Builder::Stop(_)
                        | system::Builder::Use(_)
                        | system::Builder::Version(_)
                )
                | Self::Imagetools(_)
                | Self::Completion(_)
                | Self::Man(_)
                | Self::Login(_)
                | Self::Logout(_)
        )
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Run a command.
    Run(Box<Arguments>),
    /// Print this and be done.
    Print(String),
}

/// Reads the command line `line`, of which the first word is the program itself. Help is at most
/// `width` columns wide.
///
/// # Errors
/// The line is not understood.
pub fn parse(line: &[OsString], width: usize) -> Result<Parsed, Error> {
    let mut command = command();
    let failure = match command.try_get_matches_from_mut(line) {
        Ok(matches) => match Arguments::from_arg_matches(&matches) {
            Ok(arguments) => return Ok(Parsed::Run(Box::new(arguments))),
            Err(failure) => failure,
        },
        Err(failure) => failure,
    };
    let words = refuse::command_words(&command, line);
    match failure.kind() {
        clap::error::ErrorKind::DisplayHelp
        | clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Ok(Parsed::Print(help::page(&mut command, &words, width)))
        }
        clap::error::ErrorKind::DisplayVersion => Ok(Parsed::Print(failure.to_string())),
        _ => Err(refuse::error(&mut command, &words, &failure)),
    }
}

/// The description of the command line, with flags that take `=true` and `=false` as docker's do.
#[must_use]
pub fn command() -> clap::Command {
    with_go_flags(Arguments::command())
}

fn with_go_flags(command: clap::Command) -> clap::Command {
    let switch = |arg: clap::Arg| {
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            arg.action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .default_value("false")
                .hide_default_value(true)
                .value_parser(parse_switch)
        } else {
            arg
        }
    };
    command.mut_args(switch).mut_subcommands(with_go_flags)
}

fn parse_switch(text: &str) -> Result<bool, &'static str> {
    go_bool(text).ok_or("expected true or false")
}
