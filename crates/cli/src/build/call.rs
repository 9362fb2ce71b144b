//! `--call`, `--check` and what goes with them: a question about the Dockerfile instead of a build.

use crate::args::build::Build;
use crate::error::{CliError, Error, choice};
use crate::values::{csv, go_bool};

/// A question about a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub method: Method,
    /// The answer is JSON.
    pub json: bool,
    /// The exit code does not tell whether something was found.
    pub ignore_status: bool,
    /// Rewrite what is mechanical.
    pub fix: bool,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// What could be done better.
    Check,
    /// What the target takes.
    Outline,
    /// Which stages there are.
    Targets,
    /// Which files of the context steps can read.
    Context,
    /// What can be asked.
    Describe,
}

const CALL: &str = "--call";
const METHODS: &str = "expected build, check, context, outline, targets or subrequests.describe";

/// The question that `typed` asks; none when it asks for a build.
///
/// # Errors
/// It is none that can be answered, or flags contradict each other.
pub fn call(typed: &Build) -> Result<Option<Call>, Error> {
    let mut call = parse(&typed.call)?;
    if typed.check {
        match call {
            Some(Call { method, .. }) if method != Method::Check => {
                return Err(CliError::Conflict(CALL, "--check").into());
            }
            Some(_) => {}
            None => call = Some(Call::of(Method::Check)),
        }
    }
    let json = match typed.format.as_deref() {
        None => None,
        Some("json") => Some(true),
        Some("text") => Some(false),
        Some(other) => return Err(choice("--format", other, "expected text or json")),
    };
    let Some(mut call) = call else {
        return match (json, typed.fix) {
            (Some(_), _) => Err(Error::new("--format needs --check or --call")),
            (_, true) => Err(Error::new("--fix needs --check")),
            _ => Ok(None),
        };
    };
    if typed.fix && call.method != Method::Check {
        return Err(CliError::Conflict(CALL, "--fix").into());
    }
    call.json = json.unwrap_or(call.json);
    call.fix = typed.fix;
    Ok(Some(call))
}

impl Method {
    /// Its name in BuildKit's API, and among answers.
    #[must_use]
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Check => ("lint", "check"),
            Self::Outline => ("outline", "outline"),
            Self::Targets => ("targets", "targets"),
            Self::Context => ("context", "context"),
            Self::Describe => ("subrequests.describe", "subrequests.describe"),
        }
    }
}

impl Call {
    const fn of(method: Method) -> Self {
        Self {
            method,
            json: false,
            ignore_status: false,
            fix: false,
        }
    }
}

fn parse(text: &str) -> Result<Option<Call>, Error> {
    let wrong = |expected| choice(CALL, text, expected);
    let mut named = false;
    let mut call = Call::of(Method::Check);
    let mut builds = true;
    for (name, value) in csv::pairs(text)? {
        match (name.as_str(), value) {
            ("format", Some(format)) => match format.as_str() {
                "json" => call.json = true,
                "" | "text" => call.json = false,
                _ => return Err(wrong("expected format=text or format=json")),
            },
            ("ignorestatus", Some(value)) => {
                call.ignore_status =
                    go_bool(&value).ok_or_else(|| wrong("expected ignorestatus=true or false"))?;
            }
            (_, Some(_)) => return Err(wrong("expected format=… or ignorestatus=…")),
            _ if named => return Err(wrong("expected one method")),
            (name, None) => {
                named = true;
                builds = matches!(name, "" | "build");
                call.method = match name {
                    "" | "build" | "check" | "lint" => Method::Check,
                    "context" => Method::Context,
                    "outline" => Method::Outline,
                    "targets" => Method::Targets,
                    "subrequests.describe" => Method::Describe,
                    _ => return Err(wrong(METHODS)),
                };
            }
        }
    }
    Ok((!builds).then_some(call))
}
