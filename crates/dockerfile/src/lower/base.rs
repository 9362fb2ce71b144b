//! What a stage begins with: nothing, another stage, an image, or a named context.

use graph::{Edge, ImageSource, Location, Meta};
use oci::{ImageConfig, Platform};

use super::dispatch::Dispatcher;
use super::driver::ImageAnswer;
use super::env::Env;
use super::error::LowerError;
use super::foreign::has_windows_layers;
use super::image::Image;
use super::name::StepNames;
use super::node::{Base, NodeId};
use super::options::NamedContext;
use super::scope::Scope;
use crate::lint::Finding;

impl Dispatcher<'_> {
    /// What a node begins with.
    pub(super) fn begin(&mut self, id: NodeId, names: &mut StepNames) -> Result<Scope, LowerError> {
        let lowering = self.lowering;
        let node = &lowering.table.nodes[id];
        let target = lowering.options.platform();
        let platform = node.platform.as_ref().unwrap_or(target).clone();
        match &node.base {
            Base::Stage(base) => Ok(match self.done.take(*base, &mut self.budget)? {
                Some(scope) => scope.into_child(),
                None => Scope::new(Image::empty(target), target.clone()),
            }),
            // An empty image has nothing that would have to run on another platform.
            Base::Scratch => Ok(Scope::new(Image::empty(target), target.clone())),
            Base::Image { written, .. } => {
                let Some(answer) = lowering.image(id) else {
                    return Ok(Scope::new(Image::empty(&platform), platform));
                };
                self.check_platform(id, written, &platform, &answer.config);
                let name = format!("FROM {}", answer.reference);
                let name = if is_empty(answer) {
                    name
                } else {
                    names.next(&name, &platform, &Env::default())
                };
                self.begin_image(id, answer, platform, name)
            }
            Base::Context { key, context } => match (context, lowering.image(id)) {
                (NamedContext::Image(reference), Some(answer)) => {
                    let name = format!("[context {key}] {}", reference.familiar());
                    self.begin_image(id, answer, platform, name)
                }
                _ => {
                    let image = match context.config() {
                        Some(config) => Image::made_by_steps(config),
                        None => Image::empty(&platform),
                    };
                    let mut scope = Scope::new(image, platform);
                    scope.edge = self.sources.named(key, context)?;
                    Ok(scope)
                }
            },
        }
    }

    fn begin_image(
        &mut self,
        id: NodeId,
        answer: &ImageAnswer,
        platform: Platform,
        name: String,
    ) -> Result<Scope, LowerError> {
        let mut scope = Scope::new(Image::based_on(&answer.config), platform);
        scope.is_open = self.lowering.is_open(id);
        scope.base_layers = Some(answer.layers);
        if is_empty(answer) {
            return Ok(scope);
        }
        let image = ImageSource {
            reference: answer.reference.clone(),
            platform: scope.platform.clone(),
            pull: self.lowering.options.pull,
        };
        let span = self.lowering.table.nodes[id].span;
        let meta = Meta {
            name,
            written: None,
            ignore_cache: false,
            locations: span.map(Location::from).into_iter().collect(),
            ..Meta::default()
        };
        let edge: Edge = self.sources.image(image, meta)?;
        if has_windows_layers(&answer.config) && !scope.is_open {
            self.sources.windows.push(edge);
        }
        scope.edge = Some(edge);
        Ok(scope)
    }

    fn check_platform(&mut self, id: NodeId, image: &str, wanted: &Platform, config: &ImageConfig) {
        if config.os == wanted.os && config.architecture == wanted.architecture {
            return;
        }
        let actual = Platform::new(&config.os, &config.architecture, &config.variant);
        let finding = Finding::InvalidBaseImagePlatform {
            image: image.to_owned(),
            expected: wanted.normalised().to_string(),
            actual: actual.to_string(),
        };
        let node = &self.lowering.table.nodes[id];
        let span = node.span.unwrap_or_default();
        let comments = &node.comments;
        self.report(comments, span, &finding);
    }
}

/// There is no layer in an image.
fn is_empty(answer: &ImageAnswer) -> bool {
    answer.layers == 0
}
