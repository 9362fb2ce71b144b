//! Files of variables, as compose has them: `.env`, and those that services name.

use std::collections::BTreeMap;

use super::interpolate::Variables;
use crate::error::{BakeError, Problem};

/// The variables of the file `.env`. What they are made of is looked for in `environment` first.
///
/// # Errors
/// A line is no variable.
pub fn dot_env(
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, BakeError> {
    let outside = |name: &str| environment.get(name).cloned();
    variables(".env", text, &outside).map_err(Problem::nowhere)
}

/// The variables of the file `file`; what they are made of is looked for with `outside` first.
pub(super) fn variables(
    file: &str,
    text: &str,
    outside: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
    let mut reader = Reader {
        rest: text,
        line: 1,
    };
    while let Some((name, said)) = reader
        .next()
        .map_err(|why| Problem::value(format!("{file}:{}", reader.line), why))?
    {
        let known = |name: &str| outside(name).or_else(|| found.get(name).cloned());
        let value = match said {
            Said::Nothing => outside(&name),
            Said::Text(text) => Some(text),
            Said::Template(text) => {
                let made = Variables::new(&known).text(&text, 0);
                Some(made.map_err(|problem| {
                    Problem::value(format!("{file}:{}", reader.line), problem.to_string())
                })?)
            }
        };
        found.extend(value.map(|value| (name, value)));
    }
    Ok(found)
}

/// The variables of a file whose values are what stands after `=`, as it stands there.
pub(super) fn raw(
    text: &str,
    outside: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| match line.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((line.to_owned(), outside(line)?)),
    });
    pairs.collect()
}

/// What a file says of a variable.
enum Said {
    /// It is that of the environment.
    Nothing,
    /// Its value.
    Text(String),
    /// The same, with other variables in it.
    Template(String),
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    /// The next variable; none at the end.
    fn next(&mut self) -> Result<Option<(String, Said)>, String> {
        loop {
            self.skip(char::is_whitespace);
            match self.rest.starts_with('#') {
                true => self.skip(|c| c != '\n'),
                false if self.rest.is_empty() => return Ok(None),
                false => break,
            }
        }
        if let Some(said) = self.rest.strip_prefix("export")
            && said.starts_with([' ', '\t'])
        {
            self.rest = said.trim_start_matches([' ', '\t']);
        }
        let end = self.rest.find(['=', ':', '\n']);
        let (name, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let name = name.trim_end();
        let fits = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
        if name.is_empty() || !name.chars().all(fits) {
            return Err("expected NAME=VALUE".to_owned());
        }
        let is_inherited = !after.starts_with(['=', ':']);
        self.rest = after.get(1..).unwrap_or_default();
        if is_inherited {
            self.line += usize::from(after.starts_with('\n'));
            return Ok(Some((name.to_owned(), Said::Nothing)));
        }
        self.rest = self
            .rest
            .trim_start_matches(|c: char| c != '\n' && c.is_whitespace());
        self.value().map(|said| Some((name.to_owned(), said)))
    }

    fn value(&mut self) -> Result<Said, String> {
        match self.rest.chars().next() {
            Some('\'') => self.quoted('\'').map(Said::Text),
            Some('"') => Ok(Said::Template(escaped(&self.quoted('"')?))),
            _ => {
                let line = self.rest.split('\n').next().unwrap_or_default();
                self.rest = &self.rest[line.len()..];
                let end = line.find(" #").unwrap_or(line.len());
                Ok(Said::Template(line[..end].trim_end().to_owned()))
            }
        }
    }

    /// What is within quotes, on as many lines as it takes. A backslash stays where it is not before
    /// such a quote.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut is_escaped = false;
        for (place, c) in self.rest.char_indices().skip(1) {
            if c == quote && !is_escaped {
                self.rest = &self.rest[place + 1..];
                self.line += text.matches('\n').count();
                return Ok(text);
            }
            if is_escaped && c != quote {
                text.push('\\');
            }
            is_escaped = c == '\\' && !is_escaped;
            if !is_escaped {
                text.push(c);
            }
        }
        Err("a quote is not closed".to_owned())
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) {
        let end = self.rest.find(|c| !what(c)).unwrap_or(self.rest.len());
        self.line += self.rest[..end].matches('\n').count();
        self.rest = &self.rest[end..];
    }
}

/// Text of double quotes with what backslashes stand for. A dollar sign stays one for whoever puts
/// variables in.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\u{b}'),
            Some('$') => out.push_str("$$"),
            Some(same @ ('"' | '\\')) => out.push(same),
            other => {
                out.push('\\');
                out.extend(other);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_values_in_several_ways() {
        let environment = BTreeMap::from([("OUT".to_owned(), "out".to_owned())]);
        for (text, expected) in [
            ("# c\n\n A=1 # one\nB = two words \n", "A=1 B=two words"),
            ("export A=1\nexport\tB: 2\r\n", "A=1 B=2"),
            (
                "A='x $OUT\\n' # c\nB=\"x $OUT\\n\"",
                "A=x $OUT\\n B=x out\n",
            ),
            ("A=1\nB=${A}${OUT}${NONE:-d}", "A=1 B=1outd"),
            ("OUT=in\nB=$OUT", "B=out OUT=in"),
            ("A=\"two\nlines\"\nB=1", "A=two\nlines B=1"),
            ("A=\"say \\\"x\\\" \\$OUT\"", "A=say \"x\" $OUT"),
            ("OUT\nNONE\nA=", "A= OUT=out"),
            ("A=\n\nB=", "A= B="),
            ("\nA B=1", ".env:2: expected NAME=VALUE"),
            ("A=1\nB='x\n", ".env:2: a quote is not closed"),
            ("A=1\n=2", ".env:2: expected NAME=VALUE"),
            (
                "A=1\n\nB=${",
                ".env:3: \"${\": is no variable: write $$ for a dollar sign",
            ),
        ] {
            let shown = match dot_env(text, &environment) {
                Ok(variables) => {
                    let pairs = variables
                        .iter()
                        .map(|(name, value)| format!("{name}={value}"));
                    pairs.collect::<Vec<_>>().join(" ")
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{text:?}");
        }
        let raw = raw("A='1' # x\n# c\nOUT\nNONE", &|name| {
            environment.get(name).cloned()
        });
        let expected = [("A", "'1' # x"), ("OUT", "out")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(raw, expected.into());
    }
}
