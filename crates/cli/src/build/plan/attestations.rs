//! What is to be stated about images: `--attest`, `--provenance`, and the arguments that stand for
//! them.

use std::collections::BTreeMap;

use engine::Provenance;

use crate::args::build::Build;
use crate::error::{CliError, Error};
use crate::values::{ValueError, csv, go_bool};

/// Arguments that ask for attestations.
const PROVENANCE: &str = "BUILDKIT_ATTEST_PROVENANCE";
const SBOM: &str = "BUILDKIT_ATTEST_SBOM";

/// What the flags ask for; the argument counts if none of them does.
pub(super) fn provenance(
    typed: &Build,
    build_args: &BTreeMap<String, String>,
) -> Result<Option<Provenance>, Error> {
    if build_args.contains_key(SBOM) {
        return Err(no_sbom());
    }
    let mut asked = None;
    for text in &typed.attest {
        let fields = fields("--attest", text)?;
        match fields.iter().find_map(|field| field.strip_prefix("type=")) {
            Some("provenance") => asked = Some(("--attest", text, fields)),
            Some("sbom") => return Err(no_sbom()),
            other => {
                let message = match other {
                    Some(kind) => format!("unknown attestation type {kind:?}"),
                    None => format!("--attest {text:?} has no type: use type=provenance"),
                };
                return Err(Error::new(message));
            }
        }
    }
    if let Some(text) = &typed.provenance {
        asked = Some(("--provenance", text, switch(text)?));
    }
    if asked.is_none()
        && let Some(text) = build_args.get(PROVENANCE)
    {
        asked = Some((PROVENANCE, text, fields(PROVENANCE, text)?));
    }
    match asked {
        None => Ok(None),
        Some((flag, text, fields)) => read(flag, text, &fields),
    }
}

/// Yes or no, or attributes.
fn switch(text: &str) -> Result<Vec<String>, Error> {
    match go_bool(text) {
        Some(true) => Ok(Vec::new()),
        Some(false) => Ok(vec!["disabled=true".to_owned()]),
        None => fields("--provenance", text),
    }
}

fn fields(flag: &'static str, text: &str) -> Result<Vec<String>, Error> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(csv::fields(text).map_err(|source| wrong(flag, text, source))?)
}

fn read(flag: &'static str, text: &str, fields: &[String]) -> Result<Option<Provenance>, Error> {
    let pairs = fields.iter();
    let pairs = pairs.map(|field| field.split_once('=').unwrap_or((field, "")));
    let read = Provenance::of(pairs);
    Ok(read.map_err(|source| wrong(flag, text, source.into()))?)
}

fn wrong(flag: &'static str, text: &str, source: ValueError) -> CliError {
    CliError::Flag {
        flag,
        value: text.to_owned(),
        source,
    }
}

fn no_sbom() -> Error {
    Error::new(
        "an SBOM needs a scanner, which kiln does not have: build without it, and scan the image \
         with a tool of its own",
    )
}

#[cfg(test)]
mod tests {
    use engine::{ProvenanceMode, ProvenanceVersion};

    use super::*;

    fn asked(attest: &[&str], switch: Option<&str>, arg: Option<(&str, &str)>) -> String {
        let typed = Build {
            attest: attest.iter().map(|&text| text.to_owned()).collect(),
            provenance: switch.map(str::to_owned),
            ..Build::default()
        };
        let args = arg.map(|(name, value)| (name.to_owned(), value.to_owned()));
        match provenance(&typed, &args.into_iter().collect()) {
            Ok(None) => "none".to_owned(),
            Ok(Some(Provenance { mode, version, .. })) => {
                let mode = if mode == ProvenanceMode::Min {
                    "min"
                } else {
                    "max"
                };
                let version = if version == ProvenanceVersion::V1 {
                    "1"
                } else {
                    "0.2"
                };
                format!("{mode} {version}")
            }
            Err(error) => error.message,
        }
    }

    #[test]
    fn what_is_asked_for() {
        assert_eq!(asked(&[], None, None), "none");
        for (switch, expected) in [
            ("true", "max 1"),
            ("false", "none"),
            ("mode=min", "min 1"),
            ("mode=max,version=v0.2", "max 0.2"),
            ("mode=min,disabled=true", "none"),
        ] {
            assert_eq!(asked(&[], Some(switch), None), expected, "{switch}");
        }
        assert_eq!(asked(&["type=provenance,mode=min"], None, None), "min 1");
        let argument = Some((PROVENANCE, "mode=min"));
        assert_eq!(asked(&[], None, argument), "min 1");
        assert_eq!(asked(&[], Some("false"), argument), "none");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let sbom = "an SBOM needs a scanner, which kiln does not have: build without it, and scan \
                    the image with a tool of its own";
        assert_eq!(asked(&["type=sbom"], None, None), sbom);
        assert_eq!(asked(&[], None, Some((SBOM, ""))), sbom);
        assert_eq!(
            asked(&["mode=max"], None, None),
            "--attest \"mode=max\" has no type: use type=provenance"
        );
        assert_eq!(
            asked(&["type=x"], None, None),
            "unknown attestation type \"x\""
        );
        assert_eq!(
            asked(&[], Some("max"), None),
            "invalid argument \"max\" for \"--provenance\" flag: kiln does not support max of provenance: \
             leave it out"
        );
    }
}
