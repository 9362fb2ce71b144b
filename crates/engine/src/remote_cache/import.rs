//! Looks in caches for what the store does not have.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use buildkit::{CacheMap, Index, InputSource, Record, output_key};
use graph::{ContentHasher, Op, SourceOp, VertexId};
use oci::Platform;
use solver::{CacheKey, DefinitionKey, ProgressSender, Step};
use store::LayerId;

use super::open::Opened;
use super::request::CacheFrom;
use super::steps::Steps;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::{Output, Stack};
use crate::progress::Task;
use crate::request::BuildRequest;

/// The caches of one build.
pub(crate) struct Imports {
    steps: Arc<Steps>,
    from: Vec<CacheFrom>,
    platforms: Vec<Platform>,
    /// Layers that can no longer be had, whatever a cache says.
    lost: BTreeSet<LayerId>,
    progress: ProgressSender,
    /// Opened when they are first asked.
    opened: tokio::sync::OnceCell<Vec<Arc<Cache>>>,
}

/// A cache that was opened.
struct Cache {
    from: CacheFrom,
    index: Index,
    /// Records that vertices match by BuildKit's digests.
    matched: Mutex<HashMap<VertexId, Arc<[Record]>>>,
}

impl Imports {
    pub(crate) fn new(
        steps: &Arc<Steps>,
        request: &BuildRequest,
        lost: BTreeSet<LayerId>,
        progress: &ProgressSender,
    ) -> Self {
        Self {
            steps: Arc::clone(steps),
            from: request.cache_from.clone(),
            platforms: request.runs_on(),
            lost,
            progress: progress.clone(),
            opened: tokio::sync::OnceCell::new(),
        }
    }

    /// The caches, all of which are opened at once; those that cannot be are told of and left out.
    async fn caches(&self, engine: &Arc<Inner>) -> &[Arc<Cache>] {
        let open = || async {
            let opening = self.from.iter().map(|from| self.open(engine, from));
            let opened = futures_util::future::join_all(opening).await;
            opened.into_iter().flatten().collect()
        };
        self.opened.get_or_init(open).await
    }

    /// An image for several platforms is a cache for each.
    async fn open(&self, engine: &Arc<Inner>, from: &CacheFrom) -> Vec<Arc<Cache>> {
        let name = format!("importing cache manifest from {}", place(from));
        let task = Task::begin(&self.progress, &engine.clock, &name);
        let opened = async {
            let opened = engine.open_cache(from, &self.platforms).await?;
            let index = |Opened { config, blobs }| Index::new(config, blobs);
            let all = move || opened.into_iter().map(index).collect::<Vec<_>>();
            crate::blocking(all).await
        };
        let opened = task.end(opened.await).unwrap_or_default();
        let cache = |index| Cache {
            from: from.clone(),
            index,
            matched: Mutex::default(),
        };
        opened.into_iter().map(cache).map(Arc::new).collect()
    }
}

/// A cache as its task is called.
fn place(from: &CacheFrom) -> String {
    match from {
        CacheFrom::Registry(reference) => reference.familiar(),
        CacheFrom::Layout(layout) => layout.path.display().to_string(),
    }
}

impl Inner {
    /// What a definition key leads to in one of the caches. The store notes it, so that the next build
    /// need not ask.
    pub(crate) async fn recalled_key(
        self: &Arc<Self>,
        imports: &Arc<Imports>,
        step: &Step,
        definition: DefinitionKey,
    ) -> Option<CacheKey> {
        let caches = imports.caches(self).await;
        let own = caches
            .iter()
            .find_map(|cache| cache.index.alias(&definition.0));
        let key = match own {
            Some(key) => CacheKey(key),
            None => self.matched_key(imports, caches, step, definition).await?,
        };
        // It is known also if the store cannot note it.
        drop(self.store.records().alias(&definition.0, &key.0));
        Some(key)
    }

    /// A key for a step that one of the caches knows by BuildKit's digests.
    async fn matched_key(
        &self,
        imports: &Arc<Imports>,
        caches: &[Arc<Cache>],
        step: &Step,
        definition: DefinitionKey,
    ) -> Option<CacheKey> {
        let id = step.id();
        for cache in caches {
            let (cache, steps) = (Arc::clone(cache), Arc::clone(&imports.steps));
            let matched = crate::blocking(move || cache.records(&steps, id)).await;
            if matches!(&matched, Ok(Ok(records)) if !records.is_empty()) {
                return Some(foreign_key(definition));
            }
        }
        None
    }

    /// The result that one of the caches has of a step. It is recorded in the store, with its layers
    /// where they are.
    pub(crate) async fn recall(
        self: &Arc<Self>,
        imports: &Arc<Imports>,
        step: &Step,
        key: CacheKey,
        definition: Option<DefinitionKey>,
    ) -> Option<Vec<Output>> {
        if matches!(
            step.vertex().op,
            Op::Source(SourceOp::Image(_) | SourceOp::Local(_))
        ) {
            return None;
        }
        for cache in imports.caches(self).await {
            let recalled = self.recall_from(cache, &imports.steps, step, key).await;
            let Ok(Some(stack)) = recalled else {
                continue;
            };
            if stack.layers().iter().any(|id| imports.lost.contains(id)) {
                continue;
            }
            let of = (store::RecordKind::Regular, step.vertex().meta.name.as_str());
            // A hit is one also if the store cannot note it.
            let noted = self
                .record(key, &stack, of)
                .and_then(|()| match definition {
                    Some(definition) => self.store.records().alias(&definition.0, &key.0),
                    None => Ok(()),
                });
            drop(noted);
            step.progress().recalled(&cache.from.to_string());
            return Some(vec![Output::Stack(stack)]);
        }
        None
    }

    async fn recall_from(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        steps: &Arc<Steps>,
        step: &Step,
        key: CacheKey,
    ) -> Result<Option<Stack>, EngineError> {
        let (engine, cache, steps) = (Arc::clone(self), Arc::clone(cache), Arc::clone(steps));
        let id = step.id();
        crate::blocking(move || cache.result(&engine, &steps, id, key)).await?
    }
}

impl Imports {
    /// The result that a cache has of a vertex that nothing needed, if one was opened. Reads files.
    pub(super) fn untouched(
        &self,
        engine: &Inner,
        id: VertexId,
        key: CacheKey,
    ) -> Result<Option<Stack>, EngineError> {
        for cache in self.opened.get().into_iter().flatten() {
            let found = cache.result(engine, &self.steps, id, key)?;
            let is_there = |stack: &Stack| !stack.layers().iter().any(|id| self.lost.contains(id));
            if let Some(stack) = found.filter(is_there) {
                return Ok(Some(stack));
            }
        }
        Ok(None)
    }
}

impl Cache {
    /// What it has of a vertex. Reads files.
    fn result(
        &self,
        engine: &Inner,
        steps: &Steps,
        id: VertexId,
        key: CacheKey,
    ) -> Result<Option<Stack>, EngineError> {
        let own = self.index.by_key(&key.0);
        let own = own.and_then(|record| self.index.result(record));
        let found = match own {
            Some(found) => Some(found),
            None => {
                let records = self.records(steps, id)?;
                let mut records = records.iter();
                records.find_map(|record| self.index.result(*record))
            }
        };
        match found {
            Some(found) => engine.note_found(&self.from, &found),
            None => Ok(None),
        }
    }

    /// The records that a vertex matches by BuildKit's digests. Reads files.
    fn records(&self, steps: &Steps, id: VertexId) -> Result<Arc<[Record]>, EngineError> {
        let mut matched = self.matched.lock().unwrap_or_else(PoisonError::into_inner);
        for next in needed(steps, id) {
            if !matched.contains_key(&next) {
                let records = self.find(steps, next, &matched)?;
                matched.insert(next, records);
            }
        }
        Ok(matched.get(&id).cloned().unwrap_or_default())
    }

    fn find(
        &self,
        steps: &Steps,
        id: VertexId,
        matched: &HashMap<VertexId, Arc<[Record]>>,
    ) -> Result<Arc<[Record]>, EngineError> {
        if let Some(source) = steps.source(id) {
            return Ok(self.index.roots(&output_key(&source, 0)).into());
        }
        match steps.cache_map(id) {
            Some(map) => self.of_map(steps, &map, matched).map(Into::into),
            None => Ok([].into()),
        }
    }

    fn of_map(
        &self,
        steps: &Steps,
        map: &CacheMap,
        matched: &HashMap<VertexId, Arc<[Record]>>,
    ) -> Result<Vec<Record>, EngineError> {
        let digest = output_key(&map.digest, 0);
        if !self.index.knows(&digest) {
            return Ok(Vec::new());
        }
        if map.inputs.is_empty() {
            return Ok(self.index.roots(&digest).to_vec());
        }
        let mut fitting: Option<BTreeSet<Record>> = None;
        for (number, input) in map.inputs.iter().enumerate() {
            let linked =
                |from: &[Record], selector| self.index.linked(from, number, &digest, selector);
            let mut found = match &input.source {
                InputSource::Edge(edge) => {
                    let from = matched.get(&edge.vertex).map_or(&[][..], |records| records);
                    linked(from, input.selector)
                }
                InputSource::Made(made) => {
                    linked(&self.of_map(steps, made, matched)?, input.selector)
                }
            };
            if let (InputSource::Edge(edge), Some(selectors)) = (&input.source, &input.content) {
                for content in &*steps.contents(edge.vertex, selectors)? {
                    let roots = self.index.roots(&output_key(content, -1));
                    found.extend(linked(roots, None));
                }
            }
            if let Some(before) = &fitting {
                found.retain(|record| before.contains(record));
            }
            if found.is_empty() {
                return Ok(Vec::new());
            }
            fitting = Some(found);
        }
        Ok(fitting.into_iter().flatten().collect())
    }
}

/// A vertex and all that it is made of, inputs first.
fn needed(steps: &Steps, id: VertexId) -> Vec<VertexId> {
    let mut needed = vec![id];
    let mut seen = std::collections::HashSet::from([id]);
    let mut next = 0;
    while let Some(id) = needed.get(next).copied() {
        next += 1;
        for edge in steps
            .vertex(id)
            .into_iter()
            .flat_map(|vertex| &vertex.inputs)
        {
            if seen.insert(edge.vertex) {
                needed.push(edge.vertex);
            }
        }
    }
    needed.sort_unstable();
    needed
}

/// The key of what BuildKit knows, whose contents nobody here has looked at.
fn foreign_key(definition: DefinitionKey) -> CacheKey {
    let mut hasher = ContentHasher::new("recalled");
    hasher.bytes(&definition.0);
    CacheKey(*hasher.finish().as_bytes())
}

impl fmt::Debug for Imports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imports")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}
