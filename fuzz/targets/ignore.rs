//! Any `.dockerignore`: the first line is a path, the rest are patterns.

#![cfg_attr(not(test), no_main)]

use dockerfile::ignore::Patterns;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (path, patterns) = text.split_once('\n').unwrap_or(("a/b", text));
    let Ok(patterns) = Patterns::parse(patterns) else {
        return;
    };
    let excluded = patterns.excludes(path);
    // Patterns go to other processes as lines. Space at their ends, which cleaning a path may bare,
    // is lost there, in Docker as well.
    let lines = patterns.to_lines();
    if lines.iter().all(|line| line.trim() == line) {
        let again = Patterns::new(&lines).expect("patterns that were read before");
        assert_eq!(again.excludes(path), excluded, "{lines:?}");
    }
});
