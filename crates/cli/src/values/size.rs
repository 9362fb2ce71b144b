//! Sizes in bytes as docker takes them: a number, a fraction at will, and a unit of base 1024.

use super::ValueError;

/// The bytes of `64m`, `1.5g`, `512`, `2GiB`.
///
/// # Errors
/// The text is no size, or too large.
pub fn bytes(text: &str) -> Result<u64, ValueError> {
    engine::parse_size(text).ok_or_else(|| ValueError::Size(text.to_owned()))
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
