//! `kiln prune` and its narrower forms.

mod report;
mod request;
mod there;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufRead as _;

use engine::{ContainerState, Engine, ImageSummary, PruneRequest, Removed};

use super::elsewhere;
use super::images::{has_label, shown};
use super::session::Session;
use crate::args::prune::{BuilderPrune, Care, Gc, ImagePrune, Prune};
use crate::error::{Error, FAILURE};
use crate::ui;
use crate::values::filter;

use report::report;
pub(super) use report::{Detail, Report};
use request::{Filters, Scope};

/// Removes containers that do not run, images that nobody needs, and the build cache.
pub(super) fn system(session: &mut Session<'_, '_>, args: &Prune) -> Result<(), Error> {
    let filters = Filters::parse(&args.filter, session.now())?;
    let scope = filters.scope(&args.bounds)?;
    let rule = filters.rule("kiln prune", args.all, &args.bounds, session.now())?;
    if let Some(host) = session.host()? {
        let there = there::Prune::new(host, args.care)?;
        confirm(session, args.care, &question(args.all, scope))?;
        let cache = (scope != Scope::Images)
            .then(|| elsewhere::prune_request(&rule, filters.of_cache(args.all)));
        return there.system(session, &filters, args.all, scope, cache);
    }
    confirm(session, args.care, &question(args.all, scope))?;
    let engine = session.engine()?;
    let removal = Removal {
        engine: &engine,
        filters: &filters,
        all: args.all,
        dry_run: args.care.dry_run,
    };
    let mut request = PruneRequest::new(session.now());
    request.dry_run = args.care.dry_run;
    if scope != Scope::Cache {
        let text = removal.containers()? + &removal.images()?;
        session.ui.print(&text)?;
    }
    if scope != Scope::Images {
        request.rules = vec![rule];
        request.everything = args.all && scope == Scope::Everything;
        if request.everything {
            request.builds = filters
                .until
                .map_or(engine::Keep::Nothing, engine::Keep::UsedSince);
        }
    }
    let pruned = engine.prune(&request)?;
    report(session, &pruned, Detail::Ids, args.care.dry_run)
}

/// Removes images that nobody needs.
pub(super) fn images(session: &mut Session<'_, '_>, args: &ImagePrune) -> Result<(), Error> {
    let filters = Filters::parse(&args.filter, session.now())?;
    filters.refuse_conditions("kiln image prune")?;
    let question = if args.all {
        "WARNING! This will remove all images without at least one container associated to them.\n"
    } else {
        "WARNING! This will remove all images without a name.\n"
    };
    if let Some(host) = session.host()? {
        let there = there::Prune::new(host, args.care)?;
        confirm(session, args.care, question)?;
        return there.images(session, &filters, args.all);
    }
    confirm(session, args.care, question)?;
    let engine = session.engine()?;
    let removal = Removal {
        engine: &engine,
        filters: &filters,
        all: args.all,
        dry_run: args.care.dry_run,
    };
    session.ui.print(&removal.images()?)?;
    let mut request = PruneRequest::new(session.now());
    request.dry_run = args.care.dry_run;
    let pruned = engine.prune(&request)?;
    report(session, &pruned, Detail::None, args.care.dry_run)
}

/// Removes the build cache.
pub(super) fn builder(session: &mut Session<'_, '_>, args: &BuilderPrune) -> Result<(), Error> {
    let filters = Filters::parse(&args.filter, session.now())?;
    filters.refuse_labels("kiln builder prune")?;
    let rule = filters.rule("kiln builder prune", args.all, &args.bounds, session.now())?;
    let question = if args.all {
        "WARNING! This will remove all build cache and all cache mounts.\n"
    } else {
        "WARNING! This will remove all dangling build cache.\n"
    };
    if let Some(builder) = session.builder.take() {
        there::refuse_dry_run(args.care)?;
        confirm(session, args.care, question)?;
        let request = elsewhere::prune_request(&rule, filters.of_cache(args.all));
        return elsewhere::prune(session, &builder, &request, args.verbose);
    }
    confirm(session, args.care, question)?;
    let engine = session.engine()?;
    let mut request = PruneRequest::new(session.now());
    request.everything = args.all && filters.scope(&args.bounds)? == Scope::Everything;
    request.rules = vec![rule];
    request.dry_run = args.care.dry_run;
    let pruned = engine.prune(&request)?;
    let detail = if args.verbose {
        Detail::All
    } else {
        Detail::Ids
    };
    report(session, &pruned, detail, args.care.dry_run)
}

/// Removes what the policy says.
pub(super) fn policy(session: &mut Session<'_, '_>, args: &Gc) -> Result<(), Error> {
    if args.background {
        crate::background::yield_to_others();
    }
    let Some(pruned) = session.engine()?.gc(args.dry_run)? else {
        session.ui.say("another process is collecting already");
        return Ok(());
    };
    let detail = if args.verbose {
        Detail::All
    } else {
        Detail::Ids
    };
    report(session, &pruned, detail, args.dry_run)
}

fn question(all: bool, scope: Scope) -> String {
    let images = if all {
        "all images without at least one container associated to them"
    } else {
        "all images without a name"
    };
    let cache = if all {
        "all build cache and cache mounts"
    } else {
        "unused build cache"
    };
    let mut items = Vec::new();
    if scope != Scope::Cache {
        items.extend(["all stopped containers", images]);
    }
    if scope != Scope::Images {
        items.push(cache);
    }
    let items: String = items.iter().map(|item| format!("  - {item}\n")).collect();
    format!("WARNING! This will remove:\n{items}")
}

fn confirm(session: &mut Session<'_, '_>, care: Care, question: &str) -> Result<(), Error> {
    if care.force || care.dry_run {
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

/// Removes containers and images, or only says which.
struct Removal<'a> {
    engine: &'a Engine,
    filters: &'a Filters,
    all: bool,
    dry_run: bool,
}

impl Removal<'_> {
    fn containers(&self) -> Result<String, Error> {
        let mut lines = String::new();
        for container in self.engine.containers()? {
            let until = self.filters.until;
            let is_old = until.is_none_or(|until| container.created <= until);
            // Its own labels, which it has of its image too.
            let is_meant = is_old && self.has_labels(&container.settings.more.labels);
            if container.state == ContainerState::Running || !is_meant {
                continue;
            }
            let id = if self.dry_run {
                container.id
            } else {
                self.engine.remove_container(&container.id, false)?
            };
            let _ = writeln!(lines, "{id}");
        }
        Ok(self.headed("Containers", &lines))
    }

    fn images(&self) -> Result<String, Error> {
        let used: Vec<_> = self
            .engine
            .containers()?
            .iter()
            .filter_map(|container| self.engine.inspect_image(&container.image).ok())
            .map(|image| image.summary.id)
            .collect();
        let mut lines = String::new();
        let images = shown(self.engine.images()?, |image| {
            (image.reference.is_some(), image.id)
        });
        for image in &images {
            let goes = (self.all || image.reference.is_none()) && !used.contains(&image.id);
            if !goes || !self.is_old(image) || !self.has_labels(&image.labels) {
                continue;
            }
            let name = match &image.reference {
                Some(reference) => reference.familiar(),
                None => image.id.to_string(),
            };
            if self.dry_run {
                let _ = writeln!(lines, "{name}");
                continue;
            }
            for removed in self.engine.remove_image(&name, false)? {
                let _ = match removed {
                    Removed::Untagged(name) => writeln!(lines, "untagged: {}", name.familiar()),
                    Removed::Deleted(digest) => writeln!(lines, "deleted: {digest}"),
                };
            }
        }
        Ok(self.headed("Images", &lines))
    }

    fn is_old(&self, image: &ImageSummary) -> bool {
        self.filters.until.is_none_or(|until| {
            let created = image.created.as_deref();
            let created = created.and_then(|at| filter::until(at, until).ok());
            created.is_none_or(|created| created <= until)
        })
    }

    fn has_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.filters.labels.iter();
        wanted.all(|label| has_label(labels, &label.text) == label.is_wanted)
    }

    fn headed(&self, what: &str, lines: &str) -> String {
        let verb = if self.dry_run {
            "Would delete"
        } else {
            "Deleted"
        };
        headed(verb, what, lines)
    }
}

/// What was done to which things, one a line; nothing of none.
fn headed(verb: &str, what: &str, lines: &str) -> String {
    match lines {
        "" => String::new(),
        lines => format!("{verb} {what}:\n{lines}\n"),
    }
}
