//! Caches to look in and to write, as a builder is told of them. Those in directories are stores of the
//! session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use client::Store;
use client::messages::{CacheOptions, CacheOptionsEntry};
use engine::{CacheExport, CacheFrom, CacheMode, CacheTo, EngineError};

use super::attributes::{Attributes, format};
use super::refuse;
use super::stores::{Blobs, Taken};
use crate::error::Error;

/// What is said of caches, and what is offered for them.
#[derive(Debug, Default)]
pub(super) struct Caches {
    pub(super) options: CacheOptions,
    /// By what the builder calls them.
    pub(super) stores: HashMap<String, Arc<dyn Store>>,
    /// The one that the builder sends.
    pub(super) taken: Option<Taken>,
}

/// The caches of a build.
///
/// # Errors
/// A directory cannot be read or made, or there are several to be written to.
pub(super) fn caches(
    from: &[CacheFrom],
    to: &[CacheTo],
    now: fn() -> SystemTime,
) -> Result<Caches, Error> {
    let mut caches = Caches::default();
    for from in from {
        let import = caches.import(from)?;
        caches.options.imports.extend(import);
    }
    for to in to {
        let export = caches.export(to, now)?;
        caches.options.exports.push(export);
    }
    Ok(caches)
}

impl Caches {
    /// None of a directory that has no cache yet, which the first of many builds finds.
    fn import(&mut self, from: &CacheFrom) -> Result<Option<CacheOptionsEntry>, Error> {
        let layout = match from {
            CacheFrom::Registry(reference) => {
                let attrs = Attributes::from([("ref".to_owned(), reference.to_string())]);
                return Ok(Some(entry("registry", attrs)));
            }
            CacheFrom::Layout(layout) => layout,
        };
        let digest = match layout.entry() {
            Err(error) if is_missing(&error) => return Ok(None),
            digest => digest?,
        };
        let attrs = [
            ("src".to_owned(), self.store(Blobs::of(&layout.path))),
            ("digest".to_owned(), digest.to_string()),
        ];
        Ok(Some(entry("local", attrs.into())))
    }

    fn export(
        &mut self,
        to: &CacheTo,
        now: fn() -> SystemTime,
    ) -> Result<CacheOptionsEntry, Error> {
        let export = match to {
            CacheTo::Inline => return Ok(entry("inline", Attributes::new())),
            CacheTo::Export(export) => export,
        };
        let (kind, name, place) = match &export.to {
            CacheFrom::Registry(reference) => ("registry", "ref", reference.to_string()),
            CacheFrom::Layout(layout) => {
                if self.taken.is_some() {
                    let what = "a cache in several directories (--cache-to type=local)";
                    return Err(refuse(what, "write one and copy it"));
                }
                self.taken = Some(Taken::new(layout, export.reset, now)?);
                ("local", "dest", self.store(Blobs::of(&layout.path)))
            }
        };
        let mut attrs = attributes(export);
        attrs.insert(name.to_owned(), place);
        Ok(entry(kind, attrs))
    }

    /// What the builder calls the store, without the word that it puts before.
    fn store(&mut self, blobs: Arc<dyn Store>) -> String {
        let name = format!("cache{}", self.stores.len());
        self.stores.insert(format!("local:{name}"), blobs);
        name
    }
}

fn attributes(export: &CacheExport) -> Attributes {
    let mut attrs = format(&export.layers, true);
    let mode = match export.mode {
        CacheMode::Min => "min",
        CacheMode::Max => "max",
    };
    let mut put = |name: &str, value: String| attrs.insert(name.to_owned(), value);
    put("mode", mode.to_owned());
    put("image-manifest", export.image_manifest.to_string());
    if export.ignore_error {
        put("ignore-error", "true".to_owned());
    }
    attrs
}

fn is_missing(error: &EngineError) -> bool {
    match error {
        EngineError::Read { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn entry(kind: &str, attrs: Attributes) -> CacheOptionsEntry {
    CacheOptionsEntry {
        r#type: kind.to_owned(),
        attrs,
    }
}
