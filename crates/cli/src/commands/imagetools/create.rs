//! `kiln imagetools create`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;

use engine::{Combined, Combining, EngineError, ImageSource, ImageTools, IndexAnnotation};
use oci::{Platform, Reference};
use serde_json::json;

use super::{reference, tools};
use crate::args::imagetools::Create;
use crate::build::ProgressMode;
use crate::build::plan::mode_of;
use crate::commands::build::{replace, shows_more};
use crate::commands::session::{Session, block_on};
use crate::error::{CliError, Error};
use crate::ui;

/// The largest file with a source that is read.
const MAX_FILE: u64 = 4 << 20;
/// Said where buildx says nothing.
const UNANNOTATED: &str = "WARNING: no annotation is set: all sources are Docker manifests, and \
                           Docker manifest lists have none";

/// Makes an image of others.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Create) -> Result<(), Error> {
    check(args)?;
    let mode = args.progress.as_deref().unwrap_or("auto");
    let mode = mode_of(mode, session.environment)?;
    let names = args.tag.iter().map(|tag| reference(tag));
    let names = names.collect::<Result<Vec<Reference>, Error>>()?;
    let (sources, how) = (sources(session, args)?, combining(args)?);
    let tools = tools(session)?;
    let made = block_on(tools.combine(&sources, &names, &how))??;
    if made.without_annotations {
        session.ui.say(UNANNOTATED);
    }
    if args.dry_run {
        session.ui.bytes(&made.bytes)?;
        return session.ui.line("");
    }
    publish(session, &tools, &made, (&names, mode))?;
    let Some(path) = &args.metadata_file else {
        return Ok(());
    };
    let path = session.environment.absolute(path.as_ref());
    replace(&path, &metadata(&made, &names))
}

fn check(args: &Create) -> Result<(), Error> {
    if args.sources.is_empty() && args.file.is_empty() {
        return Err(Error::new("no sources specified"));
    }
    if !args.dry_run && args.tag.is_empty() {
        return Err(Error::new(
            "can't push with no tags specified, please set --tag or --dry-run",
        ));
    }
    if args.append && args.tag.is_empty() {
        return Err(Error::new("--append takes a name to append to: set --tag"));
    }
    Ok(())
}

fn publish(
    session: &mut Session<'_, '_>,
    tools: &ImageTools,
    made: &Combined,
    (names, mode): (&[Reference], ProgressMode),
) -> Result<(), Error> {
    let (done, mut summary) = session.show(mode, false, |progress, cancel| async move {
        tokio::select! {
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            done = tools.publish(made, names, &progress) => done,
        }
    })?;
    let failures = summary.failures();
    if done.is_err() && shows_more(mode) && !failures.is_empty() {
        session.ui.ask(&failures);
    }
    Ok(done?)
}

/// Sources in the order in which buildx has them: what is appended to, files, arguments.
fn sources(session: &Session<'_, '_>, args: &Create) -> Result<Vec<ImageSource>, Error> {
    let mut texts = Vec::new();
    if args.append {
        texts.extend(args.tag.first().cloned());
    }
    for file in &args.file {
        texts.push(read(session, file)?);
    }
    texts.extend(args.sources.iter().cloned());
    let sources = texts.iter().map(|text| ImageSource::parse(text));
    let sources: Result<_, _> = sources.collect();
    Ok(sources.map_err(EngineError::from)?)
}

fn read(session: &Session<'_, '_>, file: &str) -> Result<String, Error> {
    let path = session.environment.absolute(file.as_ref());
    let mut text = String::new();
    let read = match file {
        "-" => ui::input().take(MAX_FILE).read_to_string(&mut text),
        _ => {
            fs::File::open(&path).and_then(|opened| opened.take(MAX_FILE).read_to_string(&mut text))
        }
    };
    match read {
        Ok(_) => Ok(text),
        Err(source) => Err(CliError::File {
            action: "read",
            path,
            source,
        }
        .into()),
    }
}

fn combining(args: &Create) -> Result<Combining, Error> {
    let given = args.annotation.iter().filter(|text| !text.is_empty());
    let annotations = given.map(|text| IndexAnnotation::parse(text));
    let annotations: Result<Vec<_>, _> = annotations.collect();
    let platform = |text: &String| {
        let parsed = text.parse::<Platform>();
        parsed.map_err(|error| Error::new(error.to_string()).context("invalid platform"))
    };
    Ok(Combining {
        annotations: annotations.map_err(EngineError::from)?.concat(),
        prefer_index: args.prefer_index,
        platforms: args
            .platform
            .iter()
            .map(platform)
            .collect::<Result<_, _>>()?,
    })
}

/// What buildx writes for `--metadata-file`.
fn metadata(made: &Combined, names: &[Reference]) -> Vec<u8> {
    let repositories = names.iter().map(|name| name.without_tag().to_string());
    let repositories: Vec<String> = repositories.collect::<BTreeSet<_>>().into_iter().collect();
    let value = json!({
        "containerimage.descriptor": made.descriptor,
        "image.name": repositories.join(","),
    });
    format!("{value:#}").into_bytes()
}
