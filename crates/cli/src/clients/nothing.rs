//! Flags of docker's `build` and of its like that ask for what kiln does in any case, and are left out.

use std::ffi::OsString;

/// Flags with the values by which they ask for nothing; none stands for the flag alone.
const NOTHING: [(&str, &[Option<&str>]); 5] = [
    // Steps leave no containers behind.
    ("--rm", &[None, Some("true")]),
    ("--force-rm", &[None, Some("true"), Some("false")]),
    // A context is not compressed on its way to a process of this machine.
    ("--compress", &[Some("false")]),
    ("--squash", &[Some("false")]),
    ("--disable-content-trust", &[None, Some("true")]),
];

/// `words` without those flags.
pub(super) fn leave_out(words: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut left = words.iter();
    for word in left.by_ref() {
        let text = word.to_str().unwrap_or_default();
        if text == "--" {
            kept.push(word.clone());
            break;
        }
        if !asks_for_nothing(text) {
            kept.push(word.clone());
        }
    }
    kept.extend(left.cloned());
    kept
}

fn asks_for_nothing(word: &str) -> bool {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    let mut all = NOTHING.iter();
    all.any(|(flag, values)| *flag == name && values.contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left() {
        let left = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let kept = leave_out(&words);
            let kept: Vec<&str> = kept.iter().filter_map(|word| word.to_str()).collect();
            kept.join(" ")
        };
        assert_eq!(left("--rm -t a --squash=false ."), "-t a .");
        assert_eq!(
            left("--rm=false --provenance=false ."),
            "--rm=false --provenance=false ."
        );
        assert_eq!(
            left("--builder unix:///a -- --rm"),
            "--builder unix:///a -- --rm"
        );
    }
}
