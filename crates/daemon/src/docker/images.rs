//! Images: list, inspect, history, tag, remove.

use std::sync::Arc;

use engine::{Engine, EngineError, ImageSummary};
use graph::matches_pattern;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use jiff::Timestamp;
use oci::Reference;

use super::filters::{Filters, has_label};
use super::{Daemon, created, unknown_of};
use crate::answer::{Answer, Refusal, empty, found};
use crate::query::Query;
use crate::view;

impl Daemon {
    /// `/images/…`. Names have slashes, so what is asked of one stands behind it.
    pub(super) async fn images(
        self: &Arc<Self>,
        head: &Parts,
        rest: &[&str],
        mut query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        match (head.method.as_str(), rest) {
            ("GET", ["json"]) => {
                // What is between an image and its parent is never an image here.
                query.flag("all");
                query.flag("digests");
                query.flag("shared-size");
                let filters = Filters::parse(&mut query, &FILTERS)?;
                query.end()?;
                filters.flag("dangling")?;
                let until = filters.until(self.now())?;
                let until = until.and_then(|until| Timestamp::try_from(until).ok());
                self.with(move |engine| {
                    let before = bound(&engine, &filters, "before")?;
                    let since = bound(&engine, &filters, "since")?;
                    let mut images = engine.images()?;
                    images.retain(|image| {
                        let made = made(image).unwrap_or_default();
                        filters.all_pass(|name, value| passes(image, name, value))
                            && before.is_none_or(|before| made < before)
                            && since.is_none_or(|since| made > since)
                            && until.is_none_or(|until| made <= until)
                    });
                    Ok(found(&view::images(images)))
                })
                .await
            }
            ("POST", ["create"]) => self.pull(query, &head.headers).await,
            ("POST", ["prune"]) => self.prune_images(query).await,
            ("GET", ["search"]) => Err(Refusal::not_provided(
                "searching for images (a registry's own pages have a search)",
            )),
            ("POST", [name @ .., "push"]) => self.push(name.join("/"), query, &head.headers).await,
            ("POST", ["load"]) => self.load(query, body).await,
            ("GET", ["get"]) => {
                let names = query.all("names");
                query.end()?;
                self.save(names).await
            }
            ("GET", [name @ .., "get"]) => {
                query.end()?;
                self.save(vec![name.join("/")]).await
            }
            ("GET", [name @ .., "json"]) => {
                query.flag("manifests");
                query.end()?;
                let name = name.join("/");
                self.with(move |engine| Ok(found(&view::image(engine.inspect_image(&name)?))))
                    .await
            }
            ("GET", [name @ .., "history"]) => {
                query.end()?;
                let name = name.join("/");
                self.with(move |engine| {
                    let tags = engine.inspect_image(&name)?.references;
                    Ok(found(&view::history(engine.image_history(&name)?, &tags)))
                })
                .await
            }
            ("POST", [name @ .., "tag"]) => self.tag(name.join("/"), query).await,
            ("DELETE", name) if !name.is_empty() => self.remove(name.join("/"), query).await,
            _ => Err(unknown_of(&head.method, "images", rest)),
        }
    }

    async fn tag(self: &Arc<Self>, name: String, mut query: Query) -> Result<Answer, Refusal> {
        let mut target = query.required("repo")?;
        if let Some(tag) = query.one("tag") {
            target = format!("{target}:{tag}");
        }
        query.end()?;
        let target: Reference = target.parse().map_err(EngineError::from)?;
        let target = target.with_default_tag();
        let familiar = target.familiar();
        let id = self
            .with(move |engine| {
                engine.tag_image(&name, &target)?;
                Ok(engine.inspect_image(&name)?.summary.id.to_string())
            })
            .await?;
        self.tell("image", "tag", &id, [("name".to_owned(), familiar)].into());
        Ok(empty(created()))
    }

    async fn remove(self: &Arc<Self>, name: String, mut query: Query) -> Result<Answer, Refusal> {
        let force = query.flag("force");
        // What nobody needs any more goes with a prune in any case.
        query.flag("noprune");
        query.end()?;
        let removed = self
            .with(move |engine| engine.remove_image(&name, force))
            .await?;
        for gone in &removed {
            self.tell_removed(gone);
        }
        Ok(found(&view::removed(removed)))
    }
}

/// The filters of lists of images.
const FILTERS: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

/// When the image that a filter names was made.
fn bound(engine: &Engine, filters: &Filters, name: &str) -> Result<Option<Timestamp>, EngineError> {
    let [image] = filters.values(name) else {
        return Ok(None);
    };
    Ok(made(&engine.inspect_image(image)?.summary))
}

fn made(image: &ImageSummary) -> Option<Timestamp> {
    image.created.as_deref().and_then(|text| text.parse().ok())
}

fn passes(image: &ImageSummary, name: &str, value: &str) -> bool {
    match (name, &image.reference) {
        ("reference", Some(reference)) => {
            // A pattern is one of the repository, or of the repository with its tag.
            let names = [reference.familiar_name(), reference.familiar()];
            names.iter().any(|name| matches_pattern(value, name))
        }
        ("reference", None) => false,
        ("dangling", reference) => matches!(value, "1" | "true") == reference.is_none(),
        ("label", _) => has_label(&image.labels, value),
        _ => true,
    }
}

/// A name in a parameter, and the tag in another.
pub(super) fn reference(name: &str, tag: Option<&str>) -> Result<Reference, Refusal> {
    let text = match tag {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None => name.to_owned(),
    };
    let reference: Reference = text.parse().map_err(EngineError::from)?;
    Ok(reference.with_default_tag())
}
