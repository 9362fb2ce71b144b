//! Which builder a command is carried out by: `--builder`, `KILN_HOST`, `BUILDX_BUILDER`, what another
//! client names or buildx chose for it, or this process.

use client::Way;
use oci::Platform;

use super::address::{Host, Plain, own};
use crate::args::image::Image;
use crate::args::system::{Builder as Manage, System};
use crate::args::{Command, Global};
use crate::builders::{BuildersError, Group, Store, reach, remote_options};
use crate::clients;
use crate::environment::Environment;
use crate::error::Error;

/// The variable that names where the builder of every build listens.
const VARIABLE: &str = "KILN_HOST";
/// Buildx's variable with the name of a builder.
const NAME: &str = "BUILDX_BUILDER";
/// The name of what builds where no builder is named.
pub(crate) const DEFAULT: &str = "default";

/// A builder that is another process, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Builder {
    /// Its name, if it is one of buildx's files.
    pub(crate) name: Option<String>,
    /// Where it builds; never empty.
    pub(crate) nodes: Vec<Reached>,
}

/// A node of a builder, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) name: String,
    pub(crate) host: Host,
    /// What it is to build for, whatever it says itself.
    pub(crate) platforms: Vec<Platform>,
    /// What has no other output is loaded where images are kept.
    pub(crate) default_load: bool,
}

impl From<Host> for Builder {
    fn from(host: Host) -> Self {
        let node = Reached {
            name: host.url(),
            host,
            platforms: Vec::new(),
            default_load: false,
        };
        Self {
            name: None,
            nodes: vec![node],
        }
    }
}

/// The builder that carries `command` out; none if this process does.
///
/// # Errors
/// It is named in a way that kiln does not know, or cannot be used.
pub(crate) fn pick(
    command: &Command,
    global: &Global,
    environment: &Environment,
) -> Result<Option<Builder>, Error> {
    match flag(command) {
        Some(flag) => builder(flag, global, environment),
        None if is_asked(command) => Ok(named(global, environment)?.map(Builder::from)),
        None => Ok(None),
    }
}

/// The builder that the environment names by where it listens, or a flag that is no flag of kiln's.
///
/// # Errors
/// It is named in a way that kiln does not know.
pub(crate) fn named(global: &Global, environment: &Environment) -> Result<Option<Host>, Error> {
    if let Some(host) = of_variable(global, environment)? {
        return Ok(Some(host));
    }
    let daemon = global.daemon.as_ref();
    daemon.map(|named| Host::of(named, environment)).transpose()
}

/// The builder of this name, or at this address; none if that is this process.
///
/// # Errors
/// There is none, or it cannot be used.
fn by_name(
    name: &str,
    global: &Global,
    environment: &Environment,
) -> Result<Option<Builder>, Error> {
    if name.contains("://") {
        return Ok(Some(own("--builder", name, environment)?.into()));
    }
    if name == DEFAULT {
        return Ok(named(global, environment)?.map(Builder::from));
    }
    let group = match Store::of(environment)?.group(name) {
        // Contexts may have other names.
        Err(BuildersError::Name(_)) => None,
        found => found?,
    };
    if let Some(group) = group {
        return of_group(&group, global, environment).map(Some);
    }
    let contexts = clients::contexts(environment);
    if contexts.iter().any(|context| context == name) {
        let docker = clients::of_context(name, environment)?;
        return Ok(Some(Host::of(&docker, environment)?.into()));
    }
    Err(Error::new(BuildersError::Missing(name.to_owned()).to_string())
        .hint("`kiln builder ls` lists them; a builder may also be named by where it listens, as unix://PATH"))
}

/// A builder of buildx's files.
///
/// # Errors
/// One of its nodes cannot be reached from here.
fn of_group(group: &Group, global: &Global, environment: &Environment) -> Result<Builder, Error> {
    let plain = plain(global);
    let nodes = group.nodes.iter().map(|node| {
        let reached = || {
            Ok(Reached {
                name: node.name.clone(),
                host: reach(group, node, plain, environment)?,
                platforms: node.platforms.clone(),
                default_load: remote_options(node)?.default_load,
            })
        };
        reached().map_err(|error: Error| error.context(&format!("builder {}", group.name)))
    });
    let nodes: Vec<Reached> = nodes.collect::<Result<_, Error>>()?;
    if nodes.is_empty() {
        return Err(Error::new(format!("builder {} has no nodes", group.name)));
    }
    Ok(Builder {
        name: Some(group.name.clone()),
        nodes,
    })
}

/// Who may be spoken to on TCP without certificates.
pub(crate) const fn plain(global: &Global) -> Plain {
    match global.client {
        Some(_) => Plain::All,
        None => Plain::ThisMachine,
    }
}

/// The name of the builder that is typed or in the environment, where a command takes one.
///
/// # Errors
/// The variable is no text.
pub(crate) fn name<'a>(
    flag: Option<&'a String>,
    global: &'a Global,
    environment: &'a Environment,
) -> Result<Option<&'a str>, Error> {
    let before = || global.client.as_ref()?.builder.as_ref();
    let typed = flag.or_else(before).map(String::as_str);
    match typed.filter(|name| !name.is_empty()) {
        Some(name) => Ok(Some(name)),
        None => environment.text(NAME),
    }
}

fn builder(
    flag: Option<&String>,
    global: &Global,
    environment: &Environment,
) -> Result<Option<Builder>, Error> {
    let before = || global.client.as_ref()?.builder.as_ref();
    if let Some(typed) = flag.or_else(before).filter(|name| !name.is_empty()) {
        return by_name(typed, global, environment);
    }
    if let Some(host) = of_variable(global, environment)? {
        return Ok(Some(host.into()));
    }
    if let Some(name) = environment.text(NAME)? {
        return by_name(name, global, environment);
    }
    if let Some(client) = &global.client
        && client.picks_current
        && let Some(group) = current(&client.endpoint, environment)?
    {
        return of_group(&group, global, environment).map(Some);
    }
    Ok(named(global, environment)?.map(Builder::from))
}

/// The builder that was chosen, if there is a place where that is written.
fn current(endpoint: &str, environment: &Environment) -> Result<Option<Group>, Error> {
    match Store::of(environment) {
        Err(BuildersError::Homeless) => Ok(None),
        store => Ok(store?.current(endpoint)?),
    }
}

fn of_variable(global: &Global, environment: &Environment) -> Result<Option<Host>, Error> {
    let named = global.daemon.as_ref();
    let is_typed = named.is_some_and(|named| named.way == Way::Straight);
    match environment.text(VARIABLE)? {
        Some(host) if !is_typed => own(VARIABLE, host, environment).map(Some),
        _ => Ok(None),
    }
}

/// What is typed for the builder, of commands that builders carry out.
const fn flag(command: &Command) -> Option<Option<&String>> {
    let flag = match command {
        Command::Build(args)
        | Command::Image(Image::Build(args))
        | Command::Builder(Manage::Build(args)) => args.builder.as_ref(),
        Command::Bake(args) | Command::Builder(Manage::Bake(args)) => args.builder.as_ref(),
        Command::Du(args)
        | Command::System(System::Df(args))
        | Command::Builder(Manage::Du(args)) => args.chosen.builder.as_ref(),
        Command::Builder(Manage::Prune(args)) => args.chosen.builder.as_ref(),
        Command::Builder(Manage::DialStdio(args)) => args.chosen.builder.as_ref(),
        Command::Builder(Manage::History(command)) => command.builder(),
        Command::History(args) => match &args.command {
            Some(command) => command.builder(),
            None => return None,
        },
        _ => return None,
    };
    Some(flag)
}

/// Whether a daemon that is another process is asked for what the command is about.
const fn is_asked(command: &Command) -> bool {
    command.needs_store()
        && !matches!(
            command,
            Command::Cache(_)
                | Command::Debug(_)
                // These are about this machine, whoever builds.
                | Command::Serve(_)
                | Command::Doctor(_)
                | Command::Store(_)
        )
}

/// Refuses what works on this machine's store while builds are made elsewhere, and what a daemon has
/// no word for.
///
/// # Errors
/// `command` is such a one.
pub(crate) fn refuse_elsewhere(
    command: &Command,
    global: &Global,
    environment: &Environment,
) -> Result<(), Error> {
    if !matches!(command, Command::Cache(_) | Command::Debug(_)) {
        return Ok(());
    }
    match named(global, environment)? {
        None => Ok(()),
        Some(host) => Err(Error::new(format!(
            "the command works on the store of this machine, and builds are made at {}",
            host.url()
        ))
        .hint(format!("unset {VARIABLE} to work on the store here"))),
    }
}
