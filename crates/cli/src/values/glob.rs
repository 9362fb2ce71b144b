//! Patterns of Go's `path.Match`: `*` and `?` stop at `/`, `[a-z]` and `[^a-z]`, `\` escapes.

/// `text` as a whole matches `pattern`; a malformed pattern matches nothing.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // Where the last `*` was, and how far it has eaten: to come back to and let it eat more.
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
    let negated = matches!(pattern.get(p), Some('^'));
    if negated {
        p += 1;
    }
    let (mut found, mut first) = (false, true);
    while first || *pattern.get(p)? != ']' {
        let low = *pattern.get(p)?;
        let high = if pattern.get(p + 1) == Some(&'-') && pattern.get(p + 2) != Some(&']') {
            p += 2;
            *pattern.get(p)?
        } else {
            low
        };
        found |= low <= character && character <= high;
        p += 1;
        first = false;
    }
    (found != negated && character != '/').then_some(p + 1)
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
            ("*", "me/app", false),
            ("*/*", "me/app", true),
            ("m?/app", "me/app", true),
            ("m?app", "m/app", false),
            ("[a-c]*", "bob", true),
            ("[^a-c]*", "bob", false),
            ("a\\*", "a*", true),
            ("[", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
