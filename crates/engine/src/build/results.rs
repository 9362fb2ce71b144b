//! What a build is to make, and what it made: for each platform, the file systems of its targets.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use dockerfile::{Diagnostic, HistoryLayer, Lowered, TargetImage};
use oci::{ImageConfig, Platform};

use super::frontend::Plan;
use super::solve::Solved;
use crate::error::EngineError;
use crate::export::ImageParts;
use crate::output::Stack;
use crate::remote_cache::{CacheTo, InlineRecords};
use crate::request::BuildRequest;

/// What is to be made: a Dockerfile that was read, with the images that it names.
#[derive(Clone)]
pub struct Planned(Arc<(BuildRequest, Plan)>);

/// What was made of it: file systems, for each platform. Clones are the same.
#[derive(Clone)]
pub struct Evaluated {
    /// By platform; never empty.
    images: Vec<Made>,
    /// An index leads to them.
    indexed: bool,
}

/// What was made for one platform.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) planned: Planned,
    pub(super) solved: Arc<Solved>,
    /// Which of its platforms.
    place: usize,
    /// Stands for the config that the Dockerfile makes.
    config: Option<ImageConfig>,
}

impl Planned {
    pub(super) fn new(request: BuildRequest, plan: Plan) -> Self {
        Self(Arc::new((request, plan)))
    }

    /// What was asked for, with what was brought in for it.
    #[must_use]
    pub fn request(&self) -> &BuildRequest {
        &self.0.0
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.0.1
    }

    /// An index leads to what comes of it.
    #[must_use]
    pub fn is_indexed(&self) -> bool {
        self.plan().indexed
    }

    /// By platform, in the order in which they were asked for: the config that the Dockerfile makes,
    /// as far as it is known before the layers are.
    pub fn configs(&self) -> impl Iterator<Item = (&Platform, &ImageConfig)> {
        let each = self.plan().lowered.iter();
        each.map(|on| (&on.platform, &on.lowered.target.config))
    }

    /// The config for the platform at this place, or else the first one.
    #[must_use]
    pub fn config(&self, place: usize) -> &ImageConfig {
        let lowered = &self.plan().lowered;
        let on = lowered.get(place).unwrap_or(&lowered[0]);
        &on.lowered.target.config
    }

    /// The directories that the client must offer, by the names of their contexts; the main one's
    /// name is empty.
    pub fn local_contexts(&self) -> impl Iterator<Item = &str> {
        let each = self.plan().lowered.iter();
        let names: BTreeSet<&String> = each.flat_map(|on| &on.lowered.local_contexts).collect();
        let names = names.into_iter();
        names.map(|name| crate::session::context_name(name))
    }

    /// What could be done better in the Dockerfile.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.plan().warnings
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Evaluated {
    pub(super) fn new(planned: &Planned, solved: Solved) -> Self {
        let solved = Arc::new(solved);
        let made = |place| Made {
            planned: planned.clone(),
            solved: Arc::clone(&solved),
            place,
            config: None,
        };
        Self {
            images: (0..planned.plan().lowered.len()).map(made).collect(),
            indexed: planned.is_indexed(),
        }
    }

    /// Images that an index is to lead to, each the first one of a result; `config` stands for the
    /// config that the Dockerfile makes.
    #[must_use]
    pub fn index(images: impl IntoIterator<Item = (Self, Option<ImageConfig>)>) -> Self {
        let images = images.into_iter();
        let images = images.filter_map(|(evaluated, config)| {
            let first = evaluated.images.into_iter().next()?;
            Some(Made { config, ..first })
        });
        Self {
            images: images.collect(),
            indexed: true,
        }
    }

    /// What was made for one of the platforms, by its place among them; no index leads to it.
    #[must_use]
    pub fn on_platform(&self, place: usize) -> Self {
        Self {
            images: self.images.get(place).cloned().into_iter().collect(),
            indexed: false,
        }
    }

    /// The same with a config in place of that which the Dockerfile makes.
    #[must_use]
    pub fn with_config(mut self, config: ImageConfig) -> Self {
        if let Some(first) = self.images.first_mut() {
            first.config = Some(config);
        }
        self
    }

    /// The file system of the target, on the first platform.
    #[must_use]
    pub fn stack(&self) -> Stack {
        let first = self.images.first();
        let stack = first.and_then(|made| made.stacks().first());
        stack.cloned().unwrap_or_default()
    }

    pub(super) fn images(&self) -> &[Made] {
        &self.images
    }

    /// An index leads to the images.
    pub(super) const fn is_indexed(&self) -> bool {
        self.indexed
    }

    /// One image of each plan that was solved.
    pub(super) fn distinct(&self) -> Vec<&Made> {
        let mut distinct: Vec<&Made> = Vec::new();
        for made in &self.images {
            if !distinct.iter().any(|known| known.planned.is(&made.planned)) {
                distinct.push(made);
            }
        }
        distinct
    }

    /// Takes what was made once more in place of what was made of the same plan.
    pub(super) fn replace(&mut self, again: &Self) {
        if let Some(first) = again.images.first() {
            self.replace_planned(&first.planned, again);
        }
    }

    /// Takes what was made of a plan in place of what was made of `planned`, which makes the same.
    pub(super) fn replace_planned(&mut self, planned: &Planned, again: &Self) {
        let Some(again) = again.images.first() else {
            return;
        };
        for made in &mut self.images {
            if made.planned.is(planned) {
                made.planned = again.planned.clone();
                made.solved = Arc::clone(&again.solved);
            }
        }
    }

    /// What several plans make cannot be one cache.
    pub(super) fn check_caches(&self) -> Result<(), EngineError> {
        let distinct = self.distinct();
        let exports = |made: &&Made| {
            let mut to = made.planned.request().cache_to.iter();
            to.any(|to| matches!(to, CacheTo::Export(_)))
        };
        match distinct.len() > 1 && distinct.iter().any(exports) {
            true => Err(EngineError::Unsupported {
                what: "one cache of results that a front end made one by one".to_owned(),
                instead: "write the cache of each platform by a build of its own",
            }),
            false => Ok(()),
        }
    }
}

impl Made {
    /// The file systems of the targets.
    fn stacks(&self) -> &[Stack] {
        let targets = 1 + self.on_platform().map_or(0, |on| on.more_targets.len());
        let from = self.place * targets;
        self.solved
            .stacks
            .get(from..from + targets)
            .unwrap_or_default()
    }

    /// What scanners wrote about the targets; empty if they were not scanned.
    pub(super) fn scans(&self) -> &[Stack] {
        let targets = self.stacks().len();
        let from = self.place * targets;
        let scans = self.solved.scans.get(from..from + targets);
        scans.unwrap_or_default()
    }

    pub(super) fn on_platform(&self) -> Option<&Lowered> {
        let on = self.planned.plan().lowered.get(self.place);
        on.map(|on| &on.lowered)
    }

    /// What each target came to.
    pub(super) fn parts(&self, cache: Option<Arc<InlineRecords>>) -> Vec<ImageParts> {
        let Some(lowered) = self.on_platform() else {
            return Vec::new();
        };
        let epoch = lowered.source_date_epoch;
        let targets = lowered.targets().zip(self.stacks());
        let mut targets: Vec<ImageParts> = targets
            .map(|(target, stack)| ImageParts {
                cache: cache.clone(),
                ..image_parts(target, stack.clone(), epoch)
            })
            .collect();
        if let (Some(first), Some(config)) = (targets.first_mut(), &self.config) {
            first.config = config.clone();
            if lowered.target.history_layers.is_empty() {
                // Nothing is known of the steps: the history is the client's own.
                first.inherited = config.history.len();
            }
        }
        targets
    }
}

fn image_parts(target: &TargetImage, stack: Stack, epoch: Option<i64>) -> ImageParts {
    let from_base = |layer: &&HistoryLayer| matches!(layer, HistoryLayer::Base);
    ImageParts {
        stack,
        inherited: target.history_layers.iter().filter(from_base).count(),
        config: ImageConfig {
            // Those of the base image say nothing about this one.
            cache: None,
            ..target.config.clone()
        },
        epoch,
        cache: None,
        attestations: Vec::new(),
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Planned")
    }
}

impl fmt::Debug for Evaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evaluated")
    }
}
