//! Volumes, and the networks that there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::docker::{Network, Volume, VolumeList};
use engine::rfc3339;
use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::filters::{Filters, has_label};
use super::{Daemon, created, nothing, unknown_of};
use crate::answer::{Answer, Refusal, found, json as document};
use crate::query::Query;
use crate::stream;

/// The body of `POST /volumes/create`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CreateVolume {
    name: String,
    driver: String,
    driver_opts: Option<BTreeMap<String, Value>>,
    labels: Option<BTreeMap<String, String>>,
}

impl Daemon {
    /// `/volumes…`
    pub(super) async fn volumes(
        self: &Arc<Self>,
        method: &Method,
        rest: &[&str],
        query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        match (method.as_str(), rest) {
            ("GET", []) => self.list_volumes(query).await,
            ("POST", ["create"]) => self.create_volume(query, body).await,
            ("POST", ["prune"]) => self.prune_volumes(query).await,
            ("GET", [name]) => {
                query.end()?;
                let name = (*name).to_owned();
                let volume = self
                    .with(move |engine| engine.inspect_volume(&name))
                    .await?;
                Ok(found(&shown(volume)))
            }
            ("DELETE", [name]) => self.remove_volume(name, query).await,
            _ => Err(unknown_of(method, "volumes", rest)),
        }
    }

    async fn list_volumes(self: &Arc<Self>, mut query: Query) -> Result<Answer, Refusal> {
        let filters = Filters::parse(&mut query, &["dangling", "driver", "label", "name"])?;
        query.end()?;
        let dangling = filters.flag("dangling")?;
        let volumes = self.with(move |engine| {
            let mut volumes = Vec::new();
            for volume in engine.volumes()? {
                let is_used = !engine.volume_users(&volume.name)?.is_empty();
                if dangling.is_none_or(|dangling| dangling != is_used) {
                    volumes.push(volume);
                }
            }
            Ok(volumes)
        });
        let mut volumes = volumes.await?;
        volumes.retain(|volume| {
            filters.all_pass(|name, value| match name {
                "name" => volume.name.contains(value),
                "driver" => value == "local",
                "label" => has_label(&volume.labels, value),
                _ => true,
            })
        });
        Ok(found(&VolumeList {
            volumes: volumes.into_iter().map(shown).collect(),
            warnings: None,
        }))
    }

    async fn create_volume(
        self: &Arc<Self>,
        query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        query.end()?;
        let asked: CreateVolume = stream::document(body, "volume").await?;
        if !matches!(asked.driver.as_str(), "" | "local") {
            let what = format!("the volume driver {:?}", asked.driver);
            return Err(Refusal::not_provided(&what));
        }
        if let Some(name) = asked.driver_opts.unwrap_or_default().keys().next() {
            return Err(Refusal::not_provided(&format!(
                "the volume option {name:?}"
            )));
        }
        let (name, labels) = (asked.name, asked.labels.unwrap_or_default());
        let about = format!("create {name}");
        let volume = self.with(move |engine| {
            let wanted = Some(name.as_str()).filter(|name| !name.is_empty());
            engine.create_volume(wanted, labels)
        });
        let volume = volume.await.map_err(|refusal| refusal.about(&about))?;
        self.tell_volume("create", &volume.name);
        Ok(document(created(), &shown(volume)))
    }

    async fn remove_volume(
        self: &Arc<Self>,
        name: &str,
        mut query: Query,
    ) -> Result<Answer, Refusal> {
        // One that is not there is as good as removed.
        let force = query.flag("force");
        query.end()?;
        let wanted = name.to_owned();
        let removed = self.with(move |engine| match engine.remove_volume(&wanted) {
            Err(engine::EngineError::NoSuchVolume(_)) if force => Ok(()),
            removed => removed,
        });
        removed.await?;
        self.tell_volume("destroy", name);
        Ok(nothing())
    }

    async fn prune_volumes(self: &Arc<Self>, mut query: Query) -> Result<Answer, Refusal> {
        let filters = Filters::parse(&mut query, &["all", "label", "label!"])?;
        query.end()?;
        let all = filters.flag("all")?.unwrap_or(false);
        let removed = self.with(move |engine| {
            let mut removed = Vec::new();
            for volume in engine.volumes()? {
                let labels = &volume.labels;
                let goes = (all || volume.is_anonymous())
                    && engine.volume_users(&volume.name)?.is_empty()
                    && filters.takes_labels(labels);
                if goes {
                    let bytes = engine.volume_size(&volume);
                    engine.remove_volume(&volume.name)?;
                    removed.push((volume.name, bytes));
                }
            }
            Ok(removed)
        });
        let removed = removed.await?;
        for (name, _) in &removed {
            self.tell_volume("destroy", name);
        }
        let bytes: u64 = removed.iter().map(|(_, bytes)| bytes).sum();
        let names: Vec<String> = removed.into_iter().map(|(name, _)| name).collect();
        Ok(found(
            &json!({"VolumesDeleted": names, "SpaceReclaimed": bytes}),
        ))
    }

    fn tell_volume(&self, action: &str, name: &str) {
        let driver = ("driver".to_owned(), "local".to_owned());
        self.tell("volume", action, name, BTreeMap::from([driver]));
    }

    /// `/networks…`
    pub(super) fn networks(
        &self,
        method: &Method,
        rest: &[&str],
        mut query: Query,
    ) -> Result<Answer, Refusal> {
        match (method.as_str(), rest) {
            ("GET", []) => {
                let known = ["driver", "id", "name", "scope", "type", "dangling"];
                let filters = Filters::parse(&mut query, &known)?;
                query.end()?;
                let networks = NETWORKS.iter().map(|(name, driver)| network(name, driver));
                let networks = networks.filter(|network| {
                    filters.all_pass(|name, value| match name {
                        "driver" => network.driver == value,
                        "id" => network.id.starts_with(value),
                        "name" => network.name.contains(value),
                        "scope" => value == "local",
                        "type" => value == "builtin",
                        _ => matches!(value, "0" | "false"),
                    })
                });
                Ok(found(&networks.collect::<Vec<_>>()))
            }
            ("POST", ["create"]) => Err(Refusal::not_provided(
                "a network of one's own (use bridge, host or none)",
            )),
            ("POST", ["prune"]) => {
                Filters::parse(&mut query, &["label", "label!", "until"])?;
                query.end()?;
                Ok(found(&json!({"NetworksDeleted": null})))
            }
            ("GET", [name]) => {
                query.flag("verbose");
                query.one("scope");
                query.end()?;
                let mut networks = NETWORKS.iter().map(|(name, driver)| network(name, driver));
                let found_one =
                    networks.find(|network| network.name == *name || network.id.starts_with(name));
                match found_one {
                    Some(network) => Ok(found(&network)),
                    None => Err(no_network(name)),
                }
            }
            ("DELETE", [name]) => match NETWORKS.iter().any(|(known, _)| known == name) {
                true => Err(Refusal::new(
                    StatusCode::FORBIDDEN,
                    format!("{name} is a pre-defined network and cannot be removed"),
                )),
                false => Err(no_network(name)),
            },
            _ => Err(unknown_of(method, "networks", rest)),
        }
    }
}

/// The networks that there are, with what makes them. Of `bridge` there is the name alone: a
/// container in it has the machine's network, or one of its own when it has published ports.
const NETWORKS: [(&str, &str); 3] = [("bridge", "bridge"), ("host", "host"), ("none", "null")];

fn network(name: &str, driver: &str) -> Network {
    Network {
        name: name.to_owned(),
        id: oci::Digest::of(name.as_bytes()).hex(),
        created: "0001-01-01T00:00:00Z".to_owned(),
        scope: "local".to_owned(),
        driver: driver.to_owned(),
        enable_ipv6: false,
        internal: false,
        containers: BTreeMap::new(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    }
}

pub(super) fn no_network(name: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("network {name} not found"))
}

pub(super) fn shown(volume: engine::Volume) -> Volume {
    Volume {
        created_at: rfc3339(volume.created),
        driver: "local".to_owned(),
        labels: Some(volume.labels).filter(|labels| !labels.is_empty()),
        mountpoint: volume.path.display().to_string(),
        name: volume.name,
        options: None,
        scope: "local".to_owned(),
    }
}
