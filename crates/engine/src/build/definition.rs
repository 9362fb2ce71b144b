//! A build of steps that a client defined one by one, in place of a Dockerfile.

use std::collections::HashMap;
use std::sync::Arc;

use dockerfile::{Lowered, Outline, TargetImage};
use futures_util::future::try_join_all;
use graph::{Edge, Graph, GraphError, ImageSource, Op, PullPolicy, SourceOp, VertexId};
use oci::{Digest, ImageConfig, Platform, Reference};

use super::frontend::Plan;
use super::stages::{Build, Planned};
use crate::error::EngineError;
use crate::image::ResolvedImage;
use crate::request::BuildRequest;
use crate::session::named;

/// Steps, and which of them is wanted. Local sources in it are further contexts of the request, by
/// their names there.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// The steps.
    pub graph: Graph,
    /// The result; none when it is empty.
    pub root: Option<Edge>,
    /// What must be made beside it.
    pub required: Vec<Edge>,
}

/// An image, before anything of its layers is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundImage {
    /// Its name with the digest of its manifest.
    pub reference: Reference,
    /// Of its manifest.
    pub digest: Digest,
    /// Its config, as it was made.
    pub config: Vec<u8>,
}

/// What a definition asks registries for.
type Asked = (Reference, Platform, PullPolicy);

impl Build {
    /// Asks for the images that a definition names, so that its steps have the keys that they have
    /// in a Dockerfile. Of `request`, what is about a Dockerfile does not matter.
    ///
    /// # Errors
    /// An image could not be had.
    pub async fn plan_definition(
        &self,
        request: &BuildRequest,
        definition: &Definition,
    ) -> Result<Planned, EngineError> {
        let images = self.images(&definition.graph).await?;
        let mut pinned = Pinned::default();
        pinned.add_all(&definition.graph, &images)?;
        let edges = definition.required.iter().map(|edge| pinned.edge(*edge));
        let required = edges.collect();
        let target = target(request, definition.root.map(|edge| pinned.edge(edge)));
        let lowered = Lowered {
            graph: Graph::default(),
            target,
            more_targets: Vec::new(),
            required,
            warnings: Vec::new(),
            local_contexts: pinned.locals,
            source_date_epoch: request.source_date_epoch,
            outline: Outline::default(),
        };
        let images = images.into_values();
        let images = images
            .map(|image| (image.reference.clone(), image))
            .collect();
        let plan = Plan::of_definition(pinned.graph, lowered, images);
        Ok(Planned::new(request.clone(), plan))
    }

    /// Finds an image, as front ends ask for it; this machine's when there is no platform.
    ///
    /// # Errors
    /// It could not be had.
    pub async fn find_image(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        pull: PullPolicy,
        name: &str,
    ) -> Result<FoundImage, EngineError> {
        let platform = platform.cloned().unwrap_or_else(Platform::host);
        let task = self.task(name);
        let found = self.engine().resolve_image(reference, &platform, pull);
        let found = task.end(found.await)?;
        let engine = Arc::clone(self.engine());
        let config = found.image.manifest.config.digest;
        let read = move || engine.store.blobs().read(&config, oci::MAX_CONFIG_SIZE);
        Ok(FoundImage {
            digest: found.image.descriptor.digest,
            reference: found.reference,
            config: crate::blocking(read).await??,
        })
    }

    async fn images(&self, graph: &Graph) -> Result<HashMap<Asked, ResolvedImage>, EngineError> {
        let mut asked: Vec<Asked> = Vec::new();
        for image in graph.iter().filter_map(|(_, vertex)| image(&vertex.op)) {
            let image = asked_for(image);
            if !asked.contains(&image) {
                asked.push(image);
            }
        }
        let resolve = |asked: Asked| async {
            let (reference, platform, pull) = &asked;
            let task = self.task(&format!("resolve image config for {reference}"));
            let image = self.engine().resolve_image(reference, platform, *pull);
            let image = task.end(image.await)?;
            Ok::<_, EngineError>((asked, image))
        };
        let images = try_join_all(asked.into_iter().map(resolve)).await?;
        Ok(images.into_iter().collect())
    }
}

/// A graph whose images are named by what they are.
#[derive(Default)]
struct Pinned {
    graph: Graph,
    /// By vertex of the graph that it was made of.
    vertices: Vec<VertexId>,
    /// Names of local sources.
    locals: Vec<String>,
}

impl Pinned {
    fn add_all(
        &mut self,
        graph: &Graph,
        images: &HashMap<Asked, ResolvedImage>,
    ) -> Result<(), EngineError> {
        for (_, vertex) in graph.iter() {
            let inputs = vertex.inputs.iter().map(|edge| self.edge(*edge)).collect();
            let op = self.pin(&vertex.op, images);
            let added = self.graph.add(op, inputs, vertex.meta.clone());
            self.vertices.push(added.map_err(refused)?);
        }
        Ok(())
    }

    fn edge(&self, edge: Edge) -> Edge {
        Edge {
            vertex: self.vertices[edge.vertex.index()],
            output: edge.output,
        }
    }

    fn pin(&mut self, op: &Op, images: &HashMap<Asked, ResolvedImage>) -> Op {
        let mut op = op.clone();
        match &mut op {
            Op::Source(SourceOp::Image(image)) => {
                if let Some(found) = images.get(&asked_for(image)) {
                    image.reference.clone_from(&found.reference);
                }
            }
            Op::Source(SourceOp::Local(local)) => {
                local.name = named(&local.name);
                if !self.locals.contains(&local.name) {
                    self.locals.push(local.name.clone());
                }
            }
            _ => {}
        }
        op
    }
}

fn image(op: &Op) -> Option<&ImageSource> {
    match op {
        Op::Source(SourceOp::Image(image)) => Some(image),
        _ => None,
    }
}

fn asked_for(image: &ImageSource) -> Asked {
    (image.reference.clone(), image.platform.clone(), image.pull)
}

fn refused(error: GraphError) -> EngineError {
    EngineError::Solve(error.to_string())
}

/// The result as an image: of the platform, and nothing more is said of it.
fn target(request: &BuildRequest, file_system: Option<Edge>) -> TargetImage {
    let platform = request.platform.clone().unwrap_or_else(Platform::host);
    TargetImage {
        stage: String::new(),
        file_system,
        config: ImageConfig {
            architecture: platform.architecture,
            os: platform.os,
            os_version: platform.os_version,
            variant: platform.variant,
            ..ImageConfig::default()
        },
        history_layers: Vec::new(),
        base_layers: None,
    }
}
