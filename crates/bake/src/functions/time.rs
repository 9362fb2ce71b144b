//! Times: in RFC 3339, or in seconds since 1970.

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::{Arguments, Done, Function};
use crate::number::Number;
use crate::value::Value;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("formatdate", |a| {
        a.count(2..=2)?;
        format(&a.text(0)?, &parse(&a.text(1)?)?).map(Value::String)
    }),
    ("formattimestamp", format_timestamp),
    ("timeadd", time_add),
    ("timestamp", |a| {
        a.count(0..=0)?;
        Ok(Value::String(rfc3339(
            &a.given.now.to_zoned_datetime(jiff::tz::TimeZone::UTC),
        )))
    }),
    ("unixtimestampparse", unix_parse),
];

fn format_timestamp(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let pattern = arguments.text(0)?;
    let time = match &arguments.values[1] {
        Value::Number(_) => unix(arguments.number(1)?)?,
        _ => parse(&arguments.text(1)?)?,
    };
    Ok(Value::String(match pattern.as_str() {
        "X" => time.timestamp().as_second().to_string(),
        pattern => format(pattern, &time)?,
    }))
}

fn time_add(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let time = parse(&arguments.text(0)?)?;
    let text = arguments.text(1)?;
    let wrong = || format!("{text:?} is no duration, such as \"1h30m\"");
    let later = time.checked_add(duration(&text).ok_or_else(wrong)?);
    let later = later.map_err(|error| error.to_string())?;
    Ok(Value::String(rfc3339(&later)))
}

/// A duration as Go writes it.
fn duration(text: &str) -> Option<SignedDuration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0.0;
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    SignedDuration::try_from_secs_f64(sign * seconds).ok()
}

fn unix_parse(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=1)?;
    let time = unix(arguments.number(0)?)?;
    let week = time.date().iso_week_date();
    let number = |number: i16| Value::int(number);
    let parts = [
        ("year", number(time.year())),
        ("year_day", number(time.day_of_year())),
        ("day", number(time.day().into())),
        ("month", number(time.month().into())),
        ("month_name", Value::String(time.strftime("%B").to_string())),
        (
            "weekday",
            number(time.weekday().to_sunday_zero_offset().into()),
        ),
        (
            "weekday_name",
            Value::String(time.strftime("%A").to_string()),
        ),
        ("hour", number(time.hour().into())),
        ("minute", number(time.minute().into())),
        ("second", number(time.second().into())),
        ("rfc3339", Value::String(rfc3339(&time))),
        ("iso_year", number(week.year())),
        ("iso_week", number(week.week().into())),
    ];
    let parts = parts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Ok(Value::Object(parts.collect()))
}

fn unix(number: Number) -> Result<ZonedDateTime, String> {
    let seconds = number.whole().and_then(|whole| i64::try_from(whole).ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let time = time.ok_or_else(|| "a time must be whole seconds since 1970".to_owned())?;
    Ok(time.to_zoned_datetime(jiff::tz::TimeZone::UTC))
}

fn parse(text: &str) -> Result<ZonedDateTime, String> {
    let wrong = || format!("{text:?} is no time of RFC 3339");
    let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| wrong())?;
    let offset = pieces
        .to_numeric_offset()
        .or_else(|| text.ends_with(['Z', 'z']).then_some(Offset::UTC));
    let time = pieces.time().ok_or_else(wrong)?;
    let zone = jiff::tz::TimeZone::fixed(offset.ok_or_else(wrong)?);
    pieces
        .date()
        .to_datetime(time)
        .to_zoned_datetime(zone)
        .map_err(|_| wrong())
}

fn rfc3339(time: &ZonedDateTime) -> String {
    let zone = zone(time, true, "Z");
    format!("{}{zone}", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// The offset from UTC, or `utc`.
fn zone(time: &ZonedDateTime, colon: bool, utc: &str) -> String {
    match time.offset() == Offset::UTC {
        true => utc.to_owned(),
        false if colon => time.strftime("%:z").to_string(),
        false => time.strftime("%z").to_string(),
    }
}

/// `formatdate`'s letters.
fn format(pattern: &str, time: &ZonedDateTime) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, after) = quoted(&rest[1..])?;
            out.push_str(&text);
            rest = after;
            continue;
        }
        let end = rest.find(|c| c != first).unwrap_or(rest.len());
        let (letters, after) = rest.split_at(end);
        match first.is_ascii_alphabetic() {
            true => out.push_str(&letters_of(letters, time)?),
            false => out.push_str(letters),
        }
        rest = after;
    }
    Ok(out)
}

/// What is within quotes, and what follows; two quotes are one.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let end = rest
            .find('\'')
            .ok_or_else(|| "a quote is not closed".to_owned())?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                out.push('\'');
                rest = after;
            }
            None => return Ok((out, rest)),
        }
    }
}

fn letters_of(letters: &str, time: &ZonedDateTime) -> Result<String, String> {
    let shown = |pattern: &str| time.strftime(pattern).to_string();
    let hour = (time.hour() + 11) % 12 + 1;
    Ok(match letters {
        "YYYY" => shown("%Y"),
        "YY" => shown("%y"),
        "MMMM" => shown("%B"),
        "MMM" => shown("%b"),
        "MM" => shown("%m"),
        "M" => time.month().to_string(),
        "DD" => shown("%d"),
        "D" => time.day().to_string(),
        "EEEE" => shown("%A"),
        "EEE" => shown("%a"),
        "hh" => shown("%H"),
        "h" => time.hour().to_string(),
        "HH" => format!("{hour:02}"),
        "H" => hour.to_string(),
        "AA" => shown("%p").to_uppercase(),
        "aa" => shown("%p").to_lowercase(),
        "mm" => shown("%M"),
        "m" => time.minute().to_string(),
        "ss" => shown("%S"),
        "s" => time.second().to_string(),
        "ZZZZZ" => shown("%:z"),
        "ZZZZ" => shown("%z"),
        "ZZZ" => zone(time, false, "UTC"),
        "Z" => zone(time, true, "Z"),
        other => return Err(format!("{other:?} in the format is no part of a time")),
    })
}
