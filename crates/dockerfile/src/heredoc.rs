//! Heredocs: `<<NAME` in `RUN`, `COPY` and `ADD`, with a body up to a line that is `NAME`.

use crate::lexer::Lexer;
use crate::word::{Lex, NoVariables, WordError};

/// A heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// Variables in the body are expanded, since no part of the word was quoted.
    pub expand: bool,
    /// Tabs at the start of each line are dropped (`<<-`).
    pub strip_tabs: bool,
    /// The body as it was written.
    pub body: String,
}

impl Heredoc {
    /// The body without the tabs that are to be dropped.
    #[must_use]
    pub fn content(&self) -> String {
        if self.strip_tabs {
            strip_tabs(&self.body)
        } else {
            self.body.clone()
        }
    }

    /// Reads `<<NAME`, `<<-NAME`, `<<"NAME"`, perhaps with a file descriptor before it.
    pub(crate) fn parse(word: &str) -> Result<Option<Self>, WordError> {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let Some(rest) = digits.strip_prefix("<<") else {
            return Ok(None);
        };
        let (rest, strip_tabs) = match rest.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
        if rest.is_empty() || rest.contains('<') {
            return Ok(None);
        }
        let lex = Lex {
            keep_unset: true,
            ..Lex::new('\\')
        };
        let words = lex.words(rest, &NoVariables)?;
        let raw = Lex {
            raw_quotes: true,
            ..lex
        };
        let raw_words = raw.words(rest, &NoVariables)?;
        let ([name], [raw_name]) = (words.as_slice(), raw_words.as_slice()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            name: name.clone(),
            expand: quotes(name) == quotes(raw_name),
            strip_tabs,
            body: String::new(),
        }))
    }

    /// Every heredoc that a line begins.
    pub(crate) fn find(line: &str) -> Result<Vec<Self>, WordError> {
        if !line.contains('<') {
            return Ok(Vec::new());
        }
        let lex = Lex {
            raw_quotes: true,
            raw_escapes: true,
            keep_unset: true,
            ..Lex::new('\\')
        };
        // A line that a shell could not split begins none; the shell will say so.
        let Ok(words) = lex.words(line, &NoVariables) else {
            return Ok(Vec::new());
        };
        words
            .iter()
            .filter_map(|word| Self::parse(word).transpose())
            .collect()
    }

    /// Takes the body from the lines that follow; whether its end was found.
    pub(crate) fn read_body(&mut self, lexer: &mut Lexer<'_>) -> bool {
        while let Some(raw) = lexer.next_raw() {
            lexer.check_utf8();
            let line = raw.trim_end_matches(['\r', '\n']);
            let line = if self.strip_tabs {
                line.trim_start_matches('\t')
            } else {
                line
            };
            if line == self.name {
                return true;
            }
            self.body.push_str(raw);
        }
        false
    }
}

fn quotes(text: &str) -> usize {
    text.matches(['\'', '"']).count()
}

fn strip_tabs(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| line.trim_start_matches('\t'))
        .collect()
}
