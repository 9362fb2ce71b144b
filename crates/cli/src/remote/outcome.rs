//! What became of a build elsewhere.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::{Failure, Lines};
use engine::{Diagnostic, ExportedImage, Severity, Source, Span};
use oci::{Descriptor, Digest, MediaType, Reference};

use crate::error::{Error, INTERRUPTED};

/// The image that the exporters told of, if they did.
pub(crate) fn image(response: &HashMap<String, String>) -> Option<ExportedImage> {
    let config = response.get("containerimage.config.digest");
    let config: Option<Digest> = config.and_then(|digest| digest.parse().ok());
    let manifest = match response.get("containerimage.descriptor") {
        Some(text) => serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?,
        // A docker that keeps layers and no manifests has nothing else.
        None => Descriptor::new(MediaType::OciConfig, config?, 0),
    };
    // Images for several platforms have no one config.
    let id = config.unwrap_or(manifest.digest);
    let names = response
        .get("image.name")
        .map(String::as_str)
        .unwrap_or_default();
    let names = names.split(',').filter(|name| !name.is_empty());
    Some(ExportedImage {
        id,
        manifest,
        names: names
            .filter_map(|name| name.parse::<Reference>().ok())
            .collect(),
    })
}

/// Why there was no build, with the lines that are to blame. In them is underlined what the message
/// names, unless it is that of a step.
pub(crate) fn failure(failure: Failure, of_step: bool) -> Error {
    let Failure {
        message,
        cancelled,
        is_gone,
        lines,
    } = failure;
    let excerpt = lines.and_then(|lines| excerpt(lines, &message, of_step));
    let hint = hint(&message);
    let mut error = Error::new(message).context("failed to build: failed to solve");
    error.hints.extend(hint);
    error.excerpt = excerpt.unwrap_or_default();
    if cancelled {
        error = error.exit(INTERRUPTED);
    }
    if is_gone {
        error = error.hint("the builder, or the connection to it, is gone");
    }
    error
}

fn excerpt(lines: Lines, message: &str, of_step: bool) -> Option<String> {
    let Lines { name, text, ranges } = lines;
    let source = Source { name, text };
    let ranges = ranges.iter();
    let spans: Vec<Span> = ranges
        .map(|(first, last)| Span::lines(*first, *last))
        .collect();
    if of_step {
        return source.excerpt(&spans);
    }
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        rule: None,
        message: message.to_owned(),
        spans,
        help: None,
    };
    diagnostic.excerpt(&source)
}

/// What to do about what a step lacks, which builders say in the same words.
fn hint(message: &str) -> Option<String> {
    let named = |before, after| message.strip_prefix(before)?.strip_suffix(after);
    if let Some(id) = named("secret ", ": not found") {
        return Some(format!("offer it with --secret id={id},src=FILE"));
    }
    let id = named("no SSH key \"", "\" forwarded from the client")?;
    Some(format!("offer it with --ssh {id}"))
}
