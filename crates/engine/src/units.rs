//! Sizes and durations as docker and Go write them.

use std::time::Duration;

const SIZES: &[(char, u32)] = &[('k', 10), ('m', 20), ('g', 30), ('t', 40), ('p', 50)];

/// The bytes of `64m`, `1.5g`, `512`, `2GiB`: units of base 1024. None of a text that is no size,
/// or one that is too large.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let number_ends = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_ends);
    let shift = unit(suffix.trim())?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let fraction: f64 = number.parse().ok()?;
    let bytes = fraction * f64::from(shift).exp2();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, since the number has no sign, and below the limit"
    )]
    (bytes < 9e18).then_some(bytes as u64)
}

fn unit(suffix: &str) -> Option<u32> {
    let suffix = suffix.to_ascii_lowercase();
    if suffix.is_empty() || suffix == "b" {
        return Some(0);
    }
    SIZES.iter().find_map(|&(letter, shift)| {
        let rest = suffix.strip_prefix(letter)?;
        matches!(rest, "" | "b" | "ib").then_some(shift)
    })
}

/// Go's `time.ParseDuration`, without signs and with days: `24h`, `1h30m`, `60d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0.0, text);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_ends = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_ends);
        let unit_ends = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_ends);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    Duration::try_from_secs_f64(total).ok()
}
