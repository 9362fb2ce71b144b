//! Dockerfiles: from text to instructions, to stages, to a build graph.
//!
//! Pure: no I/O, no clock, no environment. [`parse`] reads a text and reports everything that is
//! wrong with it. [`Lowering`] turns what was read into a graph; when it needs to know an image
//! it asks, and goes on when it is told. Behaviour and words of errors are BuildKit's, except that
//! variables may be used in `COPY --from` and `RUN --mount=from`.
//!
//! [`ignore`] is apart from that: the patterns of `.dockerignore` files.

mod diagnostic;
mod directive;
mod fix;
mod heredoc;
pub mod ignore;
pub mod instruction;
mod lexer;
pub mod limits;
mod lint;
mod lower;
mod parser;
mod path;
mod quote;
mod span;
mod stage;
mod statement;
mod suggest;
mod targets;
mod word;

pub use diagnostic::{Diagnostic, Place, Severity, Source};
pub use directive::{Directive, Directives, detect_syntax};
pub use fix::{Change, Fixed, fix};
pub use heredoc::Heredoc;
pub use instruction::{Instruction, InstructionKind, Keyword};
pub use lint::{CheckOptions, Origin, RULES, Rule, is_secret, rule};
pub use lower::{
    AllowedDevices, BuildContext, Checks, Devices, GitError, HistoryLayer, ImageAnswer,
    ImageQuestion, Lowered, Lowering, NamedContext, NoCache, Options, Outline, OutlineArg,
    OutlineMount, QuestionId, RegisteredDevice, Scan, Step, Steps, TargetImage, git_context,
};
pub use parser::{MetaArg, Parsed, parse};
pub use span::Span;
pub use stage::Stage;
pub use suggest::nearest;
pub use targets::Target;
