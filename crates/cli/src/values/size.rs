//! Sizes in bytes as docker takes them: a number, a fraction at will, and a unit of base 1024.

use super::ValueError;

const UNITS: &[(char, u32)] = &[('k', 10), ('m', 20), ('g', 30), ('t', 40), ('p', 50)];

/// The bytes of `64m`, `1.5g`, `512`, `2GiB`.
///
/// # Errors
/// The text is no size, or too large.
pub fn bytes(text: &str) -> Result<u64, ValueError> {
    let invalid = || ValueError::Size(text.to_owned());
    let number_ends = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_ends);
    let shift = unit(suffix.trim()).ok_or_else(invalid)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).ok_or_else(invalid);
    }
    let fraction: f64 = number.parse().map_err(|_| invalid())?;
    let bytes = fraction * f64::from(shift).exp2();
    if bytes < 9e18 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, since the number has no sign, and below the limit"
        )]
        Ok(bytes as u64)
    } else {
        Err(invalid())
    }
}

fn unit(suffix: &str) -> Option<u32> {
    let suffix = suffix.to_ascii_lowercase();
    if suffix.is_empty() || suffix == "b" {
        return Some(0);
    }
    UNITS.iter().find_map(|&(letter, shift)| {
        let rest = suffix.strip_prefix(letter)?;
        matches!(rest, "" | "b" | "ib").then_some(shift)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("512", Some(512)),
            ("512b", Some(512)),
            ("64m", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            ("2 GiB", Some(2 << 30)),
            ("0", Some(0)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1.2.3", None),
            ("12x", None),
            ("99999999999999999999", None),
            ("20000p", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
        assert_eq!(bytes("x").unwrap_err().to_string(), "invalid size: 'x'");
    }
}
