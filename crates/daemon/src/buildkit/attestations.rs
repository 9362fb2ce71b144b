//! Attestations that clients ask for beside a result.

use std::sync::Arc;

use engine::{Asked, Provenance, Sbom};
use tonic::Status;

use super::builds::Ref;

/// What options of attestations begin with, and arguments that stand for them.
pub(super) const OPTION: &str = "attest:";
const ARGUMENT: &str = "build-arg:BUILDKIT_ATTEST_";

/// The provenance that these options ask for.
///
/// # Errors
/// They ask for something that kiln does not have.
pub(super) fn provenance<'a>(
    options: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<Option<Provenance>, Status> {
    match asked_for("provenance", options)? {
        None => Ok(None),
        Some((name, value)) => read(name, value, Provenance::of),
    }
}

/// By which scanner these options ask for SBOMs.
///
/// # Errors
/// They ask for something that kiln does not have.
pub(super) fn sbom<'a>(
    options: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<Option<Sbom>, Status> {
    match asked_for("sbom", options)? {
        None => Ok(None),
        Some((name, value)) => read(name, value, Sbom::of),
    }
}

/// The option that asks for attestations of this kind. What is said twice is said by the option.
fn asked_for<'a>(
    wanted: &str,
    options: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<Option<(&'a str, &'a str)>, Status> {
    let (mut option, mut argument) = (None, None);
    for (name, value) in options {
        let (kind, place) = match (name.strip_prefix(OPTION), name.strip_prefix(ARGUMENT)) {
            (Some(kind), _) => (kind, &mut option),
            (None, Some(kind)) => (kind, &mut argument),
            (None, None) => continue,
        };
        match kind.to_ascii_lowercase().as_str() {
            kind if kind == wanted => *place = Some((name.as_str(), value.as_str())),
            "provenance" | "sbom" => {}
            other => {
                let message = format!("unknown attestation type {other:?}");
                return Err(Status::invalid_argument(message));
            }
        }
    }
    Ok(option.or(argument))
}

fn read<'a, T, E: std::fmt::Display>(
    name: &str,
    text: &'a str,
    read: impl FnOnce(Vec<(&'a str, &'a str)>) -> Result<Option<T>, E>,
) -> Result<Option<T>, Status> {
    let fields = text.split(',').filter(|field| !field.is_empty());
    let pairs = fields.map(|field| field.split_once('=').unwrap_or((field, "")));
    read(pairs.collect()).map_err(|why| {
        let message = format!("invalid value {text:?} of {name}: {why}");
        Status::invalid_argument(message)
    })
}

/// What is stated about a result, if anything is to be; what was asked is that of `first`.
pub(super) fn about(asked: Option<&Provenance>, first: Option<&Arc<Ref>>) -> Option<Provenance> {
    asked.map(|provenance| Provenance {
        asked: first.map(|result| result.asked()),
        ..provenance.clone()
    })
}

/// What was asked of a front end.
pub(super) fn asked(frontend: &str, options: &std::collections::HashMap<String, String>) -> Asked {
    Asked {
        frontend: frontend.to_owned(),
        options: options.clone().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use engine::ProvenanceMode;

    use super::*;

    fn of(options: &[(&str, &str)]) -> Result<Option<Provenance>, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let options: BTreeMap<String, String> = options.iter().map(owned).collect();
        provenance(&options).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn what_is_asked_for() {
        let usual = of(&[("attest:provenance", "mode=min,inline-only=true")]);
        let usual = usual.unwrap().unwrap();
        assert_eq!(usual.mode, ProvenanceMode::Min);
        assert!(usual.inline_only);
        assert_eq!(of(&[("target", "a")]).unwrap(), None);
        assert_eq!(of(&[("attest:provenance", "disabled=true")]).unwrap(), None);
        let argument = ("build-arg:BUILDKIT_ATTEST_PROVENANCE", "mode=min");
        assert_eq!(of(&[argument]).unwrap().unwrap().mode, ProvenanceMode::Min);
        let both = of(&[argument, ("attest:provenance", "")]).unwrap().unwrap();
        assert_eq!(both.mode, ProvenanceMode::Max);
        let scanner = |options: &[(&str, &str)]| {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let options: BTreeMap<String, String> = options.iter().map(owned).collect();
            let sbom = sbom(&options).unwrap();
            sbom.map(|sbom| sbom.generator.familiar())
        };
        assert_eq!(scanner(&[argument]), None);
        let usual = "docker/buildkit-syft-scanner:stable-1".to_owned();
        assert_eq!(scanner(&[("attest:sbom", "")]), Some(usual));
        let given = ("build-arg:BUILDKIT_ATTEST_SBOM", "generator=a");
        assert_eq!(scanner(&[given]), Some("a:latest".to_owned()));
        assert_eq!(scanner(&[given, ("attest:sbom", "disabled=true")]), None);
        for (option, message) in [
            (("attest:x", ""), "unknown attestation type \"x\""),
            (
                ("attest:provenance", "a=b"),
                "invalid value \"a=b\" of attest:provenance: kiln does not support a of \
                 provenance: leave it out",
            ),
        ] {
            assert_eq!(of(&[option]).unwrap_err(), message);
        }
    }
}
