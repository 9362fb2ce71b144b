//! How CDI's files spell kinds and devices.

/// Checks `vendor/class`.
pub(super) fn check_kind(kind: &str) -> Result<(), String> {
    let parts = kind.split_once('/');
    let is_right = |part: &str| begins_with_letter(part) && is_name(part, "_-.");
    match parts {
        Some((vendor, class)) if is_right(vendor) && is_right(class) => Ok(()),
        _ => Err(format!("invalid kind {kind:?}, expected vendor/class")),
    }
}

/// Checks the name of one device.
pub(super) fn check_device(name: &str) -> Result<(), String> {
    if is_name(name, "_-.:") {
        Ok(())
    } else {
        Err(format!("invalid device name {name:?}"))
    }
}

/// Letters and digits, and between them what is in `more`.
fn is_name(name: &str, more: &str) -> bool {
    let is_plain = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_plain(name.chars().next())
        && is_plain(name.chars().next_back())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn begins_with_letter(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
}
