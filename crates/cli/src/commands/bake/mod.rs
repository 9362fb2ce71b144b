//! `kiln bake`: targets of bake files, built together.

mod allow;
mod files;
mod list;
pub(super) mod named;
mod question;
mod target;
mod together;

#[cfg(test)]
mod tests;

use allow::Allowed;
use bake::{Definitions, Selection, Target};
use question::Question;
use serde_json::{Map, Value};
use target::Planned;

use super::build::{metadata, replace};
use super::session::Session;
use crate::args::bake::Bake;
use crate::error::{Error, choice};
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
    carry_out(session, args, selection)
}

/// Builds the targets of which nothing is asked, then answers what is asked of the others. All of
/// them are allowed before anything that they name is opened.
fn carry_out(
    session: &mut Session<'_, '_>,
    args: &Bake,
    selection: Selection,
) -> Result<u8, Error> {
    let environment = session.environment;
    let questions = question::all(args, &selection, environment)?;
    let is_built = |target: &Target| !questions.iter().any(|asked| asked.name() == target.name);
    let builds = target::plans(args, &selection, environment, is_built)?;
    let plans = questions.iter().map(Question::plan);
    let plans = plans.chain(builds.iter().map(|planned| &planned.plan));
    Allowed::of(args, environment)?.check(plans, environment)?;
    if !builds.is_empty() {
        build(session, args, builds)?;
    } else if args.metadata_file.is_some() {
        let error = Error::new("--metadata-file is for targets that are built");
        return Err(error.hint("leave it out, or leave out --call and --check"));
    }
    question::answer(session, args, selection, questions)
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

fn build(session: &mut Session<'_, '_>, args: &Bake, builds: Vec<Planned>) -> Result<(), Error> {
    let requests = target::requests(builds, session.environment)?;
    let made = together::build(session, requests)?;
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
