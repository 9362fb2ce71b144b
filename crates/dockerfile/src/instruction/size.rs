//! Sizes and times as Go programs read them: `64m`, `1.5GiB`; `30s`, `1m30s`, `1.5h`.

/// Bytes; units are powers of 1024 in any case, with or without `b` or `ib`.
pub(crate) fn parse_bytes(text: &str) -> Option<i64> {
    let at = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' '))?;
    let (number, unit) = text.split_at(at + 1);
    let number: f64 = number.trim_end_matches(' ').parse().ok()?;
    if number.is_nan() || number < 0.0 {
        return None;
    }
    let unit = unit.to_ascii_lowercase();
    let power = match unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit)
    {
        "" if unit == "ib" => return None,
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = number * 1024f64.powi(power);
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    Some(bytes as i64)
}

/// Why a text is not a time span; the words are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("time: invalid duration {}", crate::quote::quote(.0))]
    Invalid(String),
    #[error("time: missing unit in duration {}", crate::quote::quote(.0))]
    NoUnit(String),
    #[error("time: unknown unit {} in duration {}", crate::quote::quote(.unit), crate::quote::quote(.text))]
    Unit { unit: String, text: String },
}

/// Nanoseconds.
pub(super) fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        total += number
            * nanoseconds(unit).ok_or_else(|| DurationError::Unit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            })?;
        rest = after;
    }
    #[expect(clippy::cast_precision_loss, reason = "only the magnitude matters")]
    if total > i64::MAX as f64 {
        return Err(invalid());
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    let total = total as i64;
    Ok(if negative { -total } else { total })
}

/// A time span as Go shows it, such as `1m30s`.
pub(crate) fn show_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let all = nanoseconds.unsigned_abs();
    let text = match all {
        0 => "0s".to_owned(),
        1..1_000 => format!("{all}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(all, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(all, 1_000_000)),
        _ => {
            let seconds = fraction(all % 60_000_000_000, 1_000_000_000);
            let minutes = all / 60_000_000_000;
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

fn nanoseconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

/// `number / unit` without needless digits; `unit` is a power of ten.
fn fraction(number: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", number / unit, number % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        for (text, expected) in [
            ("1024", Some(1024)),
            ("1k", Some(1024)),
            ("1.5KiB", Some(1536)),
            ("64 MB", Some(64 << 20)),
            ("2g", Some(2 << 30)),
            ("5b", Some(5)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("1mib2", None),
            ("-1k", None),
            ("1é", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("30s", "30s"),
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("1.5h", "1h30m0s"),
            ("1m0.25s", "1m0.25s"),
            ("250ms", "250ms"),
            ("1500us", "1.5ms"),
            ("-3ns", "-3ns"),
            ("0", "0s"),
            ("", "time: invalid duration \"\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5d", "time: unknown unit \"d\" in duration \"5d\""),
            ("s", "time: invalid duration \"s\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
        ] {
            let shown = match parse_duration(text) {
                Ok(nanoseconds) => show_duration(nanoseconds),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{text}");
        }
    }
}
