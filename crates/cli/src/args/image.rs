//! Commands about images as they are typed.

use clap::{Args, Subcommand};

use super::build::Build;

/// `kiln image …`
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Build an image from a Dockerfile
    Build(Box<Build>),
    /// Show the history of an image
    History(ImageHistory),
    /// Display detailed information on one or more images
    Inspect(Inspect),
    /// Load an image from a tar archive or STDIN
    Load(Load),
    /// List images
    #[command(alias = "list")]
    Ls(Ls),
    /// Remove unused images
    Prune(super::prune::ImagePrune),
    /// Download an image from a registry
    Pull(Pull),
    /// Upload an image to a registry
    Push(Push),
    /// Remove one or more images
    #[command(alias = "remove")]
    Rm(Rm),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(Save),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(Tag),
}

/// Flags of `images`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln images [OPTIONS] [REPOSITORY[:TAG]]")]
pub struct Ls {
    /// Show all images (default hides steps to others)
    #[arg(short, long)]
    pub all: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    pub quiet: bool,
    /// Only images of this repository, or of this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub name: Option<String>,
}

/// Flags of `inspect`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln inspect [OPTIONS] NAME|ID [NAME|ID...]")]
pub struct Inspect {
    /// Format output: "json" or a template
    #[arg(short, long, value_name = "string")]
    pub format: Option<String>,
    /// Only inspect objects of the given type ("image", "container")
    #[arg(long = "type", value_name = "string")]
    pub kind: Option<String>,
    /// Images and containers
    #[arg(value_name = "NAME|ID", required = true)]
    pub names: Vec<String>,
}

/// Flags of `history`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln history [OPTIONS] IMAGE")]
pub struct ImageHistory {
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Print sizes and dates in human readable format (default true)
    #[arg(
        short = 'H',
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "true",
        hide_default_value = true,
        value_parser = super::parse_switch,
        action = clap::ArgAction::Set
    )]
    pub human: bool,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    pub quiet: bool,
    /// The image
    #[arg(value_name = "IMAGE", required = true)]
    pub image: Option<String>,
}

/// Arguments of `tag`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]")]
pub struct Tag {
    /// An image that is there
    #[arg(value_name = "SOURCE_IMAGE[:TAG]", required = true)]
    pub source: String,
    /// Its further name
    #[arg(value_name = "TARGET_IMAGE[:TAG]", required = true)]
    pub target: String,
}

/// Flags of `rmi`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln rmi [OPTIONS] IMAGE [IMAGE...]")]
pub struct Rm {
    /// Force removal of the image
    #[arg(short, long)]
    pub force: bool,
    /// Images to remove
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Flags of `pull`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln pull [OPTIONS] NAME[:TAG|@DIGEST]")]
pub struct Pull {
    /// Set platform if the name stands for several
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    pub quiet: bool,
    /// What to pull
    #[arg(value_name = "NAME[:TAG|@DIGEST]", required = true)]
    pub name: String,
}

/// Flags of `push`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln push [OPTIONS] NAME[:TAG]")]
pub struct Push {
    /// Suppress verbose output
    #[arg(short, long)]
    pub quiet: bool,
    /// What to push
    #[arg(value_name = "NAME[:TAG]", required = true)]
    pub name: String,
}

/// Flags of `save`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln save [OPTIONS] IMAGE [IMAGE...]")]
pub struct Save {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    pub output: Option<String>,
    /// Images to save
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Flags of `load`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln load [OPTIONS]")]
pub struct Load {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, value_name = "string")]
    pub input: Option<String>,
    /// Suppress the load output
    #[arg(short, long)]
    pub quiet: bool,
}
