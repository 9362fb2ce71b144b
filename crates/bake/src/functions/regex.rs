//! Regular expressions, as Go reads them: `\d`, `\w` and `\b` are of ASCII alone.

use regex_lite::{Captures, Regex, RegexBuilder};

use super::text::MAX_TEXT;
use super::{Arguments, Done, Function};
use crate::value::Value;

/// Bytes that an expression may be compiled to.
const SIZE: usize = 64 << 10;
/// About how many states are in so many bytes, which is how often a character may be looked at.
const MOST_STATES: u64 = 2048;
/// Looks at a character that cost as much as a byte of room.
const LOOKS: u64 = 4;
/// The room of a string that was found.
const PART: u64 = 64;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("regex", first),
    ("regexall", all),
    ("regex_replace", replace),
];

/// What of a match is told: all of it, or its groups.
enum Told {
    Whole,
    Numbered,
    Named,
}

fn first(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let (regex, text) = (compiled(arguments, 0)?, arguments.text(1)?);
    let told = Told::of(&regex)?;
    look(arguments, &regex, &text)?;
    let found = regex.captures(&text);
    let found = found.ok_or_else(|| "the pattern matches no part of the string".to_owned())?;
    Ok(told.value(&regex, &found))
}

fn all(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let (regex, text) = (compiled(arguments, 0)?, arguments.text(1)?);
    let told = Told::of(&regex)?;
    look(arguments, &regex, &text)?;
    let mut values = Vec::new();
    for found in regex.captures_iter(&text) {
        look_on(arguments, &regex, &text, &found)?;
        let parts = values.len().saturating_mul(regex.captures_len());
        arguments.fits((parts as u64).saturating_mul(PART))?;
        values.push(told.value(&regex, &found));
    }
    Ok(Value::List(values))
}

fn replace(arguments: &Arguments<'_>) -> Done {
    arguments.count(3..=3)?;
    let (text, regex) = (arguments.text(0)?, compiled(arguments, 1)?);
    let template = arguments.text(2)?;
    look(arguments, &regex, &text)?;
    let names = template.matches('$').count();
    let (mut replaced, mut end) = (String::new(), 0);
    for found in regex.captures_iter(&text) {
        look_on(arguments, &regex, &text, &found)?;
        let Some(whole) = found.get(0) else { continue };
        replaced.push_str(&text[end..whole.start()]);
        end = whole.end();
        let grown = names
            .saturating_mul(whole.len())
            .saturating_add(template.len());
        if replaced.len().saturating_add(grown) > MAX_TEXT {
            return Err(format!("the result has more than {MAX_TEXT} bytes"));
        }
        expand(&template, &regex, &found, &mut replaced);
    }
    replaced.push_str(&text[end..]);
    Ok(Value::String(replaced))
}

fn compiled(arguments: &Arguments<'_>, place: usize) -> Result<Regex, String> {
    let pattern = arguments.text(place)?;
    if !pattern.is_ascii() && folds(&pattern) {
        return Err("kiln ignores the case of ASCII letters alone".to_owned());
    }
    RegexBuilder::new(&pattern)
        .size_limit(SIZE)
        .build()
        .map_err(|error| format!("invalid regexp pattern: {error}"))
}

/// Some of the pattern is to match whatever the case is.
fn folds(pattern: &str) -> bool {
    let flags = pattern.split("(?").skip(1);
    let mut flags = flags.map(|rest| rest.split([':', ')', '-', '<']).next().unwrap_or_default());
    flags.any(|flags| flags.contains('i'))
}

/// Counts looking at the text: each of its characters, for each state that the pattern may be in.
fn look(arguments: &Arguments<'_>, regex: &Regex, text: &str) -> Result<(), String> {
    let states = match regex.as_str() {
        // One part may stand for many.
        counted if counted.contains('{') => MOST_STATES,
        plain => plain.len() as u64,
    };
    let looks = states.saturating_mul(text.len() as u64 + 1);
    arguments.spend(looks / LOOKS)
}

/// Counts looking for the next match. However short that is, what could have made it longer may have
/// been looked for until the end of the text, and so again after each.
fn look_on(
    arguments: &Arguments<'_>,
    regex: &Regex,
    text: &str,
    found: &Captures<'_>,
) -> Result<(), String> {
    let end = found.get(0).map_or(0, |whole| whole.end());
    look(arguments, regex, &text[end..])
}

impl Told {
    fn of(regex: &Regex) -> Result<Self, String> {
        let (mut named, mut numbered) = (false, false);
        for name in regex.capture_names().skip(1) {
            named |= name.is_some();
            numbered |= name.is_none();
        }
        match (named, numbered) {
            (true, true) => Err("the pattern has both groups with and without names".to_owned()),
            (true, false) => Ok(Self::Named),
            (false, true) => Ok(Self::Numbered),
            (false, false) => Ok(Self::Whole),
        }
    }

    fn value(&self, regex: &Regex, found: &Captures<'_>) -> Value {
        let group = |at: usize| match found.get(at) {
            Some(part) => Value::text(part.as_str()),
            None => Value::Null,
        };
        match self {
            Self::Whole => group(0),
            Self::Numbered => Value::List((1..regex.captures_len()).map(group).collect()),
            Self::Named => {
                let names = regex.capture_names().enumerate();
                let named = names.filter_map(|(at, name)| Some((name?.to_owned(), group(at))));
                Value::Object(named.collect())
            }
        }
    }
}

/// What stands for a match: of the template, with `$1`, `${1}`, `$name` and `${name}` put in. A group
/// that is not there is nothing, and `$` without a name is itself.
fn expand(template: &str, regex: &Regex, found: &Captures<'_>, out: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = name(after) {
            let at = match number(name) {
                Some(at) => Some(at),
                None => regex
                    .capture_names()
                    .position(|known| known == Some(name) && !name.is_empty()),
            };
            out.push_str(at.and_then(|at| found.get(at)).map_or("", |m| m.as_str()));
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
}

/// The name after `$`, and what follows it.
fn name(after: &str) -> Option<(&str, &str)> {
    let inner = after.strip_prefix('{').unwrap_or(after);
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let end = inner.find(|c| !is_part(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let rest = match after.starts_with('{') {
        true => rest.strip_prefix('}')?,
        false => rest,
    };
    (!name.is_empty()).then_some((name, rest))
}

/// The group that a name is the number of: without zeros before it.
fn number(name: &str) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = name == "0" || !name.starts_with('0');
    (is_number && is_plain).then(|| name.parse().unwrap_or(usize::MAX))
}
