//! Instructions: what each statement means, with its flags read and its arguments checked.
//!
//! Variables are still as they were written, since their values depend on where the instruction
//! runs.

mod device;
mod flags;
mod health;
mod keyword;
mod mount;
mod parse;
mod size;
mod transfer;

pub use device::Device;
pub use keyword::Keyword;
pub use mount::{Mount, MountKind, Sharing};
pub use transfer::{AddOptions, CopyOptions, Transfer};

pub(crate) use device::DeviceError;
pub(crate) use flags::FlagError;
pub(crate) use mount::{MountError, written_from as mount_from};
pub(crate) use parse::{InstructionError, Parsed, parse};
pub(crate) use size::show_duration;

use std::borrow::Cow;

use oci::HealthConfig;

use crate::statement::keyword_of;
use crate::{Heredoc, Span};

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub kind: InstructionKind,
    /// All of it, on one line, without the bodies of heredocs.
    pub text: String,
    /// Its lines.
    pub span: Span,
    /// Comments above it.
    pub comments: Vec<String>,
}

/// What an instruction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstructionKind {
    /// Copies files, URLs and git trees into the image.
    Add(Transfer, AddOptions),
    /// Declares variables of the build.
    Arg(Vec<Arg>),
    /// Default command of a container.
    Cmd(Command),
    /// Copies files into the image.
    Copy(Transfer, CopyOptions),
    /// What always runs in a container.
    Entrypoint(Command),
    /// Sets environment variables.
    Env(Vec<KeyValue>),
    /// Names ports.
    Expose(Vec<String>),
    /// Says how to ask whether a container is well.
    Healthcheck(HealthConfig),
    /// Adds labels.
    Label(Vec<KeyValue>),
    /// Names the author.
    Maintainer(String),
    /// Keeps an instruction for the next build on top of the image.
    Onbuild(String),
    /// Runs a process.
    Run(Run),
    /// Changes the shell of shell forms.
    Shell(Vec<String>),
    /// Names the signal that ends a container.
    StopSignal(String),
    /// Changes the user.
    User(String),
    /// Names paths that are not part of the image.
    Volume(Vec<String>),
    /// Changes the working directory.
    Workdir(String),
}

impl Instruction {
    /// The keyword as it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        keyword_of(&self.text)
    }
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The name.
    pub key: String,
    /// The value.
    pub value: String,
    /// Written as `KEY name value`.
    pub old_form: bool,
}

/// A variable of the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub key: String,
    /// Its default.
    pub value: Option<String>,
}

/// A command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments, or one text for a shell.
    pub words: Vec<String>,
    /// It is a text for a shell.
    pub shell: bool,
}

/// What `RUN` does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// The command.
    pub command: Command,
    /// Its heredocs.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, as they were written.
    pub mounts: Vec<String>,
    /// `--network`.
    pub network: RunNetwork,
    /// `--security`.
    pub security: graph::SecurityMode,
    /// `--device`.
    pub devices: Vec<Device>,
}

/// `--network` of `RUN`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunNetwork {
    /// That of the build.
    #[default]
    Default,
    /// None.
    None,
    /// The host's.
    Host,
}

impl Command {
    /// All of it as one text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self.words.as_slice() {
            [text] => Cow::Borrowed(text),
            words => Cow::Owned(words.join(" ")),
        }
    }
}

impl InstructionKind {
    /// It changes the file system, and so is a step that people are shown.
    pub(crate) const fn is_step(&self) -> bool {
        matches!(
            self,
            Self::Add(..) | Self::Copy(..) | Self::Run(_) | Self::Workdir(_)
        )
    }
}
