//! `imagetools` as it is typed.

use clap::{Args, Subcommand};

/// `kiln imagetools …`; names and repetition of flags are those of buildx.
#[derive(Debug, Subcommand)]
pub enum ImageTools {
    /// Create a new image based on source images
    #[command(override_usage = "kiln imagetools create [OPTIONS] [SOURCE...]")]
    Create(Box<Create>),
    /// Show details of an image in the registry
    #[command(override_usage = "kiln imagetools inspect [OPTIONS] NAME")]
    Inspect(Inspect),
}

/// Flags of `imagetools create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Add annotation to the image (format: "index:KEY=VALUE",
    /// "manifest-descriptor[PLATFORM]:KEY=VALUE")
    #[arg(long, value_name = "stringArray")]
    pub annotation: Vec<String>,
    /// Append to existing manifest
    #[arg(long)]
    pub append: bool,
    /// Show final image instead of pushing
    #[arg(long)]
    pub dry_run: bool,
    /// Read source descriptor from file ("-" is STDIN)
    #[arg(short, long, value_name = "stringArray")]
    pub file: Vec<String>,
    /// Write create result metadata to a file
    #[arg(long, value_name = "string")]
    pub metadata_file: Option<String>,
    /// Filter specified platforms of target image
    #[arg(short, long, value_name = "stringArray", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// When only a single source is specified, prefer outputting an image index or manifest list
    /// instead of performing a carbon copy (default true)
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "true",
        hide_default_value = true,
        value_parser = super::parse_switch,
        action = clap::ArgAction::Set
    )]
    pub prefer_index: bool,
    /// Set type of progress output ("auto", "none", "plain", "quiet", "rawjson", "tty")
    #[arg(long, value_name = "string")]
    pub progress: Option<String>,
    /// Set reference for new image
    #[arg(short, long, value_name = "stringArray")]
    pub tag: Vec<String>,
    /// Images: references, digests or descriptors as JSON
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<String>,
}

/// Flags of `imagetools inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Format the output using the given Go template (default "{{.Manifest}}")
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Show original, unformatted JSON manifest
    #[arg(long)]
    pub raw: bool,
    /// The image
    #[arg(value_name = "NAME", required = true)]
    pub name: String,
}
