//! Commands about failed steps that were kept, as they are typed.

use clap::{Args, Subcommand};

/// `kiln debug …`
#[derive(Debug, Subcommand)]
pub enum Debug {
    /// Open a shell in a failed step that was kept
    Shell(Shell),
    /// Run a failed step again, with what was changed in it
    Rerun(Rerun),
    /// Save the file system of a failed step as a tar archive (streamed to STDOUT by default)
    Export(Export),
    /// List failed steps that were kept
    #[command(visible_alias = "list")]
    Ls(Ls),
    /// Remove failed steps that were kept
    #[command(visible_alias = "remove")]
    Rm(Rm),
}

/// What a step is granted again.
#[derive(Debug, Clone, Default, Args)]
pub struct Grants {
    /// Secret to expose to the step (format: "id=mysecret[,src=/local/secret]")
    #[arg(long, value_name = "stringArray")]
    pub secret: Vec<String>,
    /// SSH agent socket or keys to expose to the step (format:
    /// "default|<id>[=<socket>|<key>[,<key>]]")
    #[arg(long, value_name = "stringArray")]
    pub ssh: Vec<String>,
}

/// Flags of `debug shell`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln debug shell [OPTIONS] [BUILD] [-- COMMAND [ARG...]]")]
pub struct Shell {
    /// What the step is granted.
    #[command(flatten)]
    pub grants: Grants,
    /// The beginning of a build's ID; the latest kept step when none
    #[arg(value_name = "BUILD")]
    pub build: Option<String>,
    /// What runs instead of the step's shell
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<String>,
}

/// Flags of `debug rerun`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln debug rerun [OPTIONS] [BUILD]")]
pub struct Rerun {
    /// What the step is granted.
    #[command(flatten)]
    pub grants: Grants,
    /// The beginning of a build's ID; the latest kept step when none
    #[arg(value_name = "BUILD")]
    pub build: Option<String>,
}

/// Flags of `debug export`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln debug export [OPTIONS] [BUILD]")]
pub struct Export {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    pub output: Option<String>,
    /// The beginning of a build's ID; the latest kept step when none
    #[arg(value_name = "BUILD")]
    pub build: Option<String>,
}

/// Flags of `debug ls`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln debug ls [OPTIONS]")]
pub struct Ls {
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Only show build IDs
    #[arg(short, long)]
    pub quiet: bool,
}

/// Flags of `debug rm`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln debug rm [OPTIONS] BUILD [BUILD...]")]
pub struct Rm {
    /// Remove all kept steps
    #[arg(short, long)]
    pub all: bool,
    /// The beginnings of builds' IDs
    #[arg(value_name = "BUILD", required_unless_present = "all")]
    pub builds: Vec<String>,
}
