//! `cargo xtask fuzz`: every fuzz target for a while, from the committed corpus on.
//!
//! The targets are a package of their own in `fuzz/`, since they are built with a fuzzer's
//! instrumentation. What a run finds is kept under the build's output and is not part of the source.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::{command, environment, packages, paths, ui};

/// An input may take this long, in seconds.
const PATIENCE: u32 = 5;
/// All memory of a target, in MB.
const MEMORY: u32 = 1024;
/// Bytes of an input.
const LENGTH: u32 = 16 << 10;

/// What a person may ask of the fuzzer.
#[derive(Debug, clap::Args)]
pub(crate) struct Wishes {
    /// How long, over all targets together
    #[arg(long, value_name = "N", default_value_t = 300)]
    seconds: u64,
    /// Only these targets
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
}

/// Runs the targets one after the other.
pub(crate) fn run(wishes: &Wishes) -> Result<()> {
    packages::ensure(&[packages::GXX])?;
    if !command::exists("cargo-fuzz") {
        ui::step("installing cargo-fuzz");
        let mut install = command::program(environment::cargo());
        command::run(install.args(["install", "cargo-fuzz", "--locked", "--profile", "dev"]))?;
    }
    let folder = paths::workspace().join("fuzz");
    let targets = targets(&folder, &wishes.only)?;
    let each = Duration::from_secs(wishes.seconds) / u32::try_from(targets.len().max(1))?;
    for target in &targets {
        ui::step(format_args!(
            "fuzzing {target} for {} s",
            each.as_secs().max(1)
        ));
        fuzz(&folder, target, each.as_secs().max(1))?;
    }
    ui::say(format_args!("{} targets, nothing found", targets.len()));
    Ok(())
}

/// The targets' names, which are those of their files.
fn targets(folder: &Path, only: &[String]) -> Result<Vec<String>> {
    let files =
        std::fs::read_dir(folder.join("targets")).context("cannot list the fuzz targets")?;
    let mut names = Vec::new();
    for file in files {
        let path = file?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        names.push(name.into_owned());
    }
    names.sort();
    if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
        bail!("no fuzz target {unknown:?}; there are {}", names.join(", "));
    }
    names.retain(|name| only.is_empty() || only.contains(name));
    Ok(names)
}

fn fuzz(folder: &Path, target: &str, seconds: u64) -> Result<()> {
    let found = paths::target().join("fuzz").join(target);
    let corpus = found.join("corpus");
    let artifacts = found.join("artifacts");
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut fuzz = command::program(environment::cargo());
    fuzz.current_dir(folder)
        // The instrumentation is the compiler's, but not of its stable surface.
        .env("RUSTC_BOOTSTRAP", "1")
        .args([
            "fuzz",
            "run",
            "--fuzz-dir",
            ".",
            "--sanitizer",
            "none",
            "--target-dir",
        ])
        .arg(paths::target().join("fuzz/build"))
        .arg(target)
        .arg(&corpus)
        .arg(folder.join("corpus").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={PATIENCE}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-max_len={LENGTH}"))
        .arg(format!(
            "-dict={}",
            folder.join("dockerfile.dict").display()
        ))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-print_final_stats=1", "-verbosity=0"]);
    command::run(&mut fuzz)
}
