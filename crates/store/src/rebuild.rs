//! A new database for a store whose own cannot be read any more.
//!
//! Tags come back from `index.json`, and blobs are where they were. Cache records, layers,
//! containers and cache mounts are lost; their trees are leftovers from then on. The damaged
//! database stays beside it as `kiln.db.damaged`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use oci::{Descriptor, Index, Reference, annotation};

use crate::db::Database;
use crate::error::{Result, StoreError, io};
use crate::layout::Layout;
use crate::lock::{FileLock, Mode};
use crate::{Store, file, lease};

impl Store {
    /// Opens the store at `root` with a new database that knows the tags of `index.json`.
    /// Those are returned that could not be taken over, since they have no name or their document
    /// is not here.
    ///
    /// # Errors
    /// A build is using the store, or it cannot be written.
    pub fn rebuild(root: &Path, now: SystemTime) -> Result<(Self, Vec<Descriptor>)> {
        let layout = Layout::new(root);
        let index = read_index(&layout)?;
        replace_database(&layout)?;
        let store = Self::open(root)?;
        let (mut kept, mut lost) = (Vec::new(), Vec::new());
        for mut descriptor in index.manifests {
            let name = descriptor.annotations.remove(annotation::REF_NAME);
            descriptor.annotations.remove(annotation::IMAGE_NAME);
            let reference = name.and_then(|name| name.parse::<Reference>().ok());
            let size = store.blobs().size(&descriptor.digest)?;
            match reference.filter(|_| size == Some(descriptor.size)) {
                Some(reference) => kept.push((reference, descriptor)),
                None => lost.push(descriptor),
            }
        }
        store.images().put_many(&kept, now)?;
        Ok((store, lost))
    }
}

fn read_index(layout: &Layout) -> Result<Index> {
    let path = layout.index();
    let bytes = fs::read(&path).map_err(io("read", &path))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn replace_database(layout: &Layout) -> Result<()> {
    let _collect = lease::collect_lock(layout)?;
    let _lock = FileLock::wait(&layout.write_lock(), Mode::Exclusive)?;
    if !lease::live(layout)?.0.is_empty() {
        return Err(StoreError::InUse(layout.root().to_owned()));
    }
    let path = layout.database();
    for suffix in ["", "-wal", "-shm"] {
        let with = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            std::path::PathBuf::from(name)
        };
        let (from, to) = (with(&path), with(&path.with_added_extension("damaged")));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            renamed => renamed.map_err(io("rename", &from))?,
        }
    }
    file::sync_directory(layout.root())?;
    Database::create(&path)
}
