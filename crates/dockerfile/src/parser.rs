//! From text to stages. Everything that is wrong is reported in one pass, with its place; what
//! can be read is read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::Span;
use crate::diagnostic::{Diagnostic, Severity, Source, in_order};
use crate::directive::Directives;
use crate::heredoc::Heredoc;
use crate::instruction::{self, Arg, Instruction, InstructionError, InstructionKind, Keyword};
use crate::lexer::{Lexer, LineError, LogicalLine};
use crate::limits::{MAX_FILE, MAX_HEREDOCS, MAX_STAGES};
use crate::stage::Stage;
use crate::statement::{Statement, StatementError};
use crate::word::WordError;

/// A Dockerfile that was read.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The text, for excerpts.
    pub source: Source,
    /// What the lines at its start say.
    pub directives: Directives,
    /// `ARG` before the first `FROM`.
    pub meta_args: Vec<MetaArg>,
    /// Stages in order.
    pub stages: Vec<Stage>,
    /// What is wrong with it. Warnings come when it is lowered, since the build decides which.
    pub diagnostics: Vec<Diagnostic>,
    /// Blank lines between continuations.
    pub(crate) empty_continuations: Vec<Span>,
}

/// An `ARG` before the first `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaArg {
    /// What it declares.
    pub args: Vec<Arg>,
    /// Its lines.
    pub span: Span,
    /// Comments above it.
    pub comments: Vec<String>,
}

impl Parsed {
    /// The errors among the diagnostics.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("the Dockerfile cannot be empty")]
    Empty,
    #[error("file with no instructions")]
    NoInstructions,
    #[error("dockerfile contains no stages to build")]
    NoStages,
    #[error("the Dockerfile has more than {MAX_FILE} bytes")]
    TooLarge,
    #[error("the Dockerfile has more than {MAX_STAGES} stages")]
    TooManyStages,
    #[error("an instruction has more than {MAX_HEREDOCS} heredocs")]
    TooManyHeredocs,
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("no build stage in current context")]
    OutsideStage,
    #[error("unterminated heredoc")]
    OpenHeredoc,
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error(transparent)]
    Heredoc(#[from] WordError),
    #[error("dockerfile parse error on line {line}: {error}")]
    Instruction { line: u32, error: InstructionError },
    #[error("onbuild trigger should be a single expression")]
    TriggerNotOne,
    #[error("FROM isn't allowed as an ONBUILD trigger")]
    TriggerStage,
    #[error(transparent)]
    Trigger(#[from] InstructionError),
}

/// Reads a Dockerfile.
///
/// `text` need not be UTF-8 in comments; anywhere else it is an error that it is not.
#[must_use]
pub fn parse(text: impl AsRef<[u8]>) -> Parsed {
    if text.as_ref().len() > MAX_FILE {
        return Parsed {
            diagnostics: vec![Diagnostic::error([], &ParseError::TooLarge)],
            ..Parsed::default()
        };
    }
    let (text, not_utf8) = decode(text.as_ref());
    let mut parser = Parser {
        lexer: Lexer::new(&text, not_utf8),
        parsed: Parsed::default(),
        empty_continuations: Vec::new(),
        lines: 0,
        lost_stage: false,
        has_too_many: false,
    };
    while let Some(line) = parser.lexer.next_logical() {
        parser.lines += 1;
        parser.line(line);
    }
    let (lines, last_line) = (parser.lines, parser.lexer.line());
    let (directives, errors) = parser.lexer.finish();
    let (mut parsed, empty_continuations) = (parser.parsed, parser.empty_continuations);
    parsed.directives = directives;
    for (span, error) in errors {
        parsed.diagnostics.push(Diagnostic::error([span], &error));
    }
    if let Some((error, span)) = nothing_to_build(&text, lines, last_line, &parsed) {
        parsed.diagnostics.push(Diagnostic::error(span, &error));
    }
    parsed.source = Source {
        name: "Dockerfile".to_owned(),
        text: text.into_owned(),
    };
    parsed.empty_continuations = empty_continuations;
    parsed.diagnostics = in_order(parsed.diagnostics);
    parsed
}

/// Reads the one instruction of an `ONBUILD` trigger; `span` is where it is said to be.
pub(crate) fn parse_trigger(expression: &str, span: Span) -> Result<Instruction, ParseError> {
    let mut lexer = Lexer::new(expression, BTreeSet::new());
    let line = lexer.next_logical().ok_or(ParseError::TriggerNotOne)?;
    let mut statement = Statement::parse(&line.text, lexer.escape())?;
    read_heredocs(&mut lexer, &mut statement)?;
    if lexer.next_logical().is_some() {
        return Err(ParseError::TriggerNotOne);
    }
    if let Some((_, error)) = lexer.finish().1.into_iter().next() {
        return Err(error.into());
    }
    statement.span = span;
    match instruction::parse(statement)? {
        instruction::Parsed::Instruction(instruction) => Ok(instruction),
        instruction::Parsed::Stage(_) => Err(ParseError::TriggerStage),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    parsed: Parsed,
    empty_continuations: Vec<Span>,
    lines: usize,
    /// A `FROM` could not be read; what follows it belongs to it.
    lost_stage: bool,
    /// There were more stages than there may be.
    has_too_many: bool,
}

impl Parser<'_> {
    fn line(&mut self, line: LogicalLine<'_>) {
        let first = line.span.first_line;
        if line.empty_continuation {
            self.empty_continuations
                .push(Span::line(line.span.last_line));
        }
        let result = self.statement(&line.text, first, line.comments);
        let span = Span::lines(first, self.lexer.line());
        let parsed = result.and_then(|statement| {
            let is_from = statement.keyword == Some(Keyword::From);
            instruction::parse(statement).map_err(|error| {
                self.lost_stage |= is_from;
                ParseError::Instruction { line: first, error }
            })
        });
        if let Err(error) = parsed.and_then(|parsed| self.add(parsed)) {
            self.parsed
                .diagnostics
                .push(Diagnostic::error([span], &error));
        }
    }

    fn statement<'t>(
        &mut self,
        text: &'t str,
        first_line: u32,
        comments: Vec<String>,
    ) -> Result<Statement<'t>, ParseError> {
        let mut statement = Statement::parse(text, self.lexer.escape())?;
        read_heredocs(&mut self.lexer, &mut statement)?;
        statement.span = Span::lines(first_line, self.lexer.line());
        statement.comments = comments;
        Ok(statement)
    }

    fn add(&mut self, parsed: instruction::Parsed) -> Result<(), ParseError> {
        match parsed {
            instruction::Parsed::Stage(stage) => {
                if self.parsed.stages.len() == MAX_STAGES {
                    let is_first = !std::mem::replace(&mut self.has_too_many, true);
                    return if is_first {
                        Err(ParseError::TooManyStages)
                    } else {
                        Ok(())
                    };
                }
                self.parsed.stages.push(stage);
            }
            instruction::Parsed::Instruction(instruction) => match self.parsed.stages.last_mut() {
                Some(stage) => stage.instructions.push(instruction),
                None => match instruction.kind {
                    InstructionKind::Arg(args) => self.parsed.meta_args.push(MetaArg {
                        args,
                        span: instruction.span,
                        comments: instruction.comments,
                    }),
                    _ if self.lost_stage => {}
                    _ => return Err(ParseError::OutsideStage),
                },
            },
        }
        Ok(())
    }
}

fn read_heredocs(lexer: &mut Lexer<'_>, statement: &mut Statement<'_>) -> Result<(), ParseError> {
    if !statement.takes_heredocs() {
        return Ok(());
    }
    statement.heredocs = Heredoc::find(statement.text)?;
    if statement.heredocs.len() > MAX_HEREDOCS {
        return Err(ParseError::TooManyHeredocs);
    }
    for heredoc in &mut statement.heredocs {
        if !heredoc.read_body(lexer) {
            return Err(ParseError::OpenHeredoc);
        }
    }
    Ok(())
}

fn nothing_to_build(
    text: &str,
    lines: usize,
    last_line: u32,
    parsed: &Parsed,
) -> Option<(ParseError, Option<Span>)> {
    if text.is_empty() {
        Some((ParseError::Empty, None))
    } else if lines == 0 {
        Some((ParseError::NoInstructions, Some(Span::line(last_line))))
    } else if parsed.stages.is_empty() && parsed.errors().next().is_none() {
        Some((ParseError::NoStages, None))
    } else {
        None
    }
}

/// The text, and the lines of it that were not UTF-8.
fn decode(bytes: &[u8]) -> (Cow<'_, str>, BTreeSet<u32>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), BTreeSet::new()),
        Err(_) => {
            let lines = (1u32..).zip(bytes.split(|byte| *byte == b'\n'));
            let wrong = lines.filter(|(_, line)| std::str::from_utf8(line).is_err());
            let wrong = wrong.map(|(number, _)| number).collect();
            (String::from_utf8_lossy(bytes), wrong)
        }
    }
}
