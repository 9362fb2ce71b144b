//! Parser directives: `# key=value` lines at the very start of a file.
//!
//! Keys are `syntax`, `escape` and `check`, in any case, each at most once. The first line that
//! is none ends them: a blank line, another comment, an instruction. A `#!` line may stand before
//! `syntax` and `check`; `escape` after it is a comment.

use crate::Span;
use crate::lint::CheckOptions;

/// The directives of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// The image that is to read the file (`syntax`).
    pub syntax: Option<Directive>,
    /// The escape and continuation character (`escape`).
    pub escape: char,
    /// What the checks are to do (`check`).
    pub check: CheckOptions,
}

/// A directive with a value that is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The value, up to the first space.
    pub value: String,
    /// All of the value.
    pub command_line: String,
    /// Its line.
    pub span: Span,
}

/// Why a directive cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DirectiveError {
    #[error("only one {0} parser directive can be used")]
    Repeated(Key),
    #[error("invalid escape token '{0}' does not match ` or \\")]
    Escape(String),
    #[error("failed to parse check options: {0}")]
    Check(crate::lint::CheckOptionsError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Syntax,
    Escape,
    Check,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Syntax => "syntax",
            Self::Escape => "escape",
            Self::Check => "check",
        })
    }
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            syntax: None,
            escape: '\\',
            check: CheckOptions::default(),
        }
    }
}

/// Reads directives line by line, and knows when they have ended.
#[derive(Debug, Default)]
pub(crate) struct DirectiveReader {
    directives: Directives,
    seen: Vec<Key>,
    /// The first line was for who starts programs.
    after_shebang: bool,
    done: bool,
}

impl DirectiveReader {
    pub(crate) fn into_directives(self) -> Directives {
        self.directives
    }

    pub(crate) const fn escape(&self) -> char {
        self.directives.escape
    }

    /// Whether the line is a directive.
    pub(crate) fn read(&mut self, line: &str, number: u32) -> Result<bool, DirectiveError> {
        if self.done {
            return Ok(false);
        }
        if number == 1 && line.starts_with("#!") {
            self.after_shebang = true;
            return Ok(false);
        }
        let Some((key, value)) = split(line, "#") else {
            self.done = true;
            return Ok(false);
        };
        if key == Key::Escape && self.after_shebang {
            return Ok(false);
        }
        if self.seen.contains(&key) {
            return Err(DirectiveError::Repeated(key));
        }
        self.seen.push(key);
        match key {
            Key::Syntax => self.directives.syntax = Some(Directive::new(value, number)),
            Key::Escape => match value {
                "\\" | "`" => self.directives.escape = if value == "`" { '`' } else { '\\' },
                _ => return Err(DirectiveError::Escape(value.to_owned())),
            },
            Key::Check => {
                self.directives.check =
                    CheckOptions::parse(first_word(value)).map_err(DirectiveError::Check)?;
            }
        }
        Ok(true)
    }
}

impl Directive {
    fn new(value: &str, line: u32) -> Self {
        Self {
            value: first_word(value).to_owned(),
            command_line: value.to_owned(),
            span: Span::line(line),
        }
    }
}

/// The image that is to read `text`, which need not be a Dockerfile: `# syntax=`, `// syntax=`
/// or `{"syntax": …}`, after a `#!` line if there is one.
#[must_use]
pub fn detect_syntax(text: &str) -> Option<Directive> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (text, skipped) = match text.starts_with("#!") {
        true => (text.split_once('\n').map_or("", |(_, rest)| rest), 1),
        false => (text, 0),
    };
    let commented = |comment: &str| {
        (skipped + 1..)
            .zip(text.lines())
            .map_while(|(number, line)| split(line, comment).map(|found| (number, found)))
            .find(|(_, (key, _))| *key == Key::Syntax)
            .map(|(number, (_, value))| Directive::new(value, number))
    };
    commented("#").or_else(|| commented("//")).or_else(|| {
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        let value = document.get("syntax")?.as_str()?;
        Some(Directive {
            value: value.to_owned(),
            command_line: value.to_owned(),
            span: Span::line(skipped.max(1)),
        })
    })
}

/// The `check` directive in a comment above an instruction, without its `#`.
pub(crate) fn check_in_comment(comment: &str) -> Option<CheckOptions> {
    match split(comment, "") {
        Some((Key::Check, value)) => CheckOptions::parse(first_word(value)).ok(),
        _ => None,
    }
}

fn split<'a>(line: &'a str, comment: &str) -> Option<(Key, &'a str)> {
    let line = line.strip_prefix(comment)?.trim_start();
    let (key, value) = line.split_once('=')?;
    let key = match key.trim_end().to_ascii_lowercase().as_str() {
        "syntax" => Key::Syntax,
        "escape" => Key::Escape,
        "check" => Key::Check,
        _ => return None,
    };
    let value = value.trim();
    (!value.is_empty()).then_some((key, value))
}

fn first_word(value: &str) -> &str {
    value.split(' ').next().unwrap_or(value)
}
