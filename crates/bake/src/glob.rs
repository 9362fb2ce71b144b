//! Patterns for names, as Go's `path.Match` has them.

/// Whether `pattern` matches all of `name`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where the pattern goes on after its last star, and where the name did then.
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at + 1, place));
            at += 1;
        } else if let Some(next) = one(&pattern, at, name[place]) {
            at = next;
            place += 1;
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (at, place) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[at.min(pattern.len())..].iter().all(|c| *c == '*')
}

/// Whether `name` has what makes it a pattern.
pub(crate) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', ']'])
}

/// Where the pattern goes on after it has matched `c`.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => class(pattern, at + 1, c),
        '\\' => (pattern.get(at + 1)? == &c).then_some(at + 2),
        literal => (*literal == c).then_some(at + 1),
    }
}

fn class(pattern: &[char], mut at: usize, c: char) -> Option<usize> {
    let is_negated = pattern.get(at) == Some(&'^');
    at += usize::from(is_negated);
    let mut found = false;
    let first = at;
    loop {
        let low = *pattern.get(at)?;
        if low == ']' && at > first {
            return (found != is_negated).then_some(at + 1);
        }
        at += 1;
        let mut high = low;
        if pattern.get(at) == Some(&'-') {
            high = *pattern.get(at + 1)?;
            at += 2;
        }
        found |= (low..=high).contains(&c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name) in [
            ("*", "a-b"),
            ("a*b*c", "axxbc"),
            ("a?", "ab"),
            ("[a-c]x", "bx"),
            ("[^a]x", "bx"),
            ("", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "ab"),
            ("a?", "a"),
            ("[^a]x", "ax"),
            ("[a", "a"),
            ("*a", "b"),
            ("[]x", "x"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
