//! Everything that a person or a program reads from kiln goes out here.

pub mod human;
pub mod listing;
pub mod template;

pub use daemon::view::table;

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};

use crate::error::{CliError, Error, Kind};

/// The process's standard output and error.
pub struct Ui<'a> {
    out: Box<dyn Write + Send + 'a>,
    err: Box<dyn Write + Send + 'a>,
    /// Standard output is a terminal.
    is_terminal: bool,
}

impl std::fmt::Debug for Ui<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ui")
    }
}

impl Ui<'static> {
    /// Writes to this process's streams.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(io::stdout(), io::stderr())
    }
}

/// This process's standard output, for results that are streams.
#[must_use]
pub fn stream() -> io::Stdout {
    io::stdout()
}

/// This process's standard error, for what a container writes there.
#[must_use]
pub fn error_stream() -> io::Stderr {
    io::stderr()
}

/// This process's standard input.
#[must_use]
pub fn input() -> io::Stdin {
    io::stdin()
}

/// Gives the terminal back as it was found, when the process ends without drawing to the end.
pub fn restore_terminal() {
    if !io::stderr().is_terminal() {
        return;
    }
    let _ = io::stderr().write_all(crate::progress::Tty::restore().as_bytes());
}

impl<'a> Ui<'a> {
    /// Writes to `out` and `err`.
    pub fn new(out: impl Write + Send + 'a, err: impl Write + Send + 'a) -> Self {
        Self {
            out: Box::new(out),
            err: Box::new(err),
            is_terminal: false,
        }
    }

    /// Whether standard output is a terminal, which would obey what is in names and labels.
    pub const fn on_terminal(&mut self, is_terminal: bool) {
        self.is_terminal = is_terminal;
    }

    /// Prints a result.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print(&mut self, text: &str) -> Result<(), Error> {
        match self.is_terminal {
            true => self.bytes(visible(text).as_bytes()),
            false => self.bytes(text.as_bytes()),
        }
    }

    /// Prints a result and ends the line.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        self.print(&format!("{text}\n"))
    }

    /// Writes a result that need not be text.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.out.write_all(bytes).and_then(|()| self.out.flush());
        Ok(written.map_err(CliError::Output)?)
    }

    /// Says something that is no result. What cannot be said there can be said nowhere, so that a
    /// broken standard error is not an error of the command.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}", visible(text)).and_then(|()| self.err.flush());
    }

    /// Asks a question that stands on a line of its own.
    pub fn ask(&mut self, text: &str) {
        let _ = write!(self.err, "{}", visible(text)).and_then(|()| self.err.flush());
    }

    /// Shows what steps wrote, colours and all.
    pub fn output(&mut self, text: &str) {
        let _ = write!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// Standard error, for what is drawn in place.
    pub fn err(&mut self) -> &mut (dyn Write + Send) {
        &mut *self.err
    }

    /// Shows what ended a command.
    pub fn error(&mut self, error: &Error) {
        if !error.excerpt.is_empty() {
            self.ask(&error.excerpt);
        }
        match error.kind {
            Kind::Silent => return,
            Kind::Usage => self.say(&error.message),
            Kind::Failure => self.say(&format!("ERROR: {}", error.message)),
        }
        for hint in &error.hints {
            self.say(&format!("hint: {hint}"));
        }
    }
}

/// `text` without characters that a terminal obeys instead of showing them: images, daemons and
/// registries may call things as they like.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(is_obeyed) {
        true => text
            .chars()
            .map(|c| if is_obeyed(c) { '\u{fffd}' } else { c })
            .collect(),
        false => text.into(),
    }
}

/// `text` on one line, and likewise.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_by_others() {
        let hostile = "a\u{1b}]0;title\u{7}\u{9b}2J\r\tb\n";
        let shown = "a\u{fffd}]0;title\u{fffd}\u{fffd}2J\u{fffd}\tb\n";
        let said = |is_terminal| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut ui = Ui::new(&mut out, &mut err);
            ui.on_terminal(is_terminal);
            ui.print(hostile).unwrap();
            let mut error = Error::new(hostile).hint(hostile);
            error.excerpt = hostile.to_owned();
            ui.error(&error);
            drop(ui);
            [out, err].map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let [out, err] = said(true);
        assert_eq!(out, shown);
        assert!(
            !err.contains('\u{1b}') && err.matches(shown).count() == 3,
            "{err:?}"
        );
        // Another program gets what there is.
        let [out, err_of_pipe] = said(false);
        assert_eq!(out, hostile);
        assert_eq!(err_of_pipe, err);
    }
}
