//! Images: list, inspect, history, tag, remove.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{EngineError, ImageSummary};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use oci::Reference;
use serde_json::Value;

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
                let filter = filter(&mut query)?;
                query.end()?;
                self.with(move |engine| {
                    let mut images = engine.images()?;
                    images.retain(|image| filter.takes(image));
                    Ok(found(&view::images(images)))
                })
                .await
            }
            ("POST", ["create"]) => self.pull(query, &head.headers).await,
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
        self.with(move |engine| engine.tag_image(&name, &target.with_default_tag()))
            .await?;
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
        Ok(found(&view::removed(removed)))
    }
}

/// Which images are listed.
#[derive(Debug, Default)]
struct Filter {
    /// Names of which an image must have one, if there are any: a repository, or one with a tag.
    names: Vec<String>,
    /// Whether it must have no name, or must have one.
    dangling: Option<bool>,
}

impl Filter {
    fn takes(&self, image: &ImageSummary) -> bool {
        let named = |reference: &Reference| {
            let (all, name) = (reference.familiar(), reference.familiar_name());
            self.names
                .iter()
                .any(|wanted| *wanted == all || *wanted == name)
        };
        let has_name = self.names.is_empty() || image.reference.as_ref().is_some_and(named);
        has_name
            && self
                .dangling
                .is_none_or(|dangling| dangling == image.reference.is_none())
    }
}

/// Reads the filters. Values are a list, or the keys of a map from old clients.
fn filter(query: &mut Query) -> Result<Filter, Refusal> {
    let mut filter = Filter::default();
    let all: BTreeMap<String, Value> = query.json("filters")?;
    for (name, values) in all {
        let values: Vec<String> = match values {
            Value::Array(list) => list
                .iter()
                .filter_map(|v| Some(v.as_str()?.to_owned()))
                .collect(),
            Value::Object(map) => map.keys().cloned().collect(),
            _ => return Err(Refusal::bad(format!("invalid filter {name:?}"))),
        };
        let pattern = values.iter().any(|value| value.contains(['*', '?', '[']));
        match (name.as_str(), values.as_slice()) {
            ("reference", _) if !pattern => filter.names = values,
            ("dangling", [value]) => {
                filter.dangling = Some(matches!(value.as_str(), "1" | "true"));
            }
            _ => {
                return Err(Refusal::not_provided(&format!(
                    "the filter {name}={values:?}"
                )));
            }
        }
    }
    Ok(filter)
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
