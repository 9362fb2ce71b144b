//! Cache mounts that outlive the machine: `--cache-mounts-to` and `--cache-mounts-from`.
//!
//! They are an OCI artifact in a registry or in a layout: one manifest with a layer for each mount,
//! a compressed tar whose annotations say what the mount is got by. A mount of the artifact is the
//! first content of a new instance, as a seed is. So it is fetched when a step makes one, and never
//! when all steps are cached or the machine has the mount. What cannot be read is told and left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use graph::{ExecOp, Graph, MountSource, Op};
use oci::{Compression, Descriptor, Document, Manifest, MediaType, Reference};
use solver::{ProgressSender, StepProgress};
use tokio::sync::OnceCell;

use super::CacheMountIdentity;
use super::archive::Unpacked;
use crate::compress::Compressor;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::export::writing;
use crate::image::blob_file;
use crate::progress::{Task, Transfer};
use crate::remote_cache::{CacheError, CacheFrom, layout};

/// What the artifact is.
const ARTIFACT: &str = "application/vnd.kiln.cache-mounts.v1";
/// image-spec's config of an artifact that has none.
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");
/// A tar with the one top directory `data/`.
const MOUNT: &str = "application/vnd.kiln.cache-mount.v1.tar";

const ID: &str = "kiln.cache-mount.id";
const MODE: &str = "kiln.cache-mount.mode";
const OWNER: &str = "kiln.cache-mount.owner";

/// Blobs on their way at once.
const UPLOADS: usize = 2;

/// Where the cache mounts of a build go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMountsTo {
    /// A registry or a directory.
    pub to: CacheFrom,
    /// How their tars are compressed.
    pub compression: Compression,
    /// How much.
    pub level: Option<i32>,
    /// The build succeeds also if they cannot be written.
    pub ignore_error: bool,
}

/// Where a build looks for mounts that the machine does not have.
#[derive(Debug)]
pub(crate) struct Carried {
    from: Vec<CacheFrom>,
    progress: ProgressSender,
    /// The mounts of all places; of several the first counts.
    found: OnceCell<BTreeMap<CacheMountIdentity, (CacheFrom, Descriptor)>>,
}

/// What is written: blobs that the store has, and the manifest that names them.
struct Artifact {
    layers: Vec<Descriptor>,
    manifest: Vec<u8>,
}

/// First contents of mounts, unpacked.
pub(crate) type Seeds = BTreeMap<CacheMountIdentity, Unpacked>;

impl Carried {
    pub(crate) fn new(from: &[CacheFrom], progress: &ProgressSender) -> Self {
        Self {
            from: from.to_vec(),
            progress: progress.clone(),
            found: OnceCell::new(),
        }
    }

    async fn find(
        &self,
        engine: &Arc<Inner>,
        identity: &CacheMountIdentity,
    ) -> Option<&(CacheFrom, Descriptor)> {
        let open = || async {
            let mut found = BTreeMap::new();
            for from in &self.from {
                for (identity, layer) in self.open(engine, from).await {
                    found
                        .entry(identity)
                        .or_insert_with(|| (from.clone(), layer));
                }
            }
            found
        };
        self.found.get_or_init(open).await.get(identity)
    }

    async fn open(
        &self,
        engine: &Arc<Inner>,
        from: &CacheFrom,
    ) -> Vec<(CacheMountIdentity, Descriptor)> {
        let name = format!("importing cache mounts from {from}");
        let task = Task::begin(&self.progress, &engine.clock, &name);
        let opened = async {
            match engine.top(from).await? {
                Document::Manifest(manifest)
                    if manifest.artifact_type.as_deref() == Some(ARTIFACT) =>
                {
                    Ok(manifest.layers)
                }
                _ => Err(CacheError::NoCacheMounts(from.to_string()).into()),
            }
        };
        let layers = task.end(opened.await).unwrap_or_default();
        let named = layers
            .into_iter()
            .map(|layer| Some((identity(&layer)?, layer)));
        named.flatten().collect()
    }
}

impl Inner {
    /// The first contents of mounts of `op` that the machine does not have.
    pub(crate) async fn carried_seeds(
        self: &Arc<Self>,
        carried: &Carried,
        op: &ExecOp,
    ) -> Result<Seeds, EngineError> {
        let mut seeds = Seeds::new();
        if carried.from.is_empty() {
            return Ok(seeds);
        }
        for identity in identities(op) {
            let key = identity.key();
            if self
                .store
                .cache_mounts()
                .list()?
                .iter()
                .any(|row| row.key == key)
            {
                continue;
            }
            let Some((from, layer)) = carried.find(self, &identity).await else {
                continue;
            };
            let name = format!("importing cache mount {}", identity.id);
            let task = Task::begin(&carried.progress, &self.clock, &name);
            if let Ok(unpacked) = task.end(self.bring_mount(from, layer).await) {
                seeds.insert(identity, unpacked);
            }
        }
        Ok(seeds)
    }

    async fn bring_mount(
        self: &Arc<Self>,
        from: &CacheFrom,
        layer: &Descriptor,
    ) -> Result<Unpacked, EngineError> {
        if let CacheFrom::Registry(reference) = from {
            let sources = std::slice::from_ref(reference);
            self.fetch_blob(sources, layer, None).await?;
        }
        let (engine, from, digest) = (Arc::clone(self), from.clone(), layer.digest);
        crate::blocking(move || {
            if let CacheFrom::Layout(layout) = &from {
                engine.take_blob(&layout.path, &digest)?;
            }
            let unpacked = engine.unpack_cache_mount(engine.store.blobs().open(&digest)?)?;
            if !unpacked.has_top {
                return Err(EngineError::Archive("it is no cache mount".to_owned()));
            }
            Ok(unpacked)
        })
        .await?
    }

    /// Writes the mounts that the steps of `graph` have.
    pub(crate) async fn export_cache_mounts(
        self: &Arc<Self>,
        graph: &Arc<Graph>,
        export: &CacheMountsTo,
        progress: &ProgressSender,
    ) -> Result<(), EngineError> {
        let name = format!("exporting cache mounts to {}", export.to);
        let task = Task::begin(progress, &self.clock, &name);
        let told = task.progress();
        match task.end(self.ship_cache_mounts(graph, export, &told).await) {
            Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
            Err(_) if export.ignore_error => Ok(()),
            result => result,
        }
    }

    async fn ship_cache_mounts(
        self: &Arc<Self>,
        graph: &Arc<Graph>,
        export: &CacheMountsTo,
        told: &StepProgress,
    ) -> Result<(), EngineError> {
        let layers = {
            let (engine, graph, export) = (Arc::clone(self), Arc::clone(graph), export.clone());
            crate::blocking(move || engine.pack_cache_mounts(&graph, &export)).await??
        };
        if layers.is_empty() {
            return Ok(());
        }
        let (kind, config) = EMPTY;
        let manifest = oci::to_canonical_json(&Manifest {
            schema_version: 2,
            media_type: Some(MediaType::OciManifest),
            artifact_type: Some(ARTIFACT.to_owned()),
            config: Descriptor::of(MediaType::parse(kind), config),
            layers: layers.clone(),
            subject: None,
            annotations: BTreeMap::new(),
        })
        .map_err(EngineError::Serialize)?;
        let artifact = Artifact { layers, manifest };
        match &export.to {
            CacheFrom::Registry(reference) => {
                let sent = self
                    .send_artifact(self.registry()?, reference, artifact, told)
                    .await;
                sent.map_err(|source| EngineError::Push {
                    reference: reference.clone(),
                    source,
                })
            }
            CacheFrom::Layout(to) => {
                let (engine, to) = (Arc::clone(self), to.clone());
                writing(move |draft| {
                    let hold = layout::hold(&to.path)?;
                    for layer in &artifact.layers {
                        let path = engine.store.blobs().path(&layer.digest);
                        layout::take(&to.path, &layer.digest, &path, draft)?;
                    }
                    let ending = layout::Ending {
                        config,
                        kind: &MediaType::OciManifest,
                        document: &artifact.manifest,
                        reset: false,
                        now: engine.clock.now(),
                    };
                    layout::finish(hold, &to, ending, draft)
                })
                .await
            }
        }
    }

    /// Blobs that are not there, then the manifest.
    async fn send_artifact(
        &self,
        registry: &registry::Client,
        reference: &Reference,
        artifact: Artifact,
        told: &StepProgress,
    ) -> Result<(), registry::Error> {
        let send = |layer: Descriptor| async move {
            let name = format!("writing layer {}", layer.digest);
            let _shown = Transfer::begin(told, name, Some(layer.size));
            let body = blob_file(self.store.blobs().path(&layer.digest));
            let sent = registry.push_blob(reference, &layer, &[], &body).await;
            sent.map(drop)
        };
        let layers = stream::iter(artifact.layers.into_iter().map(Ok));
        layers.try_for_each_concurrent(UPLOADS, send).await?;
        let (kind, config) = EMPTY;
        let config_blob = Descriptor::of(MediaType::parse(kind), config);
        let config = Bytes::from_static(config);
        registry
            .push_blob(reference, &config_blob, &[], &config)
            .await?;
        let manifest = Bytes::from(artifact.manifest);
        registry
            .put_manifest(reference, &MediaType::OciManifest, manifest)
            .await?;
        Ok(())
    }

    /// A blob for each mount that is there.
    fn pack_cache_mounts(
        &self,
        graph: &Graph,
        export: &CacheMountsTo,
    ) -> Result<Vec<Descriptor>, EngineError> {
        let mut wanted: Vec<CacheMountIdentity> = graph
            .iter()
            .filter_map(|(_, vertex)| match &vertex.op {
                Op::Exec(op) => Some(identities(op)),
                _ => None,
            })
            .flatten()
            .collect();
        wanted.sort();
        wanted.dedup();
        let mut layers = Vec::new();
        for identity in wanted {
            layers.extend(self.pack_cache_mount(&identity, export)?);
        }
        Ok(layers)
    }

    /// Of several instances the one that was used last.
    fn pack_cache_mount(
        &self,
        identity: &CacheMountIdentity,
        export: &CacheMountsTo,
    ) -> Result<Option<Descriptor>, EngineError> {
        let (key, mounts) = (identity.key(), self.store.cache_mounts());
        let mut rows = mounts.list()?;
        rows.retain(|row| row.key == key);
        rows.sort_by_key(|row| std::cmp::Reverse(row.used));
        if rows.is_empty() {
            return Ok(None);
        }
        for row in rows {
            let Some(held) = mounts.open(row.id)? else {
                continue;
            };
            let write = |source| EngineError::Write { source };
            let blob = self.store.blobs().writer(&self.lease, None)?;
            let pool = self.pool()?;
            let mut packed =
                Compressor::new(blob, export.compression, export.level, pool).map_err(write)?;
            self.write_cache_mount(&held, &mut packed)?;
            let blob = packed.finish().map_err(write)?.commit()?;
            let suffix = match export.compression {
                Compression::Uncompressed => "",
                Compression::Gzip => "+gzip",
                Compression::Zstd => "+zstd",
            };
            let kind = MediaType::parse(&format!("{MOUNT}{suffix}"));
            let mut layer = Descriptor::new(kind, blob.digest, blob.size);
            layer.annotations = annotations(identity);
            return Ok(Some(layer));
        }
        Err(EngineError::CacheMountInUse(identity.id.clone()))
    }
}

/// What the step's cache mounts are got by.
fn identities(op: &ExecOp) -> Vec<CacheMountIdentity> {
    let of_mount = |source: &MountSource| match source {
        MountSource::Cache {
            id, mode, owner, ..
        } => Some(CacheMountIdentity::new(id, *mode, *owner)),
        _ => None,
    };
    op.mounts
        .iter()
        .filter_map(|mount| of_mount(&mount.source))
        .collect()
}

fn annotations(identity: &CacheMountIdentity) -> BTreeMap<String, String> {
    let CacheMountIdentity { id, mode, uid, gid } = identity;
    BTreeMap::from([
        (ID.to_owned(), id.clone()),
        (MODE.to_owned(), format!("{mode:o}")),
        (OWNER.to_owned(), format!("{uid}:{gid}")),
    ])
}

fn identity(layer: &Descriptor) -> Option<CacheMountIdentity> {
    let of = |name| layer.annotations.get(name);
    let (uid, gid) = of(OWNER)?.split_once(':')?;
    Some(CacheMountIdentity {
        id: of(ID)?.clone(),
        mode: u32::from_str_radix(of(MODE)?, 8).ok()? & 0o7777,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
