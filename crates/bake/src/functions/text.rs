//! Strings and paths.

use super::format::{format, format_list};
use super::{Arguments, Done, Function};
use crate::value::Value;

/// More is taken for a mistake.
pub(super) const MAX_TEXT: usize = 4 << 20;
/// The room of a string that was split off.
const PART: u64 = 64;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("basename", |a| of_one(a, |path| base_name(path).to_owned())),
    ("chomp", |a| {
        of_one(a, |text| text.trim_end_matches(['\n', '\r']).to_owned())
    }),
    ("dirname", |a| of_one(a, dir_name)),
    ("format", format),
    ("formatlist", format_list),
    ("homedir", |a| {
        let home = a.given.home.clone();
        home.map(Value::String)
            .ok_or_else(|| "there is no home directory".to_owned())
    }),
    ("indent", indent),
    ("join", join),
    ("lower", |a| of_one(a, str::to_lowercase)),
    ("replace", replace),
    ("reverse", |a| {
        of_one(a, |text| text.chars().rev().collect())
    }),
    ("sanitize", |a| of_one(a, sanitize)),
    ("sort", |a| {
        a.count(1..=1)?;
        let mut texts = a.texts(0)?;
        texts.sort();
        Ok(Value::List(texts.into_iter().map(Value::String).collect()))
    }),
    ("split", split),
    ("strlen", |a| {
        a.count(1..=1)?;
        Ok(Value::int(a.text(0)?.chars().count() as u64))
    }),
    ("byteslen", |a| {
        a.count(1..=1)?;
        Ok(Value::int(a.text(0)?.len() as u64))
    }),
    ("bytesslice", bytes_slice),
    ("substr", substr),
    ("title", |a| of_one(a, title)),
    ("trim", |a| {
        of_two(a, |text, set| {
            text.trim_matches(|c| set.contains(c)).to_owned()
        })
    }),
    ("trimprefix", |a| {
        of_two(a, |text, prefix| {
            text.strip_prefix(prefix).unwrap_or(text).to_owned()
        })
    }),
    ("trimspace", |a| of_one(a, |text| text.trim().to_owned())),
    ("trimsuffix", |a| {
        of_two(a, |text, suffix| {
            text.strip_suffix(suffix).unwrap_or(text).to_owned()
        })
    }),
    ("upper", |a| of_one(a, str::to_uppercase)),
];

fn of_one(arguments: &Arguments<'_>, of: impl Fn(&str) -> String) -> Done {
    arguments.count(1..=1)?;
    Ok(Value::String(of(&arguments.text(0)?)))
}

fn of_two(arguments: &Arguments<'_>, of: impl Fn(&str, &str) -> String) -> Done {
    arguments.count(2..=2)?;
    Ok(Value::String(of(&arguments.text(0)?, &arguments.text(1)?)))
}

fn base_name(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (path, trimmed) {
        ("", _) => ".",
        (_, "") => "/",
        (_, trimmed) => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

fn dir_name(path: &str) -> String {
    let directory = path.rfind('/').map_or("", |end| &path[..=end]);
    crate::path::clean(directory)
}

fn indent(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let spaces = arguments.number(0)?.index().filter(|count| *count < 1024);
    let spaces = spaces.ok_or_else(|| "expected 0 to 1023 spaces".to_owned())?;
    let pad = format!("\n{}", " ".repeat(spaces));
    grown(&arguments.text(1)?, "\n", &pad)
}

fn replace(arguments: &Arguments<'_>) -> Done {
    arguments.count(3..=3)?;
    grown(
        &arguments.text(0)?,
        &arguments.text(1)?,
        &arguments.text(2)?,
    )
}

fn grown(text: &str, from: &str, to: &str) -> Done {
    let most = text.len().saturating_add(1).saturating_mul(to.len().max(1));
    if most > MAX_TEXT && text.matches(from).count().saturating_mul(to.len()) > MAX_TEXT {
        return Err(format!("the result has more than {MAX_TEXT} bytes"));
    }
    Ok(Value::String(text.replace(from, to)))
}

fn join(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=usize::MAX)?;
    let mut texts = Vec::new();
    for place in 1..arguments.values.len() {
        texts.extend(arguments.texts(place)?);
    }
    let separator = arguments.text(0)?;
    if separator.len().saturating_mul(texts.len()) > MAX_TEXT {
        return Err(format!("the result has more than {MAX_TEXT} bytes"));
    }
    Ok(Value::String(texts.join(&separator)))
}

fn split(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let (separator, text) = (arguments.text(0)?, arguments.text(1)?);
    let count = match separator.is_empty() {
        true => text.len(),
        false => text.matches(&separator).count(),
    };
    arguments.fits((count as u64).saturating_mul(PART))?;
    let parts: Vec<Value> = match separator.is_empty() {
        true => text.chars().map(|c| Value::String(c.to_string())).collect(),
        false => text.split(&separator).map(Value::text).collect(),
    };
    Ok(Value::List(parts))
}

/// Only what names of targets may have is left.
fn sanitize(text: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.chars()
        .map(|c| if kept(c) { c } else { '_' })
        .collect()
}

fn substr(arguments: &Arguments<'_>) -> Done {
    arguments.count(3..=3)?;
    let text: Vec<char> = arguments.text(0)?.chars().collect();
    let count = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let (offset, length) = (arguments.whole(1)?, arguments.whole(2)?);
    let start = if offset < 0 {
        offset.saturating_add(count).max(0)
    } else {
        offset.min(count)
    };
    let end = match length {
        -1 => count,
        length if length < 0 => return Err("the length must be -1 or more".to_owned()),
        length => start.saturating_add(length).min(count),
    };
    let place = |place: i64| usize::try_from(place).unwrap_or_default();
    let part = text.get(place(start)..place(end)).unwrap_or_default();
    Ok(Value::String(part.iter().collect()))
}

/// Of the bytes from an offset on so many, which have to be there.
fn bytes_slice(arguments: &Arguments<'_>) -> Done {
    arguments.count(3..=3)?;
    let text = arguments.text(0)?;
    let place = |place: usize| {
        let number = arguments.number(place)?.index();
        number.ok_or_else(|| "offset and length must not be negative".to_owned())
    };
    let (start, length) = (place(1)?, place(2)?);
    let part = text.as_bytes().get(start..start.saturating_add(length));
    let part = part.ok_or_else(|| {
        let count = text.len();
        format!("offset {start} and length {length} are more than the {count} bytes")
    })?;
    let part = std::str::from_utf8(part);
    part.map(Value::text)
        .map_err(|_| "the result is not UTF-8".to_owned())
}

fn title(text: &str) -> String {
    let mut within = false;
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        match within {
            true => titled.push(c),
            false => titled.extend(c.to_uppercase()),
        }
        within = c.is_alphanumeric() || c == '_';
    }
    titled
}
