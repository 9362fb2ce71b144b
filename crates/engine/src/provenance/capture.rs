//! What is known of how a target was made: gathered from the graph that leads to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use graph::{Edge, Graph, ImageSource, MountSource, NetworkMode, Op, SourceOp, VertexId};
use oci::Reference;

use super::Asked;
use super::predicate::{Capture, Dependency};
use super::steps::steps;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::purl::purl;
use crate::request::{BuildRequest, Context};
use crate::session::context_name;
use crate::source::{LAYOUTS, without_password};

/// What sources led to that say so only when they are asked: commits, and digests of files.
pub(crate) type Pins = BTreeMap<VertexId, String>;

/// What holds for a build, whichever target it is known.
pub(crate) struct Known<'a> {
    pub(crate) request: &'a BuildRequest,
    pub(crate) asked: &'a Asked,
    pub(crate) graph: &'a Graph,
    pub(crate) pins: &'a Pins,
    pub(crate) invocation: &'a str,
    pub(crate) started: SystemTime,
}

impl Inner {
    /// All that is known of how `target` was made.
    pub(crate) fn capture(
        &self,
        known: &Known<'_>,
        target: Option<Edge>,
    ) -> Result<Capture, EngineError> {
        let mut capture = Capture {
            asked: known.asked.clone(),
            invocation: known.invocation.to_owned(),
            started: known.started,
            finished: self.clock.now(),
            ..Capture::default()
        };
        let is_dockerfile = known.asked.frontend == "dockerfile.v0";
        if is_dockerfile {
            capture.dockerfile = Some(known.request.dockerfile.clone());
        }
        let is_of_client = matches!(
            known.request.context,
            Context::Directory { .. } | Context::Empty
        );
        if is_dockerfile && is_of_client {
            capture.locals.insert("dockerfile".to_owned());
        }
        let reached = reached(known.graph, target);
        capture.steps = steps(known.graph, &reached, target);
        for id in reached {
            let Some(vertex) = known.graph.get(id) else {
                continue;
            };
            match &vertex.op {
                Op::Source(source) => self.add_source(&mut capture, known, id, source)?,
                Op::Exec(exec) => {
                    capture.network |= exec.network != NetworkMode::None;
                    for mount in &exec.mounts {
                        add_asked(&mut capture, &mount.source);
                    }
                }
                Op::File(_) | Op::Merge(_) | Op::Diff(_) => {}
            }
        }
        Ok(capture)
    }

    fn add_source(
        &self,
        capture: &mut Capture,
        known: &Known<'_>,
        id: VertexId,
        source: &SourceOp,
    ) -> Result<(), EngineError> {
        let pin = || known.pins.get(&id).cloned();
        match source {
            SourceOp::Image(image) => {
                let dependency = self.image_dependency(image)?;
                capture.images.insert(dependency.uri.clone(), dependency);
            }
            SourceOp::Local(local) => {
                let name = match context_name(&local.name) {
                    "" => local.name.clone(),
                    name => name.to_owned(),
                };
                capture.locals.insert(name);
            }
            SourceOp::Git(git) => {
                let url = without_password(&git.url);
                let reference = git.reference.as_ref();
                let uri = reference.map_or(url.clone(), |name| format!("{url}#{name}"));
                if let Some(commit) = pin() {
                    let algorithm = if commit.len() == 64 { "sha256" } else { "sha1" };
                    let dependency = Dependency::new(uri.clone(), algorithm, commit);
                    capture.git.insert(uri, dependency);
                }
            }
            SourceOp::Http(http) => {
                let uri = without_password(&http.url);
                let checksum = http.checksum.map(|digest| digest.hex());
                if let Some(digest) = checksum.or_else(pin) {
                    let dependency = Dependency::new(uri.clone(), "sha256", digest);
                    capture.http.insert(uri, dependency);
                }
            }
            // An archive is what came of a URL, or what the client sent.
            SourceOp::Archive(archive) => match known.asked.context() {
                Some(uri) if uri.starts_with("http://") || uri.starts_with("https://") => {
                    let dependency = Dependency::new(uri.clone(), "sha256", archive.digest.hex());
                    capture.http.insert(uri, dependency);
                }
                _ => drop(capture.locals.insert("context".to_owned())),
            },
        }
        Ok(())
    }

    /// An image by the name that it was asked for by, with the digest that the name led to; by its
    /// own digest where that is not known any more.
    fn image_dependency(&self, image: &ImageSource) -> Result<Dependency, EngineError> {
        let platform = Some(&image.platform);
        let pinned = &image.reference;
        let own = pinned
            .digest()
            .map(|digest| digest.hex())
            .unwrap_or_default();
        if pinned.domain() == LAYOUTS {
            return Ok(Dependency::new(
                purl("oci", pinned, platform),
                "sha256",
                own,
            ));
        }
        let named = pinned
            .tag()
            .map(|tag| format!("{}:{tag}", pinned.without_tag()));
        let named = named.and_then(|name| name.parse::<Reference>().ok());
        let Some(named) = named else {
            return Ok(Dependency::new(
                purl("docker", pinned, platform),
                "sha256",
                own,
            ));
        };
        let found = self.store.images().get(&named)?;
        let top = found.map(|found| found.descriptor);
        let led = match &top {
            Some(top) => crate::image::load(&self.store, top, &image.platform),
            None => Ok(None),
        };
        let is_same =
            matches!(led, Ok(Some(led)) if Some(led.descriptor.digest) == pinned.digest());
        Ok(match top.filter(|_| is_same) {
            Some(top) => {
                Dependency::new(purl("docker", &named, platform), "sha256", top.digest.hex())
            }
            None => Dependency::new(purl("docker", pinned, platform), "sha256", own),
        })
    }
}

/// What a step asks its client for.
fn add_asked(capture: &mut Capture, source: &MountSource) {
    let (all, id, required) = match source {
        MountSource::Secret { id, required, .. } => (&mut capture.secrets, id, *required),
        MountSource::Ssh { id, required, .. } => (&mut capture.ssh, id, *required),
        _ => return,
    };
    *all.entry(id.clone()).or_insert(false) |= required;
}

/// All that leads to `target`.
fn reached(graph: &Graph, target: Option<Edge>) -> BTreeSet<VertexId> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<VertexId> = target.map(|edge| edge.vertex).into_iter().collect();
    while let Some(id) = next.pop() {
        if reached.insert(id)
            && let Some(vertex) = graph.get(id)
        {
            next.extend(vertex.inputs.iter().map(|edge| edge.vertex));
        }
    }
    reached
}
