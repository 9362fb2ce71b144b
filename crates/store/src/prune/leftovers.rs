//! What dead processes left: temporary files of dead leases, and files whose row was never written
//! or is gone. The caller holds the write lock, so that no row is about to come.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;

use super::plan::Plan;
use crate::error::Result;
use crate::lock::{FileLock, Mode, Wait};
use crate::usage::{Kind, below};
use crate::{Store, file, lease};

/// Adds them to `plan`.
pub(super) fn gather(plan: &mut Plan, store: &Store, connection: &Connection) -> Result<()> {
    for path in find(store, connection)? {
        plan.doom(Kind::Temporary, below(store.root(), &path), path);
    }
    free_keys(store)
}

/// Their paths.
pub(crate) fn find(store: &Store, connection: &Connection) -> Result<Vec<std::path::PathBuf>> {
    let layout = store.layout();
    let snapshots = numbers(connection, "SELECT id FROM layer WHERE snapshot")?;
    let mounts = numbers(connection, "SELECT id FROM cache_mount")?;
    let containers: HashSet<String> = crate::container::list(connection)?
        .into_iter()
        .map(|container| container.id)
        .collect();
    let is_number = |name: &str| name.parse::<i64>().is_ok();
    let mut paths = Vec::new();
    let mut scan = |directory: &Path, is_leftover: &dyn Fn(&str) -> bool| -> Result<()> {
        let names = file::names(directory)?;
        let leftovers = names.iter().filter(|name| is_leftover(name));
        paths.extend(leftovers.map(|name| directory.join(name)));
        Ok(())
    };
    let is_temporary = |name: &str| lease::owner(name).is_some();
    scan(&layout.ingest(), &is_temporary)?;
    scan(&layout.trash(), &is_temporary)?;
    scan(&layout.snapshots(), &|name| {
        is_temporary(name) || (is_number(name) && !snapshots.contains(name))
    })?;
    scan(&layout.cache_mounts(), &|name| {
        is_temporary(name) || (is_number(name) && !mounts.contains(name))
    })?;
    scan(&layout.containers(), &|name| !containers.contains(name))?;
    // Documents are written under the write lock, which is ours.
    scan(layout.root(), &|name| name.ends_with(".new"))?;
    // Now, after the names: a lease that begins only now has none of them.
    let (leases, _) = lease::live(layout)?;
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        let owner = name.and_then(lease::owner);
        owner.is_none_or(|owner| !leases.contains(owner))
    });
    Ok(paths)
}

fn numbers(connection: &Connection, sql: &str) -> Result<HashSet<String>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| row.get::<_, i64>(0))?;
    rows.map(|row| Ok(row?.to_string())).collect()
}

/// Removes lock files of keys that nobody holds.
fn free_keys(store: &Store) -> Result<()> {
    let directory = store.layout().key_locks();
    for name in file::names(&directory)? {
        let lock = FileLock::acquire(&directory.join(name), Mode::Exclusive, Wait::Not)?;
        drop(lock.map(FileLock::remove_on_release));
    }
    Ok(())
}
