//! Commands about containers as they are typed.

use clap::{Args, Subcommand};

use super::image::Inspect;
use super::limits::{KernelLimits, Typed};

/// `kiln container …`
#[derive(Debug, Subcommand)]
pub enum Container {
    /// Copy files/folders between a container and the local filesystem
    Cp(Cp),
    /// Create a new container
    Create(Box<Create>),
    /// Display detailed information on one or more containers
    Inspect(Inspect),
    /// List containers
    #[command(aliases = ["list", "ps"])]
    Ls(Ls),
    /// Remove one or more containers
    #[command(alias = "remove")]
    Rm(Rm),
    /// Create and run a new container from an image
    Run(Box<Run>),
}

/// Flags that `create` and `run` share.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Add a custom host-to-IP mapping (host:ip)
    #[arg(long, value_name = "list")]
    pub add_host: Vec<String>,
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "string")]
    pub entrypoint: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "list")]
    pub env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    pub env_file: Vec<String>,
    /// Print usage
    #[arg(long, action = clap::ArgAction::HelpLong)]
    pub help: Option<bool>,
    /// Container host name
    #[arg(short = 'h', long, value_name = "string")]
    pub hostname: Option<String>,
    /// Assign a name to the container
    #[arg(long, value_name = "string")]
    pub name: Option<String>,
    /// Which network it sees ("default", "none", "host")
    #[arg(long, visible_alias = "net", value_name = "network")]
    pub network: Option<String>,
    /// Set platform if the name stands for several
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// Pull image before creating ("always", "missing", "never") (default "missing")
    #[arg(long, value_name = "string")]
    pub pull: Option<String>,
    /// Suppress the pull output
    #[arg(short, long)]
    pub quiet: bool,
    /// What its processes may take.
    #[command(flatten)]
    pub limits: Limits,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string")]
    pub user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    pub workdir: Option<String>,
}

/// What a container's processes may take.
#[derive(Debug, Clone, Default, Args)]
pub struct Limits {
    /// What steps have too.
    #[command(flatten)]
    pub kernel: KernelLimits,
    /// Number of CPUs
    #[arg(long, value_name = "decimal")]
    pub cpus: Option<String>,
    /// Limit of processes and threads ("-1" is no limit)
    #[arg(long, value_name = "int", allow_hyphen_values = true)]
    pub pids_limit: Option<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "bytes")]
    pub shm_size: Option<String>,
    /// Ulimit options
    #[arg(long, value_name = "ulimit")]
    pub ulimit: Vec<String>,
}

impl Limits {
    /// Those that were typed and that the kernel limits.
    pub fn typed(&self) -> impl Iterator<Item = Typed<'_>> {
        let own = [
            ("cpus", "--cpus", &self.cpus),
            ("pids", "--pids-limit", &self.pids_limit),
        ];
        let own = own
            .into_iter()
            .filter_map(|(key, flag, value)| Some((key, flag, value.as_deref()?)));
        self.kernel.typed().chain(own)
    }
}

/// Flags of `create`.
#[derive(Debug, Args)]
#[command(
    override_usage = "kiln create [OPTIONS] IMAGE [COMMAND] [ARG...]",
    disable_help_flag = true
)]
pub struct Create {
    /// What `run` has too.
    #[command(flatten)]
    pub settings: Settings,
    /// The image, the command, and its arguments
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    pub image_and_command: Vec<String>,
}

/// Flags of `run`.
#[derive(Debug, Args)]
#[command(
    override_usage = "kiln run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    disable_help_flag = true
)]
pub struct Run {
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Automatically remove the container when it exits
    #[arg(long)]
    pub rm: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub tty: bool,
    /// What `create` has too.
    #[command(flatten)]
    pub settings: Settings,
    /// The image, the command, and its arguments
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    pub image_and_command: Vec<String>,
}

/// Flags of `cp`.
#[derive(Debug, Args)]
#[command(
    override_usage = "kiln cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tkiln cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"
)]
pub struct Cp {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    pub archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Suppress progress output during copy
    #[arg(short, long)]
    pub quiet: bool,
    /// From where
    #[arg(value_name = "SRC_PATH", required = true)]
    pub source: String,
    /// To where
    #[arg(value_name = "DEST_PATH", required = true)]
    pub destination: String,
}

/// Flags of `ps`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln ps [OPTIONS]")]
pub struct Ls {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    pub all: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    pub quiet: bool,
}

/// Flags of `rm`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln rm [OPTIONS] CONTAINER [CONTAINER...]")]
pub struct Rm {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short, long)]
    pub force: bool,
    /// Remove anonymous volumes associated with the container; those of this store have none
    #[arg(short, long)]
    pub volumes: bool,
    /// Containers to remove
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}
