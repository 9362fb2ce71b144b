//! Records of comma-separated values, as buildx reads and writes them.

/// The fields of each record of `text`; of an empty line there is none.
///
/// # Errors
/// As [`fields`].
pub(crate) fn records(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // A line ends outside of quotes, of which two stand for one.
        let mut is_quoted = false;
        let end = rest.find(|c| {
            is_quoted ^= c == '"';
            c == '\n' && !is_quoted
        });
        let end = end.unwrap_or(rest.len());
        let line = rest[..end].trim_end_matches('\r');
        if !line.is_empty() {
            records.push(fields(line)?);
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Ok(records)
}

/// The fields of `text`.
///
/// # Errors
/// A quote is not closed, or stands in the middle.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text.trim_end_matches(['\r', '\n']);
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                if field.contains('"') {
                    return Err(format!("{text:?}: a quote in the middle of a value"));
                }
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => return Ok(fields),
            None => return Err(format!("{text:?}: a quote in the middle of a value")),
        }
    }
}

/// What is within the quotes, and what follows them.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest
            .find('"')
            .ok_or_else(|| format!("{text:?}: a quote is not closed"))?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Ok((field, rest)),
        }
    }
}

/// `key=value` pairs as one record.
pub(crate) fn record<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(key, value)| {
        let pair = format!("{key}={value}");
        match pair.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", pair.replace('"', "\"\"")),
            false => pair,
        }
    });
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_written() {
        assert_eq!(fields("a,b=c,").unwrap(), ["a", "b=c", ""]);
        assert_eq!(fields(r#""a,""b""",c"#).unwrap(), [r#"a,"b""#, "c"]);
        assert!(
            fields(r#"a"b"#).is_err() && fields(r#""a"#).is_err() && fields(r#""a"b"#).is_err()
        );
        assert_eq!(
            records("a,b\r\n\n\"1\n\"\"\",2\n").unwrap(),
            [["a", "b"], ["1\n\"", "2"]]
        );
        assert!(records("a\n\"b\nc").is_err());
        assert_eq!(record([("a", "1"), ("b", "2,3")]), r#"a=1,"b=2,3""#);
    }
}
