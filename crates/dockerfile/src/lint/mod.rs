//! Checks: what is allowed but likely to be a mistake.
//!
//! `# check=skip=A,B;error=true;experimental=C` at the start of the file, or above an
//! instruction, says which are wanted. A check is a [`Finding`] with what its message needs.

mod finding;
mod options;
mod parsed;

pub use options::CheckOptions;

pub(crate) use finding::{Finding, is_secret};
pub(crate) use options::CheckOptionsError;
pub(crate) use parsed::check_parsed;

use crate::Span;
use crate::diagnostic::{Diagnostic, Severity};

/// Adds a finding unless it is not wanted here.
pub(crate) fn report(
    diagnostics: &mut Vec<Diagnostic>,
    options: &CheckOptions,
    span: Span,
    finding: &Finding,
) {
    if !options.wants(finding) {
        return;
    }
    diagnostics.push(Diagnostic {
        severity: Severity::Warning,
        rule: Some(finding.rule()),
        message: finding.message(),
        spans: vec![span],
        help: finding.url(),
    });
}

/// The error that the findings are, when the file says that they are to be one.
pub(crate) fn violation(options: &CheckOptions, findings: &[Diagnostic]) -> Option<Diagnostic> {
    let mut rules: Vec<&str> = findings.iter().filter_map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    if !options.is_error() || rules.is_empty() {
        return None;
    }
    let message = format!("lint violation found for rules: {}", rules.join(", "));
    Some(Diagnostic::error([], &message))
}
