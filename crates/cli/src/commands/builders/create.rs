//! `kiln builder create`.

use std::collections::BTreeMap;

use oci::Platform;

use super::known::{Known, key};
use super::status::boot;
use super::{Session, patience};
use crate::args::builders::Create;
use crate::builders::{
    self, Change, Group, NodeChange, OTHERS, REMOTE, Store, no_driver, not_for_remote,
};
use crate::clients;
use crate::environment::Environment;
use crate::error::{Error, choice};
use crate::remote::DEFAULT;
use crate::values::csv;

/// The variable that names where a daemon listens.
const HOST: &str = "BUILDKIT_HOST";

/// Makes a builder, or changes its nodes.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Create) -> Result<(), Error> {
    let environment = session.environment;
    let store = Store::of(environment)?;
    if args.leave {
        return leave(&store, args, session);
    }
    let name = name(&store, args, environment)?;
    let change = store.change()?;
    let known = store.group(&name)?;
    if args.append && known.is_none() {
        let message = format!("failed to find instance {name:?} for append");
        return Err(Error::new(message));
    }
    check_driver(&name, known.as_ref(), args, environment)?;
    let is_new = known.is_none();
    let mut group = known.unwrap_or_else(|| Group {
        name: name.clone(),
        driver: REMOTE.to_owned(),
        ..Group::default()
    });
    group.change(node(args, environment)?)?;
    for node in &group.nodes {
        builders::remote_options(node).map_err(|error| {
            let context = format!("failed to initialize builder {name} ({})", node.name);
            error.context(&context)
        })?;
    }
    change.save(&group, session.now())?;
    if args.chosen {
        let key = key(&session.global, environment)?;
        change.choose(&key, &group.name, (false, false))?;
    }
    drop(change);
    started(session, args, &name, is_new)
}

/// Waits for what is there now, if that is asked, and says what it is called.
fn started(
    session: &mut Session<'_, '_>,
    args: &Create,
    name: &str,
    is_new: bool,
) -> Result<(), Error> {
    if args.bootstrap {
        let known = Known::named(session, name)?;
        boot(session, &known, patience(&args.patience)?).map_err(|error| match is_new {
            true => error.hint(format!("the builder is there: kiln builder rm {name}")),
            false => error,
        })?;
    }
    session.ui.line(name)
}

fn leave(store: &Store, args: &Create, session: &Session<'_, '_>) -> Result<(), Error> {
    let named = |name: &Option<String>, what: &str| {
        let name = name.clone().filter(|name| !name.is_empty());
        name.ok_or_else(|| Error::new(format!("leave requires {what} name")))
    };
    let (name, node) = (named(&args.name, "instance")?, named(&args.node, "node")?);
    let change: Change<'_> = store.change()?;
    let missing = || Error::new(format!("failed to find instance {name:?} for leave"));
    let mut group = store.group(&name)?.ok_or_else(missing)?;
    group.leave(&node)?;
    Ok(change.save(&group, session.now())?)
}

/// The builder's name; one that is made up where none is typed.
fn name(store: &Store, args: &Create, environment: &Environment) -> Result<String, Error> {
    let name = match args.name.as_deref() {
        Some(DEFAULT) => {
            return Err(Error::new(
                "default is a reserved name and cannot be used to identify builder instance",
            ));
        }
        None | Some("") if args.append => {
            return Err(Error::new("append requires a builder name"));
        }
        None | Some("") => {
            let id = engine::new_id()?;
            let mut random = [0; 16];
            let bytes = random.iter_mut().zip(id.bytes());
            bytes.for_each(|(place, byte)| *place = byte);
            store.unused_name(&random)?
        }
        Some(name) => name.to_owned(),
    };
    let contexts = clients::contexts(environment);
    if !args.append && contexts.contains(&name) {
        let message = format!("instance name {name:?} already exists as context builder");
        return Err(Error::new(message));
    }
    Ok(name)
}

/// Checks that kiln has the driver that is typed, or that what is typed would get in buildx.
fn check_driver(
    name: &str,
    known: Option<&Group>,
    args: &Create,
    environment: &Environment,
) -> Result<(), Error> {
    let typed = args.driver.as_deref().filter(|driver| !driver.is_empty());
    let by_variable = args.endpoint.is_none() && environment.text(HOST)?.is_some();
    let by_endpoint = args.endpoint.as_deref().is_some_and(builders::is_endpoint);
    let driver = match (typed, known) {
        (Some(driver), _) => driver,
        (None, Some(group)) => &group.driver,
        (None, None) if by_variable || by_endpoint => REMOTE,
        (None, None) => OTHERS[0],
    };
    if let Some(group) = known {
        if args.node.is_none() && !args.append {
            return Err(Error::new(format!(
                "existing instance for {name:?} but no append mode, specify the node name to make \
                 changes for existing instances"
            )));
        }
        if driver != group.driver {
            let own = &group.driver;
            return Err(Error::new(format!(
                "existing instance for {name:?} but has mismatched driver {own:?}"
            )));
        }
    }
    match driver {
        REMOTE => Ok(()),
        "docker" => Err(Error::new(
            "additional instances of driver \"docker\" cannot be created",
        )),
        other if OTHERS.contains(&other) => Err(no_driver(other)),
        other => Err(Error::new(format!("failed to find driver {other:?}"))),
    }
}

/// What becomes of the node.
fn node(args: &Create, environment: &Environment) -> Result<NodeChange, Error> {
    if args.buildkitd_config.is_some() {
        return Err(not_for_remote("config file"));
    }
    if args.buildkitd_flags.is_some() {
        return Err(not_for_remote("buildkit flags"));
    }
    let typed = args.endpoint.as_deref().filter(|place| !place.is_empty());
    let endpoint = match typed {
        Some(endpoint) => Some(endpoint),
        None => environment.text(HOST)?,
    };
    let endpoint = endpoint.ok_or_else(|| {
        Error::new("no remote endpoint provided").hint("unix://PATH or tcp://HOST:PORT")
    })?;
    builders::check_endpoint(endpoint)?;
    Ok(NodeChange {
        name: args.node.clone().unwrap_or_default(),
        endpoint: endpoint.to_owned(),
        platforms: platforms(&args.platform)?,
        driver_opts: options(&args.driver_opt)?,
        appended: args.append,
    })
}

fn platforms(typed: &[String]) -> Result<Vec<Platform>, Error> {
    let texts = typed.iter().flat_map(|text| text.split(','));
    let mut platforms: Vec<Platform> = Vec::new();
    for text in texts {
        let parsed = text.trim().parse::<Platform>();
        let parsed = parsed.map_err(|error| {
            let error = error.to_string();
            Error::new(error).context("--platform")
        })?;
        if !platforms.contains(&parsed) {
            platforms.push(parsed);
        }
    }
    Ok(platforms)
}

fn options(typed: &[String]) -> Result<Option<BTreeMap<String, String>>, Error> {
    if typed.is_empty() {
        return Ok(None);
    }
    let mut options = BTreeMap::new();
    for text in typed {
        for (name, value) in csv::pairs(text)? {
            let none = || choice("--driver-opt", text, "expected k=v");
            options.insert(name, value.ok_or_else(none)?);
        }
    }
    Ok(Some(options))
}
