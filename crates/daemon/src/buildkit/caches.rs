//! Caches that a client wants its build to look in, and to write.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::CacheOptions;
use engine::{CacheExport, CacheFrom, CacheMode, CacheTo, Engine, KeptCopy, LayoutCache};
use oci::{Digest, Reference};
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::builds::Job;
use super::options::Options;
use super::output::layers;
use super::{errors, layouts};

/// What a layout is found by that has one entry.
const TAG: &str = "latest";

/// A cache to look in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Import {
    /// Of a registry.
    Registry(Reference),
    /// Of a directory of the client's: what the client knows it by, and the manifest.
    Local { store: String, digest: Digest },
}

/// A cache that goes to a directory of the client's, and where it is made before.
#[derive(Debug)]
pub(super) struct LocalCache {
    pub(super) store: String,
    pub(super) copy: KeptCopy,
    /// The build succeeds also if the client does not take it.
    pub(super) ignore_error: bool,
}

/// Caches to write.
#[derive(Debug, Default)]
pub(super) struct Exports {
    /// All of them.
    pub(super) to: Vec<CacheTo>,
    /// Those that the client is sent afterwards.
    pub(super) local: Vec<LocalCache>,
}

/// One as front ends are told of it, in JSON.
#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Attrs", default)]
    attrs: HashMap<String, String>,
}

/// The caches to write.
///
/// # Errors
/// One is of a type or has an attribute that kiln does not have.
pub(super) fn exports(caches: &mut CacheOptions, engine: &Engine) -> Result<Exports, Status> {
    if !caches.export_ref_deprecated.is_empty() || !caches.import_refs_deprecated.is_empty() {
        return Err(Status::unimplemented(
            "caches as they were named before BuildKit 0.4 are not provided by kiln",
        ));
    }
    let mut exports = Exports::default();
    for entry in std::mem::take(&mut caches.exports) {
        let to = export(&entry.r#type, entry.attrs, engine, &mut exports.local)?;
        exports.to.push(to);
    }
    Ok(exports)
}

/// The caches to look in that a front end's option names.
///
/// # Errors
/// One is of a type or has an attribute that kiln does not have.
pub(super) fn imports(json: &str) -> Result<Vec<Import>, Status> {
    let entries: Vec<Entry> = serde_json::from_str(json)
        .map_err(|error| Status::invalid_argument(format!("invalid cache-imports: {error}")))?;
    let entries = entries.into_iter();
    entries
        .map(|entry| import(&entry.kind, entry.attrs))
        .collect()
}

/// Adds caches that a client names beside a front end's options, unless the options name some.
pub(super) fn add_imports(
    options: &mut HashMap<String, String>,
    imports: impl Iterator<Item = (String, HashMap<String, String>)>,
) {
    let imports: Vec<Entry> = imports.map(|(kind, attrs)| Entry { kind, attrs }).collect();
    if imports.is_empty() || options.contains_key("cache-imports") {
        return;
    }
    // Texts and maps of texts are always written.
    let json = serde_json::to_string(&imports).unwrap_or_default();
    options.insert("cache-imports".to_owned(), json);
}

/// A cache to look in.
///
/// # Errors
/// It is of a type or has an attribute that kiln does not have.
pub(super) fn import(kind: &str, attrs: HashMap<String, String>) -> Result<Import, Status> {
    let mut attrs = Options::new(attrs, format!("the cache import {kind:?}"));
    let from = match kind {
        "registry" => Import::Registry(reference(&mut attrs)?),
        "local" => {
            // The client has found the digest under the tag.
            attrs.any("tag");
            let text = attrs.one("digest").unwrap_or_default();
            let digest: Result<Digest, _> = text.parse();
            Import::Local {
                digest: digest.map_err(|_| attrs.invalid("digest", &text, "expected a digest"))?,
                store: local(&mut attrs, "src")?,
            }
        }
        _ => return Err(attrs.refuse("the type", "use type=registry or type=local")),
    };
    attrs.end()?;
    Ok(from)
}

/// The caches, with those of the client's directories brought in.
///
/// # Errors
/// The client does not have one.
pub(super) async fn bring_in(job: &Job, imports: Vec<Import>) -> Result<Vec<CacheFrom>, Status> {
    let mut from = Vec::with_capacity(imports.len());
    for import in imports {
        from.push(match import {
            Import::Registry(reference) => CacheFrom::Registry(reference),
            Import::Local { store, digest } => {
                let copy = layouts::bring_in(job, &store, &digest, &[]).await?;
                let path = copy.path().to_owned();
                job.keep_layout(copy);
                CacheFrom::Layout(LayoutCache {
                    path,
                    tag: TAG.to_owned(),
                    digest: Some(digest),
                })
            }
        });
    }
    Ok(from)
}

/// What the client knows its directory by.
fn local(attrs: &mut Options, name: &str) -> Result<String, Status> {
    match attrs.one(name) {
        Some(directory) => Ok(format!("local:{directory}")),
        None => Err(attrs.invalid(name, "", "expected a directory")),
    }
}

fn export(
    kind: &str,
    attrs: HashMap<String, String>,
    engine: &Engine,
    local_caches: &mut Vec<LocalCache>,
) -> Result<CacheTo, Status> {
    let mut attrs = Options::new(attrs, format!("the cache export {kind:?}"));
    let mode = match attrs.one("mode").as_deref() {
        None | Some("min") => CacheMode::Min,
        Some("max") => CacheMode::Max,
        Some(other) => return Err(attrs.invalid("mode", other, "expected min or max")),
    };
    let to = match kind {
        "inline" if mode == CacheMode::Min => CacheTo::Inline,
        "inline" => return Err(attrs.refuse("mode=max", "use type=registry")),
        "registry" => {
            let to = CacheFrom::Registry(reference(&mut attrs)?);
            CacheTo::Export(alone(&mut attrs, mode, to)?)
        }
        "local" => {
            let (cache, export) = to_client(&mut attrs, mode, engine)?;
            local_caches.push(cache);
            CacheTo::Export(export)
        }
        _ => {
            let instead = "use type=registry, type=local or type=inline";
            return Err(attrs.refuse("the type", instead));
        }
    };
    attrs.end()?;
    Ok(to)
}

/// It is made in a directory of the daemon's first.
fn to_client(
    attrs: &mut Options,
    mode: CacheMode,
    engine: &Engine,
) -> Result<(LocalCache, CacheExport), Status> {
    // These are about the client's index, which is the client's affair.
    attrs.any("tag");
    attrs.flag("reset")?;
    let copy = engine.kept_copy(None);
    let copy = copy.map_err(|error| errors::status(&error, None))?;
    let to = CacheFrom::Layout(LayoutCache {
        path: copy.path().to_owned(),
        tag: TAG.to_owned(),
        digest: None,
    });
    let store = local(attrs, "dest")?;
    let export = alone(attrs, mode, to)?;
    let cache = LocalCache {
        store,
        copy,
        ignore_error: export.ignore_error,
    };
    Ok((cache, export))
}

fn alone(attrs: &mut Options, mode: CacheMode, to: CacheFrom) -> Result<CacheExport, Status> {
    let layers = layers(attrs, true)?;
    let image_manifest = attrs.flag("image-manifest")?;
    let image_manifest = image_manifest.unwrap_or(layers.oci_media_types);
    if image_manifest && !layers.oci_media_types {
        return Err(attrs.invalid("image-manifest", "true", "it needs oci-mediatypes=true"));
    }
    Ok(CacheExport {
        to,
        mode,
        layers,
        image_manifest,
        ignore_error: attrs.flag("ignore-error")?.unwrap_or(false),
        reset: false,
    })
}

fn reference(attrs: &mut Options) -> Result<Reference, Status> {
    let text = attrs.one("ref").unwrap_or_default();
    let parsed: Result<Reference, _> = text.parse();
    let parsed = parsed.map_err(|error| attrs.invalid("ref", &text, &error.to_string()))?;
    Ok(parsed.with_default_tag())
}

impl LocalCache {
    /// Sends it; its manifest, for the client's index. None when there is nothing to keep, of which
    /// no cache is made.
    pub(super) async fn send(&self, job: &Job) -> Result<Option<String>, Status> {
        let Some(manifest) = layouts::entry(&self.copy)? else {
            return Ok(None);
        };
        layouts::send(job, &self.store, self.copy.path()).await?;
        let json = serde_json::to_string(&manifest).map(Some);
        json.map_err(|error| Status::internal(error.to_string()))
    }
}
