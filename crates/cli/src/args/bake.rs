//! `bake` as it is typed.

use clap::Args;

/// Flags of `bake`; names and repetition are those of buildx.
#[derive(Debug, Clone, Default, Args)]
#[command(override_usage = "kiln bake [OPTIONS] [TARGET...]")]
pub struct Bake {
    /// Allow builds more rights ("network.host", "security.insecure", "device", "ssh", "fs=PATH",
    /// "fs.read=PATH", "fs.write=PATH")
    #[arg(long, value_name = "stringArray")]
    pub allow: Vec<String>,
    /// Build through this builder: its name, or where it listens ("unix://PATH", "tcp://HOST:PORT")
    /// (env: KILN_HOST, BUILDX_BUILDER)
    #[arg(long, value_name = "string")]
    pub builder: Option<String>,
    /// Set method for evaluating build ("check", "context", "outline", "targets")
    #[arg(long, value_name = "string")]
    pub call: Option<String>,
    /// Shorthand for "--call=check"
    #[arg(long)]
    pub check: bool,
    /// Build definition file
    #[arg(short, long, value_name = "stringArray")]
    pub file: Vec<String>,
    /// List targets or variables ("targets", "variables", "type=targets,format=json")
    #[arg(long, value_name = "string")]
    pub list: Option<String>,
    /// Shorthand for "--set=*.output=type=docker", where an image is the output
    #[arg(long)]
    pub load: bool,
    /// Write build result metadata to a file
    #[arg(long, value_name = "string")]
    pub metadata_file: Option<String>,
    /// Do not use cache when building the images
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "bool")]
    pub no_cache: Option<String>,
    /// Print the options without building
    #[arg(long)]
    pub print: bool,
    /// Set type of progress output ("auto", "none", "plain", "quiet", "rawjson", "tty") (env:
    /// BUILDKIT_PROGRESS)
    #[arg(long, value_name = "string")]
    pub progress: Option<String>,
    /// Shorthand for "--set=*.attest=type=provenance"
    #[arg(long, value_name = "string", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub provenance: Option<String>,
    /// Always ask registries for all base images
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "bool")]
    pub pull: Option<String>,
    /// Shorthand for "--set=*.output=type=registry", where an image is the output
    #[arg(long)]
    pub push: bool,
    /// Shorthand for "--set=*.attest=type=sbom"
    #[arg(long, value_name = "string", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub sbom: Option<String>,
    /// Override target value (e.g., "targetpattern.key=value")
    #[arg(long, value_name = "stringArray")]
    pub set: Vec<String>,
    /// Set a variable value (e.g., "name=value")
    #[arg(long, value_name = "stringArray")]
    pub var: Vec<String>,
    /// Targets and groups; "default" when there are none
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
}
