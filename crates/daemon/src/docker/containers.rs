//! Containers: what is asked of which, and list, inspect, rename, remove, prune.

use std::sync::Arc;

use engine::{ContainerState, ContainerSummary};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde_json::json;

use super::filters::{Filters, has_label};
use super::{Daemon, nothing, unknown_of};
use crate::answer::{Answer, Refusal, found};
use crate::query::Query;
use crate::view;

/// The filters of lists of containers.
const FILTERS: [&str; 8] = [
    "ancestor", "exited", "id", "label", "name", "network", "status", "volume",
];

impl Daemon {
    /// `/containers/…`
    pub(super) async fn containers(
        self: &Arc<Self>,
        head: &mut Parts,
        rest: &[&str],
        query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        let method = head.method.clone();
        match (method.as_str(), rest) {
            ("GET", ["json"]) => self.list(query).await,
            ("POST", ["create"]) => self.create(query, body).await,
            ("POST", ["prune"]) => self.prune_containers(query).await,
            // A client that inspects any thing asks for a container first: a name with slashes is
            // that of an image.
            ("GET", [name @ .., "json"]) => self.inspect(&name.join("/"), query).await,
            ("POST", [name, "start"]) => self.start(name, query).await,
            ("POST", [name, "stop"]) => self.stop(name, query).await,
            ("POST", [name, "restart"]) => self.restart(name, query).await,
            ("POST", [name, "kill"]) => self.kill(name, query).await,
            ("POST", [name, "wait"]) => self.wait(name, query).await,
            ("POST", [name, "resize"]) => self.resize(name, query).await,
            ("POST", [name, "rename"]) => self.rename(name, query).await,
            ("POST", [name, "attach"]) => self.attach(name, query, head).await,
            ("POST", [name, "exec"]) => self.create_exec(name, query, body).await,
            ("GET", [name, "logs"]) => self.logs(name, query).await,
            ("GET", [name, "changes"]) => self.changes(name, query).await,
            ("GET", [name, "export"]) => self.export(name, query).await,
            ("HEAD", [name, "archive"]) => self.stat(name, query).await,
            ("GET", [name, "archive"]) => self.read(name, query).await,
            ("PUT", [name, "archive"]) => self.write(name, query, body).await,
            ("DELETE", [name]) => self.delete(name, query).await,
            _ => Err(unknown_of(&method, "containers", rest)),
        }
    }

    /// The container with this name or ID.
    pub(super) async fn find(self: &Arc<Self>, name: &str) -> Result<ContainerSummary, Refusal> {
        let name = name.to_owned();
        self.with(move |engine| engine.inspect_container(&name))
            .await
    }

    async fn inspect(self: &Arc<Self>, name: &str, mut query: Query) -> Result<Answer, Refusal> {
        let wants_size = query.flag("size");
        query.end()?;
        if wants_size {
            return Err(Refusal::not_provided("the size of containers"));
        }
        let container = self.find(name).await?;
        let ports = self.runs.ports(&container.id);
        let id = container.image.clone();
        let image = self.with(move |engine| Ok(engine.inspect_image(&id).ok()));
        let image = image.await?.map(|image| image.summary.id.to_string());
        let mut shown = view::container(container);
        shown.image = image.unwrap_or(shown.image);
        for port in ports {
            let port = port.shown();
            view::show_port(&mut shown.network_settings, &port);
        }
        Ok(found(&shown))
    }

    async fn list(self: &Arc<Self>, mut query: Query) -> Result<Answer, Refusal> {
        let all = query.flag("all");
        let limit: Option<usize> = query.one("limit").and_then(|text| text.parse().ok());
        let filters = Filters::parse(&mut query, &FILTERS)?;
        if query.flag("size") {
            return Err(Refusal::not_provided("the size of containers"));
        }
        query.end()?;
        let now = self.now();
        let containers = self.with(|engine| engine.containers()).await?;
        let asks_for_state = ["status", "exited"]
            .iter()
            .any(|name| !filters.values(name).is_empty());
        let everything = all || asks_for_state || limit.is_some();
        let shown = containers.into_iter().filter(|container| {
            let shown = everything || container.state == ContainerState::Running;
            shown && filters.all_pass(|name, value| passes(container, name, value))
        });
        let shown: Vec<ContainerSummary> = shown.take(limit.unwrap_or(usize::MAX)).collect();
        let ports = |id: &str| {
            let ports = self.runs.ports(id).into_iter();
            ports.map(|port| port.shown()).collect()
        };
        Ok(found(&view::containers(&shown, now, ports)))
    }

    async fn rename(self: &Arc<Self>, name: &str, mut query: Query) -> Result<Answer, Refusal> {
        let new = query.one("name").unwrap_or_default();
        query.end()?;
        if new.is_empty() {
            return Err(Refusal::bad("Neither old nor new names may be empty"));
        }
        super::create::check_name(&new)?;
        let container = self.find(name).await?;
        let id = container.id.clone();
        self.with(move |engine| engine.rename_container(&id, &new))
            .await?;
        let renamed = self.find(&container.id).await?;
        let before = format!("/{}", container.name);
        self.tell_container("rename", &renamed, &[("oldName", &before)]);
        Ok(nothing())
    }

    async fn delete(self: &Arc<Self>, name: &str, mut query: Query) -> Result<Answer, Refusal> {
        let force = query.flag("force");
        let volumes = query.flag("v");
        if query.flag("link") {
            return Err(Refusal::not_provided("a link between containers"));
        }
        query.end()?;
        let container = self.find(name).await?;
        if container.state == ContainerState::Running && force {
            self.kill_to_remove(&container).await;
        }
        let (name, going) = (name.to_owned(), container.clone());
        self.with(move |engine| {
            // One that goes by itself when it ends may be gone by now.
            match engine.remove_container(&name, force) {
                Err(engine::EngineError::NoSuchContainer(_)) if force => {}
                removed => drop(removed?),
            }
            if volumes {
                engine.remove_unnamed_volumes(&going)?;
            }
            Ok(())
        })
        .await?;
        self.runs.forget(&container.id);
        self.tell_container("destroy", &container, &[]);
        Ok(nothing())
    }

    async fn prune_containers(self: &Arc<Self>, mut query: Query) -> Result<Answer, Refusal> {
        let filters = Filters::parse(&mut query, &["label", "label!", "until"])?;
        query.end()?;
        let until = filters.until(self.now())?;
        let all = self.with(|engine| engine.containers()).await?;
        let mut deleted = Vec::new();
        for container in all {
            let labels = &container.settings.more.labels;
            let goes = container.state != ContainerState::Running
                && until.is_none_or(|until| container.created <= until)
                && filters.takes_labels(labels);
            if !goes {
                continue;
            }
            let id = container.id.clone();
            self.with(move |engine| engine.remove_container(&id, false))
                .await?;
            self.runs.forget(&container.id);
            self.tell_container("destroy", &container, &[]);
            deleted.push(container.id);
        }
        Ok(found(
            &json!({"ContainersDeleted": deleted, "SpaceReclaimed": 0}),
        ))
    }
}

fn passes(container: &ContainerSummary, name: &str, value: &str) -> bool {
    let more = &container.settings.more;
    match name {
        "id" => container.id.starts_with(value),
        "name" => container.name.contains(value.trim_start_matches('/')),
        "label" => has_label(&more.labels, value),
        "network" => more.network == value,
        "status" => view::state(container.state) == value,
        "exited" => match container.state {
            ContainerState::Exited(code) => value.parse() == Ok(code),
            ContainerState::Created | ContainerState::Running => false,
        },
        "volume" => more.mounts.iter().any(|mount| {
            let source = match &mount.source {
                engine::MountSource::Volume(name) => name.clone(),
                engine::MountSource::Bind(path) => path.display().to_string(),
                engine::MountSource::Memory { .. } => String::new(),
            };
            source == value || mount.target == value
        }),
        // An image, with or without its tag.
        _ => container.image == value || container.image == format!("{value}:latest"),
    }
}
