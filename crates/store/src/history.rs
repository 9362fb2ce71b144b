//! Past and running builds.

use std::path::PathBuf;
use std::time::SystemTime;

use rusqlite::{Connection, Row, params};

use crate::db::{Durability, millis, time};
use crate::error::Result;
use crate::{Store, file};

/// A build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its ID.
    pub id: String,
    /// When it began.
    pub started: SystemTime,
    /// When it ended, if it did.
    pub finished: Option<SystemTime>,
    /// How it ended, a JSON document of the caller's.
    pub outcome: Option<String>,
    /// Where its log is.
    pub log: Option<PathBuf>,
}

/// The builds that a store knows.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    store: &'a Store,
}

impl<'a> History<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Writes a build, in place of what was known of it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn put(&self, build: &Build) -> Result<()> {
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO build (id, started, finished, outcome, log)
                         VALUES (?, ?, ?, ?, ?)",
                    )?
                    .execute(params![
                        build.id,
                        millis(build.started),
                        build.finished.map(millis),
                        build.outcome,
                        build.log.as_ref().map(|path| path.to_string_lossy()),
                    ])?;
                Ok(())
            })
    }

    /// A build.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<Build>> {
        self.store.database().query(|connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT id, started, finished, outcome, log FROM build WHERE id = ?",
                )?
                .query_map([id], build)?
                .next()
                .transpose()?)
        })
    }

    /// The latest builds, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self, limit: usize) -> Result<Vec<Build>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.store
            .database()
            .query(|connection| list(connection, limit))
    }

    /// Where the log of a build goes; its [`put`](Self::put) names it.
    #[must_use]
    pub fn log_path(&self, id: &str) -> PathBuf {
        self.store.layout().logs().join(format!("{id}.log"))
    }

    /// Forgets a build, and removes its log if that is in the store; whether it was known.
    ///
    /// # Errors
    /// The database cannot be written, or the log not removed.
    pub fn remove(&self, id: &str) -> Result<bool> {
        let log = self.get(id)?.and_then(|build| build.log);
        if let Some(log) = log.filter(|log| log.starts_with(self.store.root())) {
            file::remove_file(&log)?;
        }
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                Ok(connection
                    .prepare_cached("DELETE FROM build WHERE id = ?")?
                    .execute([id])?
                    > 0)
            })
    }
}

/// The latest builds, newest first.
pub(crate) fn list(connection: &Connection, limit: i64) -> Result<Vec<Build>> {
    Ok(connection
        .prepare_cached(
            "SELECT id, started, finished, outcome, log FROM build
             ORDER BY started DESC, id DESC LIMIT ?",
        )?
        .query_map([limit], build)?
        .collect::<Result<_, _>>()?)
}

fn build(row: &Row<'_>) -> rusqlite::Result<Build> {
    let log: Option<String> = row.get(4)?;
    Ok(Build {
        id: row.get(0)?,
        started: time(row.get(1)?),
        finished: row.get::<_, Option<i64>>(2)?.map(time),
        outcome: row.get(3)?,
        log: log.map(PathBuf::from),
    })
}
