//! Who reads a Dockerfile: kiln itself, or the front end that the file or its client names.

use oci::Reference;

use super::Read;
use super::request::{OWN, SYNTAX};
use crate::buildkit::options::Options;

/// It is the front end that kiln has itself, by its name or by that of its image.
pub(in crate::buildkit) fn is_own(source: &str) -> bool {
    if source == OWN {
        return true;
    }
    let reference = source.parse().ok();
    reference.is_some_and(|reference: Reference| {
        let name = (reference.domain(), reference.repository());
        matches!(
            name,
            (
                "docker.io",
                "docker/dockerfile" | "docker/dockerfile-upstream"
            )
        )
    })
}

/// The front end that is to read `text` in place of kiln, if there is one. It is asked once: what it
/// asks for itself is told by `cmdline`.
pub(super) fn another(options: &Options, text: &str) -> Option<Read> {
    if options.has("cmdline") {
        return None;
    }
    let given = options.peek(&format!("build-arg:{SYNTAX}")).map(str::trim);
    let command_line = match given.filter(|given| !given.is_empty()) {
        Some(given) => given.to_owned(),
        None => engine::detect_syntax(text)?.command_line,
    };
    let source = command_line
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    (!is_own(&source)).then_some(Read::ForAnother {
        source,
        command_line,
    })
}
