//! What is there and what could go: disk usage, and prunes of images and of the build cache.

use std::sync::Arc;
use std::time::SystemTime;

use engine::{
    Engine, EngineError, ImageSummary, PruneRequest, PruneRule, Removed, Told, UsageKind,
};
use serde_json::{Value, json};

use super::Daemon;
use super::filters::Filters;
use super::volumes::shown;
use crate::answer::{Answer, Refusal, found};
use crate::query::Query;
use crate::view;

impl Daemon {
    /// `GET /system/df`.
    pub(super) async fn disk_usage(self: &Arc<Self>, mut query: Query) -> Result<Answer, Refusal> {
        let kinds = query.all("type");
        query.flag("verbose");
        query.end()?;
        let known = ["image", "container", "volume", "build-cache"];
        if let Some(kind) = kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
            return Err(Refusal::bad(format!("unknown object type: {kind}")));
        }
        let wants = move |kind: &str| kinds.is_empty() || kinds.iter().any(|known| known == kind);
        let now = self.now();
        self.with(move |engine| {
            let usage = engine.usage()?;
            let mut shown = json!({"LayersSize": usage.of(UsageKind::Snapshot).bytes});
            if wants("image") {
                shown["Images"] = json!(view::images(engine.images()?));
            }
            if wants("container") {
                let containers = engine.containers()?;
                shown["Containers"] = json!(view::containers(&containers, now, |_| Vec::new()));
                for container in shown["Containers"].as_array_mut().into_iter().flatten() {
                    let mut items = usage.items.iter();
                    let of = |item: &&engine::UsageItem| {
                        item.kind == UsageKind::Container
                            && Some(item.id.as_str()) == container["Id"].as_str()
                    };
                    container["SizeRw"] = json!(items.find(of).map_or(0, |item| item.bytes));
                }
            }
            if wants("volume") {
                shown["Volumes"] = json!(volumes(&engine)?);
            }
            if wants("build-cache") {
                shown["BuildCache"] = json!(cache(&usage));
            }
            Ok(found(&shown))
        })
        .await
    }

    /// `POST /images/prune`.
    pub(super) async fn prune_images(
        self: &Arc<Self>,
        mut query: Query,
    ) -> Result<Answer, Refusal> {
        let filters = Filters::parse(&mut query, &["dangling", "label", "label!", "until"])?;
        query.end()?;
        let dangling = filters.flag("dangling")?.unwrap_or(true);
        let (now, until) = (self.now(), filters.until(self.now())?);
        let pruned = self.with(move |engine| {
            let mut deleted = Vec::new();
            for image in engine.images()? {
                let labels = &image.labels;
                let goes = (image.reference.is_none() || !dangling)
                    && is_old(&image, until)
                    && filters.takes_labels(labels);
                if !goes {
                    continue;
                }
                let name = image
                    .reference
                    .as_ref()
                    .map_or_else(|| image.id.to_string(), ToString::to_string);
                match engine.remove_image(&name, false) {
                    Ok(removed) => deleted.extend(removed),
                    // A container needs it.
                    Err(EngineError::ImageInUse { .. } | EngineError::NoSuchImage(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            let freed = engine.prune(&PruneRequest::new(now))?;
            Ok((deleted, freed.bytes()))
        });
        let (deleted, bytes) = pruned.await?;
        for removed in &deleted {
            self.tell_removed(removed);
        }
        Ok(found(
            &json!({"ImagesDeleted": view::removed(deleted), "SpaceReclaimed": bytes}),
        ))
    }

    /// Tells that an image or a name of one is gone.
    pub(super) fn tell_removed(&self, removed: &Removed) {
        let (action, id) = match removed {
            Removed::Untagged(name) => ("untag", name.familiar()),
            Removed::Deleted(id) => ("delete", id.to_string()),
        };
        let name = ("name".to_owned(), id.clone());
        self.tell("image", action, &id, [name].into());
    }

    /// `POST /build/prune`.
    pub(super) async fn prune_cache(self: &Arc<Self>, mut query: Query) -> Result<Answer, Refusal> {
        let all = query.flag("all");
        let filters = Filters::parse(&mut query, &["until", "unused-for", "id", "type"])?;
        let mut rule = PruneRule {
            all,
            ..PruneRule::everything("docker builder prune")
        };
        rule.reserved = bytes(&mut query, &["reserved-space", "keep-storage"])?;
        rule.max_used = bytes(&mut query, &["max-used-space"])?;
        rule.min_free = bytes(&mut query, &["min-free-space"])?;
        query.end()?;
        let mut conditions: Vec<String> = Vec::new();
        for (name, sign) in [("id", "~="), ("type", "==")] {
            let values = filters.values(name).iter();
            conditions.extend(values.map(|value| format!("{name}{sign}{value}")));
        }
        if !all && filters.values("type").is_empty() {
            conditions.push("type!=exec.cachemount".to_owned());
        }
        if !conditions.is_empty() {
            let parsed = conditions.join(",").parse();
            let invalid = |error: engine::PruneFilterError| Refusal::bad(error.to_string());
            rule.filters = vec![parsed.map_err(invalid)?];
        }
        let now = self.now();
        if let Some(until) = filters.until(now)? {
            rule.unused_for = Some(Told {
                value: now.duration_since(until).unwrap_or_default(),
                text: filters.values("until").concat(),
            });
        }
        let request = PruneRequest {
            everything: rule.is_everything(),
            rules: vec![rule],
            ..PruneRequest::new(now)
        };
        let pruned = self.with(move |engine| engine.prune(&request)).await?;
        let ids: Vec<&str> = pruned.removed.iter().map(|gone| gone.id.as_str()).collect();
        Ok(found(
            &json!({"CachesDeleted": ids, "SpaceReclaimed": pruned.bytes()}),
        ))
    }
}

/// Whether an image was made by then, where that is known.
fn is_old(image: &ImageSummary, until: Option<SystemTime>) -> bool {
    let created = image.created.as_deref();
    let created = created.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let created = created.and_then(|time| SystemTime::try_from(time).ok());
    until.is_none_or(|until| created.is_none_or(|created| created <= until))
}

fn volumes(engine: &Engine) -> Result<Vec<Value>, EngineError> {
    let mut rows = Vec::new();
    for volume in engine.volumes()? {
        let users = engine.volume_users(&volume.name)?.len();
        let size = engine.volume_size(&volume);
        let mut row = json!(shown(volume));
        row["UsageData"] = json!({"RefCount": users, "Size": size});
        rows.push(row);
    }
    Ok(rows)
}

/// What only builds need.
fn cache(usage: &engine::Usage) -> Vec<Value> {
    let kind = |kind| match kind {
        UsageKind::Snapshot => Some("regular"),
        UsageKind::CacheMount => Some("exec.cachemount"),
        _ => None,
    };
    let rows = usage.items.iter().filter_map(|item| {
        let used = item.used.map(engine::rfc3339);
        let kind = kind(item.kind)?;
        item.is_reclaimable().then(|| {
            json!({
                "ID": item.id, "Type": kind, "Description": item.description, "InUse": false,
                "Shared": false, "Size": item.bytes, "CreatedAt": used, "LastUsedAt": used,
                "UsageCount": 1
            })
        })
    });
    rows.collect()
}

fn bytes(query: &mut Query, names: &[&str]) -> Result<Option<Told<u64>>, Refusal> {
    let texts = names.iter().filter_map(|name| query.one(name));
    let Some(text) = texts.collect::<Vec<_>>().into_iter().next() else {
        return Ok(None);
    };
    let value = text
        .parse()
        .map_err(|_| Refusal::bad(format!("invalid size {text:?}")))?;
    Ok(Some(value)
        .filter(|value| *value > 0)
        .map(|value| Told { value, text }))
}
