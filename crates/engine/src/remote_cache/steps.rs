//! What BuildKit knows the vertices of one build by.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use buildkit::{CacheMap, Selector};
use graph::{Graph, Op, SourceOp, Vertex, VertexId};
use oci::{ChainId, Digest, Platform, Reference};
use store::LayerId;

use super::files;
use crate::error::EngineError;
use crate::image::ResolvedImage;
use crate::output::LocalTree;

/// What BuildKit knows the vertices of one build by.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(super) graph: Arc<Graph>,
    /// What each vertex runs on.
    platforms: Vec<Platform>,
    images: HashMap<Reference, Option<ChainId>>,
    directories: BTreeMap<String, PathBuf>,
    /// When the build began, in nanoseconds since 1970.
    since: i64,
    contents: Mutex<HashMap<Read, Arc<[Digest]>>>,
}

/// What is read of a vertex.
type Read = (VertexId, Vec<Selector>);

impl Steps {
    /// Of a graph whose vertices, from each place of `targets` on, are for the platform there.
    pub(crate) fn new(
        graph: &Arc<Graph>,
        images: &HashMap<Reference, ResolvedImage>,
        directories: BTreeMap<String, PathBuf>,
        targets: &[(usize, &Platform)],
        since: i64,
    ) -> Self {
        let mut platforms: Vec<Platform> = Vec::with_capacity(graph.len());
        for (id, vertex) in graph.iter() {
            let mut before = targets.iter().rev();
            let target = before.find(|(first, _)| *first <= id.index());
            let target = || target.map_or_else(Platform::host, |(_, target)| target.normalised());
            let below = vertex.inputs.first().map(|edge| edge.vertex.index());
            let platform = match (&vertex.op, below.and_then(|below| platforms.get(below))) {
                (Op::Source(SourceOp::Image(image)), _) => image.platform.normalised(),
                (_, Some(below)) => below.clone(),
                _ => target(),
            };
            platforms.push(platform);
        }
        let chain = |image: &ResolvedImage| ChainId::of(&image.image.config.rootfs.diff_ids);
        Self {
            graph: Arc::clone(graph),
            platforms,
            images: images
                .iter()
                .map(|(reference, image)| (reference.clone(), chain(image)))
                .collect(),
            directories,
            since,
            contents: Mutex::default(),
        }
    }

    pub(super) fn vertex(&self, id: VertexId) -> Option<&Vertex> {
        self.graph.get(id)
    }

    /// What BuildKit knows the op of a vertex by, if it has such an op.
    pub(super) fn cache_map(&self, id: VertexId) -> Option<CacheMap> {
        let vertex = self.graph.get(id)?;
        let platform = self.platforms.get(id.index())?;
        CacheMap::of(&vertex.op, &vertex.inputs, platform)
    }

    /// What it knows a source by.
    pub(super) fn source(&self, id: VertexId) -> Option<Digest> {
        match &self.graph.get(id)?.op {
            Op::Source(SourceOp::Image(image)) => {
                let chain = self.images.get(&image.reference)?.as_ref()?;
                Some(buildkit::image_digest(chain))
            }
            _ => None,
        }
    }

    /// The digests of what is read of a vertex, if it is a directory of the client's. Reads files.
    pub(super) fn contents(
        &self,
        id: VertexId,
        selectors: &[Selector],
    ) -> Result<Arc<[Digest]>, EngineError> {
        let Some(Op::Source(SourceOp::Local(local))) = self.graph.get(id).map(|v| &v.op) else {
            return Ok([].into());
        };
        let Some(path) = self.directories.get(&local.name) else {
            return Ok([].into());
        };
        let key = (id, selectors.to_vec());
        let known = || self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(&key) {
            return Ok(Arc::clone(known));
        }
        let tree = LocalTree::new(path.clone(), local).tree()?;
        let digests: Arc<[Digest]> = files::digests(&tree, selectors, self.since)?.into();
        known().insert(key, Arc::clone(&digests));
        Ok(digests)
    }
}

/// What stands for the blob of a layer where only its place in an image matters.
pub(super) fn placeholder(layer: LayerId) -> Digest {
    Digest::of(format!("layer {layer}").as_bytes())
}
