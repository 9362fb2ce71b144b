//! `HEALTHCHECK`.

use std::borrow::Cow;

use oci::HealthConfig;

use super::flags::{FlagKind, Flags};
use super::parse::InstructionError;
use super::size::parse_duration;
use crate::quote::quote;
use crate::statement::{Arguments, Statement};

const FLAGS: &[(&str, FlagKind)] = &[
    ("interval", FlagKind::Value),
    ("timeout", FlagKind::Value),
    ("start-period", FlagKind::Value),
    ("start-interval", FlagKind::Value),
    ("retries", FlagKind::Value),
];

/// Less than this is taken for a mistake in the unit.
const SHORTEST: i64 = 1_000_000;

pub(super) fn parse(
    statement: &Statement<'_>,
    flags: &[Cow<'_, str>],
) -> Result<HealthConfig, InstructionError> {
    let (words, json) = match &statement.arguments {
        Arguments::Json(words) => (words.as_slice(), true),
        Arguments::Words(words) => (words.as_slice(), false),
        _ => (&[][..], false),
    };
    let [kind, command @ ..] = words else {
        return Err(InstructionError::AtLeastOne("HEALTHCHECK"));
    };
    let kind = kind.to_uppercase();
    if kind == "NONE" {
        Flags::parse(flags, &[])?;
        return if command.is_empty() {
            Ok(HealthConfig {
                test: vec![kind],
                ..HealthConfig::default()
            })
        } else {
            Err(InstructionError::HealthNoneArguments)
        };
    }
    let flags = Flags::parse(flags, FLAGS)?;
    if kind != "CMD" {
        return Err(InstructionError::HealthKind(kind));
    }
    if command.is_empty() {
        return Err(InstructionError::HealthNoCommand);
    }
    let form = if json { "CMD" } else { "CMD-SHELL" };
    Ok(HealthConfig {
        test: [&[form.to_owned()], command].concat(),
        interval: interval(&flags, "interval")?,
        timeout: interval(&flags, "timeout")?,
        start_period: interval(&flags, "start-period")?,
        start_interval: interval(&flags, "start-interval")?,
        retries: retries(flags.value("retries").unwrap_or_default())?,
    })
}

fn interval(flags: &Flags<'_>, name: &'static str) -> Result<i64, InstructionError> {
    let text = flags.value(name).unwrap_or_default();
    if text.is_empty() {
        return Ok(0);
    }
    match parse_duration(text)? {
        0 => Ok(0),
        nanoseconds if nanoseconds < SHORTEST => Err(InstructionError::IntervalTooShort(name)),
        nanoseconds => Ok(nanoseconds),
    }
}

fn retries(text: &str) -> Result<i64, InstructionError> {
    if text.is_empty() {
        return Ok(0);
    }
    match text.parse::<i64>() {
        Ok(retries) if i32::try_from(retries).is_err() => {
            Err(InstructionError::Number(quote(text), "value out of range"))
        }
        Ok(retries) if retries < 0 => Err(InstructionError::NegativeRetries(retries)),
        Ok(retries) => Ok(retries),
        Err(_) => Err(InstructionError::Number(quote(text), "invalid syntax")),
    }
}
