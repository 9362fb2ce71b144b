//! Patterns of Go's `path.Match`: `*` and `?` stop at `/`, `[a-z]` and `[^a-z]` do not, `\` escapes.
//!
//! Patterns come from clients: the time that a match takes grows with the pattern's length times the
//! text's, whatever they are.

/// A path has characters that make it a pattern, other than escaped ones.
#[must_use]
pub fn has_wildcards(path: &str) -> bool {
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' => return true,
            '\\' => {
                characters.next();
            }
            _ => {}
        }
    }
    false
}

/// `text` as a whole matches `pattern`; a malformed pattern matches nothing.
#[must_use]
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // Where the last `*` was, and how far it has eaten: to come back to and let it eat more. An
    // earlier one need not eat more, since that would only leave less to the last.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
            continue;
        }
        if let Some(next) = one(&pattern, p, text[t]) {
            (p, t) = (next, t + 1);
            continue;
        }
        match star {
            Some((star_at, eaten)) if text[eaten] != '/' => {
                star = Some((star_at, eaten + 1));
                (p, t) = (star_at + 1, eaten + 1);
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|character| *character == '*')
}

/// Where the pattern goes on when its element at `p` matches `character`.
fn one(pattern: &[char], p: usize, character: char) -> Option<usize> {
    match *pattern.get(p)? {
        '?' => (character != '/').then_some(p + 1),
        '[' => class(pattern, p + 1, character),
        '\\' => (*pattern.get(p + 1)? == character).then_some(p + 2),
        literal => (literal == character).then_some(p + 1),
    }
}

fn class(pattern: &[char], mut p: usize, character: char) -> Option<usize> {
    let is_negated = pattern.get(p) == Some(&'^');
    if is_negated {
        p += 1;
    }
    let first = p;
    let mut is_found = false;
    while p == first || *pattern.get(p)? != ']' {
        let (low, mut next) = bound(pattern, p)?;
        let mut high = low;
        if pattern.get(next) == Some(&'-') {
            (high, next) = bound(pattern, next + 1)?;
        }
        is_found |= low <= character && character <= high;
        p = next;
    }
    (is_found != is_negated).then_some(p + 1)
}

/// One end of a range, and where the pattern goes on.
fn bound(pattern: &[char], p: usize) -> Option<(char, usize)> {
    match *pattern.get(p)? {
        '-' | ']' => None,
        '\\' => Some((*pattern.get(p + 1)?, p + 2)),
        literal => Some((literal, p + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (pattern, text, expected) in [
            ("alpine", "alpine", true),
            ("alpine", "alpine:latest", false),
            ("alp*", "alpine", true),
            ("*:latest", "alpine:latest", true),
            ("alp*:3.?", "alpine:3.1", true),
            ("*", "me/app", false),
            ("*/*", "me/app", true),
            ("m?/app", "me/app", true),
            ("m?app", "m/app", false),
            ("b", "a", false),
            ("[a-c]*", "bob", true),
            ("[^a-c]*", "bob", false),
            ("m[^a]app", "m/app", true),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("a\\*", "a*", true),
            ("a*b*c", "aXbYbZc", true),
            ("*a/*b", "xa/yb", true),
            ("", "", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn malformed_patterns_match_nothing() {
        for pattern in ["[", "[a", "[]a]", "[-]", "[x-]", "[^]", "a[", "[\\", "\\"] {
            assert!(!matches_pattern(pattern, "a"), "{pattern}");
            assert!(!matches_pattern(pattern, "]"), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = format!("{}b", "*a".repeat(2_000));
        assert!(!matches_pattern(&pattern, &"a".repeat(4_000)));
    }

    #[test]
    fn what_is_a_pattern() {
        for (path, expected) in [("a/b", false), ("a\\*", false), ("a*", true), ("[", true)] {
            assert_eq!(has_wildcards(path), expected, "{path}");
        }
    }
}
