//! What runs where: the page must say what `tests/e2e/places.toml` does, and that must name tests
//! which there are.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Finding, Rule};
use crate::suite::left_out::{FILE, LeftOut};

const PAGE: &str = "docs/rootless.md";

/// Compares the file, the page and the tests beneath `top`.
pub(super) fn check(top: &Path) -> Result<Vec<Finding>> {
    let left_out = LeftOut::read(top)?;
    let page = std::fs::read_to_string(top.join(PAGE)).with_context(|| PAGE.to_owned())?;
    let mut findings = check_table(&page, &left_out.table());
    for name in left_out.names() {
        if !is_there(top, name) {
            findings.push(finding(FILE, format!("there is no test `{name}`")));
        }
    }
    Ok(findings)
}

/// The page has the table, line after line.
fn check_table(page: &str, table: &str) -> Vec<Finding> {
    if page.contains(table) {
        return Vec::new();
    }
    let lines = table.lines();
    let mut missing: Vec<&str> = lines.filter(|line| !page.contains(line)).collect();
    if missing.is_empty() {
        missing.push("the rows, in the order of the file and without others");
    }
    let tell = |line| finding(PAGE, format!("the table of tests lacks: {line}"));
    missing.into_iter().map(tell).collect()
}

/// A module is a file, a test is a function in it or in a module below.
fn is_there(top: &Path, name: &str) -> bool {
    let mut parts: Vec<&str> = name.split("::").collect();
    let file = |parts: &[&str]| top.join(format!("tests/e2e/it/{}.rs", parts.join("/")));
    if file(&parts).is_file() {
        return true;
    }
    let Some(function) = parts.pop() else {
        return false;
    };
    let text = std::fs::read_to_string(file(&parts)).unwrap_or_default();
    text.contains(&format!("fn {function}("))
}

fn finding(path: &str, detail: String) -> Finding {
    Finding {
        path: path.to_owned(),
        line: 0,
        rule: Rule::Places,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::check_table;

    #[test]
    fn rows_that_lack_are_named() {
        let table = "| a |\n| b |\n";
        let details = |page: &str| -> Vec<String> {
            let findings = check_table(page, table);
            findings.into_iter().map(|found| found.detail).collect()
        };
        assert!(details("# x\n\n| a |\n| b |\n\nmore\n").is_empty());
        assert_eq!(details("| a |\n"), ["the table of tests lacks: | b |"]);
        assert_eq!(
            details("| b |\n| a |\n"),
            ["the table of tests lacks: the rows, in the order of the file and without others"]
        );
    }
}
