//! What targets may do that was not typed: a bake file may come from others, and what it asks for
//! beyond the working directory is allowed by name.

use std::path::{Path, PathBuf};

use bake::{Selection, TARGET, Target};

use crate::args::bake::Bake;
use crate::environment::Environment;
use crate::error::{Error, choice};
use crate::values::go_bool;

/// What is allowed.
#[derive(Debug, Default)]
struct Allowed {
    rights: Vec<String>,
    ssh: bool,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    all_read: bool,
    all_write: bool,
}

/// Refuses targets that ask for more than `--allow` and the working directory are.
pub(super) fn check(
    args: &Bake,
    selection: &Selection,
    environment: &Environment,
) -> Result<(), Error> {
    let allowed = allowed(args, environment)?;
    let ignores_files = environment
        .text("BUILDX_BAKE_ENTITLEMENTS_FS")?
        .and_then(go_bool)
        == Some(false);
    let mut missing: Vec<String> = Vec::new();
    for target in selection.targets.values() {
        for right in &target.entitlements {
            if !allowed.rights.contains(right) {
                missing.push(right.clone());
            }
        }
        if ignores_files {
            continue;
        }
        if !allowed.ssh && target.ssh.iter().any(|agent| agent.paths.is_empty()) {
            missing.push("ssh".to_owned());
        }
        let outside = |paths: Vec<String>, of: &[PathBuf]| {
            let paths = paths
                .into_iter()
                .map(|path| real(Path::new(&path), environment));
            let outside = paths.filter(|path| !of.iter().any(|allowed| path.starts_with(allowed)));
            outside
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        if !allowed.all_read {
            let read = outside(reads(target), &allowed.read);
            missing.extend(read.into_iter().map(|path| format!("fs.read={path}")));
        }
        if !allowed.all_write {
            let write = outside(writes(target), &allowed.write);
            missing.extend(write.into_iter().map(|path| format!("fs.write={path}")));
        }
    }
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let flags = missing.iter().map(|right| format!("--allow={right}"));
    let flags = flags.collect::<Vec<_>>().join(" ");
    Err(Error::new("additional privileges requested").hint(format!("to grant them: {flags}")))
}

fn allowed(args: &Bake, environment: &Environment) -> Result<Allowed, Error> {
    let here = real(Path::new("."), environment);
    let mut allowed = Allowed {
        read: vec![here.clone()],
        write: vec![here],
        ..Allowed::default()
    };
    for text in &args.allow {
        let path = |value: &str| real(Path::new(value), environment);
        match text.split_once('=') {
            None if text == "ssh" => allowed.ssh = true,
            None if matches!(
                text.as_str(),
                "network.host" | "security.insecure" | "device"
            ) =>
            {
                allowed.rights.push(text.clone());
            }
            Some(("device", _)) => allowed.rights.push(text.clone()),
            Some(("fs.read", "*")) => allowed.all_read = true,
            Some(("fs.write", "*")) => allowed.all_write = true,
            Some(("fs", "*")) => (allowed.all_read, allowed.all_write) = (true, true),
            Some(("fs.read", value)) => allowed.read.push(path(value)),
            Some(("fs.write", value)) => allowed.write.push(path(value)),
            Some(("fs", value)) => {
                allowed.read.push(path(value));
                allowed.write.push(path(value));
            }
            _ => {
                let known = "kiln knows device, fs, fs.read, fs.write, network.host, \
                             security.insecure and ssh";
                return Err(choice("--allow", text, known));
            }
        }
    }
    Ok(allowed)
}

/// Paths of this machine that the build of a target reads.
fn reads(target: &Target) -> Vec<String> {
    let mut paths = Vec::new();
    let context = target.context.as_deref().unwrap_or(".");
    if !bake::is_remote(context) {
        paths.push(context.to_owned());
        let dockerfile = target.dockerfile.as_deref().unwrap_or_default();
        let file = match dockerfile.strip_prefix("cwd://") {
            Some(local) => PathBuf::from(local),
            None => Path::new(context).join(dockerfile),
        };
        if target.dockerfile_inline.is_none() && !bake::is_remote(dockerfile) {
            paths.push(file.to_string_lossy().into_owned());
        }
    }
    for from in target.contexts.values() {
        let is_path = !from.starts_with(TARGET)
            && !from.starts_with("docker-image:")
            && !bake::is_remote(from);
        if is_path {
            let path = from.strip_prefix("cwd://").unwrap_or(from);
            let path = path.strip_prefix("oci-layout://").unwrap_or(path);
            paths.push(path.split(['@', ':']).next().unwrap_or(path).to_owned());
        }
    }
    let caches = target
        .cache_from
        .iter()
        .filter(|cache| cache.kind == "local");
    paths.extend(caches.filter_map(|cache| cache.attributes.get("src").cloned()));
    let secrets = target.secret.iter().filter(|secret| !secret.src.is_empty());
    paths.extend(secrets.map(|secret| secret.src.clone()));
    paths.extend(target.ssh.iter().flat_map(|agent| agent.paths.clone()));
    paths
}

/// Paths that it writes.
fn writes(target: &Target) -> Vec<String> {
    let outputs = target.output.iter().flatten();
    let caches = target
        .cache_to
        .iter()
        .flatten()
        .filter(|cache| cache.kind == "local");
    let all = outputs.chain(caches);
    let paths = all.filter_map(|entry| entry.attributes.get("dest").cloned());
    paths.filter(|path| path != "-").collect()
}

/// The path without links, as far as it is there.
fn real(path: &Path, environment: &Environment) -> PathBuf {
    let clean = bake::clean(&environment.absolute(path).to_string_lossy());
    let whole = PathBuf::from(clean);
    let found = whole.ancestors().find_map(|there| {
        let real = there.canonicalize().ok()?;
        Some(real.join(whole.strip_prefix(there).ok()?))
    });
    found.unwrap_or(whole)
}
