//! The kiln binary as it is shipped: one static file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::{command, environment, packages, paths, ui};

/// The binary at `given`, else one built now.
pub(crate) fn locate(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(path) => path
            .canonicalize()
            .with_context(|| path.display().to_string()),
        None => build(),
    }
}

/// Builds the static release binary.
fn build() -> Result<PathBuf> {
    packages::ensure(&[packages::GCC, packages::MUSL])?;
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    ui::step(format_args!("building kiln for {triple}"));
    command::run(
        command::program(environment::cargo())
            .current_dir(paths::workspace())
            .args([
                "build",
                "--release",
                "--package",
                "cli",
                "--target",
                &triple,
            ]),
    )?;
    let binary = paths::target().join(triple).join("release/kiln");
    if !binary.is_file() {
        bail!("cargo built no {}", binary.display());
    }
    Ok(binary)
}
