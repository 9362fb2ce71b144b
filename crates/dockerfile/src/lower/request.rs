//! What the request says beside its options: build arguments that are meant for the builder, who
//! is to read the file, and names of contexts.

use oci::{Platform, Reference};

use super::error::LowerError;
use super::options::{Checks, Options, context_name};
use crate::diagnostic::Diagnostic;
use crate::lint::CheckOptions;
use crate::parser::Parsed;

/// Images that read what this crate reads.
const BUILT_IN: &[&str] = &[
    "docker.io/docker/dockerfile",
    "docker.io/docker/dockerfile-upstream",
];

/// Puts what the request says where it counts; adds what is wrong to `diagnostics`.
pub(super) fn settle(
    parsed: &mut Parsed,
    options: &mut Options,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if let Err(error) = settle_build_args(parsed, options) {
        diagnostics.push(Diagnostic::error([], &error));
    }
    if options.checks == Checks::None {
        parsed.directives.check.turn_off();
    }
    diagnostics.extend(foreign_syntax(parsed, options));
    normalise_contexts(options, diagnostics);
}

/// Build arguments that speak to the builder win over what the file says.
fn settle_build_args(parsed: &mut Parsed, options: &mut Options) -> Result<(), LowerError> {
    if let Some(name) = options.build_arg("BUILDKIT_SANDBOX_HOSTNAME") {
        options.hostname = Some(name.to_owned()).filter(|name| !name.is_empty());
    }
    if let Some(namespace) = options.build_arg("BUILDKIT_CACHE_MOUNT_NS") {
        options.cache_mount_namespace = namespace.to_owned();
    }
    if let Some(check) = options.build_arg("BUILDKIT_DOCKERFILE_CHECK") {
        parsed.directives.check = CheckOptions::parse(check).map_err(LowerError::CheckArgument)?;
    }
    match options.build_arg("BUILDKIT_MULTI_PLATFORM") {
        None | Some("") => {}
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => options.multi_platform = true,
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => options.multi_platform = false,
        Some(other) => return Err(LowerError::MultiPlatform(other.to_owned())),
    }
    Ok(())
}

/// An error when somebody else is to read the file.
fn foreign_syntax(parsed: &Parsed, options: &Options) -> Option<Diagnostic> {
    let (name, span) = match options.build_arg("BUILDKIT_SYNTAX") {
        Some(name) if !name.is_empty() => (name.split(' ').next().unwrap_or(name), None),
        _ => {
            let syntax = parsed.directives.syntax.as_ref()?;
            (syntax.value.as_str(), Some(syntax.span))
        }
    };
    let built_in = name == "dockerfile.v0"
        || name.parse::<Reference>().is_ok_and(|reference| {
            BUILT_IN.contains(&reference.without_tag().to_string().as_str())
        });
    let error = LowerError::Syntax(name.to_owned());
    (!built_in).then(|| Diagnostic::error(span, &error))
}

/// Gives contexts their shortest names, by which they are looked up.
fn normalise_contexts(options: &mut Options, diagnostics: &mut Vec<Diagnostic>) {
    for (key, context) in std::mem::take(&mut options.named_contexts) {
        match context_key(&key) {
            Some(key) => {
                options.named_contexts.insert(key, context);
            }
            None => {
                let error = LowerError::ContextName(key);
                diagnostics.push(Diagnostic::error([], &error));
            }
        }
    }
}

/// A name in its shortest form, with its platform if it has one; none when it is neither.
fn context_key(key: &str) -> Option<String> {
    let Some((name, platform)) = key.split_once("::") else {
        return context_name(key);
    };
    let platform: Platform = platform.parse().ok()?;
    Some(format!(
        "{}::{}",
        context_name(name)?,
        platform.normalised()
    ))
}
