//! What comes out: the graph and the config of the image.

use graph::{Edge, Graph, VertexId};
use oci::{DEFAULT_PATH, History, ImageConfig, Platform, ProcessConfig};

use super::driver::Lowering;
use super::env::Env;
use super::node::NodeId;
use super::outline::Outline;
use super::scan::Scan;
use super::scope::Scope;
use super::source::Sources;
use crate::diagnostic::Diagnostic;

/// What a Dockerfile came to.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// All that has to be done.
    pub graph: Graph,
    /// The image.
    pub target: TargetImage,
    /// Images of further targets, in their order.
    pub more_targets: Vec<TargetImage>,
    /// File systems that must be made beside them.
    pub required: Vec<Edge>,
    /// What is likely a mistake.
    pub warnings: Vec<Diagnostic>,
    /// Names of the contexts that the client must offer.
    pub local_contexts: Vec<String>,
    /// Seconds since 1970 that stand for every time that the build makes.
    pub source_date_epoch: Option<i64>,
    /// The image is one of several that an index leads to, or the only one of an index.
    pub multi_platform: bool,
    /// What the target takes.
    pub outline: Outline,
}

/// What a target came to.
#[derive(Debug, Clone)]
pub struct TargetImage {
    /// The stage's name, or `stage-N`; empty when there is only one.
    pub stage: String,
    /// The file system of the image; none when it is empty.
    pub file_system: Option<Edge>,
    /// The image's config, without `created` (everywhere) and `diff_ids`, which follow from the
    /// layers.
    pub config: ImageConfig,
    /// By entry of the config's history: the layer that it is about.
    pub history_layers: Vec<HistoryLayer>,
    /// How many layers the base image has; none when the base is no image.
    pub base_layers: Option<usize>,
    /// What a scanner is shown beside it.
    pub scan: Scan,
}

/// What was asked for.
pub(super) struct Results {
    pub(super) target: TargetImage,
    pub(super) more: Vec<TargetImage>,
    pub(super) required: Vec<Edge>,
}

/// The layer that an entry of a history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryLayer {
    /// It came with the base image: the next of its layers, unless `empty_layer` says none.
    Base,
    /// It came with steps that the build goes on from, and is dated as their layers are.
    Steps,
    /// None.
    Empty,
    /// The one layer that this vertex adds to its first input.
    Vertex(Edge),
}

impl Lowered {
    /// By target, the first one first: its file system.
    pub fn file_systems(&self) -> impl Iterator<Item = Option<Edge>> {
        self.targets().map(|target| target.file_system)
    }

    /// The target and the further ones.
    pub fn targets(&self) -> impl Iterator<Item = &TargetImage> {
        [&self.target].into_iter().chain(&self.more_targets)
    }

    pub(super) fn new(
        lowering: &Lowering,
        results: Results,
        sources: Sources,
        outline: Outline,
    ) -> Self {
        Self {
            graph: sources.graph,
            target: results.target,
            more_targets: results.more,
            required: [results.required, sources.required].concat(),
            warnings: lowering.warnings.clone(),
            local_contexts: sources.locals,
            source_date_epoch: lowering.epoch.known(),
            multi_platform: lowering.options.multi_platform,
            outline,
        }
    }

    /// Moves all vertices to where `moved` says, when they become part of another graph.
    pub fn move_vertices(&mut self, moved: impl Fn(VertexId) -> VertexId) {
        let edge = |edge: &mut Edge| edge.vertex = moved(edge.vertex);
        for target in [&mut self.target].into_iter().chain(&mut self.more_targets) {
            target.file_system.iter_mut().for_each(edge);
            let scanned = target.scan.more.values_mut();
            scanned.flatten().for_each(edge);
            for layer in &mut target.history_layers {
                if let HistoryLayer::Vertex(of) = layer {
                    edge(of);
                }
            }
        }
        self.required.iter_mut().for_each(edge);
    }
}

impl TargetImage {
    /// The node ended in `scope`.
    pub(super) fn new(lowering: &Lowering, node: NodeId, scope: Scope, scan: Scan) -> Self {
        let (file_system, base_layers) = (scope.edge, scope.base_layers);
        let (mut config, history_layers) = scope.image.into_config();
        let labels = lowering.options.labels.clone();
        config.config.labels.extend(labels);
        if let Some(platform) = &lowering.options.target_platform {
            set_platform(&mut config, platform);
        }
        let platform = Platform::new(&config.os, &config.architecture, &config.variant);
        config.os = platform.os;
        config.architecture = platform.architecture;
        config.variant = platform.variant;
        Self {
            stage: lowering.table.nodes[node].name.clone(),
            file_system,
            config,
            history_layers,
            base_layers,
            scan,
        }
    }
}

/// An image is what was asked for, whatever its base is.
fn set_platform(config: &mut ImageConfig, platform: &Platform) {
    let same = platform.os == config.os && platform.architecture == config.architecture;
    config.os.clone_from(&platform.os);
    config.architecture.clone_from(&platform.architecture);
    if !platform.variant.is_empty() || !same {
        config.variant.clone_from(&platform.variant);
    }
    if !platform.os_version.is_empty() || !same {
        config.os_version.clone_from(&platform.os_version);
    }
}

/// Marks entries as BuildKit's Dockerfile frontend does.
pub(super) const COMMENT: &str = "buildkit.dockerfile.v0";

/// An image config that grows by instructions.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// All but the environment and what was done to it, which are beside it.
    pub(super) config: ImageConfig,
    /// The environment.
    pub(super) env: Env,
    /// By entry of the history that it came with.
    history_layers: Vec<HistoryLayer>,
    /// What was done to it, as its history will tell it.
    history: Vec<(String, HistoryLayer)>,
}

impl Image {
    /// An empty one.
    pub(super) fn empty(platform: &Platform) -> Self {
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            os_version: platform.os_version.clone(),
            variant: platform.variant.clone(),
            config: ProcessConfig {
                working_dir: "/".to_owned(),
                ..ProcessConfig::default()
            },
            ..ImageConfig::default()
        };
        Self {
            config,
            env: Env::default(),
            history_layers: Vec::new(),
            history: Vec::new(),
        }
    }

    /// What a stage on top of an image begins with.
    pub(super) fn based_on(config: &ImageConfig) -> Self {
        let mut config = config.clone();
        config.created = None;
        config.rootfs = oci::RootFs::default();
        config.config.hostname.clear();
        config.config.on_build.clear();
        let env = Env::from_list(&std::mem::take(&mut config.config.env));
        let history_layers = vec![HistoryLayer::Base; config.history.len()];
        Self {
            config,
            env,
            history_layers,
            history: Vec::new(),
        }
    }

    /// What a stage on top of further steps begins with. What has no date yet is theirs.
    pub(super) fn made_by_steps(config: &ImageConfig) -> Self {
        let mut image = Self::based_on(config);
        let entries = image.config.history.iter().zip(&mut image.history_layers);
        for (_, layer) in entries.filter(|(entry, _)| entry.created.is_none()) {
            *layer = HistoryLayer::Steps;
        }
        image
    }

    /// Sees to it that programs are found.
    pub(super) fn set_default_path(&mut self) {
        use crate::word::Variables as _;
        if self.env.get("PATH").is_none() {
            self.env.set("PATH", DEFAULT_PATH);
        }
    }

    /// Adds an entry to the history.
    pub(super) fn add_history(&mut self, created_by: String, layer: HistoryLayer) {
        self.history.push((created_by, layer));
    }

    /// About how much memory a copy of the history takes.
    pub(super) fn history_bytes(&self) -> usize {
        let came = self.config.history.iter().map(|entry| &entry.created_by);
        let done = self.history.iter().map(|(created_by, _)| created_by);
        came.chain(done).map(|text| text.len() + 100).sum()
    }

    /// The whole config.
    pub(super) fn into_config(self) -> (ImageConfig, Vec<HistoryLayer>) {
        let (mut config, mut history_layers) = (self.config, self.history_layers);
        for (created_by, layer) in self.history {
            config.history.push(History {
                created_by,
                comment: COMMENT.to_owned(),
                empty_layer: layer == HistoryLayer::Empty,
                ..History::default()
            });
            history_layers.push(layer);
        }
        config.config.env = self.env.to_list().to_vec();
        (config, history_layers)
    }
}
