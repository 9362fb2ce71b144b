//! From the text of a Dockerfile to a graph, with the images that it names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use dockerfile::{BuildContext, Checks, Diagnostic, InstructionKind, Lowered};
use graph::{Edge, Graph, VertexId};
use oci::{Platform, Reference};
use solver::ProgressSender;

use super::definition::{Images, Pinned};
use super::platforms::Lowerings;
use crate::device::Catalogue;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::image::ResolvedImage;
use crate::request::{BuildRequest, Context, NamedContext, NoCache, Steps};
use crate::session::{CONTEXT, named};

/// What is to be solved.
#[derive(Clone)]
pub(super) struct Plan {
    /// The graph of all platforms: what they share is in it once.
    pub(super) graph: Arc<Graph>,
    /// By platform, in the order in which they were asked for; never empty. The graphs are gone.
    pub(super) lowered: Vec<OnPlatform>,
    /// An index leads to the images.
    pub(super) indexed: bool,
    /// What could be done better in the Dockerfile.
    pub(super) warnings: Vec<Diagnostic>,
    /// By the name with digest that stands in the graph.
    pub(super) images: HashMap<Reference, ResolvedImage>,
    /// Those that the graph's devices are among.
    pub(super) devices: Arc<Catalogue>,
    /// Scans of the file systems of all targets, if there are to be any.
    pub(super) scans: Vec<Edge>,
    /// Names of the arguments that the Dockerfile declares.
    declared: BTreeSet<String>,
}

/// What a Dockerfile came to for one platform.
#[derive(Clone)]
pub(super) struct OnPlatform {
    pub(super) platform: Platform,
    pub(super) lowered: Lowered,
    /// Vertices of the graph from here on are its own, if no platform before it has them.
    pub(super) first_vertex: usize,
}

impl Plan {
    /// Puts what was lowered for each platform into one graph.
    pub(super) fn of_platforms(
        platforms: Vec<Platform>,
        lowered: Vec<Lowered>,
        indexed: bool,
    ) -> Result<Self, EngineError> {
        let mut graph = Graph::default();
        let mut each = Vec::with_capacity(lowered.len());
        for (platform, mut lowered) in platforms.into_iter().zip(lowered) {
            let first_vertex = graph.len();
            let own = std::mem::take(&mut lowered.graph);
            if first_vertex == 0 {
                graph = own;
            } else {
                let moved = graph.absorb(own)?;
                lowered.move_vertices(|vertex: VertexId| moved[vertex.index()]);
            }
            each.push(OnPlatform {
                platform,
                lowered,
                first_vertex,
            });
        }
        Ok(Self {
            graph: Arc::new(graph),
            warnings: each
                .iter()
                .flat_map(|on| on.lowered.warnings.clone())
                .collect(),
            lowered: each,
            indexed,
            images: HashMap::new(),
            devices: Arc::default(),
            scans: Vec::new(),
            declared: BTreeSet::new(),
        })
    }

    /// What a client defined step by step, for which no Dockerfile was read.
    pub(super) fn of_definition(
        platform: Platform,
        lowered: Lowered,
        images: HashMap<Reference, ResolvedImage>,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            images,
            ..Self::of_platforms(vec![platform], vec![lowered], false)?
        })
    }

    /// The file systems of all targets, those of the first platform first.
    pub(super) fn file_systems(&self) -> impl Iterator<Item = Option<Edge>> {
        let each = self.lowered.iter();
        each.flat_map(|on| on.lowered.file_systems())
    }

    /// What must be made beside them.
    fn required(&self) -> impl Iterator<Item = Edge> {
        let each = self.lowered.iter();
        each.flat_map(|on| on.lowered.required.iter().copied())
    }

    /// All that is to be made.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Edge> {
        let targets = self.file_systems().flatten();
        targets
            .chain(self.scans.iter().copied())
            .chain(self.required())
    }

    /// Names of variables that are build arguments.
    pub(super) fn build_args(&self, request: &BuildRequest) -> BTreeSet<String> {
        let given = request.build_args.keys();
        self.declared.iter().chain(given).cloned().collect()
    }
}

impl Inner {
    pub(super) async fn plan(
        self: &Arc<Self>,
        request: &BuildRequest,
        secret_digests: BTreeMap<String, [u8; 32]>,
        progress: &ProgressSender,
    ) -> Result<Plan, EngineError> {
        let devices = Arc::new(Catalogue::read(self.config.cdi.spec_dirs.as_deref()));
        let parsed = dockerfile::parse(request.dockerfile.text.as_bytes());
        let declared = declared(&parsed);
        let graphs = request.steps().map(|steps| &steps.definition.graph);
        let known = self.images(graphs, progress).await?;
        let options = dockerfile::Options {
            secret_digests,
            devices: Some(devices.offered(request.allow_devices.clone())),
            ..options(request, &known)?
        };
        let options = each_options(request, &known, options)?;
        let mut lowerings = Lowerings::new(self, request, progress);
        let mut lowered = lowerings.lower(&parsed, &options).await?;
        self.admit_all(request, &mut lowered).await?;
        let indexed = lowered.iter().all(|lowered| lowered.multi_platform);
        if lowered.len() > 1 && !indexed {
            return Err(EngineError::NotIndexed);
        }
        let mut images = by_name(known);
        images.extend(lowerings.into_images());
        let plan = Plan {
            images,
            devices,
            declared,
            ..Plan::of_platforms(request.runs_on(), lowered, indexed)?
        };
        self.with_scans(plan, request, progress).await
    }
}

impl Inner {
    /// Puts what the build has in place of the sources that the Dockerfile names.
    async fn admit_all(
        &self,
        request: &BuildRequest,
        lowered: &mut [Lowered],
    ) -> Result<(), EngineError> {
        if !self.policy.is_judged() {
            return Ok(());
        }
        let contexts = request.named_contexts.iter();
        let directories: Vec<&str> = contexts
            .filter(|(_, context)| matches!(context, NamedContext::Directory(_)))
            .map(|(name, _)| name.as_str())
            .collect();
        for lowered in lowered {
            let graph = std::mem::take(&mut lowered.graph);
            let (graph, places) = self.admit_graph(graph, &directories).await?;
            lowered.graph = graph;
            lowered.move_vertices(|vertex: VertexId| places[vertex.index()]);
        }
        Ok(())
    }
}

fn declared(parsed: &dockerfile::Parsed) -> BTreeSet<String> {
    let kinds = parsed.stages.iter().flat_map(|stage| &stage.instructions);
    let args = kinds.filter_map(|instruction| match &instruction.kind {
        InstructionKind::Arg(args) => Some(args),
        _ => None,
    });
    args.flatten().map(|arg| arg.key.clone()).collect()
}

/// By the name that stands in the graph.
pub(super) fn by_name(images: Images) -> HashMap<Reference, ResolvedImage> {
    let images = images.into_values();
    images
        .map(|image| (image.reference.clone(), image))
        .collect()
}

/// What the Dockerfile is lowered with, for the first platform of several; `images` are those of
/// further steps, as far as they are known.
pub(super) fn options(
    request: &BuildRequest,
    images: &Images,
) -> Result<dockerfile::Options, EngineError> {
    let context = match &request.context {
        Context::Empty => BuildContext::Empty,
        Context::Directory { ignore, .. } => BuildContext::Local {
            name: CONTEXT.to_owned(),
            exclude: patterns(ignore)?,
        },
        Context::Source(op) => BuildContext::Source(op.clone()),
        Context::Steps(steps) => BuildContext::Steps(pinned(steps, images)?),
        Context::Remote { .. } => return Err(EngineError::NotOpened),
    };
    let mut named_contexts = BTreeMap::new();
    for (name, context) in &request.named_contexts {
        named_contexts.insert(name.clone(), named_context(name, context, images)?);
    }
    let build_args = request
        .build_args
        .iter()
        .map(|(k, v)| (k.clone(), Some(v.clone())));
    Ok(dockerfile::Options {
        target: request.target.clone(),
        more_targets: request
            .more_targets
            .iter()
            .map(|target| target.stage.clone())
            .collect(),
        require: request.require.clone(),
        every_stage: false,
        checks: Checks::default(),
        build_args: build_args.collect(),
        target_platform: request.platforms.first().cloned(),
        build_platform: Platform::host(),
        multi_platform: request.indexed || request.platforms.len() > 1,
        labels: request.labels.clone(),
        no_cache: match &request.no_cache {
            NoCache::Off => dockerfile::NoCache::None,
            NoCache::All => dockerfile::NoCache::All,
            NoCache::Stages(names) => dockerfile::NoCache::Stages(names.clone()),
        },
        pull: request.pull,
        network: request.network,
        extra_hosts: request.extra_hosts.clone(),
        allow_insecure: request.allow_insecure,
        devices: None,
        shm_size: request.shm_size,
        ulimits: request.ulimits.clone(),
        hostname: request.hostname.clone(),
        cache_mount_namespace: String::new(),
        named_contexts,
        context,
        secret_digests: BTreeMap::new(),
        source_date_epoch: request.source_date_epoch,
        scan: request.sbom.is_some(),
    })
}

/// What it is lowered with for each platform: contexts may be of one platform alone. As Docker's
/// builds do, a build warns of what it finds on the first; a check looks at all.
fn each_options(
    request: &BuildRequest,
    images: &Images,
    first: dockerfile::Options,
) -> Result<Vec<dockerfile::Options>, EngineError> {
    let platforms = request.platforms.iter().cloned().map(Some);
    let platforms = platforms.chain(request.platforms.is_empty().then_some(None));
    let on = |(place, target_platform)| {
        let mut options = dockerfile::Options {
            target_platform,
            ..first.clone()
        };
        if place > 0 {
            options.checks = Checks::None;
        }
        for (name, context) in &request.named_contexts {
            if let NamedContext::EachSteps(each) = context {
                let steps = each.get(place).ok_or(EngineError::NotOpened)?;
                let steps = dockerfile::NamedContext::Steps(pinned(steps, images)?);
                options.named_contexts.insert(name.clone(), steps);
            }
        }
        Ok(options)
    };
    platforms.enumerate().map(on).collect()
}

/// A directory's own ignore file applies to it, as it does to the main context.
fn named_context(
    name: &str,
    context: &NamedContext,
    images: &Images,
) -> Result<dockerfile::NamedContext, EngineError> {
    Ok(match context {
        NamedContext::Image(reference) if is_scratch(reference) => {
            dockerfile::NamedContext::Scratch
        }
        NamedContext::Image(reference) => dockerfile::NamedContext::Image(reference.clone()),
        NamedContext::Source(op) => dockerfile::NamedContext::Source(op.clone()),
        NamedContext::Steps(steps) => dockerfile::NamedContext::Steps(pinned(steps, images)?),
        NamedContext::EachSteps(each) => {
            let first = each.first().ok_or(EngineError::NotOpened)?;
            dockerfile::NamedContext::Steps(pinned(first, images)?)
        }
        NamedContext::Layout(_) | NamedContext::Remote(_) | NamedContext::Build(_) => {
            return Err(EngineError::NotOpened);
        }
        NamedContext::Directory(path) => {
            let ignore = path.join(".dockerignore");
            let text = match std::fs::read_to_string(&ignore) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(source) => {
                    return Err(EngineError::Read {
                        path: ignore,
                        source,
                    });
                }
            };
            dockerfile::NamedContext::Local {
                name: named(name),
                exclude: patterns(&text)?,
            }
        }
    })
}

/// The name that is no image's, but that of an empty file system.
fn is_scratch(reference: &Reference) -> bool {
    reference.to_string() == "docker.io/library/scratch:latest"
}

/// Further steps, with their images named by what they are.
fn pinned(steps: &Steps, images: &Images) -> Result<dockerfile::Steps, EngineError> {
    let definition = &steps.definition;
    let pinned = Pinned::new(&definition.graph, images)?;
    let required = definition.required.iter();
    Ok(dockerfile::Steps {
        root: definition.root.map(|edge| pinned.edge(edge)),
        required: required.map(|edge| pinned.edge(*edge)).collect(),
        graph: Arc::new(pinned.graph),
        config: steps.config.clone(),
    })
}

fn patterns(text: &str) -> Result<Vec<String>, EngineError> {
    Ok(dockerfile::ignore::Patterns::parse(text)?.to_lines())
}
