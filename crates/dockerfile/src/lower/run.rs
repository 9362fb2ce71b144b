//! `RUN`: one vertex that runs a process on top of the stage's file system.

use std::borrow::Cow;
use std::collections::BTreeMap;

use graph::{
    Device, Edge, ExecOp, Location, Meta, Mount, MountSource, NetworkMode, Op, Process,
    SecretTarget, SecurityMode,
};

use super::config::with_shell;
use super::dispatch::{Current, Dispatcher, Stage};
use super::error::LowerError;
use super::foreign::check_runs;
use super::image::HistoryLayer;
use super::name::{Masked, Named, Shown, shown};
use super::scope::Scope;
use crate::heredoc::Heredoc;
use crate::instruction::{Run, RunNetwork};
use crate::path;
use crate::word::{Lex, Variables as _};

/// Where the agent's socket is looked for.
const SSH_AUTH_SOCK: &str = "SSH_AUTH_SOCK";

/// The directory of scripts that are heredocs.
const PIPES: &str = "/dev/pipes/";

/// What a `RUN` runs.
struct Prepared {
    args: Vec<String>,
    /// What is told after the instruction's text.
    summary: String,
    /// A script, and its path in a file system of its own.
    script: Option<Edge>,
}

impl Dispatcher<'_> {
    pub(super) fn run(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        run: &Run,
    ) -> Result<(), LowerError> {
        check_runs(&stage.scope.platform)?;
        let is_insecure = run.security == SecurityMode::Insecure;
        if is_insecure && !self.lowering.options.allow_insecure {
            return Err(LowerError::Insecure);
        }
        let devices = self.devices(run)?;
        let prepared = self.prepare(stage, run)?;
        let mut inputs: Vec<Edge> = stage.scope.edge.into_iter().collect();
        let mut mounts = Vec::with_capacity(run.mounts.len() + 2);
        mounts.push(root(stage.scope.edge));
        if let Some(script) = prepared.script {
            mounts.push(Mount {
                target: PIPES.trim_end_matches('/').to_owned(),
                source: MountSource::Bind {
                    input: Some(super::transfer::index(inputs.len())),
                    selector: String::new(),
                    output: None,
                },
                read_only: true,
            });
            inputs.push(script);
        }
        if prepared.args.is_empty() {
            return Err(LowerError::NoArguments);
        }
        let secrets = self.mounts(stage, at, run, &mut inputs, &mut mounts)?;
        self.noted.mounts(&mounts, at.span);
        let arguments: usize = prepared.args.iter().map(String::len).sum();
        let history = history(&stage.scope, &prepared.args);
        let process = process(&stage.scope, prepared.args, &mounts);
        // The root is first, and whatever is within something else comes after it.
        mounts.sort_by(|a, b| order(a).cmp(&order(b)));
        let inputs = in_order_of(&mut mounts, &inputs);
        self.budget.spend(stage.scope.env.bytes() + arguments)?;
        let Named { name, written } = self.run_name(stage, at, &prepared.summary, &secrets)?;
        let op = ExecOp {
            devices,
            ..self.exec(process, mounts, run)
        };
        let meta = Meta {
            name,
            written,
            ignore_cache: stage.ignore_cache,
            locations: vec![Location::from(at.span)],
            ..Meta::default()
        };
        let edge = self.sources.graph.add(Op::Exec(op), inputs, meta)?.into();
        stage.scope.edge = Some(edge);
        stage
            .scope
            .image
            .add_history(history, HistoryLayer::Vertex(edge));
        Ok(())
    }

    /// None without knowing any: for a check, which runs nothing.
    fn devices(&self, run: &Run) -> Result<Vec<Device>, LowerError> {
        let known = self.lowering.options.devices.as_ref();
        let given = known.map(|known| known.of(&run.devices)).transpose()?;
        Ok(given.unwrap_or_default())
    }

    fn exec(&self, process: Process, mounts: Vec<Mount>, run: &Run) -> ExecOp {
        let options = &self.lowering.options;
        ExecOp {
            process,
            mounts,
            network: match run.network {
                RunNetwork::Default => options.network,
                RunNetwork::None => NetworkMode::None,
                RunNetwork::Host => NetworkMode::Host,
            },
            security: run.security,
            devices: Vec::new(),
            extra_hosts: options.extra_hosts.clone(),
            hostname: options.hostname.clone(),
            shm_size: options.shm_size,
            ulimits: options.ulimits.clone(),
            proxy: self.proxy.clone(),
            valid_exit_codes: Vec::new(),
        }
    }

    /// The arguments, with heredocs put where they belong.
    fn prepare(&mut self, stage: &Stage<'_>, run: &Run) -> Result<Prepared, LowerError> {
        let command = &run.command;
        if !command.shell {
            return Ok(Prepared {
                args: command.words.clone(),
                summary: String::new(),
                script: None,
            });
        }
        let text = command.text();
        let scope = &stage.scope;
        let Some(first) = run.heredocs.first() else {
            return Ok(Prepared {
                args: with_shell(scope, text.into_owned()),
                summary: String::new(),
                script: None,
            });
        };
        // A heredoc alone is the script itself; with more around it the shell sorts it out.
        if !matches!(Heredoc::parse(&text), Ok(Some(_))) {
            let mut whole = text.into_owned();
            for heredoc in &run.heredocs {
                whole.push('\n');
                whole.push_str(&heredoc.body);
                whole.push_str(&heredoc.name);
            }
            return Ok(Prepared {
                args: with_shell(scope, whole),
                summary: String::new(),
                script: None,
            });
        }
        let summary = format!(" ({})", summary(&first.body));
        let content = first.content();
        if !content.starts_with("#!") {
            return Ok(Prepared {
                args: with_shell(scope, content),
                summary,
                script: None,
            });
        }
        let script = self.inline_file(path::absolute("/", &first.name), content, 0o755)?;
        let program = path::clean(&format!("{PIPES}{}", first.name));
        Ok(Prepared {
            args: with_shell(scope, program),
            summary,
            script: Some(script),
        })
    }

    fn run_name(
        &mut self,
        stage: &mut Stage<'_>,
        at: Current<'_>,
        summary: &str,
        secrets: &[String],
    ) -> Result<Named, LowerError> {
        let lex = Lex {
            raw_quotes: true,
            keep_unset: true,
            ..self.lex
        };
        let scope = &stage.scope;
        let text = match summary {
            "" => Cow::Borrowed(at.step.instruction.text.as_str()),
            summary => Cow::Owned([&at.step.instruction.text, summary].concat()),
        };
        let variables = Masked {
            variables: &scope.env,
            secrets,
        };
        let Shown { text, written } = shown(lex, &text, &variables);
        self.spend_on_names(&text, written.as_deref())?;
        let name = stage.names.next(&text, &scope.platform, &scope.env);
        Ok(Named { name, written })
    }
}

/// File systems by target; what the client offers comes after them, each kind in the order of its
/// flags. A definition of BuildKit's has them so, and its steps are to be known by the same keys.
const fn order(mount: &Mount) -> (u8, &str) {
    let kind = match &mount.source {
        MountSource::Secret { at, .. } => match at {
            SecretTarget::File { .. } => 1,
            SecretTarget::Env(_) => 3,
        },
        MountSource::Ssh { .. } => 2,
        _ => return (0, mount.target.as_str()),
    };
    (kind, "")
}

/// The inputs in the order of the mounts, of which each has its own.
fn in_order_of(mounts: &mut [Mount], inputs: &[Edge]) -> Vec<Edge> {
    let mut ordered = Vec::with_capacity(inputs.len());
    for mount in mounts {
        if let MountSource::Bind { input, .. } | MountSource::Cache { input, .. } =
            &mut mount.source
            && let Some(edge) = input.and_then(|input| inputs.get(input as usize))
        {
            *input = Some(super::transfer::index(ordered.len()));
            ordered.push(*edge);
        }
    }
    ordered
}

fn root(edge: Option<Edge>) -> Mount {
    Mount {
        target: "/".to_owned(),
        source: MountSource::Bind {
            input: edge.map(|_| 0),
            selector: String::new(),
            output: Some(0),
        },
        read_only: false,
    }
}

fn process(scope: &Scope, args: Vec<String>, mounts: &[Mount]) -> Process {
    let mut env = scope.env.to_list();
    let socket = mounts
        .iter()
        .find(|mount| matches!(mount.source, MountSource::Ssh { .. }));
    if let Some(socket) = socket.filter(|_| scope.env.get(SSH_AUTH_SOCK).is_none()) {
        let socket = format!("{SSH_AUTH_SOCK}={}", socket.target);
        env = env.iter().cloned().chain([socket]).collect();
    }
    Process {
        args,
        env,
        cwd: path::clean(&scope.directory()),
        user: scope.config().config.user.clone(),
    }
}

/// As the history of the image tells it: values of `ARG`, then the arguments.
fn history(scope: &Scope, args: &[String]) -> String {
    let words: usize = args.iter().map(|arg| arg.len() + 1).sum();
    let capacity = 32 + 24 * scope.args.len() + words;
    let mut text = String::with_capacity(capacity);
    text.push_str("RUN");
    if !scope.args.is_empty() {
        text.push_str(&format!(" |{}", scope.args.len()));
    }
    for arg in &scope.args {
        let declared = arg.value.as_deref().unwrap_or_default();
        let value = scope.env.get(&arg.key).unwrap_or(declared);
        for part in [" ", &arg.key, "=", value] {
            text.push_str(part);
        }
    }
    for arg in args {
        text.push(' ');
        text.push_str(arg);
    }
    text.push_str(" # buildkit");
    text
}

/// The first line of a script, with dots when there are more.
fn summary(body: &str) -> String {
    let body = body.trim();
    match body.split_once('\n') {
        Some((first, _)) => format!("{}...", first.trim_end_matches('\r')),
        None => body.to_owned(),
    }
}

/// The proxies among the values given to the build, by the names that programs look for.
pub(super) fn proxies(build_args: &BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    const NAMES: &[&str] = &[
        "http_proxy",
        "https_proxy",
        "ftp_proxy",
        "no_proxy",
        "all_proxy",
    ];
    let mut proxies = BTreeMap::new();
    for (key, value) in build_args {
        let lower = key.to_lowercase();
        if let Some(value) = value.as_ref().filter(|_| NAMES.contains(&lower.as_str())) {
            proxies.insert(lower.to_uppercase(), value.clone());
            proxies.insert(lower, value.clone());
        }
    }
    proxies
}
