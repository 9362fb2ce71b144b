//! Docker's flags for what the kernel holds a step, or a container's processes, to.

use clap::{ArgMatches, Args, Command, FromArgMatches};

/// A limit that was typed: the key of the engine's ([`engine::Resources::set`]), the flag, the value.
pub type Typed<'a> = (&'static str, &'static str, &'a str);

/// Those that steps and containers have in common.
#[derive(Debug, Clone, Default, Args)]
pub struct KernelLimits {
    /// Limit CPU CFS (Completely Fair Scheduler) period, in microseconds
    #[arg(long, value_name = "int")]
    pub cpu_period: Option<String>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds
    #[arg(long, value_name = "int", allow_hyphen_values = true)]
    pub cpu_quota: Option<String>,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "int")]
    pub cpu_shares: Option<String>,
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
}

impl KernelLimits {
    /// Those that were typed.
    pub fn typed(&self) -> impl Iterator<Item = Typed<'_>> {
        let all = [
            ("memory", "--memory", &self.memory),
            ("memory-swap", "--memory-swap", &self.memory_swap),
            ("cpu-shares", "--cpu-shares", &self.cpu_shares),
            ("cpu-period", "--cpu-period", &self.cpu_period),
            ("cpu-quota", "--cpu-quota", &self.cpu_quota),
            ("cpuset-cpus", "--cpuset-cpus", &self.cpuset_cpus),
            ("cpuset-mems", "--cpuset-mems", &self.cpuset_mems),
        ];
        all.into_iter()
            .filter_map(|(key, flag, value)| Some((key, flag, value.as_deref()?)))
    }
}

/// The same where they are taken and not shown, since another flag is for all of them.
#[derive(Debug, Clone, Default)]
pub struct HiddenLimits(pub KernelLimits);

impl FromArgMatches for HiddenLimits {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        KernelLimits::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Args for HiddenLimits {
    fn augment_args(command: Command) -> Command {
        let shown = KernelLimits::augment_args(Command::default());
        command.args(shown.get_arguments().map(|arg| arg.clone().hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
