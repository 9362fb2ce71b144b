//! What a scanner wrote: a directory of statements, each a file.

use std::io::Read as _;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use snapshot::{Kind, Tree};

use super::{CORE, SPDX, SbomError};
use crate::error::EngineError;
use crate::export::{Attestation, Subject};

/// Bytes that a statement may have.
const MAX_STATEMENT: u64 = 40 << 20;

/// A statement as scanners write it.
#[derive(Debug, Deserialize)]
struct Written {
    #[serde(rename = "predicateType", default)]
    predicate_type: String,
    #[serde(default)]
    subject: Option<Vec<Subject>>,
    #[serde(default)]
    predicate: Value,
}

/// What is stated in the files of `tree`, that about the target first. May block.
pub(crate) fn read(tree: &Tree) -> Result<Vec<Attestation>, EngineError> {
    let (mut about_target, mut more) = (Vec::new(), Vec::new());
    let mut entries = tree.root().entries()?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        let name = entry.name.to_string_lossy().into_owned();
        if entry.kind != Kind::File {
            return Err(SbomError::NoFile(name).into());
        }
        let mut bytes = Vec::new();
        let file = tree.root().open(&entry)?;
        let read = file.take(MAX_STATEMENT + 1).read_to_end(&mut bytes);
        read.map_err(|source| EngineError::Io {
            action: "read what a scanner wrote",
            source,
        })?;
        let statement = statement(name, &bytes)?;
        match statement.is_core {
            true => about_target.push(statement),
            false => more.push(statement),
        }
    }
    about_target.extend(more);
    Ok(about_target)
}

/// What the file `name` with these bytes states.
fn statement(name: String, bytes: &[u8]) -> Result<Attestation, SbomError> {
    if bytes.len() as u64 > MAX_STATEMENT {
        return Err(SbomError::TooLarge {
            name,
            limit: MAX_STATEMENT,
        });
    }
    let written: Written = match serde_json::from_slice(bytes) {
        Ok(written) => written,
        Err(error) => {
            let why = error.to_string();
            return Err(SbomError::Statement { name, why });
        }
    };
    if written.predicate_type != SPDX {
        let kind = written.predicate_type;
        return Err(SbomError::Predicate { name, kind });
    }
    Ok(Attestation {
        predicate_type: written.predicate_type,
        predicate: Arc::new(written.predicate),
        subjects: written.subject.unwrap_or_default(),
        inline_only: false,
        is_core: name.split('.').next() == Some(CORE),
        file_name: name,
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    fn of(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let scratch = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(scratch.path().join(name), text).unwrap();
        }
        let tree = Tree::directory(scratch.path()).unwrap();
        let read = read(&tree).map_err(|error| error.chain())?;
        let shown = read.iter().map(|one| {
            let Attestation {
                file_name,
                predicate,
                subjects,
                is_core,
                ..
            } = one;
            let names: Vec<&str> = subjects.iter().map(|one| one.name.as_str()).collect();
            format!("{file_name} {is_core} {predicate} {names:?}")
        });
        Ok(shown.collect())
    }

    #[test]
    fn statements_are_those_of_the_files() {
        let plain =
            r#"{"predicateType": "https://spdx.dev/Document", "predicate": {"b": 1, "a": 2}}"#;
        let about = r#"{"_type": "x", "predicateType": "https://spdx.dev/Document",
            "subject": [{"name": "s", "digest": {"sha1": "0"}}], "predicate": null}"#;
        let files = [
            ("a.spdx.json", about),
            ("sbom-base.spdx.json", plain),
            ("sbom.spdx.json", plain),
        ];
        assert_eq!(
            of(&files).unwrap(),
            [
                r#"sbom.spdx.json true {"a":2,"b":1} []"#,
                r#"a.spdx.json false null ["s"]"#,
                r#"sbom-base.spdx.json false {"a":2,"b":1} []"#,
            ]
        );
        assert_eq!(of(&[]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_statement_is_an_error() {
        for (text, expected) in [
            (
                r#"{"predicateType": "x"}"#,
                "the scanner's a is of type \"x\": expected https://spdx.dev/Document",
            ),
            (
                "{} {}",
                "the scanner's a is no in-toto statement: trailing characters at line 1 column 4",
            ),
        ] {
            assert_eq!(of(&[("a", text)]).unwrap_err(), expected);
        }
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("d")).unwrap();
        let tree = Tree::directory(scratch.path()).unwrap();
        let error = read(&tree).unwrap_err().to_string();
        assert_eq!(error, "the scanner's d is not a regular file");
    }
}
