//! `cargo xtask release`: the static binary whose bytes depend on the sources alone, its digest, and
//! a list of what it is made of.
//!
//! The sources are copied to a folder of their own and compiled there, with that folder's name and
//! cargo's taken out of all paths. `--twice` does so in a second folder and compares.

mod sbom;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{command, environment, packages, paths, ui};

/// What a person may ask of a release.
#[derive(Debug, clap::Args)]
pub(crate) struct Wishes {
    /// Compile a second time in another folder, and compare the bytes
    #[arg(long)]
    twice: bool,
    /// Write only the list of what the binary is made of
    #[arg(long, conflicts_with = "twice")]
    sbom: bool,
}

/// Makes the files of a release in the build's output.
pub(crate) fn run(wishes: &Wishes) -> Result<()> {
    let folder = paths::target().join("kiln-release");
    std::fs::create_dir_all(&folder)?;
    let list = folder.join("kiln.cdx.json");
    std::fs::write(&list, sbom::document(&triple())?)?;
    ui::say(format_args!("{}", list.display()));
    if wishes.sbom {
        return Ok(());
    }
    packages::ensure(&[packages::GCC, packages::MUSL])?;
    let first = compile("kiln-release-")?;
    if wishes.twice {
        let second = compile("kiln-release-in-a-folder-with-a-longer-name-")?;
        if first != second {
            bail!(
                "two builds differ: {} and {}",
                hex(&Sha256::digest(&first)),
                hex(&Sha256::digest(&second))
            );
        }
        ui::say("two builds in two folders are the same bytes");
    }
    let binary = folder.join("kiln");
    std::fs::write(&binary, &first)?;
    let digest = hex(&Sha256::digest(&first));
    ui::say(format_args!("{}  {}", digest, binary.display()));
    Ok(())
}

/// The binary's bytes, compiled in a new folder.
fn compile(prefix: &str) -> Result<Vec<u8>> {
    let scratch = TempDir::with_prefix(prefix)?;
    let sources = scratch.path().join("sources");
    copy_sources(&sources)?;
    let triple = triple();
    ui::step(format_args!(
        "compiling kiln for {triple} in {}",
        sources.display()
    ));
    let target = scratch.path().join("target");
    let mut build = command::program(environment::cargo());
    build
        .current_dir(&sources)
        .args(["build", "--locked", "--release", "--package", "cli"])
        .args(["--target", &triple])
        .env("CARGO_TARGET_DIR", &target);
    for (variable, flags) in flags(scratch.path()) {
        build.env(variable, flags);
    }
    command::run(&mut build)?;
    let binary = target.join(&triple).join("release/kiln");
    std::fs::read(&binary).with_context(|| format!("cannot read {}", binary.display()))
}

/// What keeps the names of folders out of the binary: out of messages of Rust, and of C.
fn flags(scratch: &Path) -> [(&'static str, String); 2] {
    let home = environment::path("CARGO_HOME").or_else(|| {
        let home = environment::path("HOME")?;
        Some(home.join(".cargo"))
    });
    let folders = [(home, "/cargo"), (Some(scratch.to_owned()), "/kiln")];
    let folders: Vec<(PathBuf, &str)> = folders
        .into_iter()
        .filter_map(|(folder, name)| Some((folder?, name)))
        .collect();
    let all = |flag: &str| {
        let each = folders
            .iter()
            .map(|(folder, name)| format!("{flag}={}={name}", folder.display()));
        each.collect::<Vec<_>>().join(" ")
    };
    [
        ("RUSTFLAGS", all("--remap-path-prefix")),
        ("CFLAGS", all("-ffile-prefix-map")),
    ]
}

/// The files that are part of the project, as they are now.
fn copy_sources(to: &Path) -> Result<()> {
    let workspace = paths::workspace();
    let mut list = command::program("git");
    list.current_dir(&workspace)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    for name in command::read(&mut list)?.lines() {
        let (from, to) = (workspace.join(name), to.join(name));
        if !from.is_file() {
            continue;
        }
        if let Some(above) = to.parent() {
            std::fs::create_dir_all(above)?;
        }
        std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

fn triple() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
