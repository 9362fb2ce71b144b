//! Attestations that clients ask for beside a result.

use std::sync::Arc;

use engine::{Asked, Provenance};
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
    let mut asked = None;
    for (name, value) in options {
        let kind = match (name.strip_prefix(OPTION), name.strip_prefix(ARGUMENT)) {
            (Some(kind), _) => kind,
            // What is said twice is said by the option.
            (None, Some(kind)) if asked.is_none() || !kind.eq_ignore_ascii_case("provenance") => {
                kind
            }
            _ => continue,
        };
        match kind.to_ascii_lowercase().as_str() {
            "provenance" => asked = Some((name, value)),
            "sbom" => {
                let message = "an SBOM needs a scanner, which is not provided by kiln: build \
                               without it (--sbom=false), and scan the image with a tool of its own";
                return Err(Status::unimplemented(message));
            }
            other => {
                let message = format!("unknown attestation type {other:?}");
                return Err(Status::invalid_argument(message));
            }
        }
    }
    match asked {
        None => Ok(None),
        Some((name, value)) => read(value).map_err(|why| {
            let message = format!("invalid value {value:?} of {name}: {why}");
            Status::invalid_argument(message)
        }),
    }
}

fn read(text: &str) -> Result<Option<Provenance>, String> {
    let fields = text.split(',').filter(|field| !field.is_empty());
    let pairs = fields.map(|field| field.split_once('=').unwrap_or((field, "")));
    Provenance::of(pairs).map_err(|error| error.to_string())
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
        for (option, message) in [
            (
                ("attest:sbom", ""),
                "an SBOM needs a scanner, which is not provided by kiln: build without it \
                 (--sbom=false), and scan the image with a tool of its own",
            ),
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
