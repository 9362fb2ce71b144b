//! `cargo xtask base-images`: stand-ins for Docker Hub's base images, made of Debian packages.
//!
//! A stand-in has the name and the shape of the image that it stands in for, and says plainly that
//! it is none: in the label `kiln.stand-in`, in its description, and in `/etc/kiln-stand-in`. Each
//! is made once, as an OCI layout, and pushed under its names to a registry whose storage is kept:
//!
//! ```text
//! <cache>/lock               held while something is made
//! <cache>/layouts/<name>/    the image as an OCI layout, one tag `stand-in`
//! <cache>/registry/          storage of the loopback registry
//! <cache>/made/<name>        the recipe that made the image: absent or different, and it is made
//! ```
//!
//! An image is in `made/` only when it is in the registry whole.

mod alpine;
mod layout;
mod node;
mod recipe;
mod unpacked;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::registry::{Access, Registry};
use crate::{command, environment, packages, paths, ui};
use recipe::{RECIPES, Recipe};

/// The stand-ins behind a registry, and the configuration files that lead clients there.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) registry: Registry,
    folder: TempDir,
}

impl Served {
    /// For kiln: `--config` or `KILN_CONFIG`.
    pub(crate) fn kiln_config(&self) -> PathBuf {
        self.folder.path().join("kiln.toml")
    }

    /// For buildah and podman: `CONTAINERS_REGISTRIES_CONF`.
    pub(crate) fn containers_config(&self) -> PathBuf {
        self.folder.path().join("registries.conf")
    }
}

/// Makes the images of these names, or all when none is given. With `serve`, also serves them until
/// standard input ends.
pub(crate) fn run(only: &[String], serve: bool) -> Result<()> {
    let names: Vec<&str> = if only.is_empty() {
        RECIPES.iter().map(|recipe| recipe.name).collect()
    } else {
        only.iter().map(String::as_str).collect()
    };
    ensure(&names)?;
    for recipe in RECIPES.iter().filter(|recipe| names.contains(&recipe.name)) {
        ui::say(format_args!(
            "{}: {}",
            references(recipe).join(", "),
            recipe.what
        ));
    }
    if serve {
        let served = serve_cached(&[])?;
        ui::say(format_args!("registry: {}", served.registry.address()));
        ui::say(format_args!(
            "kiln: KILN_CONFIG={}",
            served.kiln_config().display()
        ));
        let containers = served.containers_config();
        ui::say(format_args!(
            "buildah: CONTAINERS_REGISTRIES_CONF={}",
            containers.display()
        ));
        ui::say("serving until standard input ends");
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    }
    Ok(())
}

/// Makes what is missing of these images and serves all that are there. The configuration files
/// also know the registries at the addresses `others`.
pub(crate) fn serve(names: &[&str], others: &[String]) -> Result<Served> {
    ensure(names)?;
    serve_cached(others)
}

/// Makes what is missing of these images, and of those beneath them.
fn ensure(names: &[&str]) -> Result<()> {
    let cache = cache();
    std::fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock()
        .context("cannot lock the cache of base images")?;

    let mut registry = None;
    for name in names {
        let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == *name) else {
            let known: Vec<&str> = RECIPES.iter().map(|recipe| recipe.name).collect();
            bail!("there is no stand-in `{name}`, only {}", known.join(", "));
        };
        let beneath = RECIPES
            .iter()
            .filter(|other| recipe.base == Some(other.name));
        for recipe in beneath.chain([recipe]) {
            ensure_one(&cache, recipe, &mut registry)?;
        }
    }
    Ok(())
}

fn ensure_one(cache: &Path, recipe: &Recipe, registry: &mut Option<Registry>) -> Result<()> {
    let made = cache.join("made").join(recipe.name);
    let identity = recipe.identity();
    if std::fs::read_to_string(&made).is_ok_and(|text| text == identity) {
        return Ok(());
    }
    let begun = Instant::now();
    ui::step(format_args!(
        "making {}: {}",
        references(recipe).join(", "),
        recipe.what
    ));
    let layouts = cache.join("layouts");
    layout::make(recipe, &layouts)?;
    let registry = match registry {
        Some(registry) => registry,
        None => registry.insert(Registry::start(&cache.join("registry"), Access::ReadWrite)?),
    };
    for reference in references(recipe) {
        push(&layouts.join(recipe.name), registry, &reference)?;
    }
    std::fs::create_dir_all(cache.join("made"))?;
    std::fs::write(&made, identity).with_context(|| made.display().to_string())?;
    ui::step(format_args!(
        "made {} in {:.1} s",
        recipe.name,
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn push(layout: &Path, registry: &Registry, reference: &str) -> Result<()> {
    packages::ensure(&[packages::SKOPEO])?;
    let to = format!("docker://{}/library/{reference}", registry.address());
    command::quiet(
        command::program("skopeo")
            .args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
            ])
            .arg(format!("oci:{}:{}", layout.display(), layout::TAG))
            .arg(to),
    )
}

fn serve_cached(others: &[String]) -> Result<Served> {
    let registry = Registry::start(&cache().join("registry"), Access::ReadOnly)?;
    let folder = TempDir::with_prefix("kiln-base-images-")?;
    let served = Served { registry, folder };
    let address = served.registry.address();
    std::fs::write(served.kiln_config(), kiln_config(&address, others))?;
    std::fs::write(
        served.containers_config(),
        containers_config(&address, others),
    )?;
    Ok(served)
}

/// Puts a static busybox at this path.
pub(crate) fn busybox(to: &Path) -> Result<()> {
    alpine::place_busybox(to)
}

/// The names under which the image is pushed.
fn references(recipe: &Recipe) -> Vec<String> {
    recipe
        .tags
        .iter()
        .map(|tag| format!("{}:{tag}", recipe.name))
        .collect()
}

fn cache() -> PathBuf {
    environment::path("KILN_BASE_IMAGES").unwrap_or_else(|| paths::target().join("base-images"))
}

fn kiln_config(mirror: &str, others: &[String]) -> String {
    let mut text = format!("[registry.\"docker.io\"]\nmirrors = [\"{mirror}\"]\n");
    for address in others.iter().map(String::as_str).chain([mirror]) {
        text.push_str(&format!("\n[registry.\"{address}\"]\nhttp = true\n"));
    }
    text
}

fn containers_config(mirror: &str, others: &[String]) -> String {
    let mut text = format!(
        r#"unqualified-search-registries = ["docker.io"]

[[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "{mirror}"
insecure = true
"#
    );
    for address in others.iter().map(String::as_str).chain([mirror]) {
        let registry = format!("\n[[registry]]\nlocation = \"{address}\"\ninsecure = true\n");
        text.push_str(&registry);
    }
    text
}
