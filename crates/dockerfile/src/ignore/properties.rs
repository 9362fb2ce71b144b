//! The patterns as a walk has them, against the plain meaning of their text: every pattern against
//! every path, with what matched above it.

use proptest::prelude::*;
use proptest::sample::select;

use super::{Directory, Patterns};

/// Pieces that patterns are made of, joined as they come.
const PIECES: &[&str] = &[
    "a", "b", "ab", ".a", "x.a", "é", "/", "/", "/", "*", "*", "?", "**", "**/", "[ab]", "[^a]",
    "[^/]", "[a-b]", "\\*", "\\a", "*.a", "a*", "*b*", "*.", "-",
];

const NAMES: &[&str] = &[
    "a", "b", "ab", "ba", ".a", "a.b", "x.a", "x.b.a", "aab", "é", "*", "a-", "x", "b.",
];

/// One line, without its `!`.
#[derive(Debug)]
struct Line {
    exception: bool,
    text: Vec<char>,
}

/// What matched on the way to a directory, line by line.
type Matched = Vec<bool>;

impl Line {
    fn new(line: &str) -> Self {
        let (exception, text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let text = text.chars().collect();
        Self { exception, text }
    }
}

/// What all lines say of `path`: the last that matches decides, but one that would change nothing
/// is not tried, so it does not count for what is beneath.
fn plain(lines: &[Line], path: &str, above: &Matched) -> (bool, Matched) {
    let path: Vec<char> = path.chars().collect();
    let mut excluded = false;
    let mut matched = vec![false; lines.len()];
    for (index, line) in lines.iter().enumerate() {
        let is_tried = line.exception == excluded;
        if above[index] || is_tried && line_matches(&line.text, &path) {
            matched[index] = true;
            excluded = !line.exception;
        }
    }
    (excluded, matched)
}

fn line_matches(text: &[char], path: &[char]) -> bool {
    if let ['*', '*', rest @ ..] = text {
        let is_plain = !rest.iter().any(|c| "*?[]\\".contains(*c));
        if is_plain && !matches!(rest, [] | ['/', ..]) {
            return path.ends_with(rest);
        }
    }
    text_matches(text, path)
}

fn text_matches(text: &[char], path: &[char]) -> bool {
    let Some((first, rest)) = text.split_first() else {
        return path.is_empty();
    };
    let one = |is_it: &dyn Fn(char) -> bool, rest: &[char]| {
        path.first().is_some_and(|c| is_it(*c)) && text_matches(rest, &path[1..])
    };
    match (first, rest) {
        ('*', ['*', rest @ ..]) => {
            let rest = rest.strip_prefix(&['/']).unwrap_or(rest);
            let mut slashes = (0..path.len()).filter(|at| path[*at] == '/');
            rest.is_empty()
                || text_matches(rest, path)
                || slashes.any(|at| text_matches(rest, &path[at + 1..]))
        }
        ('*', rest) => {
            let part = path.iter().take_while(|c| **c != '/').count();
            (0..=part).any(|taken| text_matches(rest, &path[taken..]))
        }
        ('?', rest) => one(&|c| c != '/', rest),
        ('\\', [wanted, rest @ ..]) => one(&|c| c == *wanted, rest),
        ('[', rest) => {
            let end = rest.iter().position(|c| *c == ']').unwrap();
            let (set, rest) = (&rest[..end], &rest[end + 1..]);
            match set {
                ['^', one_only] => one(&|c| c != *one_only, rest),
                [low, '-', high] => one(&|c| (*low..=*high).contains(&c), rest),
                several => one(&|c| several.contains(&c), rest),
            }
        }
        (wanted, rest) => one(&|c| c == *wanted, rest),
    }
}

/// Goes down through `names` both ways.
fn check_path(patterns: &Patterns, lines: &[Line], names: &[&str]) -> Result<(), TestCaseError> {
    let mut directory: Directory = patterns.root();
    let mut above = vec![false; lines.len()];
    let mut path = String::new();
    let mut skipped = false;
    for name in names {
        path.push_str(name);
        let (excluded, matched) = plain(lines, &path, &above);
        let file = directory.verdict(name, false);
        let entered = directory.verdict(name, true);
        prop_assert_eq!(file.excluded, excluded, "{:?}", &path);
        prop_assert_eq!(entered.excluded, excluded, "{:?}", &path);
        prop_assert!(!file.skip && (excluded || !entered.skip), "{:?}", &path);
        prop_assert!(excluded || !skipped, "{:?} was skipped", &path);
        prop_assert!(!excluded || !directory.is_whole(), "{:?} in a whole", &path);
        skipped |= entered.skip;
        directory = directory.enter(name);
        above = matched;
        path.push('/');
    }
    Ok(())
}

fn line() -> impl Strategy<Value = String> {
    let pieces = proptest::collection::vec(select(PIECES), 1..7);
    let lines = (proptest::bool::weighted(0.3), pieces).prop_map(|(exception, pieces)| {
        let mark = if exception { "!" } else { "" };
        format!("{mark}{}", pieces.concat())
    });
    lines.prop_filter("a mark alone", |line| Patterns::new([line]).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 3000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_walk_says_what_the_lines_say(
        lines in proptest::collection::vec(line(), 1..8),
        paths in proptest::collection::vec(proptest::collection::vec(select(NAMES), 1..5), 1..12),
    ) {
        let patterns = Patterns::new(&lines).unwrap();
        let lines: Vec<Line> = patterns.to_lines().iter().map(|line| Line::new(line)).collect();
        for names in &paths {
            check_path(&patterns, &lines, names)?;
        }
    }
}
