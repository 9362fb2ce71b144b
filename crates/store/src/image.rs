//! Tags: full references that lead to a manifest or an index.
//!
//! The database decides; `index.json` follows for tools that read OCI layouts. The same
//! transaction that changes a tag notes that the file is behind, and only a written file clears
//! the note, so a death in between is made good by whoever opens the store next.

use oci::{Descriptor, Index, MediaType, Reference, annotation};
use rusqlite::{Connection, OptionalExtension, Row};
use std::time::SystemTime;

use crate::Store;
use crate::db::{Durability, WriteLock, corrupt, millis, time};
use crate::error::{Result, StoreError};
use crate::file;
use crate::layout::new_name;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The full name, with tag or digest.
    pub reference: Reference,
    /// What it leads to.
    pub descriptor: Descriptor,
    /// When it came to lead there.
    pub updated: SystemTime,
    /// A build brought it in, and nobody has named it since.
    pub of_build: bool,
}

/// The tags of a store.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    store: &'a Store,
}

impl<'a> Images<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Makes `reference` lead to `descriptor`, whose blob is here; what it led to before.
    /// A name without tag and digest gets the tag `latest`. Nothing is written if it leads there.
    ///
    /// # Errors
    /// The blob is not here, or the tag cannot be written.
    pub fn put(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        now: SystemTime,
    ) -> Result<Option<Descriptor>> {
        let reference = reference.clone().with_default_tag();
        let before = self.get(&reference)?;
        let leads_there = |before: &Image| before.descriptor == *descriptor && !before.of_build;
        if before.as_ref().is_some_and(leads_there) {
            return Ok(before.map(|image| image.descriptor));
        }
        self.change(|connection| {
            let before = get(connection, &reference)?.map(|image| image.descriptor);
            self.insert(connection, &reference, (descriptor, false), now)?;
            Ok(before)
        })
    }

    /// As [`put`](Self::put) for an image that a build begins with: unless somebody named it, it is
    /// there for builds alone.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn put_for_build(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        now: SystemTime,
    ) -> Result<()> {
        let reference = reference.clone().with_default_tag();
        let before = self.get(&reference)?;
        if before.is_some_and(|before| before.descriptor == *descriptor) {
            return Ok(());
        }
        self.change(|connection| {
            let of_build = get(connection, &reference)?.is_none_or(|before| before.of_build);
            self.insert(connection, &reference, (descriptor, of_build), now)
        })
    }

    /// As [`put`](Self::put) for several at once: all of them or none.
    ///
    /// # Errors
    /// A blob is not here, or the tags cannot be written.
    pub fn put_many(&self, tags: &[(Reference, Descriptor)], now: SystemTime) -> Result<()> {
        let mut changed = Vec::new();
        for (reference, descriptor) in tags {
            let reference = reference.clone().with_default_tag();
            let before = self.get(&reference)?;
            if before.is_none_or(|before| before.descriptor != *descriptor) {
                changed.push((reference, descriptor));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        self.change(|connection| {
            changed.iter().try_for_each(|(reference, descriptor)| {
                self.insert(connection, reference, (descriptor, false), now)
            })
        })
    }

    /// Where `reference` leads.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, reference: &Reference) -> Result<Option<Image>> {
        let reference = reference.clone().with_default_tag();
        self.store
            .database()
            .query(|connection| get(connection, &reference))
    }

    /// All tags, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self) -> Result<Vec<Image>> {
        self.store.database().query(list)
    }

    /// Removes a tag; where it led.
    ///
    /// # Errors
    /// The database or `index.json` cannot be written.
    pub fn remove(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        let reference = reference.clone().with_default_tag();
        if self.get(&reference)?.is_none() {
            return Ok(None);
        }
        self.change(|connection| {
            let before = get(connection, &reference)?.map(|image| image.descriptor);
            delete(connection, &reference)?;
            Ok(before)
        })
    }

    /// Writes `index.json` if a process died before it did.
    pub(crate) fn recover(&self) -> Result<()> {
        let database = self.store.database();
        if !database.query(is_behind)? || database.is_read_only() {
            return Ok(());
        }
        let lock = database.lock()?;
        if database.query(is_behind)? {
            self.write_index(&lock)?;
        }
        Ok(())
    }

    /// Writes `index.json` from the database.
    pub(crate) fn write_index(&self, lock: &WriteLock<'_>) -> Result<()> {
        let path = self.store.layout().index();
        file::write_atomic(&path, &new_name(&path), &index(&self.list()?)?)?;
        self.store
            .database()
            .write_under(lock, Durability::Relaxed, |connection| {
                connection
                    .prepare_cached("DELETE FROM meta WHERE name = 'index_is_behind'")?
                    .execute([])?;
                Ok(())
            })
    }

    /// Under the write lock, which collection takes too before it removes blobs.
    fn insert(
        &self,
        connection: &Connection,
        reference: &Reference,
        (descriptor, of_build): (&Descriptor, bool),
        now: SystemTime,
    ) -> Result<()> {
        match self.store.blobs().size(&descriptor.digest)? {
            None => return Err(StoreError::MissingBlob(descriptor.digest)),
            Some(found) if found != descriptor.size => {
                return Err(StoreError::SizeMismatch {
                    digest: descriptor.digest,
                    expected: descriptor.size,
                    found,
                });
            }
            Some(_) => {}
        }
        let document = serde_json::to_string(descriptor)?;
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO image (reference, descriptor, updated, of_build)
                 VALUES (?, ?, ?, ?)",
            )?
            .execute((reference.to_string(), document, millis(now), of_build))?;
        Ok(())
    }

    fn change<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let database = self.store.database();
        let lock = database.lock()?;
        let result = database.write_under(&lock, Durability::Full, |connection| {
            let result = work(connection)?;
            note_change(connection)?;
            Ok(result)
        })?;
        self.write_index(&lock)?;
        Ok(result)
    }
}

/// The bytes that `index.json` must have.
pub(crate) fn index(images: &[Image]) -> Result<Vec<u8>> {
    let manifests = images.iter().map(|image| {
        let mut descriptor = image.descriptor.clone();
        let name = image.reference.to_string();
        for key in [annotation::REF_NAME, annotation::IMAGE_NAME] {
            descriptor.annotations.insert(key.to_owned(), name.clone());
        }
        descriptor
    });
    Ok(oci::to_canonical_json(&Index {
        schema_version: 2,
        media_type: Some(MediaType::OciIndex),
        artifact_type: None,
        manifests: manifests.collect(),
        subject: None,
        annotations: std::collections::BTreeMap::new(),
    })?)
}

/// Removes tags; whoever calls writes `index.json` when they are gone.
pub(crate) fn forget(connection: &Connection, references: &[Reference]) -> Result<()> {
    for reference in references {
        delete(connection, reference)?;
    }
    note_change(connection)
}

fn delete(connection: &Connection, reference: &Reference) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM image WHERE reference = ?")?
        .execute([reference.to_string()])?;
    Ok(())
}

fn note_change(connection: &Connection) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES ('index_is_behind', 1)")?
        .execute([])?;
    Ok(())
}

fn is_behind(connection: &Connection) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM meta WHERE name = 'index_is_behind'")?
        .exists([])?)
}

fn get(connection: &Connection, reference: &Reference) -> Result<Option<Image>> {
    connection
        .prepare_cached(
            "SELECT reference, descriptor, updated, of_build FROM image WHERE reference = ?",
        )?
        .query_row([reference.to_string()], |row| Ok(image(row)))
        .optional()?
        .transpose()
}

/// All tags, by name.
pub(crate) fn list(connection: &Connection) -> Result<Vec<Image>> {
    connection
        .prepare_cached(
            "SELECT reference, descriptor, updated, of_build FROM image ORDER BY reference",
        )?
        .query_map([], |row| Ok(image(row)))?
        .map(|row| row?)
        .collect()
}

fn image(row: &Row<'_>) -> Result<Image> {
    let reference: String = row.get(0)?;
    let descriptor: String = row.get(1)?;
    Ok(Image {
        reference: reference.parse().map_err(|error| corrupt("image", error))?,
        descriptor: serde_json::from_str(&descriptor).map_err(|error| corrupt("image", error))?,
        updated: time(row.get(2)?),
        of_build: row.get(3)?,
    })
}
