//! Names and values in their old forms.

use super::Edit;
use super::words::{Lines, Word};
use crate::Span;

const AUTHORS: &str = "org.opencontainers.image.authors";

/// `MAINTAINER x` as a label.
pub(super) fn maintainer(span: Span, lines: &Lines<'_>, escape: char) -> Option<Edit> {
    let (keyword, author) = lines.instruction(span)?;
    if !keyword.text.eq_ignore_ascii_case("maintainer") {
        return None;
    }
    // Its value was taken as it is; a label's is expanded, unless single quotes are around it.
    let special = |character: char| matches!(character, '"' | '$') || character == escape;
    let quote = match author.text {
        text if !text.contains(special) => '"',
        text if !text.contains('\'') => '\'',
        _ => return None,
    };
    let label = match keyword.text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => "LABEL",
        false => "label",
    };
    Some(Edit {
        range: keyword.start..author.end(),
        text: format!("{label} {AUTHORS}={quote}{}{quote}", author.text),
    })
}

/// `ENV name value` and `LABEL name value` with `=`.
pub(super) fn old_form(span: Span, lines: &Lines<'_>, escape: char) -> Option<Edit> {
    let (keyword, rest) = lines.instruction(span)?;
    let is_known = ["env", "label"]
        .iter()
        .any(|known| keyword.text.eq_ignore_ascii_case(known));
    let (name, value) = rest.text.split_once([' ', '\t'])?;
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "_.-/".contains(character);
    if !is_known || !name.chars().all(is_plain) {
        return None;
    }
    let value = quoted(value.trim_start(), escape)?;
    let whole = Word {
        text: rest.text,
        start: rest.start,
    };
    Some(whole.replaced(format!("{name}={value}")))
}

/// A value that was all of the rest of a line, as one word.
fn quoted(value: &str, escape: char) -> Option<String> {
    let is_special = |character: char| matches!(character, '"' | '\'') || character == escape;
    if !value.contains(is_special) {
        let blank = value.chars().any(char::is_whitespace);
        return Some(match blank {
            true => format!("\"{value}\""),
            false => value.to_owned(),
        });
    }
    // Quotes that are around all of it can stay.
    for quote in ['"', '\''] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|value| value.strip_suffix(quote));
        if inner.is_some_and(|inner| !inner.contains(quote) && !inner.contains(escape)) {
            return Some(value.to_owned());
        }
    }
    None
}
