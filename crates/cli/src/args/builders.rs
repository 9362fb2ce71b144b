//! Commands about builders under names, as they are typed: those of buildx.

use clap::Args;

/// Which builder a command is about.
#[derive(Debug, Clone, Default, Args)]
pub struct Chosen {
    /// The builder: its name, or where it listens (env: KILN_HOST, BUILDX_BUILDER)
    #[arg(long, value_name = "string")]
    pub builder: Option<String>,
}

/// How long nodes are waited for.
#[derive(Debug, Clone, Default, Args)]
pub struct Patience {
    /// How long to wait for the status of nodes (default: 20s)
    #[arg(long, value_name = "duration")]
    pub timeout: Option<String>,
}

/// Flags of `builder create`.
#[derive(Debug, Default, Args)]
#[command(override_usage = "kiln builder create [OPTIONS] [ENDPOINT]")]
pub struct Create {
    /// Add a node to the builder instead of changing it
    #[arg(long)]
    pub append: bool,
    /// Wait until the builder answers
    #[arg(long)]
    pub bootstrap: bool,
    /// What only drivers have that start daemons.
    #[arg(long, hide = true, value_name = "string")]
    pub buildkitd_config: Option<String>,
    /// The same.
    #[arg(long, hide = true, value_name = "string", allow_hyphen_values = true)]
    pub buildkitd_flags: Option<String>,
    /// Driver to use ("remote")
    #[arg(long, value_name = "string")]
    pub driver: Option<String>,
    /// Options for the driver ("cacert=PATH", "cert=PATH", "key=PATH", "servername=NAME",
    /// "default-load=true")
    #[arg(long, value_name = "stringArray")]
    pub driver_opt: Vec<String>,
    /// Take a node out of the builder instead of changing it
    #[arg(long)]
    pub leave: bool,
    /// Name of the builder; one is made up when none is named
    #[arg(long, value_name = "string")]
    pub name: Option<String>,
    /// Name of the node that is added, changed or taken out
    #[arg(long, value_name = "string")]
    pub node: Option<String>,
    /// What the node builds for, whatever it says itself, with commas between them
    #[arg(long, value_name = "stringArray")]
    pub platform: Vec<String>,
    /// How long nodes are waited for.
    #[command(flatten)]
    pub patience: Patience,
    /// Choose the builder, for buildx and for kiln under its name
    #[arg(long = "use")]
    pub chosen: bool,
    /// Where the node listens: "unix://PATH" or "tcp://HOST:PORT" (env: BUILDKIT_HOST)
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: Option<String>,
}

/// Flags of `builder dial-stdio`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln builder dial-stdio [OPTIONS]")]
pub struct DialStdio {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Of several nodes, the one that builds for this platform (env: DOCKER_DEFAULT_PLATFORM)
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// Nothing is told of the connection.
    #[arg(long, hide = true, value_name = "string")]
    pub progress: Option<String>,
}

/// Flags of `builder use`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln builder use [OPTIONS] NAME")]
pub struct Use {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Choose it for this docker, whatever is chosen for others
    #[arg(long)]
    pub default: bool,
    /// Choose it for every docker
    #[arg(long)]
    pub global: bool,
    /// The builder
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Flags of `builder ls`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln builder ls [OPTIONS]")]
pub struct Ls {
    /// Format output: "table", "table TEMPLATE", "json" or a template
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// How long nodes are waited for.
    #[command(flatten)]
    pub patience: Patience,
}

/// Flags of `builder inspect`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln builder inspect [OPTIONS] [NAME]")]
pub struct Inspect {
    /// Wait until the builder answers
    #[arg(long)]
    pub bootstrap: bool,
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// How long nodes are waited for.
    #[command(flatten)]
    pub patience: Patience,
    /// The builder; the one that was chosen when none is named
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Flags of `builder rm`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln builder rm [OPTIONS] [NAME...]")]
pub struct Rm {
    /// Remove all builders that do not answer
    #[arg(long)]
    pub all_inactive: bool,
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Daemons and what they keep stay in any case.
    #[arg(long, hide = true)]
    pub keep_daemon: bool,
    /// The same.
    #[arg(long, hide = true)]
    pub keep_state: bool,
    /// How long nodes are waited for.
    #[command(flatten)]
    pub patience: Patience,
    /// Builders; the one that was chosen when none is named
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// Flags of `builder stop`.
#[derive(Debug, Args)]
#[command(override_usage = "kiln builder stop [NAME]")]
pub struct Stop {
    /// Which builder it is about.
    #[command(flatten)]
    pub chosen: Chosen,
    /// The builder; the one that was chosen when none is named
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}
