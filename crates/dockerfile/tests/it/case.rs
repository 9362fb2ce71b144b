//! A case: a title, options, a Dockerfile, and what is expected, in one text.
//!
//! ```text
//! ## title
//! --target build
//! --build-arg A=1
//! image alpine layers=1 env=PATH=/bin onbuild=RUN echo hi
//! ```dockerfile
//! FROM alpine
//! ```
//! (what comes out)
//! ```
//!
//! An option `offline` leaves images open that are not given. An option `device` registers one, and `time` answers when one is asked for. An option `show parsed|graph|config|history|all` says what comes out beside diagnostics.

use std::collections::BTreeMap;

use dockerfile::{BuildContext, Checks, Devices, NamedContext, NoCache, Options, RegisteredDevice};
use oci::{ImageConfig, Platform, Reference};

/// One case.
pub(crate) struct Case {
    pub(crate) title: String,
    /// All of it.
    pub(crate) text: String,
    /// All before what is expected.
    given: String,
    lines: Vec<String>,
    dockerfile: String,
}

/// What a case gives beside the Dockerfile.
pub(crate) struct Given {
    pub(crate) options: Options,
    pub(crate) images: BTreeMap<String, (ImageConfig, usize)>,
    pub(crate) show: Vec<String>,
    /// Images that are not given are left open.
    pub(crate) is_offline: bool,
    /// Of whatever the time is asked.
    pub(crate) time: Option<i64>,
}

const OPEN: &str = "```dockerfile\n";
const CLOSE: &str = "```\n";

pub(crate) fn split(text: &str) -> Vec<Case> {
    let mut starts: Vec<usize> = text
        .match_indices("## ")
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n')
        .collect();
    starts.push(text.len());
    starts
        .windows(2)
        .map(|pair| Case::new(&text[pair[0]..pair[1]]))
        .collect()
}

impl Case {
    fn new(text: &str) -> Self {
        let (head, rest) = text
            .split_once(OPEN)
            .unwrap_or_else(|| panic!("no Dockerfile in {text}"));
        let end = rest.find(&format!("\n{CLOSE}")).map_or(0, |at| at + 1);
        let (title, lines) = head.split_once('\n').unwrap();
        let dockerfile = &rest[..end];
        Self {
            title: title.trim_start_matches("## ").to_owned(),
            text: text.to_owned(),
            given: format!("{head}{OPEN}{dockerfile}{CLOSE}"),
            lines: lines.lines().map(str::to_owned).collect(),
            dockerfile: unescape(dockerfile),
        }
    }

    /// The case with `outcome` as what is expected.
    pub(crate) fn with(&self, outcome: &str) -> String {
        format!("{}{outcome}\n", self.given)
    }

    pub(crate) fn run(&self) -> String {
        let (dockerfile, given) = self.parts();
        crate::render::outcome(&dockerfile, given)
    }

    /// The Dockerfile, and what is given beside it.
    pub(crate) fn parts(&self) -> (String, Given) {
        (self.dockerfile.clone(), self.given())
    }

    fn given(&self) -> Given {
        let mut given = Given {
            options: Options {
                context: BuildContext::Local {
                    name: "context".to_owned(),
                    exclude: Vec::new(),
                },
                ..Options::default()
            },
            images: BTreeMap::new(),
            show: vec!["graph".to_owned()],
            is_offline: false,
            time: None,
        };
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "time" => given.time = Some(value.parse().unwrap()),
                "offline" => given.is_offline = true,
                "image" => add_image(&mut given, value),
                "show" => given.show = value.split(' ').map(str::to_owned).collect(),
                _ => set(&mut given.options, key, value),
            }
        }
        given
    }
}

/// Bytes that a text file cannot well hold.
fn unescape(text: &str) -> String {
    text.replace("<CR>", "\r")
        .replace("<BOM>", "\u{feff}")
        .replace("<TAB>", "\t")
        .replace("<SPACE>", " ")
        .replace("<NOEOL>\n", "")
}

fn set(options: &mut Options, key: &str, value: &str) {
    match key {
        "--target" => {
            // The last is the one that a build has always.
            let before = options.target.replace(value.to_owned());
            options.more_targets.extend(before);
        }
        "--require" => options.require.push(value.to_owned()),
        "--build-arg" => {
            let (key, value) = value
                .split_once('=')
                .map_or((value, None), |(k, v)| (k, Some(v)));
            options
                .build_args
                .insert(key.to_owned(), value.map(str::to_owned));
        }
        "--platform" => options.target_platform = Some(value.parse().unwrap()),
        "--build-platform" => options.build_platform = value.parse().unwrap(),
        "--kiln-checks" => options.checks = Checks::All,
        "--no-checks" => options.checks = Checks::None,
        "--scan" => options.scan = true,
        "--every-stage" => options.every_stage = true,
        "--multi-platform" => options.multi_platform = true,
        "--label" => {
            let (key, value) = value.split_once('=').unwrap();
            options.labels.insert(key.to_owned(), value.to_owned());
        }
        "--no-cache" => options.no_cache = NoCache::All,
        "--no-cache-filter" => {
            let stages = value.split(',').map(str::to_owned).collect();
            options.no_cache = NoCache::Stages(stages);
        }
        "--pull" => options.pull = graph::PullPolicy::Always,
        "--network" => options.network = graph::NetworkMode::None,
        "--add-host" => {
            let (host, address) = value.split_once('=').unwrap();
            options.extra_hosts.push(graph::ExtraHost {
                host: host.to_owned(),
                address: address.to_owned(),
            });
        }
        "device" => add_device(options, value),
        "--allow" => {
            let allowed = &mut devices(options).allowed;
            match value.split_once('=') {
                None => allowed.all = true,
                Some((_, name)) => match name.split_once(",alias=") {
                    Some((name, alias)) => {
                        allowed.aliases.insert(alias.to_owned(), name.to_owned());
                    }
                    None => {
                        allowed.names.insert(name.to_owned());
                    }
                },
            }
        }
        "--allow-insecure" => options.allow_insecure = true,
        "--shm-size" => options.shm_size = Some(value.parse().unwrap()),
        "--hostname" => options.hostname = Some(value.to_owned()),
        "--cache-namespace" => value.clone_into(&mut options.cache_mount_namespace),
        "--epoch" => options.source_date_epoch = Some(value.parse().unwrap()),
        "--build-context" => {
            let (name, value) = value.split_once('=').unwrap();
            options
                .named_contexts
                .insert(name.to_owned(), named_context(name, value));
        }
        "--ignore" => {
            options.context = BuildContext::Local {
                name: "context".to_owned(),
                exclude: value.split(',').map(str::to_owned).collect(),
            };
        }
        "--no-context" => options.context = BuildContext::Empty,
        _ => panic!("no option {key}"),
    }
}

fn devices(options: &mut Options) -> &mut Devices {
    options.devices.get_or_insert_default()
}

/// `vendor/class=name`, then `class=…`, `for-all` or `unusable`; `broken` is a file of devices.
fn add_device(options: &mut Options, text: &str) {
    let mut words = text.split(' ');
    let name = words.next().unwrap();
    if name == "broken" {
        let problem = words.collect::<Vec<_>>().join(" ");
        return devices(options).problems.push(problem);
    }
    let mut device = RegisteredDevice {
        class: None,
        is_for_all: false,
        digest: Ok(oci::Digest::of(name.as_bytes())),
    };
    for word in words {
        match word.split_once('=') {
            Some(("class", class)) => device.class = Some(class.to_owned()),
            _ if word == "for-all" => device.is_for_all = true,
            _ => device.digest = Err(word.to_owned()),
        }
    }
    let registered = &mut devices(options).registered;
    registered.insert(name.to_owned(), device);
}

fn named_context(name: &str, value: &str) -> NamedContext {
    match value.split_once("://") {
        Some(("docker-image", "scratch")) => NamedContext::Scratch,
        Some(("docker-image", image)) => {
            NamedContext::Image(image.parse::<Reference>().unwrap().with_default_tag())
        }
        Some(_) => NamedContext::Source(graph::SourceOp::Git(graph::GitSource {
            url: value.to_owned(),
            reference: None,
            subdirectory: None,
            keep_git_directory: false,
            checksum: None,
            submodules: true,
            known_hosts: None,
        })),
        None => NamedContext::Local {
            name: name.to_owned(),
            exclude: Vec::new(),
        },
    }
}

/// `name layers=2 env=A=1 onbuild=RUN x; COPY y z`, with `_` for blanks in values.
fn add_image(given: &mut Given, text: &str) {
    let mut words = text.split(' ');
    let name: Reference = words.next().unwrap().parse().unwrap();
    let platform = Platform::new("linux", "amd64", "");
    let mut config = ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        ..ImageConfig::default()
    };
    let mut layers = 1;
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let value = value.replace('_', " ");
        let process = &mut config.config;
        match key {
            "layers" => layers = value.parse().unwrap(),
            "env" => process.env.push(value),
            "onbuild" => process.on_build.push(value),
            "user" => process.user = value,
            "workdir" => process.working_dir = value,
            "cmd" => process.cmd = Some(vec![value]),
            "entrypoint" => process.entrypoint = Some(vec![value]),
            "shell" => process.shell = Some(value.split(' ').map(str::to_owned).collect()),
            "label" => {
                let (key, value) = value.split_once('=').unwrap();
                process.labels.insert(key.to_owned(), value.to_owned());
            }
            "arch" => config.architecture = value,
            "os" => config.os = value,
            "osversion" => config.os_version = value,
            "built" => config.history.push(oci::History {
                created_by: value,
                comment: "buildkit.dockerfile.v0".to_owned(),
                ..oci::History::default()
            }),
            "author" => config.author = value,
            "history" => config.history.push(oci::History {
                created_by: value,
                ..oci::History::default()
            }),
            _ => panic!("no image option {key}"),
        }
    }
    given
        .images
        .insert(name.with_default_tag().to_string(), (config, layers));
}
