//! `cargo xtask tidy`: what the compiler cannot hold and a reviewer should not have to.
//!
//! Each check turns text into findings and does no I/O of its own beyond being handed that text.
//! A finding either fails the run or is named, with its reason, in `xtask/tidy.toml`; an exception
//! that no longer matches anything fails the run too, so that the list only shrinks.

mod architecture;
mod exceptions;
mod places;
mod source;
mod text;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::{paths, ui};
use exceptions::Exceptions;

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the top of the source tree.
    path: String,
    /// 0 when the finding is about the file as a whole.
    line: usize,
    rule: Rule,
    detail: String,
}

/// The rules, by the names that `xtask/tidy.toml` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Rule {
    AllowAttribute,
    DependencyTable,
    FileLength,
    FunctionLength,
    Header,
    Layer,
    Manifest,
    Places,
    SafetyComment,
    Syntax,
    TrailingSpace,
    Unfinished,
    Unsafe,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllowAttribute => "allow-attribute",
            Self::DependencyTable => "dependency-table",
            Self::FileLength => "file-length",
            Self::FunctionLength => "function-length",
            Self::Header => "header",
            Self::Layer => "layer",
            Self::Manifest => "manifest",
            Self::Places => "places",
            Self::SafetyComment => "safety-comment",
            Self::Syntax => "syntax",
            Self::TrailingSpace => "trailing-space",
            Self::Unfinished => "unfinished",
            Self::Unsafe => "unsafe",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}: {}", self.rule, self.detail)
    }
}

/// Checks the whole tree, prints what was found, and fails when anything was.
pub(crate) fn run() -> Result<()> {
    let top = paths::workspace();
    let exceptions = Exceptions::read(&top.join("xtask/tidy.toml"))?;
    let (mut findings, for_review) = check_tree(&top)?;
    findings.extend(architecture::check(&top)?);
    findings.extend(places::check(&top)?);
    findings.sort();

    let (kept, unused) = exceptions.apply(findings);
    for remark in &for_review {
        ui::say(format_args!("review: {remark}"));
    }
    for finding in &kept {
        ui::say(format_args!("error: {finding}"));
    }
    for exception in &unused {
        ui::say(format_args!(
            "error: xtask/tidy.toml: nothing needs this exception: {exception}"
        ));
    }
    let count = kept.len() + unused.len();
    if count > 0 {
        bail!("tidy: {count} findings");
    }
    ui::say("tidy: nothing found");
    Ok(())
}

/// Every text file's findings, and remarks on what a reviewer should look at.
fn check_tree(top: &Path) -> Result<(Vec<Finding>, Vec<String>)> {
    let mut findings = Vec::new();
    let mut for_review = Vec::new();
    for file in tree::files(top)? {
        findings.extend(text::check(&file.path, &file.text));
        if file.path.ends_with(".rs") {
            findings.extend(source::check(&file.path, &file.text));
            for_review.extend(source::review(&file.path, &file.text));
        }
    }
    Ok((findings, for_review))
}
