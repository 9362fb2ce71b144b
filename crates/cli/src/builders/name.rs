//! Names of builders and nodes.

use super::BuildersError;

/// Bytes of a name: what a file's may have, with room for what is put before it.
const LONGEST: usize = 200;

/// The name of the file that is `name`'s.
///
/// # Errors
/// It is no name.
pub(super) fn file(name: &str) -> Result<String, BuildersError> {
    check(name)?;
    Ok(name.to_lowercase())
}

/// Checks that `name` can be one.
///
/// # Errors
/// It is no name.
pub(super) fn check(name: &str) -> Result<(), BuildersError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    match begins && name.len() <= LONGEST && name.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(BuildersError::Name(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(file("My.builder-1_a").unwrap(), "my.builder-1_a");
        let long = "a".repeat(LONGEST + 1);
        for none in [
            "", "1a", "-a", ".a", "a/b", "../a", "a b", "ä", "a\n", &long,
        ] {
            assert!(file(none).is_err(), "{none:?}");
        }
    }
}
