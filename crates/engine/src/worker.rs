//! The solver's [`Worker`]: sources, checksums and ops of one build.

use std::collections::HashMap;
use std::sync::Arc;

use graph::{ContentHasher, Graph, ImageSource, Op, SourceOp};
use oci::{ChainId, Reference};
use solver::{Admission, CacheKey, Checksum, DefinitionKey, Portion, Step, Worker};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::explain::Explain;
use crate::image::ResolvedImage;
use crate::op::Looks;
use crate::output::{LocalTree, Output, Stack};
use crate::provenance::Pins;
use crate::remote_cache::Imports;
use crate::session::Session;
use crate::source::{Commits, Files};

/// Does the ops of one build.
pub struct BuildWorker {
    pub(crate) engine: Arc<Inner>,
    pub(crate) session: Arc<Session>,
    /// Base images by the name with digest that stands in the graph.
    pub(crate) images: HashMap<Reference, ResolvedImage>,
    pub(crate) looks: Looks,
    /// What repositories' references led to in this build.
    pub(crate) commits: Commits,
    /// What URLs led to in this build.
    pub(crate) files: Files,
    /// Caches beside the store.
    pub(crate) imports: Option<Arc<Imports>>,
    /// What explanations need, when they are asked for.
    pub(crate) explain: Option<Arc<Explain>>,
}

impl Worker for BuildWorker {
    type Output = Output;
    type Error = EngineError;

    async fn pin(&self, step: &Step) -> Result<Option<CacheKey>, EngineError> {
        let Op::Source(source) = &step.vertex().op else {
            return Ok(None);
        };
        match source {
            SourceOp::Image(image) => Ok(Some(file_system_key(self.image(image)?))),
            SourceOp::Local(_) => Ok(None),
            SourceOp::Http(source) => {
                let session = &self.session;
                let fetched = self.engine.resolve_http(source, session, step).await?;
                self.files.keep(source, fetched);
                Ok(Some(crate::source::http_key(source, &fetched)))
            }
            SourceOp::Git(source) => {
                let told = step.progress();
                let commit = self
                    .commits
                    .of(source, self.engine.resolve_git(source, &self.session, told))
                    .await?;
                Ok(Some(crate::source::git_key(source, &commit)))
            }
            SourceOp::Archive(source) => Ok(Some(crate::source::archive_key(source))),
        }
    }

    async fn checksum(
        &self,
        step: &Step,
        input: &Output,
        portion: &Portion,
    ) -> Result<Checksum, EngineError> {
        self.engine
            .checksum(step, input, portion, &self.looks)
            .await
    }

    async fn admit(&self, step: &Step) -> Result<Option<Admission>, EngineError> {
        if !matches!(step.vertex().op, Op::Exec(_)) {
            return Ok(None);
        }
        let engine = &self.engine;
        let slot = engine.limits.admit(&engine.store, &engine.config.limits);
        Ok(slot.await?.map(|slot| Box::new(slot) as Admission))
    }

    async fn execute(&self, step: &Step, inputs: Vec<Output>) -> Result<Vec<Output>, EngineError> {
        let read = inputs.clone();
        let listed = async {
            self.engine.keep_listings(step, &read, &self.looks).await?;
            self.explain(step).await
        };
        let (listed, outputs) = tokio::join!(listed, self.run(step, inputs));
        let outputs = outputs?;
        listed?;
        self.engine.look_again(step, &read, &self.looks).await?;
        Ok(outputs)
    }

    fn recalls(&self) -> bool {
        self.imports.is_some()
    }

    async fn canonical(&self, step: &Step, definition: DefinitionKey) -> Option<CacheKey> {
        let imports = self.imports.as_ref()?;
        self.engine.recalled_key(imports, step, definition).await
    }

    async fn recall(
        &self,
        step: &Step,
        key: CacheKey,
        definition: Option<DefinitionKey>,
    ) -> Option<Vec<Output>> {
        let imports = self.imports.as_ref()?;
        self.engine.recall(imports, step, key, definition).await
    }
}

impl BuildWorker {
    /// What those sources led to in this build of which the graph does not say it.
    pub(crate) fn pins(&self, graph: &Graph) -> Pins {
        let pin = |op: &Op| match op {
            Op::Source(SourceOp::Git(git)) => self.commits.of_reference(git),
            Op::Source(SourceOp::Http(http)) => {
                let known = self.files.known(http);
                known.map(|known| known.digest.hex())
            }
            _ => None,
        };
        let pins = graph.iter().map(|(id, vertex)| (id, pin(&vertex.op)));
        pins.filter_map(|(id, pin)| Some((id, pin?))).collect()
    }

    async fn run(&self, step: &Step, inputs: Vec<Output>) -> Result<Vec<Output>, EngineError> {
        Ok(match &step.vertex().op {
            Op::Source(source) => vec![self.source(step, source).await?],
            Op::Exec(op) => self.engine.exec(step, op, inputs, &self.session).await?,
            Op::File(op) => self.engine.file(step, op, inputs, &self.looks).await?,
            Op::Merge(_) => vec![self.engine.merge(inputs).await?],
            Op::Diff(_) => vec![self.engine.diff(step, inputs).await?],
        })
    }

    fn image(&self, source: &ImageSource) -> Result<&ResolvedImage, EngineError> {
        let missing = || EngineError::NotPulled {
            reference: source.reference.clone(),
        };
        self.images.get(&source.reference).ok_or_else(missing)
    }

    async fn source(&self, step: &Step, source: &SourceOp) -> Result<Output, EngineError> {
        match source {
            SourceOp::Image(image) => {
                Ok(Output::Stack(Stack::new(self.image(image)?.layers.clone())))
            }
            SourceOp::Local(local) => {
                let missing = || EngineError::NoContext(local.name.clone());
                let path = self
                    .session
                    .directories
                    .get(&local.name)
                    .ok_or_else(missing)?;
                Ok(Output::Local(LocalTree::new(path.clone(), local)))
            }
            SourceOp::Http(source) => {
                let known = self.files.known(source);
                let session = &self.session;
                self.engine.http(source, known, session, step).await
            }
            SourceOp::Git(source) => {
                let source = self.commits.pinned(source);
                let told = step.progress();
                let stack = self.engine.git(&source, &self.session, told).await?;
                Ok(Output::Stack(stack))
            }
            SourceOp::Archive(source) => Ok(Output::Stack(self.engine.archive(source).await?)),
        }
    }
}

/// A file system is the same when its layers are; names and configs are not part of it.
fn file_system_key(image: &ResolvedImage) -> CacheKey {
    let mut hasher = ContentHasher::new("file system");
    let chain = ChainId::of(&image.image.config.rootfs.diff_ids);
    graph::ContentHash::feed(&chain.map(|chain| chain.digest()), &mut hasher);
    CacheKey(*hasher.finish().as_bytes())
}

impl std::fmt::Debug for BuildWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BuildWorker")
    }
}
