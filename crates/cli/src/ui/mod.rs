//! Everything that a person or a program reads from kiln goes out here.

pub mod human;
pub mod listing;
pub mod template;

pub use daemon::view::table;

use std::io::{self, Write};

use crate::error::{CliError, Error, Kind};

/// The process's standard output and error.
pub struct Ui<'a> {
    out: Box<dyn Write + Send + 'a>,
    err: Box<dyn Write + Send + 'a>,
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
    let _ = io::stderr().write_all(crate::progress::Tty::restore().as_bytes());
}

impl<'a> Ui<'a> {
    /// Writes to `out` and `err`.
    pub fn new(out: impl Write + Send + 'a, err: impl Write + Send + 'a) -> Self {
        Self {
            out: Box::new(out),
            err: Box::new(err),
        }
    }

    /// Prints a result.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print(&mut self, text: &str) -> Result<(), Error> {
        self.bytes(text.as_bytes())
    }

    /// Prints a result and ends the line.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        self.bytes(format!("{text}\n").as_bytes())
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
        let _ = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// Asks a question that stands on a line of its own.
    pub fn ask(&mut self, text: &str) {
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
