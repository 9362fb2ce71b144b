//! Which checks are wanted.

use std::borrow::Cow;

use super::Finding;
use crate::directive;
use crate::quote::quote;

/// What a `check` directive says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckOptions {
    skip: Rules,
    experimental: Rules,
    error: bool,
    /// Nothing is wanted, whatever else is said.
    off: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rules {
    All,
    These(Vec<String>),
}

/// Why a `check` directive cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckOptionsError {
    #[error("invalid check option {}", quote(.0))]
    Option(String),
    #[error("failed to parse check option {}: strconv.ParseBool: parsing {}: invalid syntax", quote(.0), quote(.1))]
    Boolean(String, String),
}

impl Default for Rules {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl CheckOptions {
    /// Reads the value of the directive.
    pub(crate) fn parse(text: &str) -> Result<Self, CheckOptionsError> {
        let mut options = Self::default();
        if text.trim().is_empty() {
            return Ok(options);
        }
        for part in text.trim().splitn(3, ';') {
            let Some((key, value)) = part.split_once('=') else {
                return Err(CheckOptionsError::Option(part.to_owned()));
            };
            match key.trim() {
                "skip" => options.skip = Rules::parse(value),
                "experimental" => options.experimental = Rules::parse(value),
                "error" => {
                    options.error = parse_bool(value.trim()).ok_or_else(|| {
                        CheckOptionsError::Boolean(part.to_owned(), value.trim().to_owned())
                    })?;
                }
                other => return Err(CheckOptionsError::Option(other.to_owned())),
            }
        }
        Ok(options)
    }

    /// Findings end the build.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        self.error
    }

    /// Wants nothing from here on.
    pub(crate) const fn turn_off(&mut self) {
        self.off = true;
    }

    pub(super) fn wants(&self, finding: &Finding) -> bool {
        if self.off {
            false
        } else if finding.is_experimental() {
            self.experimental.contain(finding.rule())
        } else {
            !self.skip.contain(finding.rule())
        }
    }

    /// With what a `check` in the comments above an instruction adds.
    pub(crate) fn with_comments(&self, comments: &[String]) -> Cow<'_, Self> {
        let found = comments
            .iter()
            .find_map(|text| directive::check_in_comment(text));
        match found {
            None => Cow::Borrowed(self),
            Some(here) => Cow::Owned(Self {
                skip: self.skip.with(here.skip),
                experimental: self.experimental.with(here.experimental),
                error: self.error,
                off: self.off,
            }),
        }
    }
}

impl Rules {
    fn parse(text: &str) -> Self {
        match text.trim() {
            "all" => Self::All,
            list => Self::These(list.split(',').map(|rule| rule.trim().to_owned()).collect()),
        }
    }

    fn contain(&self, rule: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(rules) => rules.iter().any(|known| known == rule),
        }
    }

    fn with(&self, other: Self) -> Self {
        match (self, other) {
            (Self::These(mine), Self::These(more)) => Self::These([mine.clone(), more].concat()),
            _ => Self::All,
        }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
