//! A build of steps that a client defined one by one, in place of a Dockerfile.

use std::collections::HashMap;
use std::sync::Arc;

use dockerfile::{Lowered, Outline, Scan, TargetImage};
use futures_util::future::try_join_all;
use graph::{Edge, Graph, GraphError, ImageSource, Op, PullPolicy, SourceOp, VertexId};
use oci::{Digest, ImageConfig, Platform, Reference};
use solver::ProgressSender;

use super::frontend::{Plan, by_name};
use super::results::Planned;
use super::stages::Build;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::image::ResolvedImage;
use crate::progress::Task;
use crate::request::BuildRequest;
use crate::session::{context_name, named};

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
    /// The name under which it was looked for: another than was asked for where a source policy says
    /// so.
    pub name: Reference,
    /// Of its manifest.
    pub digest: Digest,
    /// Its config, as it was made.
    pub config: Vec<u8>,
}

/// What a definition asks registries for.
type Asked = (Reference, Platform, PullPolicy);

/// Images by what was asked for.
pub(super) type Images = HashMap<Asked, ResolvedImage>;

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
        let graphs = [&definition.graph].into_iter();
        let images = self.engine().images(graphs, self.progress()).await?;
        let pinned = Pinned::new(&definition.graph, &images)?;
        let edges = definition.required.iter().map(|edge| pinned.edge(*edge));
        let required = edges.collect();
        let target = target(request, definition.root.map(|edge| pinned.edge(edge)));
        let lowered = Lowered {
            graph: pinned.graph,
            target,
            more_targets: Vec::new(),
            required,
            warnings: Vec::new(),
            local_contexts: pinned.locals,
            source_date_epoch: request.source_date_epoch,
            multi_platform: false,
            outline: Outline::default(),
        };
        let plan = Plan::of_definition(platform(request), lowered, by_name(images))?;
        let plan = self
            .engine()
            .with_scans(plan, request, self.progress())
            .await?;
        Ok(Planned::new(request.clone(), plan))
    }

    /// Finds an image, as front ends ask for it; this machine's when there is no platform.
    ///
    /// # Errors
    /// It could not be had, or the build may not have it.
    pub async fn find_image(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        pull: PullPolicy,
        name: &str,
    ) -> Result<FoundImage, EngineError> {
        let known = platform.cloned().unwrap_or_else(Platform::host);
        let admitted = self.engine().admit_image(reference, &known, pull);
        let (admitted, pull) = admitted.await?;
        self.look_at_image(&admitted, platform, pull, name).await
    }

    /// The same for whoever decides about the image.
    ///
    /// # Errors
    /// It could not be had.
    pub async fn look_at_image(
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
            name: reference.clone(),
            config: crate::blocking(read).await??,
        })
    }
}

impl Planned {
    /// The steps for the platform at `place`, for a build that goes on from them. Local sources in it have the names that
    /// `rename` makes of those of their contexts; the main one's is empty.
    ///
    /// # Errors
    /// Two names become one, or there is no such platform.
    pub fn definition(
        &self,
        place: usize,
        rename: impl Fn(&str) -> String,
    ) -> Result<Definition, EngineError> {
        let Plan { graph, lowered, .. } = self.plan();
        let missing = || EngineError::Solve("a result for no platform".to_owned());
        let lowered = &lowered.get(place).ok_or_else(missing)?.lowered;
        let mut renamed = Graph::with_capacity(graph.len());
        for (_, vertex) in graph.iter() {
            let mut op = vertex.op.clone();
            if let Op::Source(SourceOp::Local(local)) = &mut op {
                local.name = rename(context_name(&local.name));
            }
            let added = renamed.add(op, vertex.inputs.clone(), vertex.meta.clone());
            added.map_err(refused)?;
        }
        if renamed.len() != graph.len() {
            return Err(EngineError::Solve("contexts of one name".to_owned()));
        }
        Ok(Definition {
            graph: renamed,
            root: lowered.target.file_system,
            required: lowered.required.clone(),
        })
    }
}

impl Inner {
    /// The images that `graphs` name.
    pub(super) async fn images<'a>(
        self: &Arc<Self>,
        graphs: impl Iterator<Item = &'a Graph>,
        progress: &ProgressSender,
    ) -> Result<Images, EngineError> {
        let mut asked: Vec<Asked> = Vec::new();
        let vertices = graphs.flat_map(Graph::iter);
        for image in vertices.filter_map(|(_, vertex)| image(&vertex.op)) {
            let image = asked_for(image);
            if !asked.contains(&image) {
                asked.push(image);
            }
        }
        let resolve = |asked: Asked| async {
            let (reference, platform, pull) = &asked;
            let name = format!("resolve image config for {reference}");
            let task = Task::begin(progress, &self.clock, &name);
            let image = self.resolve_image(reference, platform, *pull);
            let image = task.end(image.await)?;
            Ok::<_, EngineError>((asked, image))
        };
        let images = try_join_all(asked.into_iter().map(resolve)).await?;
        Ok(images.into_iter().collect())
    }
}

/// A graph whose images are named by what they are.
#[derive(Default)]
pub(super) struct Pinned {
    pub(super) graph: Graph,
    /// By vertex of the graph that it was made of.
    vertices: Vec<VertexId>,
    /// Names of local sources.
    locals: Vec<String>,
}

impl Pinned {
    /// Images that are not among `images` keep their names.
    pub(super) fn new(graph: &Graph, images: &Images) -> Result<Self, EngineError> {
        let mut pinned = Self::default();
        for (_, vertex) in graph.iter() {
            let inputs = vertex.inputs.iter();
            let inputs = inputs.map(|edge| pinned.edge(*edge)).collect();
            let op = pinned.pin(&vertex.op, images);
            let added = pinned.graph.add(op, inputs, vertex.meta.clone());
            pinned.vertices.push(added.map_err(refused)?);
        }
        Ok(pinned)
    }

    pub(super) fn edge(&self, edge: Edge) -> Edge {
        Edge {
            vertex: self.vertices[edge.vertex.index()],
            output: edge.output,
        }
    }

    fn pin(&mut self, op: &Op, images: &Images) -> Op {
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

/// What the steps run on where they do not say.
fn platform(request: &BuildRequest) -> Platform {
    let platform = request.platforms.first();
    platform.cloned().unwrap_or_else(Platform::host)
}

/// The result as an image: of the platform, and nothing more is said of it.
fn target(request: &BuildRequest, file_system: Option<Edge>) -> TargetImage {
    let platform = platform(request);
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
        scan: Scan::default(),
    }
}
