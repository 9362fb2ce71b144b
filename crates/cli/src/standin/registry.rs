//! What daemons are told of registries.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::lowering::Lowering;

/// Registries by domain, as `buildkitd.toml` has them.
///
/// # Errors
/// A value makes no sense, or a directory of certificates cannot be read.
pub(super) fn by_domain(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    let all = value.as_object().ok_or("expected tables by domain")?;
    for (domain, settings) in all {
        let settings = settings.as_object();
        for (name, value) in settings.ok_or("expected tables by domain")? {
            one(lowering, domain, name, value).map_err(|error| format!("{domain}: {error}"))?;
        }
    }
    Ok(())
}

fn one(lowering: &mut Lowering, domain: &str, name: &str, value: &Value) -> Result<(), String> {
    match name.to_ascii_lowercase().as_str() {
        same @ ("mirrors" | "http" | "insecure" | "ca") => {
            lowering.set(&["registry", domain, same], value.clone());
        }
        "keypair" => {
            let pairs = value.as_array().ok_or("keypair is no list of tables")?;
            let [pair] = pairs.as_slice() else {
                return Err("kiln shows a registry one certificate: keep one keypair".to_owned());
            };
            let file = |name: &str| pair.get(name).cloned().unwrap_or_default();
            lowering.set(&["registry", domain, "certificate"], file("cert"));
            lowering.set(&["registry", domain, "key"], file("key"));
        }
        "tlsconfigdir" => {
            let directories = value.as_array().ok_or("tlsconfigdir is no list")?;
            for directory in directories.iter().filter_map(Value::as_str) {
                certificates(lowering, domain, Path::new(directory))?;
            }
        }
        _ => lowering.warn(format!(
            "has no effect in its key {domain}.{name}, which kiln does not know"
        )),
    }
    Ok(())
}

/// A directory as Docker has them for registries: authorities end with `.crt`, certificates that
/// the registry is shown with `.cert`, their keys with `.key`.
fn certificates(lowering: &mut Lowering, domain: &str, directory: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    for file in files {
        let kind = file.extension().and_then(|kind| kind.to_str());
        let path = file.to_str().ok_or("a name is not UTF-8")?;
        match kind {
            Some("crt") => lowering.add(&["registry", domain, "ca"], path.into()),
            Some("cert") => lowering.set(&["registry", domain, "certificate"], path.into()),
            Some("key") => lowering.set(&["registry", domain, "key"], path.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Mirrors of Docker's own registry, as `dockerd` is told of them.
///
/// # Errors
/// None.
pub(super) fn mirrors(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    for mirror in value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        // Where it is spoken to by plain HTTP stands in front of it.
        let mirror = mirror.trim_end_matches('/');
        lowering.add(&["registry", "docker.io", "mirrors"], mirror.into());
    }
    Ok(())
}

/// Registries that are spoken to by HTTPS whatever their certificates, and else by HTTP.
///
/// # Errors
/// One is a range of addresses.
pub(super) fn insecure(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    for domain in value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if domain.contains('/') {
            return Err(format!(
                "{domain:?} is a range of addresses, which is not provided by kiln: \
                 name each registry with its port"
            ));
        }
        for name in ["http", "insecure"] {
            lowering.set(&["registry", domain, name], true.into());
        }
    }
    Ok(())
}

/// The documents of Docker's proxies: by scheme.
///
/// # Errors
/// It is no table.
pub(super) fn proxies(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    let empty = Map::new();
    for (name, value) in value.as_object().unwrap_or(&empty) {
        let known = ["http-proxy", "https-proxy", "no-proxy"];
        match value.as_str() {
            Some(text) if known.contains(&name.as_str()) => proxy(lowering, name, text),
            _ => return Err(format!("{name} is none of {}", known.join(", "))),
        }
    }
    Ok(())
}

/// One proxy.
pub(super) fn proxy(lowering: &mut Lowering, name: &str, value: &str) {
    if !value.is_empty() {
        let name = name.replace('-', "_").to_uppercase();
        lowering.fetch_variables.push((name, value.to_owned()));
    }
}
