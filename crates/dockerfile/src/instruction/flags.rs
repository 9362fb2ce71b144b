//! `--name=value` before the arguments of an instruction.

use std::borrow::Cow;

use crate::suggest;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlagKind {
    /// Nothing, `true` or `false`.
    Switch,
    /// One value.
    Value,
    /// A value each time it is given.
    Values,
}

/// The flags that were given.
#[derive(Debug, Clone, Default)]
pub(super) struct Flags<'a>(Vec<(&'static str, Cow<'a, str>)>);

/// Why flags cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    #[error("unknown flag: --{name}{hint}")]
    Unknown { name: String, hint: String },
    #[error("duplicate flag specified: --{0}")]
    Duplicate(&'static str),
    #[error("missing a value on flag: --{0}")]
    NoValue(&'static str),
    #[error("expecting boolean value for flag --{name}, not: {value}")]
    NotBoolean { name: &'static str, value: String },
}

impl<'a> Flags<'a> {
    /// Reads the flags of an instruction that knows `known`.
    pub(super) fn parse(
        given: &'a [Cow<'_, str>],
        known: &[(&'static str, FlagKind)],
    ) -> Result<Self, FlagError> {
        let mut flags = Self::default();
        for flag in given {
            let flag = flag.strip_prefix("--").unwrap_or(flag);
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            let Some(&(name, kind)) = known.iter().find(|(known, _)| *known == name) else {
                return Err(FlagError::Unknown {
                    name: name.to_owned(),
                    hint: suggest::hint(name, known.iter().map(|(known, _)| *known)),
                });
            };
            if kind != FlagKind::Values && flags.value(name).is_some() {
                return Err(FlagError::Duplicate(name));
            }
            let value = read_value(name, kind, value)?;
            flags.0.push((name, value));
        }
        Ok(flags)
    }

    /// The value of a flag, if it was given.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// Each value of a flag.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(given, _)| *given == name)
            .map(|(_, value)| value.as_ref())
    }

    /// Whether a switch is on, if it was given.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.value(name).map(|value| value == "true")
    }

    /// The value of a flag, empty when it was not given.
    pub(super) fn text(&self, name: &str) -> String {
        self.value(name).unwrap_or_default().to_owned()
    }
}

fn read_value<'a>(
    name: &'static str,
    kind: FlagKind,
    value: Option<&'a str>,
) -> Result<Cow<'a, str>, FlagError> {
    match (kind, value) {
        (FlagKind::Switch, None) => Ok(Cow::Borrowed("true")),
        (FlagKind::Switch, Some("")) | (_, None) => Err(FlagError::NoValue(name)),
        (FlagKind::Switch, Some(value)) => match value.to_lowercase().as_str() {
            "true" => Ok(Cow::Borrowed("true")),
            "false" => Ok(Cow::Borrowed("false")),
            _ => Err(FlagError::NotBoolean {
                name,
                value: value.to_owned(),
            }),
        },
        (_, Some(value)) => Ok(Cow::Borrowed(value)),
    }
}
