//! Containers: create, list, inspect, remove.

use std::net::IpAddr;
use std::sync::Arc;

use api::docker::{CreateContainer, Created, Refused};
use engine::{ContainerState, ExtraHost, NetworkMode};
use hyper::Method;
use hyper::body::Incoming;
use oci::Platform;

use super::{Daemon, created, nothing, unknown_of};
use crate::answer::{Answer, Refusal, found, json};
use crate::query::Query;
use crate::stream;
use crate::view;

/// The largest description of a container that is read.
const MAX_BODY: usize = 1 << 20;

impl Daemon {
    /// `/containers/…`
    pub(super) async fn containers(
        self: &Arc<Self>,
        method: &Method,
        rest: &[&str],
        query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        match (method.as_str(), rest) {
            ("GET", ["json"]) => self.list(query).await,
            ("POST", ["create"]) => self.create(query, body).await,
            ("GET", [name, "json"]) => {
                query.end()?;
                let name = (*name).to_owned();
                self.with(move |engine| {
                    Ok(found(&view::container(engine.inspect_container(&name)?)))
                })
                .await
            }
            ("HEAD", [name, "archive"]) => self.stat(name, query).await,
            ("GET", [name, "archive"]) => self.read(name, query).await,
            ("PUT", [name, "archive"]) => self.write(name, query, body).await,
            ("DELETE", [name]) => self.delete(name, query).await,
            _ => Err(unknown_of(method, "containers", rest)),
        }
    }

    async fn list(self: &Arc<Self>, mut query: Query) -> Result<Answer, Refusal> {
        let all = query.flag("all");
        query.end()?;
        self.with(move |engine| {
            let mut containers = engine.containers()?;
            containers.retain(|container| all || container.state == ContainerState::Running);
            Ok(found(&view::containers(&containers)))
        })
        .await
    }

    async fn create(self: &Arc<Self>, mut query: Query, body: Incoming) -> Result<Answer, Refusal> {
        let name = query.one("name");
        if let Some(platform) = query.one("platform")
            && platform.parse() != Ok(Platform::host())
        {
            let what = format!("a container for the platform {platform:?}");
            return Err(Refusal::not_provided(&what));
        }
        query.end()?;
        let body = stream::whole(body, MAX_BODY).await.map_err(Refusal::bad)?;
        let asked: CreateContainer = serde_json::from_slice(&body)
            .map_err(|error| Refusal::bad(format!("invalid container: {error}")))?;
        asked.check().map_err(|Refused(field)| {
            Refusal::not_provided(&format!("the field {field:?} of a container"))
        })?;
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let new = engine::CreateContainer {
            image: asked.image,
            name,
            command: asked.cmd.unwrap_or_default(),
            // Clients say "as the image" with nothing, and "none" with one empty word.
            entrypoint: asked
                .entrypoint
                .map(|words| if words == [""] { Vec::new() } else { words }),
            env: asked.env.unwrap_or_default(),
            user: given(asked.user),
            working_directory: given(asked.working_dir),
            hostname: given(asked.hostname),
            network: network(&asked.host_config.network_mode)?,
            extra_hosts: hosts(&asked.host_config.extra_hosts.unwrap_or_default())?,
        };
        let engine = self.with(Ok).await?;
        let id = engine.create_container(new).await?;
        let warnings = Vec::new();
        Ok(json(created(), &Created { id, warnings }))
    }

    async fn delete(self: &Arc<Self>, name: &str, mut query: Query) -> Result<Answer, Refusal> {
        let force = query.flag("force");
        // There are no volumes, so none can go along.
        query.flag("v");
        query.end()?;
        let name = name.to_owned();
        self.with(move |engine| engine.remove_container(&name, force))
            .await?;
        Ok(nothing())
    }
}

/// A network by Docker's name.
pub(super) fn network(name: &str) -> Result<NetworkMode, Refusal> {
    match name {
        "" | "default" | "bridge" => Ok(NetworkMode::Default),
        "none" => Ok(NetworkMode::None),
        "host" => Ok(NetworkMode::Host),
        _ => Err(Refusal::not_provided(&format!("the network {name:?}"))),
    }
}

/// Lines of `/etc/hosts`, as `host:address`.
pub(super) fn hosts(texts: &[String]) -> Result<Vec<ExtraHost>, Refusal> {
    let parse = |text: &String| {
        let (host, address) = text.split_once(':')?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        Some(ExtraHost {
            host: host.to_owned(),
            address: address.to_string(),
        })
    };
    let parsed = |text| parse(text).ok_or_else(|| Refusal::bad(format!("invalid host {text:?}")));
    texts.iter().map(parsed).collect()
}
