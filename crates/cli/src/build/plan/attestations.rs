//! What is to be stated about images: `--attest`, `--provenance`, and the arguments that stand for
//! them.

use std::collections::BTreeMap;

use engine::{Provenance, Sbom};

use crate::args::build::Build;
use crate::error::{CliError, Error};
use crate::values::{ValueError, csv, go_bool};

/// Arguments that ask for attestations.
const PROVENANCE: &str = "BUILDKIT_ATTEST_PROVENANCE";
const SBOM: &str = "BUILDKIT_ATTEST_SBOM";

/// The provenance that is asked for.
pub(super) fn provenance(
    typed: &Build,
    build_args: &BTreeMap<String, String>,
) -> Result<Option<Provenance>, Error> {
    let flag = ("--provenance", typed.provenance.as_deref());
    match asked(typed, build_args, "provenance", flag, PROVENANCE)? {
        None => Ok(None),
        Some(asked) => asked.read(|pairs| Provenance::of(pairs)),
    }
}

/// By which scanner SBOMs are to be made.
pub(super) fn sbom(
    typed: &Build,
    build_args: &BTreeMap<String, String>,
) -> Result<Option<Sbom>, Error> {
    let flag = ("--sbom", typed.sbom.as_deref());
    match asked(typed, build_args, "sbom", flag, SBOM)? {
        None => Ok(None),
        Some(asked) => asked.read(|pairs| Sbom::of(pairs)),
    }
}

/// Attributes of an attestation, and where they stand.
struct Asked<'a> {
    flag: &'static str,
    text: &'a str,
    fields: Vec<String>,
}

impl Asked<'_> {
    fn read<T, E: Into<ValueError>>(
        &self,
        read: impl FnOnce(Vec<(&str, &str)>) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, Error> {
        let pairs = self.fields.iter();
        let pairs = pairs.map(|field| field.split_once('=').unwrap_or((field, "")));
        let read = read(pairs.collect());
        Ok(read.map_err(|source| wrong(self.flag, self.text, source.into()))?)
    }
}

/// What the flags say of attestations of this kind; the argument counts if none of them does.
fn asked<'a>(
    typed: &'a Build,
    build_args: &'a BTreeMap<String, String>,
    kind: &str,
    (flag, switched): (&'static str, Option<&'a str>),
    argument: &'static str,
) -> Result<Option<Asked<'a>>, Error> {
    let mut asked = None;
    for text in &typed.attest {
        let fields = fields("--attest", text)?;
        match fields.iter().find_map(|field| field.strip_prefix("type=")) {
            Some(other) if other == kind => {
                let flag = "--attest";
                asked = Some(Asked { flag, text, fields });
            }
            Some("provenance" | "sbom") => {}
            other => return Err(no_type(text, other)),
        }
    }
    if let Some(text) = switched {
        let fields = switch(flag, text)?;
        asked = Some(Asked { flag, text, fields });
    }
    if asked.is_none()
        && let Some(text) = build_args.get(argument)
    {
        let (flag, fields) = (argument, fields(argument, text)?);
        asked = Some(Asked { flag, text, fields });
    }
    Ok(asked)
}

fn no_type(text: &str, kind: Option<&str>) -> Error {
    Error::new(match kind {
        Some(kind) => format!("unknown attestation type {kind:?}"),
        None => format!("--attest {text:?} has no type: use type=provenance or type=sbom"),
    })
}

/// Yes or no, or attributes.
fn switch(flag: &'static str, text: &str) -> Result<Vec<String>, Error> {
    match go_bool(text) {
        Some(true) => Ok(Vec::new()),
        Some(false) => Ok(vec!["disabled=true".to_owned()]),
        None => fields(flag, text),
    }
}

fn fields(flag: &'static str, text: &str) -> Result<Vec<String>, Error> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(csv::fields(text).map_err(|source| wrong(flag, text, source))?)
}

fn wrong(flag: &'static str, text: &str, source: ValueError) -> CliError {
    CliError::Flag {
        flag,
        value: text.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use engine::{ProvenanceMode, ProvenanceVersion};

    use super::*;

    fn origin(attest: &[&str], switch: Option<&str>, arg: Option<(&str, &str)>) -> String {
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
        assert_eq!(origin(&[], None, None), "none");
        for (switch, expected) in [
            ("true", "max 1"),
            ("false", "none"),
            ("mode=min", "min 1"),
            ("mode=max,version=v0.2", "max 0.2"),
            ("mode=min,disabled=true", "none"),
        ] {
            assert_eq!(origin(&[], Some(switch), None), expected, "{switch}");
        }
        assert_eq!(origin(&["type=provenance,mode=min"], None, None), "min 1");
        let argument = Some((PROVENANCE, "mode=min"));
        assert_eq!(origin(&[], None, argument), "min 1");
        assert_eq!(origin(&[], Some("false"), argument), "none");
    }

    fn scanner(attest: &[&str], switch: Option<&str>, arg: Option<(&str, &str)>) -> String {
        let typed = Build {
            attest: attest.iter().map(|&text| text.to_owned()).collect(),
            sbom: switch.map(str::to_owned),
            ..Build::default()
        };
        let args = arg.map(|(name, value)| (name.to_owned(), value.to_owned()));
        match sbom(&typed, &args.into_iter().collect()) {
            Ok(None) => "none".to_owned(),
            Ok(Some(sbom)) => format!("{} {:?}", sbom.generator.familiar(), sbom.parameters),
            Err(error) => error.message,
        }
    }

    #[test]
    fn by_which_scanner() {
        let usual = "docker/buildkit-syft-scanner:stable-1 {}";
        assert_eq!(scanner(&[], None, None), "none");
        for (switch, expected) in [
            ("true", usual),
            ("false", "none"),
            ("generator=a/b", "a/b:latest {}"),
            ("generator=a,K=v", "a:latest {\"K\": \"v\"}"),
            ("generator=a,disabled=true", "none"),
        ] {
            assert_eq!(scanner(&[], Some(switch), None), expected, "{switch}");
        }
        let both = ["type=provenance,mode=min", "type=sbom,generator=a"];
        assert_eq!(scanner(&both, None, None), "a:latest {}");
        assert_eq!(origin(&both, None, None), "min 1");
        let argument = Some((SBOM, "generator=a"));
        assert_eq!(scanner(&[], None, argument), "a:latest {}");
        assert_eq!(scanner(&[], Some("false"), argument), "none");
        let error = scanner(&["type=sbom,generator=A"], None, None);
        assert!(
            error.contains("invalid value \"A\" of generator of an SBOM"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(
            origin(&["mode=max"], None, None),
            "--attest \"mode=max\" has no type: use type=provenance or type=sbom"
        );
        assert_eq!(
            origin(&["type=x"], None, None),
            "unknown attestation type \"x\""
        );
        assert_eq!(
            origin(&[], Some("max"), None),
            "invalid argument \"max\" for \"--provenance\" flag: kiln does not support max of provenance: \
             leave it out"
        );
    }
}
