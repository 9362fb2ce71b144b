//! Checks: what is allowed but likely to be a mistake.
//!
//! `# check=skip=A,B;error=true;experimental=C` at the start of the file, or above an
//! instruction, says which are wanted. A check is a [`Finding`] with what its message needs; [`RULES`]
//! describes them. What Docker checks is reported by every build; what only kiln checks ([`kiln`])
//! when a check is asked for, so that a build warns of what Docker's build warns of.

mod advice;
mod finding;
mod kiln;
mod options;
mod parsed;
mod rule;
mod shell;

pub use finding::is_secret;
pub use options::CheckOptions;
pub use rule::{Origin, RULES, Rule, rule};

pub(crate) use finding::{Declared, Finding};
pub(crate) use kiln::{FinalName, check_kiln};
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
        help: Some(finding.advice()),
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
