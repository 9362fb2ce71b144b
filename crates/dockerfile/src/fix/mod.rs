//! Rewrites what checks find, where that is mechanical.
//!
//! Only the words at fault change, every other byte stays. What comes out means the same, but for
//! `MAINTAINER`, which becomes a label. What cannot be rewritten with certainty is left alone: a
//! value with quotes in its middle, a keyword that is split over two lines.

mod pairs;
mod words;

use std::ops::Range;

use crate::Span;
use crate::diagnostic::Diagnostic;
use crate::parser::{Parsed, parse};
use crate::stage::Stage;

use words::{Lines, Word};

/// A Dockerfile after its faults were fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// All of it.
    pub text: String,
    /// What was changed, in the order of the file.
    pub changes: Vec<Change>,
}

/// One thing that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The rule that asks for it.
    pub rule: &'static str,
    /// The line where it was.
    pub line: u32,
    /// What stood there.
    pub before: String,
    /// What stands there now.
    pub after: String,
}

/// What is to stand in place of some bytes.
#[derive(Debug)]
struct Edit {
    range: Range<usize>,
    text: String,
}

/// `text` with what `findings` say of it put right, as far as that is mechanical. One change may be
/// the reason for another finding, so that this is done until nothing changes.
#[must_use]
pub fn fix(text: &str, findings: &[Diagnostic]) -> Fixed {
    let parsed = parse(text);
    let lines = Lines::new(text);
    let mut edits: Vec<(&'static str, Edit)> = Vec::new();
    if parsed.errors().next().is_none() {
        for finding in findings {
            let (Some(rule), Some(span)) = (finding.rule, finding.spans.first()) else {
                continue;
            };
            let found = edits_of(rule, finding, *span, &parsed, &lines);
            edits.extend(found.into_iter().map(|edit| (rule, edit)));
        }
    }
    edits.sort_by_key(|(_, edit)| (edit.range.start, edit.range.end));
    apply(text, &lines, edits)
}

/// Makes the edits that do not touch an earlier one.
fn apply(text: &str, lines: &Lines<'_>, edits: Vec<(&'static str, Edit)>) -> Fixed {
    let mut fixed = String::with_capacity(text.len());
    let mut changes = Vec::new();
    let mut done = 0;
    for (rule, Edit { range, text: after }) in edits {
        let before = &text[range.clone()];
        if range.start < done || before == after {
            continue;
        }
        fixed.push_str(&text[done..range.start]);
        fixed.push_str(&after);
        done = range.end;
        changes.push(Change {
            rule,
            line: lines.line_of(range.start),
            before: before.to_owned(),
            after,
        });
    }
    fixed.push_str(&text[done..]);
    Fixed {
        text: fixed,
        changes,
    }
}

fn edits_of(
    rule: &str,
    finding: &Diagnostic,
    span: Span,
    parsed: &Parsed,
    lines: &Lines<'_>,
) -> Vec<Edit> {
    let stage = || parsed.stages.iter().find(|stage| stage.span == span);
    let one = |edit: Option<Edit>| edit.into_iter().collect();
    match rule {
        "ConsistentInstructionCasing" => one(keyword(finding, span, lines)),
        "FromAsCasing" => one(stage().and_then(|stage| from_as(stage, lines))),
        "StageNameCasing" => one(stage().and_then(|stage| stage_name(stage, lines))),
        "RedundantTargetPlatform" => one(platform(span, lines)),
        "MaintainerDeprecated" => one(pairs::maintainer(span, lines, parsed.directives.escape)),
        "LegacyKeyValueFormat" => one(pairs::old_form(span, lines, parsed.directives.escape)),
        "ExposeProtoCasing" => protocols(span, lines),
        "NoEmptyContinuation" => empty_lines(span, parsed, lines),
        _ => Vec::new(),
    }
}

fn keyword(finding: &Diagnostic, span: Span, lines: &Lines<'_>) -> Option<Edit> {
    let word = lines.words(span).into_iter().next()?;
    word.text
        .chars()
        .all(|letter| letter.is_ascii_alphabetic())
        .then(|| {
            let text = match finding.message.contains("(lowercase)") {
                true => word.text.to_lowercase(),
                false => word.text.to_uppercase(),
            };
            word.replaced(text)
        })
}

/// `AS` and the name after it.
fn as_and_name<'a>(stage: &Stage, lines: &Lines<'a>) -> Option<(Word<'a>, Word<'a>)> {
    let (written_as, written_name) = (stage.written_as.as_deref()?, stage.written_name.as_deref()?);
    let words = lines.words(stage.span);
    let pair = words
        .windows(2)
        .rev()
        .find(|pair| pair[0].text == written_as && pair[1].text == written_name)?;
    Some((pair[0], pair[1]))
}

fn from_as(stage: &Stage, lines: &Lines<'_>) -> Option<Edit> {
    let (word, _) = as_and_name(stage, lines)?;
    let is_lower = !stage.written.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(word.replaced(if is_lower { "as" } else { "AS" }.to_owned()))
}

fn stage_name(stage: &Stage, lines: &Lines<'_>) -> Option<Edit> {
    let (_, word) = as_and_name(stage, lines)?;
    Some(word.replaced(word.text.to_lowercase()))
}

/// The flag, with the blanks behind it.
fn platform(span: Span, lines: &Lines<'_>) -> Option<Edit> {
    let words = lines.words(span);
    let mut flags = words
        .iter()
        .filter(|word| word.text.starts_with("--platform="));
    let (flag, None) = (flags.next()?, flags.next()) else {
        return None;
    };
    let after = lines.text[flag.end()..].trim_start_matches([' ', '\t']);
    let end = lines.text.len() - after.len();
    Some(Edit {
        range: flag.start..end,
        text: String::new(),
    })
}

fn protocols(span: Span, lines: &Lines<'_>) -> Vec<Edit> {
    let words = lines.words(span).into_iter().skip(1);
    let edits = words.filter_map(|word| {
        let (port, protocol) = word.text.rsplit_once('/')?;
        let lower = protocol.to_ascii_lowercase();
        let is_known = matches!(lower.as_str(), "tcp" | "udp" | "sctp");
        (is_known && lower != protocol).then(|| word.replaced(format!("{port}/{lower}")))
    });
    edits.collect()
}

/// The empty lines of the instruction whose last line the span is.
fn empty_lines(span: Span, parsed: &Parsed, lines: &Lines<'_>) -> Vec<Edit> {
    let stages = parsed.stages.iter();
    let spans = stages.flat_map(|stage| {
        let instructions = stage
            .instructions
            .iter()
            .map(|instruction| instruction.span);
        instructions.chain([stage.span])
    });
    let mut spans = spans.chain(parsed.meta_args.iter().map(|meta| meta.span));
    let Some(whole) = spans.find(|whole| whole.contains(span.first_line)) else {
        return Vec::new();
    };
    let numbers = whole.first_line..=span.last_line;
    let empty = numbers.filter_map(|line| lines.range(line));
    empty
        .filter(|range| lines.text[range.clone()].trim().is_empty())
        .map(|range| Edit {
            range,
            text: String::new(),
        })
        .collect()
}
