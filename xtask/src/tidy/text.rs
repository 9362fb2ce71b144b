//! Rules on lines of any text file.

use super::{Finding, Rule};

/// Spelled apart so that this file does not find itself.
const MARK: &str = concat!("FIX", "ME");

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |line: usize, rule: Rule, detail: String| {
        findings.push(Finding {
            path: path.to_owned(),
            line: line + 1,
            rule,
            detail,
        });
    };
    for (line, content) in text.lines().enumerate() {
        if content.ends_with([' ', '\t']) {
            find(
                line,
                Rule::TrailingSpace,
                "the line ends in white space".to_owned(),
            );
        }
        if content.contains(MARK) {
            let detail = format!("`{MARK}` says that this is not done");
            find(line, Rule::Unfinished, detail);
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn lines() {
        let text = concat!("one \ntwo\n\tthree\t\n// FIX", "ME later\n");
        let found: Vec<String> = check("a.md", text)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "a.md:1: trailing-space: the line ends in white space",
                "a.md:3: trailing-space: the line ends in white space",
                concat!("a.md:4: unfinished: `FIX", "ME` says that this is not done"),
            ]
        );
    }
}
