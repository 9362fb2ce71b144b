//! One record of comma-separated fields, quoted as Go's `encoding/csv` reads it: a field that
//! starts with `"` runs to the closing quote and `""` inside it is one quote; a bare field must
//! not contain a quote.

use super::ValueError;

/// The fields of `record`.
///
/// # Errors
/// A quote stands where none may.
pub fn fields(record: &str) -> Result<Vec<String>, ValueError> {
    let mut fields = Vec::new();
    let mut rest = record;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(record, quoted)?,
            None => bare_field(record, rest)?,
        };
        fields.push(field);
        match after {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// The fields of `record` as `key=value` pairs; a field without `=` has no value.
///
/// # Errors
/// A quote stands where none may.
pub fn pairs(record: &str) -> Result<Vec<(String, Option<String>)>, ValueError> {
    let split = |field: String| match field.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (field, None),
    };
    Ok(fields(record)?.into_iter().map(split).collect())
}

/// A field and what follows its comma.
type Field<'a> = (String, Option<&'a str>);

fn bare_field<'a>(record: &str, rest: &'a str) -> Result<Field<'a>, ValueError> {
    let (field, after) = match rest.split_once(',') {
        Some((field, after)) => (field, Some(after)),
        None => (rest, None),
    };
    if field.contains('"') {
        return Err(ValueError::BareQuote(record.to_owned()));
    }
    Ok((field.to_owned(), after))
}

fn quoted_field<'a>(record: &str, mut rest: &'a str) -> Result<Field<'a>, ValueError> {
    let misplaced = || ValueError::Quote(record.to_owned());
    let mut field = String::new();
    loop {
        let (part, after) = rest.split_once('"').ok_or_else(misplaced)?;
        field.push_str(part);
        if after.is_empty() {
            return Ok((field, None));
        }
        if let Some(next) = after.strip_prefix(',') {
            return Ok((field, Some(next)));
        }
        rest = after.strip_prefix('"').ok_or_else(misplaced)?;
        field.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_encoding_csv() {
        for (record, expected) in [
            ("a", "a"),
            ("", ""),
            ("a,b", "a|b"),
            ("a,,b,", "a||b|"),
            (r#""a,b",c"#, "a,b|c"),
            (r#""a ""b"" c""#, r#"a "b" c"#),
            (r#""""#, ""),
            (
                r#"type=x,"name=a,b",push=true"#,
                "type=x|name=a,b|push=true",
            ),
            (
                r#"a"b"#,
                r#"parse error in "a\"b": bare " in non-quoted field"#,
            ),
            (
                r#""a"b"#,
                r#"parse error in "\"a\"b": extraneous or missing " in quoted-field"#,
            ),
            (
                r#""a"#,
                r#"parse error in "\"a": extraneous or missing " in quoted-field"#,
            ),
        ] {
            let got = match fields(record) {
                Ok(fields) => fields.join("|"),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{record}");
        }
    }
}
