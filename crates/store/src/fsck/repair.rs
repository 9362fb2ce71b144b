//! Repairing: what can be written again is, what cannot be used is forgotten, so that a build makes
//! it anew. Tags and containers are never dropped here; they are a person's.

use std::time::SystemTime;

use rusqlite::Connection;

use super::Problem;
use crate::db::Durability;
use crate::error::{Result, StoreError};
use crate::layout::{self, new_name};
use crate::{Lease, Store, file, lease};

/// Rows of what is only remembered, not in our form.
const UNREADABLE: &[&str] = &[
    "DELETE FROM record WHERE length(key) <> 32 OR length(layers) % 8 <> 0",
    "DELETE FROM record_alias WHERE length(alias) <> 32 OR length(key) <> 32",
    "DELETE FROM stat_cache",
];

/// Repairs those that are repairable.
pub(super) fn all(store: &Store, problems: &[Problem], now: SystemTime) -> Result<()> {
    let own = store.lease(now)?;
    {
        let _collect = lease::collect_lock(store.layout())?;
        let lock = store.database().lock()?;
        for problem in problems {
            match problem {
                Problem::Index => store.images().write_index(&lock)?,
                Problem::OciLayout => {
                    let path = store.layout().oci_layout();
                    file::write_atomic(&path, &new_name(&path), layout::OCI_LAYOUT)?;
                }
                Problem::BlobBytes(digest) | Problem::BlobSize { digest, .. } => {
                    discard(store, &own, digest)?;
                }
                Problem::Row(_)
                | Problem::Snapshot(_)
                | Problem::Record { .. }
                | Problem::CacheMount(_) => {
                    store
                        .database()
                        .write_under(&lock, Durability::Full, |connection| {
                            forget(store, connection, problem)
                        })?
                }
                _ => {}
            }
        }
    }
    if problems.iter().any(Problem::is_harmless) {
        store.clean(now)?;
    }
    Ok(())
}

/// Takes a blob away that is not what its name says. It can be had again, or what needs it is lost
/// either way.
fn discard(store: &Store, own: &Lease, digest: &oci::Digest) -> Result<()> {
    let trash = own.trash();
    match file::rename(&store.blobs().path(digest), &trash) {
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(())
        }
        moved => moved.and_then(|()| file::remove_tree(&trash)),
    }
}

/// Removes the row that says otherwise than the files, unless they agree by now.
fn forget(store: &Store, connection: &Connection, problem: &Problem) -> Result<()> {
    match problem {
        Problem::Snapshot(layer) if !store.layout().snapshot(*layer).is_dir() => {
            connection
                .prepare_cached("UPDATE layer SET snapshot = 0, unsynced = NULL WHERE id = ?")?
                .execute([layer.0])?;
        }
        Problem::Row(_) => {
            for sql in UNREADABLE {
                connection.execute(sql, [])?;
            }
        }
        Problem::Record { key, .. } => crate::record::remove(connection, key)?,
        Problem::CacheMount(id) if !store.cache_mounts().directory(*id).join("data").is_dir() => {
            crate::cache_mount::forget(connection, *id)?;
        }
        _ => {}
    }
    Ok(())
}
