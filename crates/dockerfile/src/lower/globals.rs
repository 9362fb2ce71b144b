//! Variables that `FROM` lines see: the platforms, the target, and `ARG` before the first `FROM`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::env::Env;
use super::node::Inputs;
use super::options::Options;
use crate::diagnostic::Diagnostic;
use crate::instruction::InstructionKind;
use crate::lint::{Declared, FinalName, Finding, report};
use crate::parser::Parsed;
use crate::stage::Stage;
use crate::word::{Lex, Variables as _};

/// Variables that `FROM` lines see.
#[derive(Debug, Clone, Default)]
pub(super) struct Globals {
    /// Their values.
    pub(super) env: Env,
    /// Names that an `ARG` declares, with a value or without.
    pub(super) declared: BTreeSet<String>,
    /// Names that an `ARG` or `ENV` of a stage sets, with its first line.
    in_stages: HashMap<String, u32>,
    /// Names of stages.
    stages: BTreeSet<String>,
}

impl Globals {
    /// With the values given to the build.
    pub(super) fn new(parsed: &Parsed, options: &Options) -> Result<Self, Vec<Diagnostic>> {
        let (env, declared) = values(parsed, options)?;
        Ok(Self {
            env,
            declared,
            in_stages: in_stages(parsed),
            stages: parsed
                .stages
                .iter()
                .filter_map(|stage| stage.name.clone())
                .collect(),
        })
    }

    /// Names that a `FROM` may use without a warning.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.declared.contains(name) || self.env.get(name).is_some()
    }

    /// Where a name is declared that cannot be used in a stage.
    pub(super) fn declared(&self, name: &str) -> Declared {
        if self.declared.contains(name) {
            Declared::BeforeFrom
        } else {
            let line = self.in_stages.get(name);
            line.map_or(Declared::Nowhere, |line| Declared::InStage(*line))
        }
    }

    /// The image that a stage starts from.
    pub(super) fn base(&self, stage: &Stage, inputs: &Inputs<'_>) -> FinalName {
        let Ok(name) = Lex::new(inputs.escape).expand(&stage.base, &self.env) else {
            return FinalName::Other;
        };
        let name = name.text;
        let is_replaced = |name: &str| {
            let context = inputs
                .options
                .named_context(name, inputs.options.platform());
            context.is_some()
        };
        if name == "scratch"
            || self.stages.contains(&*name)
            || name.parse::<oci::Reference>().is_err()
            || is_replaced(&name)
            || stage.name.as_deref().is_some_and(is_replaced)
        {
            return FinalName::Other;
        }
        FinalName::Image(name.into_owned())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.declared
            .iter()
            .map(String::as_str)
            .chain(self.env.keys())
    }
}

/// Reports bases that are no image names unless a value is given to the build.
pub(super) fn check_defaults(parsed: &Parsed, options: &Options, found: &mut Vec<Diagnostic>) {
    let defaults = Options {
        build_args: BTreeMap::new(),
        ..options.clone()
    };
    let Ok((env, _)) = values(parsed, &defaults) else {
        return;
    };
    let lex = Lex::new(parsed.directives.escape);
    for stage in &parsed.stages {
        let Ok(base) = lex.expand(&stage.base, &env) else {
            return;
        };
        if base.text.parse::<oci::Reference>().is_err() {
            let here = parsed.directives.check.with_comments(&stage.comments);
            let base = stage.base.clone();
            let finding = Finding::InvalidDefaultArgInFrom { base };
            report(found, &here, stage.span, &finding);
        }
    }
}

/// The values that `FROM` lines see, and the names that `ARG`s before them declare.
fn values(parsed: &Parsed, options: &Options) -> Result<(Env, BTreeSet<String>), Vec<Diagnostic>> {
    let mut env = predefined(parsed, options);
    let mut declared = BTreeSet::new();
    let lex = Lex::new(parsed.directives.escape);
    let mut errors = Vec::new();
    for meta in &parsed.meta_args {
        for arg in &meta.args {
            declared.insert(arg.key.clone());
            let value = match (options.build_arg(&arg.key), &arg.value) {
                (Some(given), _) => Some(Ok(Cow::Borrowed(given))),
                (None, Some(default)) => Some(lex.expand(default, &env).map(|word| word.text)),
                (None, None) => None,
            };
            match value {
                Some(Ok(value)) => env.set(&arg.key, &value),
                Some(Err(error)) => errors.push(Diagnostic::error([meta.span], &error)),
                None => {}
            }
        }
    }
    if errors.is_empty() {
        Ok((env, declared))
    } else {
        Err(errors)
    }
}

fn in_stages(parsed: &Parsed) -> HashMap<String, u32> {
    let mut lines = HashMap::new();
    for instruction in parsed.stages.iter().flat_map(|stage| &stage.instructions) {
        let mut add = |key: &String| {
            if !lines.contains_key(key) {
                lines.insert(key.clone(), instruction.span.first_line);
            }
        };
        match &instruction.kind {
            InstructionKind::Arg(args) => args.iter().for_each(|arg| add(&arg.key)),
            InstructionKind::Env(pairs) => pairs.iter().for_each(|pair| add(&pair.key)),
            _ => {}
        }
    }
    lines
}

fn predefined(parsed: &Parsed, options: &Options) -> Env {
    let (build, target) = (&options.build_platform, options.platform());
    let last = parsed.stages.last().and_then(|stage| stage.name.as_deref());
    let stage = options.target.as_deref().or(last).unwrap_or("default");
    let (build_text, target_text) = (build.to_string(), target.to_string());
    let values = [
        ("BUILDPLATFORM", build_text.as_str()),
        ("BUILDOS", &build.os),
        ("BUILDOSVERSION", &build.os_version),
        ("BUILDARCH", &build.architecture),
        ("BUILDVARIANT", &build.variant),
        ("TARGETPLATFORM", &target_text),
        ("TARGETOS", &target.os),
        ("TARGETOSVERSION", &target.os_version),
        ("TARGETARCH", &target.architecture),
        ("TARGETVARIANT", &target.variant),
        ("TARGETSTAGE", stage),
    ];
    let mut env = Env::default();
    for (key, value) in values {
        env.set(key, options.build_arg(key).unwrap_or(value));
    }
    env
}
