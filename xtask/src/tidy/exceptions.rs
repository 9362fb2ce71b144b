//! `xtask/tidy.toml`: what may break a rule, and why.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Finding, Rule};

/// The list of exceptions.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceptions {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// One file, or one folder when the path ends in `/`, that may break one rule.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    path: String,
    rule: Rule,
    /// Only findings that say this, when given.
    detail: Option<String>,
    reason: String,
}

impl Exceptions {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let list: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        for exception in &list.exception {
            anyhow::ensure!(
                !exception.reason.is_empty(),
                "exception without a reason: {exception}"
            );
        }
        Ok(list)
    }

    /// The findings that no exception covers, and the exceptions that cover nothing.
    pub(super) fn apply(&self, findings: Vec<Finding>) -> (Vec<Finding>, Vec<&Exception>) {
        let covers = |finding: &Finding| self.exception.iter().any(|e| e.covers(finding));
        let unused = self
            .exception
            .iter()
            .filter(|e| !findings.iter().any(|f| e.covers(f)));
        let unused = unused.collect();
        (
            findings
                .into_iter()
                .filter(|finding| !covers(finding))
                .collect(),
            unused,
        )
    }
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        let here = if self.path.ends_with('/') {
            finding.path.starts_with(&self.path)
        } else {
            finding.path == self.path
        };
        let said = self
            .detail
            .as_ref()
            .is_none_or(|detail| finding.detail.contains(detail));
        here && said && finding.rule == self.rule
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.rule)
    }
}
