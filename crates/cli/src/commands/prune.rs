//! `kiln prune` and its narrower forms.

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::time::SystemTime;

use engine::{ContainerState, Engine, ImageSummary, Keep, PruneRequest, Removed};

use super::session::Session;
use crate::args::system::{BuilderPrune, ImagePrune, Prune};
use crate::error::{Error, FAILURE};
use crate::ui::{self, human};
use crate::values::filter;

/// Removes containers that do not run, images that nobody needs, and the build cache.
pub(super) fn system(session: &mut Session<'_, '_>, args: &Prune) -> Result<(), Error> {
    let until = until(session, &args.filter)?;
    let images = if args.all {
        "all images without at least one container associated to them"
    } else {
        "all images without a name"
    };
    let cache = if args.all {
        "the build cache and cache mounts"
    } else {
        "the build cache"
    };
    let question = format!(
        "WARNING! This will remove:\n  - all stopped containers\n  - {images}\n  - {cache}\n"
    );
    confirm(session, args.force, &question)?;
    let engine = session.engine()?;
    let mut text = remove_containers(&engine, until)?;
    text.push_str(&remove_images(&engine, args.all, until)?);
    session.ui.print(&text)?;
    let mut request = PruneRequest::new(session.now());
    request.records = keep(until);
    if args.all {
        request.cache_mounts = keep(until);
        request.builds = keep(until);
    }
    reclaim(session, &engine, &request)
}

/// Removes images that nobody needs.
pub(super) fn images(session: &mut Session<'_, '_>, args: &ImagePrune) -> Result<(), Error> {
    let until = until(session, &args.filter)?;
    let question = if args.all {
        "WARNING! This will remove all images without at least one container associated to them.\n"
    } else {
        "WARNING! This will remove all images without a name.\n"
    };
    confirm(session, args.force, question)?;
    let engine = session.engine()?;
    let text = remove_images(&engine, args.all, until)?;
    session.ui.print(&text)?;
    let request = PruneRequest::new(session.now());
    reclaim(session, &engine, &request)
}

/// Removes the build cache.
pub(super) fn builder(session: &mut Session<'_, '_>, args: &BuilderPrune) -> Result<(), Error> {
    let until = until(session, &args.filter)?;
    let question = if args.all {
        "WARNING! This will remove the build cache and all cache mounts.\n"
    } else {
        "WARNING! This will remove the build cache.\n"
    };
    confirm(session, args.force, question)?;
    let engine = session.engine()?;
    let mut request = PruneRequest::new(session.now());
    request.records = keep(until);
    if args.all {
        request.cache_mounts = keep(until);
        request.builds = keep(until);
    }
    reclaim(session, &engine, &request)
}

fn until(session: &Session<'_, '_>, filters: &[String]) -> Result<Option<SystemTime>, Error> {
    let mut until = None;
    for filter in filter::parse(filters, &["until"])? {
        until = Some(filter::until(&filter.value, session.now())?);
    }
    Ok(until)
}

/// What was used after that time stays.
const fn keep(until: Option<SystemTime>) -> Keep {
    match until {
        Some(time) => Keep::UsedSince(time),
        None => Keep::Nothing,
    }
}

fn confirm(session: &mut Session<'_, '_>, force: bool, question: &str) -> Result<(), Error> {
    if force {
        return Ok(());
    }
    session.ui.ask(&format!(
        "{question}\nAre you sure you want to continue? [y/N] "
    ));
    let mut answer = String::new();
    let read = ui::input().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y") {
        return Ok(());
    }
    Err(Error::silent(FAILURE))
}

fn remove_containers(engine: &Engine, until: Option<SystemTime>) -> Result<String, Error> {
    let mut text = String::new();
    for container in engine.containers()? {
        let is_old = until.is_none_or(|until| container.created <= until);
        if container.state == ContainerState::Running || !is_old {
            continue;
        }
        let id = engine.remove_container(&container.id, false)?;
        let head = if text.is_empty() {
            "Deleted Containers:\n"
        } else {
            ""
        };
        let _ = writeln!(text, "{head}{id}");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

fn remove_images(engine: &Engine, all: bool, until: Option<SystemTime>) -> Result<String, Error> {
    let mut text = String::new();
    let used: Vec<_> = engine
        .containers()?
        .iter()
        .filter_map(|container| engine.inspect_image(&container.image).ok())
        .map(|image| image.summary.id)
        .collect();
    let goes = |image: &&ImageSummary| {
        let is_old = until.is_none_or(|until| {
            let created = image
                .created
                .as_deref()
                .and_then(|at| filter::until(at, until).ok());
            created.is_none_or(|created| created <= until)
        });
        (all || image.reference.is_none()) && !used.contains(&image.id) && is_old
    };
    for image in super::images::shown(engine.images()?).iter().filter(goes) {
        let name = match &image.reference {
            Some(reference) => reference.familiar(),
            None => image.id.to_string(),
        };
        for removed in engine.remove_image(&name, false)? {
            let head = if text.is_empty() {
                "Deleted Images:\n"
            } else {
                ""
            };
            let _ = match removed {
                Removed::Untagged(name) => writeln!(text, "{head}untagged: {}", name.familiar()),
                Removed::Deleted(digest) => writeln!(text, "{head}deleted: {digest}"),
            };
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

fn reclaim(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    request: &PruneRequest,
) -> Result<(), Error> {
    let pruned = engine.prune(request)?;
    let size = human::size(pruned.bytes());
    session.ui.line(&format!("Total reclaimed space: {size}"))
}
