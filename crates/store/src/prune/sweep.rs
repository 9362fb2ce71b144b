//! Carrying a plan out.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};

use super::plan::Plan;
use super::{Pruned, Removed};
use crate::db::{Durability, WriteLock, millis};
use crate::disk::Reclaimed;
use crate::error::{Result, StoreError};
use crate::{Lease, Store, file};

/// Checksums of files that were not looked at anew for this long are forgotten.
const STAT_CACHE_AGE: Duration = Duration::from_secs(60 * 24 * 3600);

/// Removes the rows, durably, since files follow.
pub(super) fn forget(
    store: &Store,
    lock: &WriteLock<'_>,
    plan: &Plan,
    now: SystemTime,
) -> Result<()> {
    forget_rows(store, lock, plan, now)?;
    if plan.tags.is_empty() {
        return Ok(());
    }
    store.images().write_index(lock)
}

fn forget_rows(store: &Store, lock: &WriteLock<'_>, plan: &Plan, now: SystemTime) -> Result<()> {
    store
        .database()
        .write_under(lock, Durability::Full, |connection| {
            let at = millis(now);
            for (key, cause) in &plan.records {
                crate::record::evict(connection, key, cause, at)?;
            }
            crate::record::forget_evictions(connection)?;
            if !plan.tags.is_empty() {
                crate::image::forget(connection, &plan.tags)?;
            }
            for layer in &plan.layers {
                delete(connection, "DELETE FROM layer WHERE id = ?", layer.0)?;
            }
            for mount in &plan.cache_mounts {
                crate::cache_mount::forget(connection, *mount)?;
            }
            connection.execute(
                "DELETE FROM record_alias WHERE key NOT IN (SELECT key FROM record)",
                [],
            )?;
            let oldest = now.checked_sub(STAT_CACHE_AGE).map_or(i64::MIN, millis);
            delete(
                connection,
                "DELETE FROM stat_cache WHERE updated < ?",
                oldest,
            )
        })
}

fn delete(connection: &Connection, sql: &str, value: i64) -> Result<()> {
    connection.prepare_cached(sql)?.execute(params![value])?;
    Ok(())
}

/// Takes the files out of sight, so that others may go on before they are removed.
pub(super) fn move_aside(plan: &mut Plan, lease: &Lease) -> Result<()> {
    for doomed in &mut plan.doomed {
        let Some(path) = &doomed.path else {
            continue;
        };
        let trash = lease.trash();
        doomed.path = match file::rename(path, &trash) {
            Ok(()) => Some(trash),
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                None
            }
            Err(error) => return Err(error),
        };
    }
    plan.locks.clear();
    Ok(())
}

/// Measures and removes what was moved aside; measures alone in a dry run.
pub(super) fn finish(plan: Plan, dry_run: bool) -> Result<Pruned> {
    let mut reclaimed = Reclaimed::default();
    let mut pruned = Pruned {
        used: plan.used,
        ..Pruned::default()
    };
    for doomed in &plan.doomed {
        // All is measured before anything goes, since that changes the number of links.
        let bytes = match &doomed.path {
            Some(path) => reclaimed.add(path)?,
            None => 0,
        };
        pruned.removed.push(Removed {
            kind: doomed.kind,
            id: doomed.id.clone(),
            bytes,
        });
    }
    if !dry_run {
        for path in plan.doomed.iter().filter_map(|doomed| doomed.path.as_ref()) {
            file::remove_tree(path)?;
        }
    }
    Ok(pruned)
}
