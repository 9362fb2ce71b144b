//! A Dockerfile lowered for each platform. The lowerings go in step, so that images are asked for at
//! once, and what several of them ask is asked once.

use std::collections::HashMap;
use std::sync::Arc;

use dockerfile::{ImageAnswer, ImageQuestion, Lowered, Lowering, Options, Parsed, Step};
use futures_util::future::join_all;
use graph::SourceOp;
use oci::{Platform, Reference};
use solver::ProgressSender;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::image::ResolvedImage;
use crate::progress::Task;
use crate::request::BuildRequest;

/// The lowerings of one build.
pub(super) struct Lowerings<'a> {
    engine: &'a Arc<Inner>,
    request: &'a BuildRequest,
    progress: &'a ProgressSender,
    images: HashMap<Asked, ResolvedImage>,
    times: Vec<(SourceOp, Option<i64>)>,
}

/// Which image, and for what.
type Asked = (Reference, Platform);

/// Where a lowering has come to.
enum Stage {
    Open(Box<Lowering>),
    Done(Box<Lowered>),
}

impl<'a> Lowerings<'a> {
    pub(super) fn new(
        engine: &'a Arc<Inner>,
        request: &'a BuildRequest,
        progress: &'a ProgressSender,
    ) -> Self {
        Self {
            engine,
            request,
            progress,
            images: HashMap::new(),
            times: Vec::new(),
        }
    }

    /// What the Dockerfile comes to on each platform of the request, in their order; `options` are
    /// those of each.
    pub(super) async fn lower(
        &mut self,
        parsed: &Parsed,
        options: &[Options],
    ) -> Result<Vec<Lowered>, EngineError> {
        let mut stages = begin(parsed, options)?;
        loop {
            let mut open = Vec::new();
            for (place, stage) in stages.iter_mut().enumerate() {
                let questions = self.advance(stage).await?;
                open.extend(questions.into_iter().map(|question| (place, question)));
            }
            if open.is_empty() {
                break;
            }
            let refused = self.ask(&open).await?;
            for (place, question) in open {
                if let Stage::Open(lowering) = &mut stages[place] {
                    self.tell(lowering, &question, &refused)?;
                }
            }
        }
        let done = stages.into_iter().filter_map(|stage| match stage {
            Stage::Done(lowered) => Some(*lowered),
            Stage::Open(_) => None,
        });
        Ok(done.collect())
    }

    /// The images, by the name with digest that stands in the graphs.
    pub(super) fn into_images(self) -> HashMap<Reference, ResolvedImage> {
        let images = self.images.into_values();
        images
            .map(|image| (image.reference.clone(), image))
            .collect()
    }

    /// Goes on until there are questions, or to the end.
    async fn advance(&mut self, stage: &mut Stage) -> Result<Vec<ImageQuestion>, EngineError> {
        loop {
            let Stage::Open(lowering) = stage else {
                return Ok(Vec::new());
            };
            match lowering.step().map_err(EngineError::Dockerfile)? {
                Step::NeedImages(questions) => return Ok(questions),
                Step::NeedTime(op) => lowering.set_epoch(self.time(*op).await?),
                Step::Done(lowered) => *stage = Stage::Done(lowered),
            }
        }
    }

    async fn time(&mut self, op: SourceOp) -> Result<Option<i64>, EngineError> {
        if let Some((_, time)) = self.times.iter().find(|(known, _)| *known == op) {
            return Ok(*time);
        }
        let had = self.engine.admit(&op).await?;
        let time = self.engine.time_of(&had, self.request, self.progress);
        let time = time.await?;
        self.times.push((op, time));
        Ok(time)
    }

    /// Finds what is asked and not known, all at once; what cannot be had, and why.
    ///
    /// # Errors
    /// Whoever decides about sources refuses one.
    async fn ask(
        &mut self,
        open: &[(usize, ImageQuestion)],
    ) -> Result<HashMap<Asked, EngineError>, EngineError> {
        let mut new: Vec<(Asked, &str)> = Vec::new();
        for (_, question) in open {
            let asked = asked(question);
            if !self.images.contains_key(&asked) && !new.iter().any(|(known, _)| *known == asked) {
                new.push((asked, &question.name));
            }
        }
        let (engine, request, progress) = (self.engine, self.request, self.progress);
        let find = |(asked, name): (Asked, &str)| {
            let task = Task::begin(progress, &engine.clock, name);
            async move {
                let found = engine.find_admitted(&asked.0, &asked.1, request.pull);
                let found = task.end(found.await);
                (asked, found)
            }
        };
        let mut refused = HashMap::new();
        for (asked, found) in join_all(new.into_iter().map(find)).await {
            match found {
                Ok(image) => drop(self.images.insert(asked, image)),
                Err(error @ EngineError::Policy(_)) => {
                    return Err(error);
                }
                Err(error) => drop(refused.insert(asked, error)),
            }
        }
        Ok(refused)
    }

    fn tell(
        &self,
        lowering: &mut Lowering,
        question: &ImageQuestion,
        refused: &HashMap<Asked, EngineError>,
    ) -> Result<(), EngineError> {
        let asked = asked(question);
        if let Some(error) = refused.get(&asked) {
            let refused = lowering.refuse(question.id, &error.chain());
            return Err(EngineError::Dockerfile(vec![refused]));
        }
        if let Some(image) = self.images.get(&asked) {
            lowering.answer(ImageAnswer {
                question: question.id,
                reference: image.reference.clone(),
                config: image.image.config.clone(),
                layers: image.layers.len(),
            });
        }
        Ok(())
    }
}

fn begin(parsed: &Parsed, options: &[Options]) -> Result<Vec<Stage>, EngineError> {
    let begin = |options: &Options| {
        let lowering = Lowering::new(parsed.clone(), options.clone());
        let lowering = lowering.map_err(EngineError::Dockerfile)?;
        Ok(Stage::Open(Box::new(lowering)))
    };
    options.iter().map(begin).collect()
}

fn asked(question: &ImageQuestion) -> Asked {
    (question.reference.clone(), question.platform.clone())
}
