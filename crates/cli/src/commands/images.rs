//! `kiln images`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use engine::matches_pattern;
use jiff::Timestamp;

use super::session::Session;
use crate::args::image::Ls;
use crate::error::Error;
use crate::keeper::{Keeper, Listed, since_1970};
use crate::ui::human;
use crate::ui::listing::Listing;
use crate::values::filter::{self, Filter};
use crate::values::{ValueError, go_bool};

const NONE: &str = "<none>";

/// Lists images.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Ls) -> Result<(), Error> {
    let filters = filters(args)?;
    let keeper = session.keeper()?;
    let mut all = keeper.images(args.all)?;
    if !args.all {
        all = shown(all, |image| (image.reference.is_some(), image.id.clone()));
    }
    let conditions = conditions(&keeper, &filters, session.now())?;
    let passes = |image: &&Listed| {
        conditions
            .iter()
            .all(|condition| condition.holds(image, &filters))
    };
    let mut images: Vec<&Listed> = all.iter().filter(passes).collect();
    // Newest first, as docker lists them.
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

/// Without those that have no name here and one elsewhere in the list; `of` says whether one has a
/// name, and its ID.
pub(super) fn shown<T, I: Ord>(mut images: Vec<T>, of: impl Fn(&T) -> (bool, I)) -> Vec<T> {
    let named = images.iter().map(&of).filter(|(has_name, _)| *has_name);
    let named: BTreeSet<I> = named.map(|(_, id)| id).collect();
    images.retain(|image| {
        let (has_name, id) = of(image);
        has_name || !named.contains(&id)
    });
    images
}

/// `3 hours ago`; docker's `N/A` when nobody noted it.
pub(super) fn since(created: Option<SystemTime>, now: SystemTime) -> String {
    match created {
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

fn time_of(timestamp: Timestamp) -> Option<SystemTime> {
    since_1970(timestamp.as_second())
}

fn name(image: &Listed) -> String {
    image
        .reference
        .as_ref()
        .map(oci::Reference::familiar)
        .unwrap_or_default()
}

fn id(image: &Listed, whole: bool) -> String {
    if whole {
        image.id.clone()
    } else {
        human::short_id(&image.id).to_owned()
    }
}

fn row(image: &Listed, whole: bool, now: SystemTime) -> Vec<String> {
    let none = || NONE.to_owned();
    let reference = image.reference.as_ref();
    let created = image.created.and_then(time_of);
    vec![
        reference.map_or_else(none, oci::Reference::familiar_name),
        reference
            .and_then(oci::Reference::tag)
            .map_or_else(none, str::to_owned),
        image.digest.clone().unwrap_or_else(none),
        id(image, whole),
        since(created, now),
        created.map_or_else(|| "N/A".to_owned(), shown_time),
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

/// What a filter asks for.
enum Condition {
    Dangling(bool),
    Label(String),
    Before(Option<SystemTime>),
    Since(Option<SystemTime>),
    Until(SystemTime),
    Reference,
}

/// What each filter asks for; images that are named in them are looked up.
fn conditions(
    keeper: &Keeper,
    filters: &[Filter],
    now: SystemTime,
) -> Result<Vec<Condition>, Error> {
    let made = |name: &str| -> Result<Option<SystemTime>, Error> {
        let other = keeper.image(name)?.value();
        let other = other["Created"].as_str().and_then(|text| text.parse().ok());
        Ok(other.and_then(time_of))
    };
    let condition = |Filter { name, value }: &Filter| -> Result<Condition, Error> {
        Ok(match name.as_str() {
            "dangling" => {
                Condition::Dangling(go_bool(value).ok_or_else(|| ValueError::FilterValue {
                    name: name.clone(),
                    value: value.clone(),
                })?)
            }
            "label" => Condition::Label(value.clone()),
            "before" => Condition::Before(made(value)?),
            "since" => Condition::Since(made(value)?),
            "until" => Condition::Until(filter::until(value, now)?),
            _ => Condition::Reference,
        })
    };
    filters.iter().map(condition).collect()
}

impl Condition {
    fn holds(&self, image: &Listed, filters: &[Filter]) -> bool {
        let created = image.created.and_then(time_of);
        match self {
            Self::Dangling(wanted) => image.reference.is_none() == *wanted,
            Self::Label(label) => has_label(&image.labels, label),
            Self::Before(other) => created < *other,
            Self::Since(other) => created > *other,
            Self::Until(until) => created.is_some_and(|at| at <= *until),
            Self::Reference => matches_any(image, filters),
        }
    }
}

/// Several references are alternatives.
fn matches_any(image: &Listed, filters: &[Filter]) -> bool {
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

/// Whether a label is among `labels`: `name`, or `name=value`.
pub(super) fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}
