//! The checks, each over one part of the store.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::PathBuf;

use oci::Digest;
use rusqlite::Connection;

use super::{Depth, Problem, images};
use crate::error::{Result, StoreError, io};
use crate::layout::{self, NAMES};
use crate::reach::{self, LayerFacts};
use crate::{LayerId, Store, file, lease, prune};

/// What the checks look at, and what they found.
pub(super) struct Check<'a> {
    pub(super) store: &'a Store,
    pub(super) connection: &'a Connection,
    pub(super) problems: Vec<Problem>,
    /// Sizes of the blobs that are here.
    pub(super) blobs: HashMap<Digest, u64>,
    pub(super) layers: Vec<LayerFacts>,
    /// Layers that are here or can be had again.
    pub(super) usable: HashSet<LayerId>,
}

/// Everything but the bytes of blobs.
pub(super) fn all(store: &Store, depth: Depth) -> Result<Vec<Problem>> {
    let _collect = lease::collect_lock(store.layout())?;
    let _lock = store.database().lock()?;
    store.database().read(|connection| {
        let mut problems = database(connection, depth)?;
        if !problems.is_empty() {
            // Nothing that such a database says is worth comparing.
            return Ok(problems);
        }
        let blobs = store.blobs().list()?;
        let mut check = Check {
            store,
            connection,
            problems: Vec::new(),
            blobs: blobs.iter().map(|blob| (blob.digest, blob.size)).collect(),
            layers: Vec::new(),
            usable: HashSet::new(),
        };
        match check.run() {
            // A row that cannot be read ends the comparison; nothing else does.
            Err(error) if is_of_a_row(&error) => {
                problems.append(&mut check.problems);
                problems.push(Problem::Row(describe(&error)));
                Ok(problems)
            }
            ran => ran.map(|()| check.problems),
        }
    })
}

fn describe(error: &StoreError) -> String {
    match error {
        StoreError::Database(source) => source.to_string(),
        error => error.to_string(),
    }
}

/// Reads every blob.
pub(super) fn blob_bytes(store: &Store, problems: &mut Vec<Problem>) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    for blob in store.blobs().list()? {
        let path = store.blobs().path(&blob.digest);
        let mut file = match store.blobs().open(&blob.digest) {
            // Collected meanwhile.
            Err(StoreError::MissingBlob(_)) => continue,
            opened => opened?,
        };
        let mut hasher = oci::Hasher::new();
        loop {
            match file.read(&mut buffer).map_err(io("read", &path))? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        if hasher.finish() != blob.digest {
            problems.push(Problem::BlobBytes(blob.digest));
        }
    }
    Ok(())
}

fn is_of_a_row(error: &StoreError) -> bool {
    use rusqlite::Error as Sql;
    matches!(
        error,
        StoreError::CorruptRow { .. }
            | StoreError::Database(
                Sql::FromSqlConversionFailure(..)
                    | Sql::InvalidColumnType(..)
                    | Sql::IntegralValueOutOfRange(..)
            )
    )
}

fn database(connection: &Connection, depth: Depth) -> Result<Vec<Problem>> {
    let pragma = match depth {
        Depth::Shallow => "quick_check",
        Depth::Deep => "integrity_check",
    };
    let mut problems = Vec::new();
    connection.pragma_query(None, pragma, |row| {
        let text: String = row.get(0)?;
        if text != "ok" {
            problems.push(Problem::Database(text));
        }
        Ok(())
    })?;
    connection.pragma_query(None, "foreign_key_check", |row| {
        let table: String = row.get(0)?;
        problems.push(Problem::Database(format!("dangling row in {table}")));
        Ok(())
    })?;
    Ok(problems)
}

impl Check<'_> {
    fn run(&mut self) -> Result<()> {
        self.documents()?;
        self.names()?;
        self.layers()?;
        self.records()?;
        images::check(self)?;
        self.containers()?;
        self.cache_mounts()
    }

    /// Whether the layer is here or can be had again.
    pub(super) fn is_usable(&self, layer: LayerId) -> bool {
        self.usable.contains(&layer)
    }

    fn documents(&mut self) -> Result<()> {
        let layout = self.store.layout();
        if std::fs::read(layout.oci_layout()).ok().as_deref() != Some(layout::OCI_LAYOUT) {
            self.problems.push(Problem::OciLayout);
        }
        let index = crate::image::index(&crate::image::list(self.connection)?)?;
        if std::fs::read(layout.index()).ok() != Some(index) {
            self.problems.push(Problem::Index);
        }
        Ok(())
    }

    /// Files that have no business where they are.
    fn names(&mut self) -> Result<()> {
        let layout = self.store.layout();
        let leftovers = prune::find_leftovers(self.store, self.connection)?;
        let is_temporary = |name: &str| lease::owner(name).is_some();
        let is_number = |name: &str| name.parse::<i64>().is_ok();
        let is_digest = |name: &str| Digest::from_hex(name).is_ok();
        let mut foreign: Vec<PathBuf> = Vec::new();
        let mut scan = |directory: PathBuf, is_ours: &dyn Fn(&str) -> bool| -> Result<()> {
            let names = file::names(&directory)?;
            let others = names.iter().filter(|name| !is_ours(name));
            foreign.extend(others.map(|name| directory.join(name)));
            Ok(())
        };
        scan(layout.root().to_owned(), &|name| NAMES.contains(&name))?;
        scan(layout.blobs(), &is_digest)?;
        scan(layout.ingest(), &|name| {
            is_digest(name) || is_temporary(name)
        })?;
        for directory in [layout.snapshots(), layout.cache_mounts()] {
            scan(directory, &|name| is_number(name) || is_temporary(name))?;
        }
        scan(layout.trash(), &is_temporary)?;
        foreign.retain(|path| !leftovers.contains(path));
        let leftovers = leftovers.into_iter().map(Problem::Leftover);
        self.problems.extend(leftovers);
        self.problems
            .extend(foreign.into_iter().map(Problem::Foreign));
        Ok(())
    }

    fn layers(&mut self) -> Result<()> {
        self.layers = reach::layers(self.connection)?;
        for layer in &self.layers {
            let is_missing = layer.has_snapshot && !self.store.layout().snapshot(layer.id).is_dir();
            if is_missing {
                self.problems.push(Problem::Snapshot(layer.id));
            }
            for (digest, expected) in &layer.blobs {
                match self.blobs.get(digest) {
                    Some(found) if found != expected => self.problems.push(Problem::BlobSize {
                        digest: *digest,
                        expected: *expected,
                        found: *found,
                    }),
                    _ => {}
                }
            }
            let has_blob = |(digest, size)| self.blobs.get(digest) == Some(size);
            if (layer.has_snapshot && !is_missing)
                || layer.has_source
                || layer.blobs.iter().map(|(d, s)| (d, s)).any(has_blob)
            {
                self.usable.insert(layer.id);
            }
        }
        Ok(())
    }

    fn records(&mut self) -> Result<()> {
        for record in reach::records(self.connection)? {
            if let Some(layer) = record.layers.iter().find(|layer| !self.is_usable(**layer)) {
                self.problems.push(Problem::Record {
                    key: record.key,
                    layer: *layer,
                });
            }
        }
        Ok(())
    }

    fn containers(&mut self) -> Result<()> {
        for container in crate::container::list(self.connection)? {
            for layer in container.layers {
                if !self.is_usable(layer) {
                    self.problems.push(Problem::ContainerLayer {
                        id: container.id.clone(),
                        layer,
                    });
                }
            }
            if !self.store.containers().directory(&container.id).is_dir() {
                self.problems
                    .push(Problem::ContainerDirectory(container.id));
            }
        }
        Ok(())
    }

    fn cache_mounts(&mut self) -> Result<()> {
        for mount in crate::cache_mount::list(self.store, self.connection)? {
            if !mount.path.is_dir() {
                self.problems.push(Problem::CacheMount(mount.id));
            }
        }
        Ok(())
    }
}
