//! What is needed, and by whom: the marking half of collection, also used by accounting and checks.
//!
//! Roots are tags and containers, what live leases hold, and those cache records that are to stay.
//! A root reaches layers; a layer reaches the blobs of it that are here.

use std::collections::HashSet;

use oci::{
    Descriptor, DiffId, Digest, Document, DocumentError, ImageConfig, MAX_CONFIG_SIZE,
    MAX_DOCUMENT_SIZE, MediaType, Reference,
};
use rusqlite::Connection;

use crate::Store;
use crate::db;
use crate::error::{Result, StoreError};
use crate::layer::LayerId;
use crate::lease::{self, Resource};
use crate::record::{Key, RecordKind};

/// Indexes within indexes deeper than this are nobody's images.
const MAX_DEPTH: usize = 8;

/// What collection needs to know of a layer.
#[derive(Debug)]
pub(crate) struct LayerFacts {
    pub(crate) id: LayerId,
    pub(crate) diff_id: Option<DiffId>,
    /// Its snapshot is in its place, says its row.
    pub(crate) has_snapshot: bool,
    pub(crate) has_source: bool,
    /// With their sizes.
    pub(crate) blobs: Vec<(Digest, u64)>,
}

/// What collection needs to know of a cache record.
#[derive(Debug)]
pub(crate) struct RecordFacts {
    pub(crate) key: Key,
    pub(crate) kind: RecordKind,
    pub(crate) description: String,
    /// Milliseconds since 1970.
    pub(crate) used: i64,
    pub(crate) layers: Vec<LayerId>,
}

/// What must stay in any case.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    /// Live leases.
    pub(crate) leases: HashSet<String>,
    /// What they hold.
    pub(crate) records: HashSet<Key>,
    held: Reach,
    /// What tags and containers need.
    named: Needs,
    /// What images need that builds brought in.
    of_builds: Needs,
    /// The tags of those.
    pub(crate) build_tags: Vec<Reference>,
}

#[derive(Debug, Default)]
struct Needs {
    layers: HashSet<LayerId>,
    diff_ids: HashSet<DiffId>,
    blobs: HashSet<Digest>,
}

/// Which images stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// All.
    All,
    /// Not those that builds brought in, unless somebody named them or a container uses them.
    Named,
}

/// What must stay, all in all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    pub(crate) layers: HashSet<LayerId>,
    pub(crate) blobs: HashSet<Digest>,
}

/// All that decisions are made from, of one moment.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) roots: Roots,
    pub(crate) layers: Vec<LayerFacts>,
    /// The least recently used first.
    pub(crate) records: Vec<RecordFacts>,
}

impl Facts {
    pub(crate) fn gather(store: &Store, connection: &Connection) -> Result<Self> {
        Ok(Self {
            roots: Roots::gather(store, connection)?,
            layers: layers(connection)?,
            records: records(connection)?,
        })
    }

    /// What tags and containers need.
    pub(crate) fn of_images(&self, images: Stay) -> Reach {
        self.roots.reach(&self.layers, images, Reach::default(), [])
    }

    /// What stays if only those records stay for which `keep` is true, and those that are held.
    pub(crate) fn reach(&self, images: Stay, keep: impl Fn(&RecordFacts) -> bool) -> Reach {
        let stays =
            |record: &&RecordFacts| self.roots.records.contains(&record.key) || keep(record);
        let held = self.roots.held.clone();
        let records = self.records.iter().filter(stays);
        self.roots.reach(&self.layers, images, held, records)
    }
}

impl Roots {
    /// Gathers them; the caller keeps others from taking anything meanwhile.
    fn gather(store: &Store, connection: &Connection) -> Result<Self> {
        let mut roots = Self::default();
        let (leases, held) = lease::live(store.layout())?;
        roots.leases = leases;
        for resource in held {
            match resource {
                Resource::Layer(id) => drop(roots.held.layers.insert(id)),
                Resource::Blob(digest) => drop(roots.held.blobs.insert(digest)),
                Resource::Record(key) => drop(roots.records.insert(key)),
            }
        }
        let mut in_containers = HashSet::new();
        for container in crate::container::list(connection)? {
            roots.named.layers.extend(container.layers);
            in_containers.extend(container.image_digest);
        }
        let (mut named, mut of_builds) = (HashSet::new(), HashSet::new());
        for image in crate::image::list(connection)? {
            let is_named = !image.of_build || in_containers.contains(&image.descriptor.digest);
            let (needs, visited) = match is_named {
                true => (&mut roots.named, &mut named),
                false => (&mut roots.of_builds, &mut of_builds),
            };
            let mut documents = Documents {
                store,
                reference: image.reference.to_string(),
                visited,
                needs,
            };
            documents.follow(&image.descriptor, 0)?;
            if !is_named {
                roots.build_tags.push(image.reference);
            }
        }
        Ok(roots)
    }

    /// Whether nothing under this temporary name is in use: its lease is dead.
    pub(crate) fn is_dead(&self, name: &str) -> bool {
        lease::owner(name).is_some_and(|lease| !self.leases.contains(lease))
    }

    /// What tags and containers reach, with what is `held` and with `records` that are to stay.
    fn reach<'a>(
        &self,
        layers: &[LayerFacts],
        images: Stay,
        held: Reach,
        records: impl IntoIterator<Item = &'a RecordFacts>,
    ) -> Reach {
        let of_held: HashSet<Digest> = held.blobs.clone();
        let mut reach = held;
        let of_builds = (images == Stay::All).then_some(&self.of_builds);
        let needs: Vec<&Needs> = of_builds.into_iter().chain([&self.named]).collect();
        for needs in &needs {
            reach.layers.extend(&needs.layers);
            reach.blobs.extend(&needs.blobs);
        }
        for record in records {
            reach.layers.extend(&record.layers);
        }
        for layer in layers {
            let has = |blob: &Digest| needs.iter().any(|needs| needs.blobs.contains(blob));
            let is_of = |id: &DiffId| needs.iter().any(|needs| needs.diff_ids.contains(id));
            let mut blobs = layer.blobs.iter().map(|(blob, _)| blob);
            let of_image = layer.diff_id.as_ref().is_some_and(is_of)
                || blobs.any(|blob| has(blob) || of_held.contains(blob));
            if of_image || reach.layers.contains(&layer.id) {
                reach.layers.insert(layer.id);
                reach.blobs.extend(layer.blobs.iter().map(|(blob, _)| blob));
            }
        }
        reach
    }
}

/// Follows one image from its descriptor. Blobs that are not here are not followed: platforms that
/// were not pulled, layers that were not downloaded.
struct Documents<'a> {
    store: &'a Store,
    reference: String,
    visited: &'a mut HashSet<Digest>,
    needs: &'a mut Needs,
}

impl Documents<'_> {
    fn follow(&mut self, descriptor: &Descriptor, depth: usize) -> Result<()> {
        let media_type = &descriptor.media_type;
        self.needs.blobs.insert(descriptor.digest);
        if depth > MAX_DEPTH || !self.visited.insert(descriptor.digest) {
            return Ok(());
        }
        if media_type.is_index() || media_type.is_manifest() {
            let Some(bytes) = self.read(&descriptor.digest, MAX_DOCUMENT_SIZE)? else {
                return Ok(());
            };
            let document = Document::parse(&bytes, Some(media_type))
                .map_err(|source| self.unreadable(&descriptor.digest, source))?;
            return self.document(&document, depth);
        }
        if matches!(media_type, MediaType::OciConfig | MediaType::DockerConfig)
            && let Some(bytes) = self.read(&descriptor.digest, MAX_CONFIG_SIZE)?
        {
            let config: ImageConfig = serde_json::from_slice(&bytes).map_err(|source| {
                let kind = "config";
                self.unreadable(&descriptor.digest, DocumentError::Json { kind, source })
            })?;
            self.needs.diff_ids.extend(config.rootfs.diff_ids);
        }
        Ok(())
    }

    fn document(&mut self, document: &Document, depth: usize) -> Result<()> {
        let (first, rest) = match document {
            Document::Manifest(manifest) => (Some(&manifest.config), &manifest.layers),
            Document::Index(index) => (None, &index.manifests),
        };
        first
            .into_iter()
            .chain(rest)
            .try_for_each(|descriptor| self.follow(descriptor, depth + 1))
    }

    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.store.blobs().read(digest, limit) {
            Err(StoreError::MissingBlob(_)) => Ok(None),
            read => read.map(Some),
        }
    }

    fn unreadable(&self, digest: &Digest, source: DocumentError) -> StoreError {
        StoreError::Document {
            digest: *digest,
            reference: self.reference.clone(),
            source,
        }
    }
}

/// All layers, by id.
pub(crate) fn layers(connection: &Connection) -> Result<Vec<LayerFacts>> {
    let mut layers: Vec<LayerFacts> = connection
        .prepare_cached(
            "SELECT id, diff_id, snapshot,
                 EXISTS (SELECT 1 FROM layer_source WHERE layer = id)
             FROM layer ORDER BY id",
        )?
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get::<_, Option<[u8; 32]>>(1)?,
                row.get(2)?,
                row.get(3)?,
            ))
        })?
        .map(|row| {
            let (id, diff_id, has_snapshot, has_source) = row?;
            Ok(LayerFacts {
                id: LayerId(id),
                diff_id: diff_id.map(|bytes| DiffId(Digest::from_bytes(bytes))),
                has_snapshot,
                has_source,
                blobs: Vec::new(),
            })
        })
        .collect::<Result<_>>()?;
    let mut statement =
        connection.prepare_cached("SELECT layer, digest, size FROM layer_blob ORDER BY layer")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = LayerId(row.get(0)?);
        if let Ok(at) = layers.binary_search_by_key(&id, |layer| layer.id) {
            let size: i64 = row.get(2)?;
            layers[at]
                .blobs
                .push((Digest::from_bytes(row.get(1)?), size.unsigned_abs()));
        }
    }
    Ok(layers)
}

/// All cache records, the least recently used first.
pub(crate) fn records(connection: &Connection) -> Result<Vec<RecordFacts>> {
    connection
        .prepare_cached(
            "SELECT key, used, layers, kind, description FROM record ORDER BY used, id",
        )?
        .query_map([], |row| {
            let kind: String = row.get(3)?;
            let rest = (RecordKind::of_name(&kind), row.get(4)?);
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?, rest))
        })?
        .map(|row| {
            let (key, used, layers, (kind, description)) = row?;
            Ok(RecordFacts {
                key,
                kind,
                description,
                used,
                layers: db::layer_ids("record", &layers)?,
            })
        })
        .collect()
}
