//! What one of several nodes is asked for, and what it tells.

use std::collections::BTreeSet;

use client::Failure;
use engine::events::{Progress, ProgressReceiver, ProgressSender};
use engine::{BuildRequest, Context, Export, FilesExport, Remote};
use oci::Reference;

use super::super::elsewhere::Ended;
use crate::commands::bake::named::{own, prefixed};
use crate::error::Error;
use crate::remote::Asked;

/// Refuses what several nodes cannot make together.
pub(super) fn check(request: &BuildRequest) -> Result<(), Error> {
    let whole = "push the image (--push), or build for platforms of one node";
    for export in &request.exports {
        let what = match export {
            Export::Archive(_) => "an archive, or an image to be loaded,",
            Export::Files(FilesExport::Tar { .. }) => "a tar",
            // The names of what the nodes push are put by the client, which is another process.
            Export::Image(image) if image.insecure && image.push => {
                let instead =
                    "write `http = true` and `insecure = true` for the registry in kiln.toml";
                return Err(refuse_together("a push with registry.insecure", instead));
            }
            Export::Files(FilesExport::Directory { .. }) | Export::Image(_) => continue,
        };
        return Err(refuse_together(what, whole));
    }
    let contexts = std::iter::once(&request.context);
    let is_stream = |context: &Context| {
        matches!(
            context,
            Context::Remote {
                from: Remote::Stream(_),
                ..
            }
        )
    };
    match contexts.into_iter().any(is_stream) {
        true => Err(refuse_together(
            "a build of a context that is sent once",
            "unpack it and name the directory",
        )),
        false => Ok(()),
    }
}

fn refuse_together(what: &str, instead: &str) -> Error {
    let message = format!("{what} cannot be had of several nodes together");
    Error::new(message).hint(instead)
}

/// A part of what is asked: an index for its platforms, pushed by its digest alone.
pub(super) fn part(mut asked: Asked) -> Asked {
    let request = &mut asked.request;
    let options = &mut request.frontend_attrs;
    options.insert("multi-platform".to_owned(), "true".to_owned());
    for exporter in &mut request.exporters {
        let attrs = &mut exporter.attrs;
        if exporter.r#type == "image" && attrs.get("push").is_some_and(|push| push == "true") {
            let names = attrs.get("name").map(String::as_str).unwrap_or_default();
            let places = names
                .split(',')
                .filter_map(|name| name.parse::<Reference>().ok());
            let places: BTreeSet<String> =
                places.map(|name| name.without_tag().to_string()).collect();
            let places: Vec<String> = places.into_iter().collect();
            attrs.insert("name".to_owned(), places.join(","));
            attrs.insert("push-by-digest".to_owned(), "true".to_owned());
            // The names lead to all of it, and none to a part.
            attrs.insert("store".to_owned(), "false".to_owned());
        }
    }
    asked
}

/// Passes on what a node tells, as steps of its own: another one does the same, for itself.
pub(super) async fn pass(node: &str, mut from: ProgressReceiver, to: ProgressSender) {
    while let Some(mut event) = from.recv().await {
        match &mut event {
            Progress::Planned(vertices) => {
                for vertex in vertices {
                    vertex.name = prefixed(node, &vertex.name);
                    vertex.vertex = own(node, vertex.vertex);
                    for input in &mut vertex.inputs {
                        *input = own(node, *input);
                    }
                }
            }
            Progress::Warning(warning) => {
                warning.vertex = warning.vertex.map(|vertex| own(node, vertex));
            }
            event => {
                if let Some(vertex) = event.vertex_mut() {
                    *vertex = own(node, *vertex);
                }
            }
        }
        to.send_bounded(event).await;
    }
}

/// What is said of the node when it goes away.
pub(super) fn of_part(node: &str, ended: Ended) -> Ended {
    match ended {
        Ended::Failed(failure) if failure.is_gone => Ended::Failed(Failure {
            message: format!("node {node}: {}", failure.message),
            ..failure
        }),
        other => other,
    }
}
