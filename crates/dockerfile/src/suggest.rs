//! "Did you mean": the option that is nearest to what was written.

/// How far apart two words may be and still be taken for each other.
const NEAR: usize = 2;

/// Bytes of a word that is compared: the work grows with the square of it.
const LONGEST: usize = 64;

/// The option nearest to `word`; none when one is equal, when all are too far, or when the word is
/// longer than any that somebody mistypes.
#[must_use]
pub fn nearest<'a>(word: &str, options: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let mut best = None;
    // Of several that are equally near, the one that begins alike is meant.
    let mut least = (NEAR + 1, false);
    let first = word.chars().next();
    for option in options {
        if option == word {
            return None;
        }
        // The difference in length is the least distance there can be.
        if option.len().abs_diff(word.len()) > 4 * NEAR {
            continue;
        }
        let badness = (distance(word, option), option.chars().next() != first);
        if badness < least {
            least = badness;
            best = Some(option);
        }
    }
    best
}

/// ` (did you mean X?)`, or nothing.
pub(crate) fn hint<'a>(word: &str, options: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, options).map_or_else(String::new, |option| format!(" (did you mean {option}?)"))
}

/// The same without regard to case; the answer has the case of `word` when that is of one case.
pub(crate) fn hint_any_case<'a>(word: &str, options: impl IntoIterator<Item = &'a str>) -> String {
    let lower: Vec<String> = options.into_iter().map(str::to_lowercase).collect();
    let word_lower = word.to_lowercase();
    let Some(option) = nearest(&word_lower, lower.iter().map(String::as_str)) else {
        return String::new();
    };
    if word != word_lower && word == word.to_uppercase() {
        format!(" (did you mean {}?)", option.to_uppercase())
    } else {
        format!(" (did you mean {option}?)")
    }
}

/// Insertions, deletions and replacements of characters from `left` to `right`.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_found() {
        assert_eq!(nearest("tragte", ["default", "target"]), None);
        assert_eq!(nearest("targt", ["default", "target"]), Some("target"));
        assert_eq!(nearest("target", ["targets", "target"]), None);
    }

    #[test]
    fn long_words_have_nothing_near() {
        let (word, other) = ("x".repeat(LONGEST), "x".repeat(LONGEST - 1));
        assert_eq!(nearest(&word, [other.as_str()]), Some(other.as_str()));
        let longer = format!("{word}x");
        assert_eq!(nearest(&longer, [word.as_str()]), None);
    }
}
