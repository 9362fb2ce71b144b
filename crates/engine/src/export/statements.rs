//! Statements beside files: about each file that was exported.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use oci::{Digest, Hasher};
use snapshot::{Dir, Kind, Tree};

use super::{Attestation, Draft, Subject};
use crate::error::EngineError;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// Writes what is stated about the files of `tree` into the directory where they are; `platform`
/// tells it apart from that of others there.
pub(super) fn write_statements(
    tree: &Tree,
    stated: &[Attestation],
    directory: &Path,
    platform: Option<&str>,
    draft: &Draft,
) -> Result<(), EngineError> {
    for (name, text) in beside(tree, stated, platform)? {
        draft.replace(&directory.join(name), |file| {
            let written = file.write_all(&text);
            written.map_err(|source| EngineError::Write { source })
        })?;
    }
    Ok(())
}

/// What is stated about the files of `tree`, as files: their names and what is in them.
pub(super) fn beside(
    tree: &Tree,
    stated: &[Attestation],
    platform: Option<&str>,
) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
    if stated.is_empty() {
        return Ok(Vec::new());
    }
    let mut subjects = Vec::new();
    add_files(tree.root(), &mut subjects)?;
    let file = |attestation: &Attestation| {
        let statement = attestation.statement(&subjects);
        let text = serde_json::to_vec_pretty(&statement).map_err(EngineError::Serialize)?;
        Ok((file_name(&attestation.file_name, platform), text))
    };
    stated.iter().map(file).collect()
}

/// `provenance.json`, or `provenance.linux_arm64.json`.
fn file_name(name: &str, platform: Option<&str>) -> String {
    match (platform, name.rsplit_once('.')) {
        (None, _) => name.to_owned(),
        (Some(platform), Some((stem, extension))) => format!("{stem}.{platform}.{extension}"),
        (Some(platform), None) => format!("{name}.{platform}"),
    }
}

fn add_files(directory: &Dir, subjects: &mut Vec<Subject>) -> Result<(), EngineError> {
    for entry in directory.entries()? {
        match entry.kind {
            Kind::Directory => add_files(&directory.enter(&entry)?, subjects)?,
            Kind::File => {
                let digest = digest(directory.open(&entry)?);
                let digest = digest.map_err(|source| EngineError::Io {
                    action: "read a file of the result",
                    source,
                })?;
                let path = directory.path().join(&entry.name);
                let name = path.to_string_lossy().trim_start_matches('/').to_owned();
                subjects.push(Subject::new(name, &digest));
            }
            _ => {}
        }
    }
    Ok(())
}

fn digest(mut file: File) -> std::io::Result<Digest> {
    let (mut hasher, mut piece) = (Hasher::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_platforms_apart() {
        for (name, platform, expected) in [
            ("provenance.json", None, "provenance.json"),
            ("sbom.spdx.json", None, "sbom.spdx.json"),
            (
                "sbom.spdx.json",
                Some("linux_arm64"),
                "sbom.spdx.linux_arm64.json",
            ),
            ("a", Some("linux_arm_v7"), "a.linux_arm_v7"),
        ] {
            assert_eq!(file_name(name, platform), expected);
        }
    }
}
