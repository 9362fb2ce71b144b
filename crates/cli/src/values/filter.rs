//! `--filter name=value`.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::ValueError;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of what.
    pub name: String,
    /// Which value it must have.
    pub value: String,
}

/// The conditions in `texts`, of which only those in `known` are there.
///
/// # Errors
/// One is malformed or not known.
pub fn parse(texts: &[String], known: &[&str]) -> Result<Vec<Filter>, ValueError> {
    let one = |text: &String| match text.split_once('=') {
        Some((name, value)) if known.contains(&name.trim()) => Ok(Filter {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
        }),
        _ => Err(ValueError::Filter(text.clone())),
    };
    texts.iter().map(one).collect()
}

/// The time that `until=text` means: so long before `now` (`24h`, `1h30m`), seconds since 1970, or
/// a date.
///
/// # Errors
/// It is none of these.
pub fn until(text: &str, now: SystemTime) -> Result<SystemTime, ValueError> {
    let invalid = || ValueError::FilterValue {
        name: "until".to_owned(),
        value: text.to_owned(),
    };
    if let Ok(seconds) = text.parse::<u64>() {
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        return time.ok_or_else(invalid);
    }
    if let Some(before) = engine::parse_duration(text) {
        return now.checked_sub(before).ok_or_else(invalid);
    }
    let date = if text.contains('T') {
        text.to_owned()
    } else {
        format!("{text}T00:00:00")
    };
    let zoned = if date.ends_with('Z') || date.contains('+') {
        date
    } else {
        format!("{date}Z")
    };
    let timestamp: Timestamp = zoned.parse().map_err(|_| invalid())?;
    let seconds = u64::try_from(timestamp.as_second()).map_err(|_| invalid())?;
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (text, seconds) in [
            ("24h", Some(1_700_000_000 - 86400)),
            ("1h30m", Some(1_700_000_000 - 5400)),
            ("1.5m", Some(1_700_000_000 - 90)),
            ("1600000000", Some(1_600_000_000)),
            ("2020-09-13T12:26:40Z", Some(1_600_000_000)),
            ("2020-09-13", Some(1_599_955_200)),
            ("2020-09-13T12:26:40", Some(1_600_000_000)),
            ("2020-09-13T14:26:40+02:00", Some(1_600_000_000)),
            ("yesterday", None),
            ("5", Some(5)),
            ("5x", None),
            ("", None),
        ] {
            let expected = seconds.map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s));
            assert_eq!(until(text, now).ok(), expected, "{text}");
        }
    }
}
