//! From the text of a Dockerfile to a graph, with the images that it names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use dockerfile::{
    BuildContext, ImageAnswer, ImageQuestion, InstructionKind, Lowered, Lowering, QuestionId, Step,
};
use futures_util::future::join_all;
use graph::Graph;
use oci::{Platform, Reference};
use solver::ProgressSender;

use super::definition::{Images, Pinned};
use crate::device::Catalogue;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::image::ResolvedImage;
use crate::progress::Task;
use crate::request::{BuildRequest, Context, NamedContext, NoCache, Steps};
use crate::session::{CONTEXT, named};

/// What is to be solved.
pub(super) struct Plan {
    pub(super) graph: Arc<Graph>,
    pub(super) lowered: Lowered,
    /// By the name with digest that stands in the graph.
    pub(super) images: HashMap<Reference, ResolvedImage>,
    /// Those that the graph's devices are among.
    pub(super) devices: Arc<Catalogue>,
    /// Names of the arguments that the Dockerfile declares.
    declared: BTreeSet<String>,
}

impl Plan {
    /// What a client defined step by step, for which no Dockerfile was read.
    pub(super) fn of_definition(
        graph: Graph,
        lowered: Lowered,
        images: HashMap<Reference, ResolvedImage>,
    ) -> Self {
        Self {
            graph: Arc::new(graph),
            lowered,
            images,
            devices: Arc::default(),
            declared: BTreeSet::new(),
        }
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
        let mut lowering = Lowering::new(parsed, options).map_err(EngineError::Dockerfile)?;
        let mut images = by_name(known);
        loop {
            match lowering.step().map_err(EngineError::Dockerfile)? {
                Step::NeedImages(questions) => {
                    let ask = |question| self.answer(request, question, progress);
                    for (question, image) in join_all(questions.into_iter().map(ask)).await {
                        let image = image.map_err(|error| {
                            let refused = lowering.refuse(question, &error.chain());
                            EngineError::Dockerfile(vec![refused])
                        })?;
                        lowering.answer(ImageAnswer {
                            question,
                            reference: image.reference.clone(),
                            config: image.image.config.clone(),
                            layers: image.layers.len(),
                        });
                        images.insert(image.reference.clone(), image);
                    }
                }
                Step::NeedTime(op) => {
                    let epoch = self.time_of(&op, request, progress).await?;
                    lowering.set_epoch(epoch);
                }
                Step::Done(mut lowered) => {
                    let graph = Arc::new(std::mem::take(&mut lowered.graph));
                    return Ok(Plan {
                        graph,
                        lowered: *lowered,
                        images,
                        devices,
                        declared,
                    });
                }
            }
        }
    }

    async fn answer(
        self: &Arc<Self>,
        request: &BuildRequest,
        question: ImageQuestion,
        progress: &ProgressSender,
    ) -> (QuestionId, Result<ResolvedImage, EngineError>) {
        let ImageQuestion {
            id,
            reference,
            platform,
            name,
        } = question;
        let task = Task::begin(progress, &self.clock, &name);
        (
            id,
            task.end(
                self.resolve_image(&reference, &platform, request.pull)
                    .await,
            ),
        )
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

/// What the Dockerfile is lowered with; `images` are those of further steps, as far as they are
/// known.
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
        kiln_checks: false,
        build_args: build_args.collect(),
        target_platform: request.platform.clone(),
        build_platform: Platform::host(),
        multi_platform: false,
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
        hostname: None,
        cache_mount_namespace: String::new(),
        named_contexts,
        context,
        secret_digests: BTreeMap::new(),
        source_date_epoch: request.source_date_epoch,
    })
}

/// A directory's own ignore file applies to it, as it does to the main context.
fn named_context(
    name: &str,
    context: &NamedContext,
    images: &Images,
) -> Result<dockerfile::NamedContext, EngineError> {
    Ok(match context {
        NamedContext::Image(reference) => dockerfile::NamedContext::Image(reference.clone()),
        NamedContext::Source(op) => dockerfile::NamedContext::Source(op.clone()),
        NamedContext::Steps(steps) => dockerfile::NamedContext::Steps(pinned(steps, images)?),
        NamedContext::Layout(_) | NamedContext::Remote(_) => return Err(EngineError::NotOpened),
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
