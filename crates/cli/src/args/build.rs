//! `build` as it is typed.

use clap::Args;

use super::limits::HiddenLimits;

/// Flags of `build`; names, short forms and repetition are docker's.
#[derive(Debug, Clone, Default, Args)]
#[command(override_usage = "kiln build [OPTIONS] PATH | URL | -")]
pub struct Build {
    /// Add a custom host-to-IP mapping (format: "host:ip")
    #[arg(long, value_name = "strings")]
    pub add_host: Vec<String>,
    /// Allow steps more rights ("device", "network.host", "security.insecure")
    #[arg(long, value_name = "stringArray")]
    pub allow: Vec<String>,
    /// Set build-time variables
    #[arg(long, value_name = "stringArray")]
    pub build_arg: Vec<String>,
    /// Additional build contexts (e.g., name=path)
    #[arg(long, value_name = "stringArray")]
    pub build_context: Vec<String>,
    /// Build through this builder: its name, or where it listens ("unix://PATH", "tcp://HOST:PORT")
    /// (env: KILN_HOST, BUILDX_BUILDER)
    #[arg(long, value_name = "string")]
    pub builder: Option<String>,
    /// The text of the Dockerfile, in place of a file; not typed as a flag of `build`.
    #[arg(skip)]
    pub dockerfile_text: Option<String>,
    /// Names of contexts that other builds make; not typed as flags of `build`.
    #[arg(skip)]
    pub result_contexts: Vec<String>,
    /// Nothing becomes of the result if no output is named; not typed as a flag of `build`.
    #[arg(skip)]
    pub no_output: bool,
    /// Add annotation to the image (format: "KEY=VALUE", "TYPE[PLATFORM],TYPE:KEY=VALUE")
    #[arg(long, value_name = "stringArray")]
    pub annotation: Vec<String>,
    /// External cache sources (e.g., "user/app:cache", "type=local,src=path/to/dir")
    #[arg(long, value_name = "stringArray")]
    pub cache_from: Vec<String>,
    /// Cache export destinations (e.g., "user/app:cache", "type=local,dest=path/to/dir")
    #[arg(long, value_name = "stringArray")]
    pub cache_to: Vec<String>,
    /// Where cache mounts come from that are not here (e.g., "type=local,src=path/to/dir")
    #[arg(long, value_name = "stringArray")]
    pub cache_mounts_from: Vec<String>,
    /// Where the cache mounts of the build go (e.g., "type=registry,ref=user/app:mounts")
    #[arg(long, value_name = "stringArray")]
    pub cache_mounts_to: Vec<String>,
    /// Set method for evaluating build ("check", "context", "outline", "targets", "subrequests.describe")
    #[arg(
        long,
        value_name = "string",
        default_value = "build",
        hide_default_value = true
    )]
    pub call: String,
    /// Shorthand for "--call=check"
    #[arg(long)]
    pub check: bool,
    /// Name of the Dockerfile (default: "PATH/Dockerfile")
    #[arg(short, long, value_name = "string")]
    pub file: Option<String>,
    /// Rewrite what "--check" finds where that is mechanical
    #[arg(long)]
    pub fix: bool,
    /// Tell of each step why it runs, or where its result was
    #[arg(long)]
    pub explain: bool,
    /// Format of what "--call" prints ("text", "json")
    #[arg(long, value_name = "string")]
    pub format: Option<String>,
    /// Write the image ID to a file
    #[arg(long, value_name = "string")]
    pub iidfile: Option<String>,
    /// Steps that may run at once (default: 16 for each CPU)
    #[arg(long, value_name = "int")]
    pub jobs: Option<String>,
    /// Set metadata for an image
    #[arg(long, value_name = "stringArray")]
    pub label: Vec<String>,
    /// Keep the result in the store, also with another output
    #[arg(long)]
    pub load: bool,
    /// Write build result metadata to a file
    #[arg(long, value_name = "string")]
    pub metadata_file: Option<String>,
    /// Set the networking mode for the "RUN" instructions during build ("default", "none",
    /// "host", "sandbox", "pasta", "slirp4netns", "cni")
    #[arg(
        long,
        value_name = "string",
        default_value = "default",
        hide_default_value = true
    )]
    pub network: String,
    /// Do not use cache when building the image
    #[arg(long)]
    pub no_cache: bool,
    /// Do not cache specified stages
    #[arg(long, value_name = "stringArray")]
    pub no_cache_filter: Vec<String>,
    /// What becomes of a step that fails ("discard", "keep", "shell"); `kiln debug` enters what is
    /// kept
    #[arg(long, value_name = "string")]
    pub on_failure: Option<String>,
    /// What to state about the images (format: "type=provenance,mode=max", "type=sbom")
    #[arg(long, value_name = "stringArray")]
    pub attest: Vec<String>,
    /// State where the images come from ("true", "false", or attributes such as "mode=min"); bare,
    /// all that is known
    #[arg(
        long,
        value_name = "string",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub provenance: Option<String>,
    /// State what is in the images ("true", "false", or attributes such as "generator=IMAGE"); bare,
    /// as docker/buildkit-syft-scanner finds it
    #[arg(
        long,
        value_name = "string",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub sbom: Option<String>,
    /// Output destination (format: "type=local,dest=path")
    #[arg(short, long, value_name = "stringArray")]
    pub output: Vec<String>,
    /// Set target platforms for build, with commas between them
    #[arg(long, value_name = "string")]
    pub platform: Vec<String>,
    /// Set type of progress output ("auto", "none", "plain", "quiet", "rawjson", "tty") (env:
    /// BUILDKIT_PROGRESS)
    #[arg(long, value_name = "string")]
    pub progress: Option<String>,
    /// When to ask registries for base images ("always", "missing", "newer", "never"); bare, always
    #[arg(
        long,
        value_name = "string",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "always"
    )]
    pub pull: Option<String>,
    /// Shorthand for "--output=type=registry"
    #[arg(long)]
    pub push: bool,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    pub quiet: bool,
    /// What each step may take (format: "memory=2g,pids=500,time=10m"; also memory-swap, cpus,
    /// cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems, output, disk)
    #[arg(long, value_name = "stringArray")]
    pub resource: Vec<String>,
    /// Docker's words for some of these.
    #[command(flatten)]
    pub limits: HiddenLimits,
    /// Secret to expose to the build (format: "id=mysecret[,src=/local/secret][,cache=digest]"); with
    /// cache=digest, steps that see it run again when it changes
    #[arg(long, value_name = "stringArray")]
    pub secret: Vec<String>,
    /// Shared memory size for build containers
    #[arg(long, value_name = "bytes")]
    pub shm_size: Option<String>,
    /// Stage that must succeed though the target may not need it
    #[arg(long, value_name = "stringArray")]
    pub require: Vec<String>,
    /// SSH agent socket or keys to expose to the build (format: "default|<id>[=<socket>|<key>[,<key>]]")
    #[arg(long, value_name = "stringArray")]
    pub ssh: Vec<String>,
    /// Image identifier (format: "[target=][registry/]repository[:tag]")
    #[arg(short, long, value_name = "stringArray")]
    pub tag: Vec<String>,
    /// Set the target build stage to build; of several, --output takes the last
    #[arg(long, value_name = "stringArray")]
    pub target: Vec<String>,
    /// Ulimit options
    #[arg(long, value_name = "ulimit")]
    pub ulimit: Vec<String>,
    /// Directory, archive, git repository or URL of the build context, or "-" for standard input
    #[arg(value_name = "PATH", required = true)]
    pub context: String,
}
