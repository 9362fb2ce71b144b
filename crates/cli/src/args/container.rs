//! Commands about containers as they are typed.

use clap::{Args, Subcommand};

use super::image::Inspect;

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
    /// Limit CPU CFS (Completely Fair Scheduler) period, in microseconds
    #[arg(long, value_name = "int")]
    pub cpu_period: Option<String>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds
    #[arg(long, value_name = "int", allow_hyphen_values = true)]
    pub cpu_quota: Option<String>,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "int")]
    pub cpu_shares: Option<String>,
    /// Number of CPUs
    #[arg(long, value_name = "decimal")]
    pub cpus: Option<String>,
    /// CPUs in which to allow execution ("0-3", "0,1")
    #[arg(long, value_name = "string")]
    pub cpuset_cpus: Option<String>,
    /// Nodes of memory in which to allow execution ("0-3", "0,1")
    #[arg(long, value_name = "string")]
    pub cpuset_mems: Option<String>,
    /// Memory limit
    #[arg(short, long, value_name = "bytes")]
    pub memory: Option<String>,
    /// Limit of memory and swap together ("-1" is all swap that there is)
    #[arg(long, value_name = "bytes", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
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
    /// Those that were typed and that the kernel limits: the key of the engine's, the flag, and the
    /// value.
    #[must_use]
    pub fn typed(&self) -> Vec<(&'static str, &'static str, &str)> {
        let all = [
            ("memory", "--memory", &self.memory),
            ("memory-swap", "--memory-swap", &self.memory_swap),
            ("cpu-shares", "--cpu-shares", &self.cpu_shares),
            ("cpu-period", "--cpu-period", &self.cpu_period),
            ("cpu-quota", "--cpu-quota", &self.cpu_quota),
            ("cpus", "--cpus", &self.cpus),
            ("cpuset-cpus", "--cpuset-cpus", &self.cpuset_cpus),
            ("cpuset-mems", "--cpuset-mems", &self.cpuset_mems),
            ("pids", "--pids-limit", &self.pids_limit),
        ];
        all.into_iter()
            .filter_map(|(key, flag, value)| Some((key, flag, value.as_deref()?)))
            .collect()
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
