//! `kiln images`.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use engine::{Engine, ImageSummary, matches_pattern};
use jiff::Timestamp;
use oci::Digest;

use super::session::Session;
use crate::args::image::Ls;
use crate::error::Error;
use crate::ui::human;
use crate::ui::listing::Listing;
use crate::values::filter::{self, Filter};
use crate::values::{ValueError, go_bool};

const NONE: &str = "<none>";

/// Lists images.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Ls) -> Result<(), Error> {
    let filters = filters(args)?;
    let engine = session.engine()?;
    let mut images = Vec::new();
    let all = shown(engine.images()?);
    for image in &all {
        if passes(&engine, image, &filters, session.now())? {
            images.push(image);
        }
    }
    // Newest first, as docker lists them; RFC 3339 in UTC sorts as text.
    images.sort_by(|a, b| {
        b.created
            .cmp(&a.created)
            .then_with(|| name(a).cmp(&name(b)))
    });
    if args.quiet {
        let ids = images.iter().map(|image| id(image, args.no_trunc));
        return session
            .ui
            .print(&ids.map(|id| format!("{id}\n")).collect::<String>());
    }
    let rows = images
        .iter()
        .map(|image| row(image, args.no_trunc, session.now()));
    let mut shown = vec!["Repository", "Tag", "ID", "CreatedSince", "Size"];
    if args.digests {
        shown.insert(2, "Digest");
    }
    let listing = Listing {
        fields: &[
            ("Repository", "REPOSITORY"),
            ("Tag", "TAG"),
            ("Digest", "DIGEST"),
            ("ID", "IMAGE ID"),
            ("CreatedSince", "CREATED"),
            ("CreatedAt", "CREATED AT"),
            ("Size", "SIZE"),
        ],
        shown,
        rows: rows.collect(),
    };
    session.ui.print(
        &listing
            .render(args.format.as_deref())
            .map_err(crate::error::CliError::from)?,
    )
}

/// Without those that have no name here and one elsewhere in the list.
pub(super) fn shown(mut images: Vec<ImageSummary>) -> Vec<ImageSummary> {
    let named = images.iter().filter(|image| image.reference.is_some());
    let named: BTreeSet<Digest> = named.map(|image| image.id).collect();
    images.retain(|image| image.reference.is_some() || !named.contains(&image.id));
    images
}

/// `3 hours ago`; docker's `N/A` when nobody noted it.
pub(super) fn since(created: Option<&str>, now: SystemTime) -> String {
    match created.and_then(time_of) {
        Some(created) => format!("{} ago", human::duration(seconds_since(created, now))),
        None => "N/A".to_owned(),
    }
}

/// Whole seconds from `then` to `now`.
pub(super) fn seconds_since(then: SystemTime, now: SystemTime) -> i64 {
    let passed = now.duration_since(then).unwrap_or(Duration::ZERO);
    i64::try_from(passed.as_secs()).unwrap_or(i64::MAX)
}

/// A time as docker shows it in lists: `2026-11-24 17:23:51 +0000 UTC`.
pub(super) fn shown_time(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(
        |_| "N/A".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
    )
}

fn time_of(text: &str) -> Option<SystemTime> {
    let timestamp: Timestamp = text.parse().ok()?;
    let seconds = u64::try_from(timestamp.as_second()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn name(image: &ImageSummary) -> String {
    image
        .reference
        .as_ref()
        .map(oci::Reference::familiar)
        .unwrap_or_default()
}

fn id(image: &ImageSummary, whole: bool) -> String {
    let id = image.id.to_string();
    if whole {
        id
    } else {
        human::short_id(&id).to_owned()
    }
}

fn row(image: &ImageSummary, whole: bool, now: SystemTime) -> Vec<String> {
    let none = || NONE.to_owned();
    let reference = image.reference.as_ref();
    let created = image.created.as_deref();
    vec![
        reference.map_or_else(none, oci::Reference::familiar_name),
        reference
            .and_then(oci::Reference::tag)
            .map_or_else(none, str::to_owned),
        image.digest.to_string(),
        id(image, whole),
        since(created, now),
        created
            .and_then(time_of)
            .map_or_else(|| "N/A".to_owned(), shown_time),
        human::size(image.size),
    ]
}

fn filters(args: &Ls) -> Result<Vec<Filter>, Error> {
    let known = ["dangling", "reference", "label", "before", "since", "until"];
    let mut filters = filter::parse(&args.filter, &known)?;
    if let Some(name) = &args.name {
        let name = Filter {
            name: "reference".to_owned(),
            value: name.clone(),
        };
        filters.push(name);
    }
    Ok(filters)
}

fn passes(
    engine: &Engine,
    image: &ImageSummary,
    filters: &[Filter],
    now: SystemTime,
) -> Result<bool, Error> {
    for Filter { name, value } in filters {
        let created = || image.created.as_deref().and_then(time_of);
        let of_other = || -> Result<Option<SystemTime>, Error> {
            let other = engine.inspect_image(value)?;
            Ok(other.summary.created.as_deref().and_then(time_of))
        };
        let passes = match name.as_str() {
            "dangling" => {
                let wanted = go_bool(value).ok_or_else(|| ValueError::FilterValue {
                    name: name.clone(),
                    value: value.clone(),
                })?;
                image.reference.is_none() == wanted
            }
            "label" => has_label(engine, image, value)?,
            "before" => created() < of_other()?,
            "since" => created() > of_other()?,
            "until" => {
                let until = filter::until(value, now)?;
                created().is_some_and(|at| at <= until)
            }
            _ => matches_any(image, filters),
        };
        if !passes {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Several references are alternatives.
fn matches_any(image: &ImageSummary, filters: &[Filter]) -> bool {
    let Some(reference) = &image.reference else {
        return false;
    };
    let patterns = filters.iter().filter(|filter| filter.name == "reference");
    let texts = [
        reference.familiar(),
        reference.familiar_name(),
        reference.to_string(),
        reference.without_tag().to_string(),
    ];
    patterns
        .map(|filter| filter.value.as_str())
        .any(|pattern| texts.iter().any(|text| matches_pattern(pattern, text)))
}

/// Whether an image has a label: `name`, or `name=value`.
pub(super) fn has_label(
    engine: &Engine,
    image: &ImageSummary,
    wanted: &str,
) -> Result<bool, Error> {
    let details = engine.inspect_image(&image.id.to_string())?;
    let labels = details.config.config.labels;
    Ok(match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    })
}
