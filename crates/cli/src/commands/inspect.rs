//! `kiln inspect`: all that is known of images and containers, as JSON in docker's form.

use std::collections::BTreeSet;

use engine::{ContainerState, ContainerSummary, Engine, EngineError, ImageDetails, rfc3339};
use oci::{ProcessConfig, RootFs};
use serde::Serialize;
use serde_json::{Value, json};

use super::containers::state;
use super::session::Session;
use crate::args::image::Inspect;
use crate::error::{CliError, Error, FAILURE};
use crate::ui::template::Template;

/// Shows what each name stands for; `only` when the command is about one kind of thing.
pub(super) fn run(
    session: &mut Session<'_, '_>,
    args: &Inspect,
    only: Option<&'static str>,
) -> Result<(), Error> {
    let kind = match only.or(args.kind.as_deref()) {
        kind @ (None | Some("image" | "container")) => kind,
        Some(other) => {
            return Err(Error::new(format!(
                "{other:?} is not a valid value for --type: expected image or container"
            )));
        }
    };
    let template = match args.format.as_deref() {
        None | Some("" | "json") => None,
        Some(text) => Some(Template::parse(text).map_err(CliError::from)?),
    };
    let engine = session.engine()?;
    let (mut found, mut failed) = (Vec::new(), false);
    for name in &args.names {
        match object(&engine, name, kind) {
            Ok(object) => found.push(object),
            Err(error) => {
                failed = true;
                session.ui.error(&error);
            }
        }
    }
    let text = match (template, args.format.as_deref()) {
        (Some(template), _) => {
            let mut text = String::new();
            for object in &found {
                let value = serde_json::to_value(object).unwrap_or(Value::Null);
                text.push_str(&template.render(&value).map_err(CliError::from)?);
                text.push('\n');
            }
            text
        }
        (None, Some("json")) => format!("{}\n", to_json(&found, false)),
        (None, _) => format!("{}\n", to_json(&found, true)),
    };
    session.ui.print(&text)?;
    if failed {
        Err(Error::silent(FAILURE))
    } else {
        Ok(())
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Object {
    Image(Box<Image>),
    Container(Box<Container>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    comment: String,
    created: Option<String>,
    author: String,
    config: Config,
    architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    variant: String,
    os: String,
    size: u64,
    #[serde(rename = "RootFS")]
    root_fs: Root,
    metadata: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    user: String,
    exposed_ports: Option<Value>,
    env: Vec<String>,
    cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    args_escaped: bool,
    volumes: Option<Value>,
    working_dir: String,
    entrypoint: Option<Vec<String>>,
    on_build: Option<Vec<String>>,
    labels: Option<Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    stop_signal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    r#type: String,
    layers: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    created: String,
    path: String,
    args: Vec<String>,
    state: Value,
    image: String,
    name: String,
    config: Value,
}

fn object(engine: &Engine, name: &str, kind: Option<&str>) -> Result<Object, Error> {
    let container = || engine.inspect_container(name).map(Container::of);
    let image = || engine.inspect_image(name).map(Image::of);
    match kind {
        Some("image") => Ok(Object::Image(Box::new(image()?))),
        Some(_) => Ok(Object::Container(Box::new(container()?))),
        // A container goes before an image of the same name, as in docker.
        None => match container() {
            Ok(found) => Ok(Object::Container(Box::new(found))),
            Err(EngineError::NoSuchContainer(_)) => match image() {
                Ok(found) => Ok(Object::Image(Box::new(found))),
                Err(EngineError::NoSuchImage(_)) => {
                    Err(Error::new(format!("No such object: {name}")))
                }
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        },
    }
}

/// An array, four spaces deep as docker writes it, or on one line.
fn to_json(objects: &[Object], pretty: bool) -> String {
    let mut bytes = Vec::new();
    let written = if pretty {
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        objects.serialize(&mut serializer)
    } else {
        objects.serialize(&mut serde_json::Serializer::new(&mut bytes))
    };
    match written {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        // Texts, numbers and maps with text keys are always written.
        Err(_) => String::new(),
    }
}

impl Image {
    fn of(details: ImageDetails) -> Self {
        let ImageDetails {
            summary,
            references,
            config,
            updated,
        } = details;
        let repositories: BTreeSet<String> = references
            .iter()
            .map(oci::Reference::familiar_name)
            .collect();
        let digest = summary.digest;
        let newest = config.history.last();
        Self {
            id: summary.id.to_string(),
            repo_tags: references.iter().map(oci::Reference::familiar).collect(),
            repo_digests: repositories
                .iter()
                .map(|name| format!("{name}@{digest}"))
                .collect(),
            comment: newest
                .map(|entry| entry.comment.clone())
                .unwrap_or_default(),
            created: config.created,
            author: config.author,
            config: Config::of(config.config),
            architecture: config.architecture,
            variant: config.variant,
            os: config.os,
            size: summary.size,
            root_fs: Root::of(config.rootfs),
            metadata: json!({"LastTagTime": rfc3339(updated)}),
        }
    }
}

impl Config {
    fn of(config: ProcessConfig) -> Self {
        let map = |value: Value| (value != json!({})).then_some(value);
        Self {
            user: config.user,
            exposed_ports: map(json!(config.exposed_ports)),
            env: config.env,
            cmd: config.cmd,
            healthcheck: config.healthcheck.map(|check| json!(check)),
            args_escaped: config.args_escaped,
            volumes: map(json!(config.volumes)),
            working_dir: config.working_dir,
            entrypoint: config.entrypoint,
            on_build: Some(config.on_build).filter(|triggers| !triggers.is_empty()),
            labels: map(json!(config.labels)),
            stop_signal: config.stop_signal,
            shell: config.shell,
        }
    }
}

impl Root {
    fn of(root: RootFs) -> Self {
        Self {
            r#type: root.kind,
            layers: root.diff_ids.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Container {
    fn of(summary: ContainerSummary) -> Self {
        let (path, args) = match summary.command.split_first() {
            Some((path, args)) => (path.clone(), args.to_vec()),
            None => (String::new(), Vec::new()),
        };
        let exit_code = match summary.state {
            ContainerState::Exited(code) => code,
            ContainerState::Created | ContainerState::Running => 0,
        };
        Self {
            created: rfc3339(summary.created),
            path,
            args,
            state: json!({
                "Status": state(summary.state),
                "Running": summary.state == ContainerState::Running,
                "ExitCode": exit_code,
            }),
            config: json!({"Image": summary.image, "Cmd": summary.command}),
            image: summary.image,
            name: format!("/{}", summary.name),
            id: summary.id,
        }
    }
}
