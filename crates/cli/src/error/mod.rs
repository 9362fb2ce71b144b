//! Errors, dressed once: every error becomes an [`Error`] here, with what people read, hints,
//! and the exit code of the process.

mod elsewhere;
mod engine;

use std::io;
use std::path::PathBuf;

use crate::values::ValueError;

pub use engine::of_build;
pub(crate) use engine::{chain, hint};

/// What sort of error it is, which decides how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line is not understood.
    Usage,
    /// Something went wrong.
    Failure,
    /// Nothing is shown: it was said already, or nobody can read it.
    Silent,
}

/// What ends a command without success.
#[derive(Debug)]
pub struct Error {
    /// How it is shown.
    pub kind: Kind,
    /// What went wrong.
    pub message: String,
    /// What to do about it, one line each.
    pub hints: Vec<String>,
    /// Shown before the message, such as an excerpt of a Dockerfile.
    pub excerpt: String,
    /// What the process exits with.
    pub exit_code: u8,
}

/// Exit code of a command that failed.
pub const FAILURE: u8 = 1;
/// Exit code of a command line that is not understood, as docker has it.
pub const USAGE: u8 = 125;
/// Exit code of an interrupted command.
pub const INTERRUPTED: u8 = 130;

/// What goes wrong in this crate itself.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The process's directory was removed.
    #[error("cannot tell the working directory: {0}")]
    WorkingDirectory(io::Error),
    /// A variable that is needed as text.
    #[error("the environment variable {0} is not UTF-8")]
    VariableNotText(String),
    /// A variable that names no isolation.
    #[error("KILN_ISOLATION: {0}")]
    Isolation(#[source] ::engine::UnknownIsolation),
    /// There is nowhere to put the store.
    #[error("HOME is not set: say where the store is with --root or KILN_ROOT")]
    NoHome,
    /// Nothing can be listened on.
    #[error("{}", chain(.0))]
    Listen(daemon::ListenError),
    /// Not all files that certificates on both sides take.
    #[error("--tlscacert, --tlscert and --tlskey go together")]
    HalfTls,
    /// A flag with a value that is none.
    #[error("invalid argument {value:?} for {flag:?} flag: {source}")]
    Flag {
        /// The flag, with its dashes.
        flag: &'static str,
        /// What was typed.
        value: String,
        /// Why it is none.
        source: ValueError,
    },
    /// A flag with a value that kiln does not take.
    #[error("invalid argument {value:?} for {flag:?} flag: {expected}")]
    Choice {
        /// The flag, with its dashes.
        flag: &'static str,
        /// What was typed.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A value that is none, in words that say where it was.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// Flags that contradict each other.
    #[error("{0} and {1} cannot be used together")]
    Conflict(&'static str, &'static str),
    /// A flag of docker's that kiln does not have.
    #[error("{0}")]
    Unsupported(String),
    /// A file that cannot be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// Such as `open`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `kiln.toml` is wrong.
    #[error("{}: {source}", path.display())]
    Config {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: ::engine::ConfigError,
    },
    /// Tasks and timers cannot be started.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// A template that is none, or asks for more than there is.
    #[error("{0}")]
    Template(#[from] crate::ui::template::TemplateError),
    /// Standard output or error cannot be written.
    #[error("write to standard output: {0}")]
    Output(io::Error),
}

/// An error of a flag whose value is none of those that there are.
#[must_use]
pub fn choice(flag: &'static str, value: &str, expected: &'static str) -> Error {
    let value = value.to_owned();
    CliError::Choice {
        flag,
        value,
        expected,
    }
    .into()
}

impl Error {
    /// An error that is nothing but its message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Failure,
            message: message.into(),
            hints: Vec::new(),
            excerpt: String::new(),
            exit_code: FAILURE,
        }
    }

    /// The process ends with `exit_code` and says nothing.
    #[must_use]
    pub fn silent(exit_code: u8) -> Self {
        Self {
            kind: Kind::Silent,
            exit_code,
            ..Self::new("")
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with `context: ` before its message.
    #[must_use]
    pub fn context(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The same with another exit code.
    #[must_use]
    pub const fn exit(mut self, exit_code: u8) -> Self {
        self.exit_code = exit_code;
        self
    }
}

impl From<CliError> for Error {
    fn from(error: CliError) -> Self {
        match error {
            CliError::Output(source) if source.kind() == io::ErrorKind::BrokenPipe => {
                Self::silent(FAILURE)
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        Self::new(error.to_string())
    }
}

/// What Go calls the error, where docker's messages have it from there.
#[must_use]
pub fn io_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        io::ErrorKind::StorageFull => "no space left on device".to_owned(),
        _ => error.to_string(),
    }
}
