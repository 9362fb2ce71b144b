//! Names in `COPY --from` and `RUN --mount=from`.
//!
//! They may hold variables. Which stages a build needs is known before any image is, so only what
//! the Dockerfile itself says counts: `ARG` and `ENV` above the instruction and of the stages
//! that its stage starts from, then the variables that `FROM` lines see.

use std::borrow::Cow;

use super::env::Env;
use super::error::LowerError;
use super::globals::Globals;
use super::options::Options;
use crate::instruction::{InstructionKind, mount_from};
use crate::parser::Parsed;
use crate::word::{Lex, Variables};

/// Values of variables as far as they are known without images.
#[derive(Debug)]
pub(super) struct KnownVariables<'a> {
    lex: Lex,
    options: &'a Options,
    globals: &'a Globals,
    /// By stage; empty when no name in the file has a variable.
    stages: Vec<Env>,
    needed: bool,
}

/// Those of a stage before those of the file.
struct Both<'a>(&'a Env, &'a Env);

impl Variables for Both<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).or_else(|| self.1.get(name))
    }
}

impl<'a> KnownVariables<'a> {
    pub(super) fn new(parsed: &Parsed, options: &'a Options, globals: &'a Globals) -> Self {
        let kinds = parsed.stages.iter().flat_map(|stage| &stage.instructions);
        Self {
            lex: Lex::new(parsed.directives.escape),
            options,
            globals,
            stages: Vec::new(),
            needed: kinds
                .map(|instruction| &instruction.kind)
                .any(names_variable),
        }
    }

    /// Only what `FROM` lines see.
    pub(super) fn of_file(parsed: &Parsed, options: &'a Options, globals: &'a Globals) -> Self {
        Self {
            lex: Lex::new(parsed.directives.escape),
            options,
            globals,
            stages: Vec::new(),
            needed: false,
        }
    }

    /// Begins the next stage, which starts from the stage `base` if it does from any.
    pub(super) fn begin_stage(&mut self, base: Option<usize>) {
        if self.needed {
            let base = base.and_then(|base| self.stages.get(base));
            let env = base.cloned().unwrap_or_default();
            self.stages.push(env);
        }
    }

    /// Goes past an instruction of the last stage that was begun.
    pub(super) fn pass(&mut self, kind: &InstructionKind) {
        let Some(mut env) = self.stages.pop() else {
            return;
        };
        match kind {
            InstructionKind::Env(pairs) => {
                let before = env.clone();
                for pair in pairs {
                    // What cannot be expanded is reported where the instruction is lowered.
                    if let Ok(value) = self.lex.expand(&pair.value, &before) {
                        env.set(&pair.key, &value.text);
                    }
                }
            }
            InstructionKind::Arg(args) => {
                for arg in args {
                    let default = || {
                        let default = arg.value.as_ref()?;
                        Some(self.lex.expand(default, &env).ok()?.text)
                    };
                    let given = self.options.build_arg(&arg.key).map(Cow::Borrowed);
                    let global = || self.globals.env.get(&arg.key).map(Cow::Borrowed);
                    if let Some(value) = given.or_else(default).or_else(global) {
                        env.set(&arg.key, &value);
                    }
                }
            }
            _ => {}
        }
        self.stages.push(env);
    }

    /// A name with its variables expanded, at this point of the last stage that was begun.
    pub(super) fn expand(&self, written: &str) -> Result<String, LowerError> {
        if !written.contains('$') {
            return Ok(written.to_owned());
        }
        let none = Env::default();
        let stage = self.stages.last().unwrap_or(&none);
        let name = self.lex.expand(written, &Both(stage, &self.globals.env))?;
        if name.text.is_empty() {
            return Err(LowerError::BlankFrom(written.to_owned()));
        }
        Ok(name.text.into_owned())
    }
}

fn names_variable(kind: &InstructionKind) -> bool {
    match kind {
        InstructionKind::Copy(_, options) => options.from.contains('$'),
        InstructionKind::Run(run) => run
            .mounts
            .iter()
            .filter(|mount| mount.contains('$'))
            .any(|mount| mount_from(mount).is_ok_and(|from| from.contains('$'))),
        _ => false,
    }
}
