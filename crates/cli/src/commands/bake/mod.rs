//! `kiln bake`: targets of bake files, built together.

mod allow;
mod files;
mod list;
mod named;
mod target;
mod together;

use bake::{Definitions, Selection};
use serde_json::{Map, Value};

use super::build::{metadata, replace};
use super::check;
use super::session::Session;
use crate::args::bake::Bake;
use crate::build::call;
use crate::error::{Error, choice};
use crate::remote;
use crate::values::go_bool;

/// Builds, or shows what would be built; 0 when it went well.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Bake) -> Result<u8, Error> {
    if args.print && args.list.is_some() {
        return Err(Error::new("--print and --list are mutually exclusive"));
    }
    if let Some(url) = args.targets.first().filter(|name| bake::is_remote(name)) {
        let message = format!("kiln does not read bake files of {url}");
        return Err(Error::new(message).hint("clone the repository and bake in it"));
    }
    let definitions = files::read(args, session.environment)?;
    if let Some(list) = &args.list {
        let text = list::text(&definitions, list)?;
        return session.ui.print(&text).map(|()| 0);
    }
    let selection = select(args, &definitions, session)?;
    if args.print {
        return session.ui.line(&selection.to_json()).map(|()| 0);
    }
    let calls = selection
        .targets
        .values()
        .any(|target| asks(target.call.as_deref()));
    match calls {
        true => ask(session, args, &selection),
        false => build(session, args, &selection).map(|()| 0),
    }
}

/// The targets that were typed, with what flags set.
fn select(
    args: &Bake,
    definitions: &Definitions,
    session: &Session<'_, '_>,
) -> Result<Selection, Error> {
    let selection = definitions.select(&args.targets, &overrides(args)?);
    let mut selection = selection.map_err(|error| Error::new(error.to_string()))?;
    if let Some(epoch) = session.environment.text("SOURCE_DATE_EPOCH")? {
        for target in selection.targets.values_mut() {
            let epoch = epoch.to_owned();
            target
                .args
                .entry("SOURCE_DATE_EPOCH".to_owned())
                .or_insert(epoch);
        }
    }
    Ok(selection)
}

/// What flags set of all targets, after what was set by name.
fn overrides(args: &Bake) -> Result<Vec<String>, Error> {
    let mut set = args.set.clone();
    let mut all = |text: String| set.push(format!("*.{text}"));
    if args.push {
        all("push=true".to_owned());
    }
    if args.load {
        all("load=true".to_owned());
    }
    match (args.check, args.call.as_deref()) {
        (true, None | Some("check")) => all("call=check".to_owned()),
        (true, Some(_)) => return Err(Error::new("--call and --check cannot be used together")),
        (false, Some(call)) => all(format!("call={call}")),
        (false, None) => {}
    }
    for (flag, name, value) in [
        ("--no-cache", "no-cache", &args.no_cache),
        ("--pull", "pull", &args.pull),
    ] {
        if let Some(value) = value {
            let expected = || choice(flag, value, "expected true or false");
            let is_on = go_bool(value).ok_or_else(expected)?;
            all(format!("{name}={is_on}"));
        }
    }
    for (kind, value) in [("sbom", &args.sbom), ("provenance", &args.provenance)] {
        if let Some(value) = value {
            all(match go_bool(value) {
                Some(is_on) => format!("attest=type={kind},disabled={}", !is_on),
                None => format!("attest=type={kind},{value}"),
            });
        }
    }
    Ok(set)
}

/// Whether something is asked in place of a build.
fn asks(call: Option<&str>) -> bool {
    call.is_some_and(|call| !matches!(call, "" | "build"))
}

/// Answers what is asked of each target; the worst of the exit codes.
fn ask(session: &mut Session<'_, '_>, args: &Bake, selection: &Selection) -> Result<u8, Error> {
    let mut worst = 0;
    let mut is_first = true;
    for (name, target) in &selection.targets {
        if !asks(target.call.as_deref()) {
            continue;
        }
        let mut typed = target::typed(args, target)?;
        typed.call = target.call.clone().unwrap_or_default();
        let Some(asked) = call(&typed)? else { continue };
        let before = if is_first { "" } else { "\n" };
        is_first = false;
        if !asked.json {
            session.ui.print(&format!("{before}{name}\n\n"))?;
        }
        let code = check::run(session, &typed, &asked);
        worst = worst.max(code.map_err(|error| error.context(&format!("target {name}")))?);
    }
    Ok(worst)
}

fn build(session: &mut Session<'_, '_>, args: &Bake, selection: &Selection) -> Result<(), Error> {
    allow::check(args, selection, session.environment)?;
    let builder = remote::builder(args.builder.as_ref(), &session.global, session.environment)?;
    let requests = target::requests(args, selection, session.environment)?;
    let made = together::build(session, requests, builder.as_ref())?;
    let Some(path) = &args.metadata_file else {
        return Ok(());
    };
    let mut all = Map::new();
    for (name, image) in made {
        all.insert(name, metadata(image.as_ref()));
    }
    let path = session.environment.absolute(path.as_ref());
    let text = format!("{:#}\n", Value::Object(all));
    replace(&path, text.as_bytes())
}
