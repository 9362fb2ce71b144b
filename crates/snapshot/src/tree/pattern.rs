//! Patterns over whole paths, as `COPY --parents` and ignore files have them: `**` stands for any
//! number of components, and whoever matches takes all that is in it along.
//!
//! The pattern is run over a path as a non-deterministic automaton, all its states at once, so the
//! time is bounded by the product of the lengths. The states that are left after a directory and a
//! slash say whether something in it could still match.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::glob::{character, class};
use super::{Filter, Verdict};

/// A pattern over paths, in one directory. What it matches is kept, and directories on the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    steps: Arc<[Step]>,
    /// The states after the path of the directory and a slash.
    states: Vec<bool>,
}

/// One element; its index is the state before it.
#[derive(Debug, Clone)]
enum Step {
    /// This character.
    Literal(Vec<u8>),
    /// `?`
    One,
    /// `[…]`
    Class(Vec<u8>),
    /// `*`
    Star,
    /// `**` before something: nothing, or anything that ends in a slash.
    Directories,
    /// `**` at the end.
    Rest,
}

impl Pattern {
    /// `text` relative to the directory that it is for; `.` and empty components are left out.
    pub(crate) fn new(text: &OsStr) -> Self {
        let clean: Vec<&[u8]> = text
            .as_bytes()
            .split(|byte| *byte == b'/')
            .filter(|part| !matches!(*part, b"" | b"."))
            .collect();
        let text = clean.join(&b"/"[..]);
        let mut steps = Vec::new();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (step, length) = Self::step(rest);
            steps.push(step);
            rest = &rest[length..];
        }
        let states = start(&steps);
        Self {
            steps: steps.into(),
            states,
        }
    }

    fn step(text: &[u8]) -> (Step, usize) {
        match text {
            [b'*', b'*'] | [b'*', b'*', b'/'] => (Step::Rest, text.len()),
            [b'*', b'*', b'/', ..] => (Step::Directories, 3),
            [b'*', b'*', ..] => (Step::Directories, 2),
            [b'*', ..] => (Step::Star, 1),
            [b'?', ..] => (Step::One, 1),
            // A class must at least not be malformed; whether it matches is seen later.
            [b'[', ..] => match class(text, b"") {
                Some((length, _)) => (Step::Class(text[..length].to_vec()), length),
                None => (Step::Literal(vec![b'[']), 1),
            },
            [b'\\', next @ ..] if !next.is_empty() => {
                let length = character(next);
                (Step::Literal(next[..length].to_vec()), length + 1)
            }
            _ => {
                let length = character(text);
                (Step::Literal(text[..length].to_vec()), length)
            }
        }
    }

    /// The state in which all of the pattern was matched.
    fn accepted(&self, states: &[bool]) -> bool {
        states[self.steps.len()]
    }

    /// The states after the path of `name` in the directory.
    fn after(&self, name: &OsStr) -> Vec<bool> {
        let mut states = self.states.clone();
        let mut rest = name.as_bytes();
        while !rest.is_empty() {
            let length = character(rest);
            states = self.advance(&states, &rest[..length]);
            rest = &rest[length..];
        }
        states
    }

    /// All that is in a directory with these states is kept.
    fn takes_all(&self, states: &[bool]) -> bool {
        self.accepted(states) || self.steps.is_empty()
    }

    fn advance(&self, states: &[bool], read: &[u8]) -> Vec<bool> {
        let mut next = vec![false; states.len()];
        let slash = read == b"/";
        for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| states[*at]) {
            match step {
                Step::Literal(wanted) => next[at + 1] |= wanted == read,
                Step::One => next[at + 1] |= !slash,
                Step::Class(text) => {
                    next[at + 1] |= !slash && class(text, read).is_some_and(|(_, is_in)| is_in);
                }
                Step::Star => next[at] |= !slash,
                Step::Rest => next[at] = true,
                Step::Directories => next[at] = true,
            }
        }
        // `**/` is done only behind a slash, or when it matches nothing at all.
        let mut passed = next.clone();
        for (at, step) in self.steps.iter().enumerate() {
            if passed[at] {
                match step {
                    Step::Star | Step::Rest => passed[at + 1] = true,
                    Step::Directories if slash => passed[at + 1] = true,
                    _ => {}
                }
            }
            if next[at] && !states[at] && matches!(step, Step::Directories) {
                // Reached just now: nothing of it was read yet.
                passed[at + 1] = true;
            }
        }
        passed
    }
}

impl Filter for Pattern {
    fn verdict(&self, name: &OsStr, is_dir: bool) -> Verdict {
        let states = self.after(name);
        if self.takes_all(&states) {
            return Verdict::Keep;
        }
        let inside = self.advance(&states, b"/");
        if is_dir && inside.contains(&true) {
            Verdict::Visit
        } else {
            Verdict::Drop
        }
    }

    fn enter(&self, name: &OsStr) -> Option<Arc<dyn Filter>> {
        let states = self.after(name);
        // A directory that matches takes all in it along.
        (!self.takes_all(&states)).then(|| {
            let inside: Arc<dyn Filter> = Arc::new(Self {
                steps: Arc::clone(&self.steps),
                states: self.advance(&states, b"/"),
            });
            inside
        })
    }
}

fn start(steps: &[Step]) -> Vec<bool> {
    let mut states = vec![false; steps.len() + 1];
    states[0] = true;
    // Elements that may match nothing are passed over.
    for (at, step) in steps.iter().enumerate() {
        if states[at] && matches!(step, Step::Star | Step::Directories | Step::Rest) {
            states[at + 1] = true;
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expected: Verdict) {
        let mut filter: Arc<dyn Filter> = Arc::new(Pattern::new(OsStr::new(pattern)));
        let mut rest = path;
        let verdict = loop {
            let Some((directory, more)) = rest.split_once('/') else {
                break filter.verdict(OsStr::new(rest), true);
            };
            match filter.enter(OsStr::new(directory)) {
                Some(inside) => filter = inside,
                None => break Verdict::Keep,
            }
            rest = more;
        };
        assert_eq!(verdict, expected, "{pattern} {path}");
    }

    #[test]
    fn verdicts() {
        use Verdict::{Drop, Keep, Visit};
        for (pattern, path, expected) in [
            ("", "a", Keep),
            ("a", "a", Keep),
            ("a", "a/b", Keep),
            ("a", "ab", Drop),
            ("./a/", "a", Keep),
            ("a/b", "a", Visit),
            ("a/b", "b", Drop),
            ("a/b", "a/c", Drop),
            ("a/*/c", "a/b", Visit),
            ("a/*/c", "a/b/c/d", Keep),
            ("a/*/c", "a/b/d", Drop),
            ("**/c", "c", Keep),
            ("**/c", "a/b/c", Keep),
            ("**/c", "a", Visit),
            ("a/**", "a/x", Keep),
            ("a/**/e", "a/e", Keep),
            ("a/**/e", "a/b/c/e/f", Keep),
            ("a/**/e", "a/be", Visit),
            ("a/**/e", "b", Drop),
            ("a/b*/c[12]", "a/bx/c2", Keep),
            ("a/b*/c[12]", "a/bx/c3", Drop),
            ("a/b*/c[12]", "a/bx", Visit),
            ("\\*", "*", Keep),
            ("\\*", "x", Drop),
            ("?", "ä", Keep),
            ("*.rs", "src/x.rs", Drop),
            ("*.rs", "x.rs", Keep),
        ] {
            check(pattern, path, expected);
        }
    }
}
