//! A stand-in as an OCI layout: root in, `oci-layout`, `index.json` and blobs out.
//!
//! The tar's entries are sorted and carry one time, so the same root gives the same layer.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::recipe::Recipe;
use crate::{command, packages};

/// The tag of the image within its layout.
pub(super) const TAG: &str = "stand-in";

/// The time of all files and of the image: some time in 2020.
const TIME: &str = "1600000000";
const CREATED: &str = "2020-09-13T12:26:40Z";

/// A packed layer.
#[derive(Debug)]
struct Layer {
    blob: Blob,
    diff_id: String,
}

/// A blob that stands in the layout.
#[derive(Debug)]
struct Blob {
    digest: String,
    size: u64,
}

/// Makes the image in `<layouts>/<name>`, in place of one that is there.
pub(super) fn make(recipe: &Recipe, layouts: &Path) -> Result<()> {
    fs::create_dir_all(layouts)?;
    let scratch = TempDir::with_prefix_in("making-", layouts)?;
    let root = scratch.path().join("root");
    fs::create_dir(&root)?;
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
    (recipe.fill)(&root).with_context(|| format!("cannot make {}", recipe.name))?;
    declare(recipe, &root)?;

    let layout = scratch.path().join("layout");
    fs::create_dir_all(blobs(&layout))?;
    let layer = pack(&root, &layout)?;
    let beneath = recipe
        .base
        .map(|base| Beneath::read(&layouts.join(base), &layout))
        .transpose()?;
    write_documents(recipe, beneath.unwrap_or_default(), &layer, &layout)?;

    let place = layouts.join(recipe.name);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::rename(&layout, &place).with_context(|| place.display().to_string())
}

/// Says inside the image what it is.
fn declare(recipe: &Recipe, root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("etc"))?;
    let text = format!(
        "This is not the image library/{}. It is a stand-in for building and testing without\n\
         Docker Hub, made of: {}.\n",
        recipe.name, recipe.what
    );
    Ok(fs::write(root.join("etc/kiln-stand-in"), text)?)
}

/// The layers of the image beneath.
#[derive(Debug, Default)]
struct Beneath {
    layers: Vec<Value>,
    diff_ids: Vec<Value>,
}

impl Beneath {
    /// Reads the image in one layout and copies its layers into the other.
    fn read(from: &Path, to: &Path) -> Result<Self> {
        let index: Value = serde_json::from_slice(&fs::read(from.join("index.json"))?)?;
        let manifest = read_blob(from, &index["manifests"][0]["digest"])?;
        let config = read_blob(from, &manifest["config"]["digest"])?;
        let list = |value: &Value| value.as_array().cloned().context("no list of layers");
        let layers = list(&manifest["layers"])?;
        for layer in &layers {
            let digest = encoded(&layer["digest"])?;
            fs::copy(blobs(from).join(digest), blobs(to).join(digest))?;
        }
        Ok(Self {
            layers,
            diff_ids: list(&config["rootfs"]["diff_ids"])?,
        })
    }
}

fn write_documents(recipe: &Recipe, beneath: Beneath, layer: &Layer, layout: &Path) -> Result<()> {
    let Beneath {
        mut layers,
        mut diff_ids,
    } = beneath;
    let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    layers.push(descriptor(media_type, &layer.blob));
    diff_ids.push(json!(layer.diff_id));
    let config = config(recipe, &diff_ids);
    let config = write_blob(layout, config.to_string().as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": layers,
        "annotations": { "kiln.stand-in": recipe.what },
    });
    let manifest = write_blob(layout, manifest.to_string().as_bytes())?;
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": TAG });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(
        layout.join("oci-layout"),
        json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
    )?;
    Ok(())
}

fn config(recipe: &Recipe, diff_ids: &[Value]) -> Value {
    let description = format!("A stand-in for {}, made of: {}", recipe.name, recipe.what);
    let mut run = json!({
        "Env": recipe.config.environment,
        "Cmd": recipe.config.command,
        "Labels": {
            "kiln.stand-in": recipe.what,
            "org.opencontainers.image.description": description,
        },
    });
    if !recipe.config.entrypoint.is_empty() {
        run["Entrypoint"] = json!(recipe.config.entrypoint);
    }
    if !recipe.config.directory.is_empty() {
        run["WorkingDir"] = json!(recipe.config.directory);
    }
    for port in recipe.config.ports {
        run["ExposedPorts"][*port] = json!({});
    }
    let step = json!({ "created": CREATED, "created_by": "cargo xtask base-images" });
    json!({
        "created": CREATED,
        "architecture": architecture(),
        "os": "linux",
        "config": run,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": vec![step; diff_ids.len()],
    })
}

/// The host's architecture by the name that images use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Packs the root into a compressed layer, hashing on both sides of the compression in one pass.
fn pack(root: &Path, layout: &Path) -> Result<Layer> {
    let mut tar = command::program("tar");
    tar.args(["--numeric-owner", "--sort=name", "--format=posix"])
        .args(["--pax-option=delete=atime,delete=ctime"])
        .arg(format!("--mtime=@{TIME}"))
        .arg("-C")
        .arg(root)
        .args(["-cf", "-", "."]);
    if !packages::is_root() {
        tar.args(["--owner=0", "--group=0"]);
    }
    let mut child = tar
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start tar")?;
    let mut stream = child.stdout.take().context("tar has no output")?;

    let blob = Hashed::new(NamedTempFile::new_in(blobs(layout))?);
    let mut diff = Hashed::new(GzEncoder::new(blob, Compression::fast()));
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        diff.write_all(&buffer[..count])?;
    }
    if !child.wait()?.success() {
        bail!("{} failed", command::shown(&tar));
    }
    let (encoder, diff_id, _) = diff.finish();
    let blob = keep(encoder.finish()?, layout)?;
    Ok(Layer {
        blob,
        diff_id: format!("sha256:{diff_id}"),
    })
}

fn write_blob(layout: &Path, bytes: &[u8]) -> Result<Blob> {
    let mut blob = Hashed::new(NamedTempFile::new_in(blobs(layout))?);
    blob.write_all(bytes)?;
    keep(blob, layout)
}

/// Gives the blob its name.
fn keep(blob: Hashed<NamedTempFile>, layout: &Path) -> Result<Blob> {
    let (file, encoded, size) = blob.finish();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
    file.persist(blobs(layout).join(&encoded))?;
    Ok(Blob {
        digest: format!("sha256:{encoded}"),
        size,
    })
}

fn read_blob(layout: &Path, digest: &Value) -> Result<Value> {
    let bytes = fs::read(blobs(layout).join(encoded(digest)?))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn encoded(digest: &Value) -> Result<&str> {
    digest
        .as_str()
        .and_then(|digest| digest.strip_prefix("sha256:"))
        .context("no SHA-256 digest")
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.size })
}

fn blobs(layout: &Path) -> PathBuf {
    layout.join("blobs/sha256")
}

/// A writer that hashes and counts what passes.
#[derive(Debug)]
struct Hashed<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }

    /// The writer, the digest in hexadecimal, and the size.
    fn finish(self) -> (W, String, u64) {
        let hex = self
            .hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        (self.inner, hex, self.size)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
