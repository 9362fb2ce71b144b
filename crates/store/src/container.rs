//! Containers that were created: their configuration, layers and writable directories.

use std::path::PathBuf;
use std::time::SystemTime;

use oci::Digest;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::db::{self, Durability, corrupt, millis, time};
use crate::error::{Result, StoreError};
use crate::layer::LayerId;
use crate::lease::Lease;
use crate::lock::KeyGuard;
use crate::{Store, file};

/// The code of a container that ended with whoever ran it, so that nobody saw how; Docker's.
const LOST: i32 = 255;

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// It was never started.
    Created,
    /// It was started, and its end was not noted.
    Running,
    /// It ended with this code.
    Exited(i32),
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its ID: lower-case letters and digits.
    pub id: String,
    /// Its name, which no other has.
    pub name: String,
    /// The image, as it was asked for.
    pub image: String,
    /// What the image's name led to.
    pub image_digest: Option<Digest>,
    /// Its configuration, a JSON document of the caller's.
    pub config: String,
    /// Its file system below what it writes, bottom first.
    pub layers: Vec<LayerId>,
    /// When it was created.
    pub created: SystemTime,
    /// How far it is.
    pub state: ContainerState,
}

/// The containers of a store.
#[derive(Debug, Clone, Copy)]
pub struct Containers<'a> {
    store: &'a Store,
}

impl<'a> Containers<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Notes a container, and makes its directory, empty. Its layers stay while it does.
    ///
    /// # Errors
    /// ID or name are taken, a layer does not exist, or something cannot be written.
    pub fn create(&self, lease: &Lease, container: &Container) -> Result<PathBuf> {
        let is_id = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
        if container.id.is_empty() || !container.id.chars().all(is_id) {
            return Err(StoreError::ContainerId(container.id.clone()));
        }
        let directory = self.directory(&container.id);
        self.write(|connection| {
            insert(connection, container)?;
            if directory.exists() {
                // Its row is gone: left over by a process that died.
                file::rename(&directory, &lease.trash())?;
            }
            file::create_directory(&directory, 0o700)?;
            file::sync_parent(&directory)
        })?;
        Ok(directory)
    }

    /// The directory in which its writable file system is.
    #[must_use]
    pub fn directory(&self, id: &str) -> PathBuf {
        self.store.layout().containers().join(id)
    }

    /// The container with this ID or name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, id_or_name: &str) -> Result<Option<Container>> {
        let found = self
            .store
            .database()
            .query(|connection| get(connection, id_or_name))?;
        found.map(|container| self.revised(container)).transpose()
    }

    /// All containers, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self) -> Result<Vec<Container>> {
        let all = self.store.database().query(list)?;
        all.into_iter()
            .map(|container| self.revised(container))
            .collect()
    }

    /// The right to run the container with this ID, for as long as the guard lives; none if it runs.
    ///
    /// # Errors
    /// The container has no directory.
    pub fn run(&self, id: &str) -> Result<Option<KeyGuard>> {
        KeyGuard::attempt(&self.directory(id).join("lock"))
    }

    /// What is noted as running, and is run by nobody, ended with whoever ran it.
    fn revised(&self, container: Container) -> Result<Container> {
        let directory = self.directory(&container.id);
        if container.state != ContainerState::Running || !directory.exists() {
            return Ok(container);
        }
        let Some(_alone) = self.run(&container.id)? else {
            return Ok(container);
        };
        let now = self
            .store
            .database()
            .query(|connection| get(connection, &container.id))?;
        let state = match now {
            Some(now) if now.state != ContainerState::Running => now.state,
            _ => ContainerState::Exited(LOST),
        };
        if state == ContainerState::Exited(LOST) {
            self.set_state(&container.id, state)?;
        }
        Ok(Container { state, ..container })
    }

    /// Notes how far the container with this ID is.
    ///
    /// # Errors
    /// There is none, or the database cannot be written.
    pub fn set_state(&self, id: &str, state: ContainerState) -> Result<()> {
        let changed = self.write(|connection| {
            Ok(connection
                .prepare_cached("UPDATE container SET state = ? WHERE id = ?")?
                .execute([state_text(state), id.to_owned()])?)
        })?;
        if changed == 0 {
            return Err(StoreError::MissingContainer(id.to_owned()));
        }
        Ok(())
    }

    /// Gives the container with this ID another name.
    ///
    /// # Errors
    /// There is none, the name is taken, or the database cannot be written.
    pub fn rename(&self, id: &str, name: &str) -> Result<()> {
        let changed = self.write(|connection| {
            check_name(connection, id, name)?;
            Ok(connection
                .prepare_cached("UPDATE container SET name = ? WHERE id = ?")?
                .execute([name, id])?)
        })?;
        if changed == 0 {
            return Err(StoreError::MissingContainer(id.to_owned()));
        }
        Ok(())
    }

    /// Removes the container with this ID and what it wrote; whether there was one.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove(&self, lease: &Lease, id: &str) -> Result<bool> {
        let (database, trash) = (self.store.database(), lease.trash());
        let lock = database.lock()?;
        let removed = database.write_under(&lock, Durability::Full, |connection| {
            Ok(connection
                .prepare_cached("DELETE FROM container WHERE id = ?")?
                .execute([id])?)
        })?;
        // Not before the row is gone for good: a power cut would leave a row without a directory.
        let directory = self.directory(id);
        if removed > 0 && directory.exists() {
            file::rename(&directory, &trash)?;
        }
        drop(lock);
        file::remove_tree(&trash)?;
        Ok(removed > 0)
    }

    fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.store
            .database()
            .write(Durability::Full, |transaction| work(transaction))
    }
}

fn insert(connection: &Connection, container: &Container) -> Result<()> {
    check_name(connection, &container.id, &container.name)?;
    if get(connection, &container.id)?.is_some() {
        return Err(StoreError::ContainerId(container.id.clone()));
    }
    let mut exists = connection.prepare_cached("SELECT 1 FROM layer WHERE id = ?")?;
    for layer in &container.layers {
        if !exists.exists([layer.0])? {
            return Err(StoreError::MissingLayer(*layer));
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO container
                 (id, name, image, image_digest, config, layers, created, state)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            container.id,
            container.name,
            container.image,
            container.image_digest.as_ref().map(Digest::as_bytes),
            container.config,
            db::layer_ids_bytes(&container.layers),
            millis(container.created),
            state_text(container.state),
        ])?;
    Ok(())
}

fn check_name(connection: &Connection, id: &str, name: &str) -> Result<()> {
    let owner: Option<String> = connection
        .prepare_cached("SELECT id FROM container WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    match owner {
        Some(owner) if owner != id => Err(StoreError::ContainerName {
            name: name.to_owned(),
            id: owner,
        }),
        _ => Ok(()),
    }
}

fn get(connection: &Connection, id_or_name: &str) -> Result<Option<Container>> {
    connection
        .prepare_cached(
            "SELECT id, name, image, image_digest, config, layers, created, state
             FROM container WHERE id = ?1 OR name = ?1 ORDER BY id <> ?1 LIMIT 1",
        )?
        .query_row([id_or_name], |row| Ok(container(row)))
        .optional()?
        .transpose()
}

/// All containers, oldest first.
pub(crate) fn list(connection: &Connection) -> Result<Vec<Container>> {
    connection
        .prepare_cached(
            "SELECT id, name, image, image_digest, config, layers, created, state
             FROM container ORDER BY created, id",
        )?
        .query_map([], |row| Ok(container(row)))?
        .map(|row| row?)
        .collect()
}

fn container(row: &Row<'_>) -> Result<Container> {
    let digest: Option<Vec<u8>> = row.get(3)?;
    let layers: Vec<u8> = row.get(5)?;
    let state: String = row.get(7)?;
    Ok(Container {
        id: row.get(0)?,
        name: row.get(1)?,
        image: row.get(2)?,
        image_digest: digest
            .map(|bytes| db::digest("container", &bytes))
            .transpose()?,
        config: row.get(4)?,
        layers: db::layer_ids("container", &layers)?,
        created: time(row.get(6)?),
        state: parse_state(&state)?,
    })
}

fn state_text(state: ContainerState) -> String {
    match state {
        ContainerState::Created => "created".to_owned(),
        ContainerState::Running => "running".to_owned(),
        ContainerState::Exited(code) => format!("exited {code}"),
    }
}

fn parse_state(text: &str) -> Result<ContainerState> {
    match text.split_once(' ') {
        None if text == "created" => Ok(ContainerState::Created),
        None if text == "running" => Ok(ContainerState::Running),
        Some(("exited", code)) => code
            .parse()
            .map(ContainerState::Exited)
            .map_err(|error| corrupt("container", error)),
        _ => Err(corrupt("container", format_args!("state {text:?}"))),
    }
}
