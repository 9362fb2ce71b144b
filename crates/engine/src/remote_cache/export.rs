//! Puts a cache together: a record for each step of a build, linked as BuildKit would find them.

use std::collections::HashMap;
use std::sync::Arc;

use buildkit::{
    CacheConfig, CacheMap, Chains, InputMap, InputSource, Link, OwnKeys, RecordId, output_key,
};
use graph::{Op, SourceOp, VertexId};
use solver::{CacheKey, How, SolvedVertex};
use store::LayerId;

use super::import::Imports;
use super::request::CacheMode;
use super::steps::{Steps, placeholder};
use crate::clock::rfc3339;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::{Output, Stack};

/// What a build made, as far as its caches need to know.
pub(crate) struct Exported {
    pub(crate) steps: Arc<Steps>,
    /// The caches that it looked in.
    pub(crate) imports: Option<Arc<Imports>>,
    /// Inputs first.
    pub(crate) vertices: Vec<SolvedVertex<Output>>,
    /// The file systems that were asked for.
    pub(crate) targets: Vec<Stack>,
}

/// Records with placeholders for blobs, and the layers that these stand for.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) config: CacheConfig,
    /// Each once.
    pub(super) layers: Vec<LayerId>,
    /// Names of steps with several results, for which there are no records.
    pub(super) left_out: Vec<String>,
}

impl Exported {
    /// The records of the build. Reads files, of which the digests may not be known yet.
    pub(super) fn records(&self, engine: &Inner, mode: CacheMode) -> Result<Recorded, EngineError> {
        let mut recorder = Recorder {
            engine,
            exported: self,
            mode,
            chains: Chains::default(),
            records: HashMap::new(),
            layers: Vec::new(),
            left_out: Vec::new(),
        };
        for vertex in &self.vertices {
            recorder.vertex(vertex)?;
        }
        Ok(Recorded {
            config: recorder.chains.into_config(),
            layers: recorder.layers,
            left_out: recorder.left_out,
        })
    }

    /// Whether a file system is one that a target is made of.
    fn is_part_of_a_target(&self, stack: &Stack) -> bool {
        self.targets
            .iter()
            .any(|target| target.layers().starts_with(stack.layers()))
    }
}

struct Recorder<'a> {
    engine: &'a Inner,
    exported: &'a Exported,
    mode: CacheMode,
    chains: Chains,
    records: HashMap<VertexId, RecordId>,
    layers: Vec<LayerId>,
    left_out: Vec<String>,
}

impl Recorder<'_> {
    fn vertex(&mut self, solved: &SolvedVertex<Output>) -> Result<(), EngineError> {
        let steps = &self.exported.steps;
        let Some(vertex) = steps.vertex(solved.id) else {
            return Ok(());
        };
        if let Op::Source(SourceOp::Local(_)) = vertex.op {
            return Ok(());
        }
        if let Some(source) = steps.source(solved.id) {
            let record = self.chains.record(output_key(&source, 0), Vec::new());
            self.records.insert(solved.id, record);
            return Ok(());
        }
        let known = match steps.cache_map(solved.id) {
            Some(map) => self.of_map(&map)?,
            None => None,
        };
        let record = match (known, solved.cache_key) {
            (Some(record), _) => record,
            (None, Some(key)) => {
                let digest = output_key(&buildkit::own_digest(&key.0), 0);
                self.chains.record(digest, Vec::new())
            }
            (None, None) => return Ok(()),
        };
        self.records.insert(solved.id, record);
        if let Some(key) = solved.cache_key {
            let definition = solved.definition.map(|definition| definition.0);
            self.chains.keys(record, OwnKeys::new(key.0, definition));
        }
        if let How::Cached(outputs) | How::Executed(outputs) = &solved.how
            && outputs.len() > 1
        {
            self.left_out.push(vertex.meta.name.clone());
        }
        match self.stack(solved)? {
            Some(stack) if !vertex.meta.unexported => self.result(record, &stack),
            _ => Ok(()),
        }
    }

    /// The record of an op by BuildKit's digests. None when something that it is made of has none.
    fn of_map(&mut self, map: &CacheMap) -> Result<Option<RecordId>, EngineError> {
        let mut inputs = Vec::with_capacity(map.inputs.len());
        for input in &map.inputs {
            let links = self.links(input)?;
            if links.is_empty() {
                return Ok(None);
            }
            inputs.push(links);
        }
        Ok(Some(self.chains.record(output_key(&map.digest, 0), inputs)))
    }

    /// What an input may come from: a step, or files of some content.
    fn links(&mut self, input: &InputMap) -> Result<Vec<Link>, EngineError> {
        let from = match &input.source {
            InputSource::Edge(edge) => self.records.get(&edge.vertex).copied(),
            InputSource::Made(made) => self.of_map(made)?,
        };
        let selector = input.selector;
        let mut links: Vec<Link> = from
            .map(|record| Link { record, selector })
            .into_iter()
            .collect();
        if let (InputSource::Edge(edge), Some(selectors)) = (&input.source, &input.content) {
            for content in &*self.exported.steps.contents(edge.vertex, selectors)? {
                links.push(Link {
                    record: self.chains.record(output_key(content, -1), Vec::new()),
                    selector: None,
                });
            }
        }
        Ok(links)
    }

    /// The result of a vertex, if it is to be in the cache.
    fn stack(&self, solved: &SolvedVertex<Output>) -> Result<Option<Stack>, EngineError> {
        let stack = match (&solved.how, solved.cache_key) {
            (How::Cached(outputs) | How::Executed(outputs), _) => match &**outputs {
                [Output::Stack(stack)] => Some(stack.clone()),
                _ => None,
            },
            (How::Untouched, Some(key)) => match self.engine.recorded(key)? {
                Some(stack) => Some(stack),
                None => self.imported(solved.id, key)?,
            },
            (How::Untouched, None) => None,
        };
        Ok(stack.filter(|stack| {
            !stack.layers().is_empty()
                && (self.mode == CacheMode::Max || self.exported.is_part_of_a_target(stack))
        }))
    }

    /// What a cache that was looked in has of it, if a target is made of it and so has its layers:
    /// what one build writes the next one writes too, though it needed less.
    fn imported(&self, id: VertexId, key: CacheKey) -> Result<Option<Stack>, EngineError> {
        let stack = match &self.exported.imports {
            Some(imports) => imports.untouched(self.engine, id, key)?,
            None => None,
        };
        Ok(stack.filter(|stack| self.exported.is_part_of_a_target(stack)))
    }

    fn result(&mut self, record: RecordId, stack: &Stack) -> Result<(), EngineError> {
        let rows = self
            .engine
            .store
            .layers()
            .take(&self.engine.lease, stack.layers())?;
        let blobs: Vec<_> = stack.layers().iter().map(|id| placeholder(*id)).collect();
        let created = rows
            .last()
            .map(|row| rfc3339(row.created))
            .unwrap_or_default();
        self.chains.result(record, &blobs, &created);
        for layer in stack.layers() {
            if !self.layers.contains(layer) {
                self.layers.push(*layer);
            }
        }
        Ok(())
    }
}
