//! `format` and `formatlist`, with C's verbs.

use super::text::MAX_TEXT;
use super::{Arguments, Done};
use crate::value::Value;

/// Wider fields are taken for a mistake.
const MAX_WIDTH: usize = 1024;

pub(super) fn format(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=usize::MAX)?;
    let values: Vec<&Value> = arguments.values.iter().skip(1).collect();
    formatted(&arguments.text(0)?, &values, MAX_TEXT).map(Value::String)
}

/// The same for each of the lists among the arguments.
pub(super) fn format_list(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=usize::MAX)?;
    let pattern = arguments.text(0)?;
    let values = arguments.values.get(1..).unwrap_or_default();
    let mut lengths = values.iter().filter_map(|value| match value {
        Value::List(items) => Some(items.len()),
        _ => None,
    });
    let count = lengths.next().unwrap_or(1);
    if lengths.any(|other| other != count) {
        return Err("the lists are of different lengths".to_owned());
    }
    let mut room = MAX_TEXT;
    let mut rows = Vec::new();
    for place in 0..count {
        let row: Vec<&Value> = values.iter().map(|value| in_row(value, place)).collect();
        let text = formatted(&pattern, &row, room)?;
        room = room.saturating_sub(text.len());
        rows.push(Value::String(text));
    }
    Ok(Value::List(rows))
}

/// What a list has there; anything else is the same in all rows.
fn in_row(value: &Value, place: usize) -> &Value {
    match value {
        Value::List(items) => items.get(place).unwrap_or(&Value::Null),
        alone => alone,
    }
}

/// A verb with what is between it and the `%`.
#[derive(Default)]
struct Verb {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
    letter: char,
}

/// No more than `room` bytes.
fn formatted(pattern: &str, values: &[&Value], room: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern.chars().peekable();
    let (mut next, mut used) = (0, 0);
    while let Some(c) = rest.next() {
        if out.len() > room {
            return Err(format!("the result has more than {MAX_TEXT} bytes"));
        }
        if c != '%' {
            out.push(c);
            continue;
        }
        let verb = verb(&mut rest, &mut next)?;
        if verb.letter == '%' {
            out.push('%');
            continue;
        }
        let missing = || format!("there is no argument for %{}", verb.letter);
        let value = values.get(next).ok_or_else(missing)?;
        next += 1;
        used = used.max(next);
        out.push_str(&padded(&verb, shown(&verb, value)?));
    }
    match used < values.len() {
        true => Err(format!("{} arguments for {used} verbs", values.len())),
        false => Ok(out),
    }
}

fn verb(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    next: &mut usize,
) -> Result<Verb, String> {
    let mut verb = Verb::default();
    let mut in_precision = false;
    loop {
        let c = rest.next().ok_or_else(|| "a % without a verb".to_owned())?;
        match c {
            '-' => verb.left = true,
            '+' => verb.plus = true,
            ' ' => verb.space = true,
            '#' => verb.sharp = true,
            '0' if verb.width.is_none() && !in_precision => verb.zero = true,
            '.' => {
                in_precision = true;
                verb.precision = Some(0);
            }
            '[' => {
                let place: String = rest.by_ref().take_while(|c| *c != ']').collect();
                let place: Option<usize> = place.parse().ok();
                let place = place.and_then(|place| place.checked_sub(1));
                *next = place.ok_or_else(|| "a place of an argument is wrong".to_owned())?;
            }
            digit if digit.is_ascii_digit() => {
                let field = match in_precision {
                    true => &mut verb.precision,
                    false => &mut verb.width,
                };
                let digit = digit.to_digit(10).unwrap_or_default() as usize;
                let number = field.unwrap_or_default() * 10 + digit;
                if number > MAX_WIDTH {
                    return Err(format!("a field is wider than {MAX_WIDTH}"));
                }
                *field = Some(number);
            }
            letter => {
                verb.letter = letter;
                return Ok(verb);
            }
        }
    }
}

fn shown(verb: &Verb, value: &Value) -> Result<String, String> {
    let expected = |kind| format!("%{}: expected {kind}, found {}", verb.letter, value.kind());
    let json = || crate::value::go_json(&value.to_json().to_string());
    let cut = |text: String| match verb.precision {
        Some(count) => text.chars().take(count).collect(),
        None => text,
    };
    let number = || value.to_number().ok_or_else(|| expected("a number"));
    let whole = || number()?.whole().ok_or_else(|| expected("a whole number"));
    Ok(match verb.letter {
        'v' if verb.sharp => json(),
        'v' if *value == Value::Null => "null".to_owned(),
        'v' => value.to_text().unwrap_or_else(json),
        's' => cut(value.to_text().ok_or_else(|| expected("a string"))?),
        'q' => serde_json::Value::from(value.to_text().ok_or_else(|| expected("a string"))?)
            .to_string(),
        't' => value
            .to_bool()
            .ok_or_else(|| expected("a bool"))?
            .to_string(),
        'd' => signed(verb, whole()?.to_string()),
        'x' => signed(verb, format!("{:x}", whole()?)),
        'X' => signed(verb, format!("{:X}", whole()?)),
        'o' => signed(verb, format!("{:o}", whole()?)),
        'b' => signed(verb, format!("{:b}", whole()?)),
        'f' => signed(
            verb,
            format!("{:.*}", verb.precision.unwrap_or(6), number()?.float()),
        ),
        'g' | 'e' => signed(verb, number()?.to_string()),
        letter => return Err(format!("there is no verb %{letter}")),
    })
}

fn signed(verb: &Verb, number: String) -> String {
    match number.starts_with('-') {
        false if verb.plus => format!("+{number}"),
        false if verb.space => format!(" {number}"),
        _ => number,
    }
}

fn padded(verb: &Verb, text: String) -> String {
    let missing = verb
        .width
        .unwrap_or_default()
        .saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if verb.left {
        return text + &" ".repeat(missing);
    }
    if verb.zero {
        let sign = text.starts_with(['+', '-', ' ']);
        let (sign, digits) = text.split_at(usize::from(sign));
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    " ".repeat(missing) + &text
}
