//! A command line that is not understood: what is wrong with it, in docker's words.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::help::{find, prefixed, usage};
use super::unsupported;
use crate::error::{Error, FAILURE, Kind, USAGE};

/// The names of the command that `line` begins with, without the program itself.
#[must_use]
pub fn command_words(root: &Command, line: &[OsString]) -> Vec<String> {
    let mut words = Vec::new();
    let mut command = root;
    let mut line = line.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = line.next() {
        if word == "--root" || word == "--config" {
            line.next();
            continue;
        }
        if word.starts_with('-') {
            continue;
        }
        let Some(found) = command.find_subcommand(word.as_ref()) else {
            break;
        };
        words.push(found.get_name().to_owned());
        command = found;
    }
    words
}

/// What people read about `failure`, which happened at the command at `words`.
#[must_use]
pub fn error(root: &mut Command, words: &[String], failure: &clap::Error) -> Error {
    let flag = text(failure, ContextKind::InvalidArg).unwrap_or_default();
    if failure.kind() == ErrorKind::UnknownArgument
        && let Some(said) = unsupported::flag(words, &flag)
    {
        return Error::new(said).exit(USAGE);
    }
    root.build();
    let command = find(root, words);
    let (message, exit_code) = match failure.kind() {
        ErrorKind::UnknownArgument if flag.starts_with('-') => (unknown_flag(&flag), USAGE),
        ErrorKind::InvalidSubcommand => {
            let word = text(failure, ContextKind::InvalidSubcommand).unwrap_or_default();
            if let Some(said) = unsupported::command(words, &word) {
                return Error::new(said).exit(FAILURE);
            }
            let place = prefixed(words);
            (format!("kiln: unknown command: {place} {word}"), FAILURE)
        }
        ErrorKind::UnknownArgument
        | ErrorKind::MissingRequiredArgument
        | ErrorKind::TooManyValues => {
            let name = prefixed(words);
            (format!("kiln: '{name}' {}", arity(command)), FAILURE)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = text(failure, ContextKind::InvalidValue).unwrap_or_default();
            (invalid_value(&flag, &value, failure), USAGE)
        }
        _ => (failure.render().to_string().trim_end().to_owned(), USAGE),
    };
    let message = format!("{message}{}", suggestion(failure));
    Error {
        kind: Kind::Usage,
        exit_code,
        ..Error::new(format!(
            "{message}\n\nUsage:  {}\n\nRun '{} --help' for more information",
            usage(command, words),
            prefixed(words)
        ))
    }
}

fn unknown_flag(flag: &str) -> String {
    match flag.strip_prefix("--") {
        Some(_) => {
            let name = flag.split('=').next().unwrap_or(flag);
            format!("unknown flag: {name}")
        }
        None => {
            let letter = flag.chars().nth(1).unwrap_or('-');
            format!("unknown shorthand flag: '{letter}' in {flag}")
        }
    }
}

fn invalid_value(flag: &str, value: &str, failure: &clap::Error) -> String {
    let name = flag.split([' ', '[', '=']).next().unwrap_or(flag);
    if value.is_empty() {
        return format!("flag needs an argument: {name}");
    }
    let cause = std::error::Error::source(failure).map(ToString::to_string);
    let cause = cause.unwrap_or_else(|| "not understood".to_owned());
    format!("invalid argument {value:?} for {name:?} flag: {cause}")
}

/// How many arguments `command` takes.
fn arity(command: &Command) -> String {
    let mut least = 0usize;
    let mut most = Some(0usize);
    for positional in command.get_positionals() {
        let many = matches!(positional.get_action(), clap::ArgAction::Append);
        least += usize::from(positional.is_required_set());
        most = most.filter(|_| !many).map(|most| most + 1);
    }
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    match (least, most) {
        (_, Some(0)) => "accepts no arguments".to_owned(),
        (least, Some(most)) if least == most => format!("requires {most} argument{}", plural(most)),
        (0, Some(most)) => format!("requires at most {most} argument{}", plural(most)),
        (least, Some(most)) => format!("requires {least} to {most} arguments"),
        (least, None) => format!("requires at least {least} argument{}", plural(least)),
    }
}

fn suggestion(failure: &clap::Error) -> String {
    let near = text(failure, ContextKind::SuggestedArg)
        .or_else(|| text(failure, ContextKind::SuggestedSubcommand));
    near.map(|near| format!(" (did you mean {near}?)"))
        .unwrap_or_default()
}

fn text(failure: &clap::Error, kind: ContextKind) -> Option<String> {
    match failure.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        // The likeliest comes last.
        ContextValue::Strings(texts) => texts.last().cloned(),
        _ => None,
    }
}
