//! `--env-file`: a variable a line, as docker reads it.

use super::ValueError;

/// The variables in `text`, as `KEY=value`. A bare name takes what `environment` has for it and
/// is left out when that is nothing.
///
/// # Errors
/// A line has no name, or one with white space.
pub fn parse(
    file: &str,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, ValueError> {
    let mut variables = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason| ValueError::EnvFile {
            file: file.to_owned(),
            line: line.to_owned(),
            reason,
        };
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, environment(line)),
        };
        if name.is_empty() {
            return Err(wrong("no variable name"));
        }
        if name.contains(char::is_whitespace) {
            return Err(wrong("the variable's name contains white space"));
        }
        variables.extend(value.map(|value| format!("{name}={value}")));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let of_environment = |name: &str| (name == "HERE").then(|| "yes".to_owned());
        let read = |text: &str| match parse("f", text, of_environment) {
            Ok(variables) => variables.join("|"),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            read("# comment\n\nA=1\n  B=2 \nC=\nHERE\nNOWHERE\nD=a=b\n"),
            "A=1|B=2 |C=|HERE=yes|D=a=b"
        );
        assert_eq!(read("=x"), "invalid line \"=x\" in f: no variable name");
        assert_eq!(
            read("A B=x"),
            "invalid line \"A B=x\" in f: the variable's name contains white space"
        );
    }
}
