//! Names of steps as BuildKit shows them: `[build 2/4] RUN make`.

use std::borrow::Cow;
use std::fmt::Write as _;

use graph::Written;
use oci::Platform;

use super::env::Env;
use crate::lint;
use crate::word::{Lex, Variables};

/// What people are told of a step.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// As progress shows it.
    pub(super) name: String,
    /// The instruction, where its variables are not as they were written.
    pub(super) written: Option<Box<Written>>,
}

/// The text of an instruction as it is shown, and as it was written.
pub(super) struct Shown<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) written: Option<Box<Written>>,
}

/// Variables as they are shown: none whose name says that it holds a secret.
pub(super) struct Masked<'a> {
    pub(super) variables: &'a Env,
    /// Those that are secrets whatever their names are.
    pub(super) secrets: &'a [String],
}

impl Variables for Masked<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let is_secret = self.secrets.iter().any(|secret| secret == name);
        let value = self.variables.get(name);
        if is_secret || (value.is_some() && lint::is_secret(name)) {
            Some("****")
        } else {
            value
        }
    }
}

/// Numbers the steps of a stage.
#[derive(Debug, Clone, Default)]
pub(super) struct StepNames {
    /// Name of the stage; empty when it is the only one.
    stage: String,
    /// How many steps there are; none are numbered when there are none.
    total: usize,
    next: usize,
    multi_platform: bool,
    /// The step is an `ONBUILD` trigger.
    pub(super) triggered: bool,
}

impl StepNames {
    pub(super) const fn new(stage: String, total: usize, multi_platform: bool) -> Self {
        Self {
            stage,
            total,
            next: 1,
            multi_platform,
            triggered: false,
        }
    }

    /// The name of the next step.
    pub(super) fn next(&mut self, text: &str, platform: &Platform, env: &Env) -> String {
        let name = self.current(text, platform, env);
        self.pass();
        name
    }

    /// Goes past a step that was named by [`StepNames::current`].
    pub(super) const fn pass(&mut self) {
        self.next += 1;
    }

    /// The name of the next step, which stays the next one.
    pub(super) fn current(&self, text: &str, platform: &Platform, env: &Env) -> String {
        if self.total == 0 {
            return text.to_owned();
        }
        let mut name = String::with_capacity(self.stage.len() + text.len() + 32);
        name.push('[');
        if self.multi_platform {
            let _never_fails = write!(name, "{platform}{} ", built_for(platform, env));
        }
        if !self.stage.is_empty() {
            name.push_str(&self.stage);
            name.push(' ');
        }
        let width = self.total.ilog10() as usize + 1;
        let _never_fails = write!(name, "{:width$}/{}] ", self.next, self.total);
        if self.triggered {
            name.push_str("ONBUILD ");
        }
        name.push_str(text);
        name
    }
}

/// The text of an instruction with its keyword in upper case and its variables expanded, or as it
/// was written when they cannot be.
pub(super) fn shown<'a>(lex: Lex, text: &'a str, variables: &Masked<'_>) -> Shown<'a> {
    let Ok(expanded) = lex.expand(text, variables) else {
        return Shown {
            text: with_keyword(Cow::Borrowed(text)),
            written: None,
        };
    };
    let value = |name: &&str| {
        let value = variables.variables.get(name)?;
        Some(((*name).to_owned(), value.to_owned()))
    };
    let named: Vec<_> = expanded.matched.iter().filter_map(value).collect();
    let written = (!named.is_empty()).then(|| {
        Box::new(Written {
            text: with_keyword(Cow::Borrowed(text)).into_owned(),
            variables: named,
        })
    });
    Shown {
        text: with_keyword(expanded.text),
        written,
    }
}

/// The text with its keyword in upper case.
fn with_keyword(text: Cow<'_, str>) -> Cow<'_, str> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (keyword, rest) = text.split_at(end);
    if keyword.bytes().all(|byte| byte.is_ascii_uppercase()) {
        text
    } else {
        Cow::Owned([keyword.to_uppercase().as_str(), rest].concat())
    }
}

/// `->arm64` when a stage for one platform builds for another.
fn built_for(platform: &Platform, env: &Env) -> String {
    let Some(target) = target_of(platform, env) else {
        return String::new();
    };
    if target.os != platform.os {
        return format!("->{target}");
    }
    if target.architecture == platform.architecture {
        return String::new();
    }
    match target.variant.as_str() {
        "" => format!("->{}", target.architecture),
        variant => format!("->{}/{variant}", target.architecture),
    }
}

fn target_of(platform: &Platform, env: &Env) -> Option<Platform> {
    if let Some(Ok(target)) = env.get("TARGETPLATFORM").map(str::parse) {
        return Some(target);
    }
    let parts = ["TARGETOS", "TARGETARCH", "TARGETVARIANT"].map(|key| env.get(key));
    if parts.iter().all(Option::is_none) {
        return None;
    }
    let [os, architecture, variant] = parts.map(|part| part.filter(|part| !part.is_empty()));
    Some(Platform::new(
        os.unwrap_or(&platform.os),
        architecture.unwrap_or(&platform.architecture),
        variant.unwrap_or_default(),
    ))
}
