//! What a target takes: arguments, secrets and agents, as `--call=outline` lists them.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Mount, MountSource};

use super::driver::Lowering;
use super::node::NodeId;
use crate::Span;
use crate::stage::described;
use crate::word::{Lex, Variables as _};

/// What a target takes, each in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The target's name; none when it has none.
    pub name: Option<String>,
    /// What a comment says about it.
    pub description: Option<String>,
    /// `ARG`s that the target and what it needs use.
    pub args: Vec<OutlineArg>,
    /// Secrets that steps ask for.
    pub secrets: Vec<OutlineMount>,
    /// Agents that steps ask for.
    pub ssh: Vec<OutlineMount>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineArg {
    /// Its name.
    pub name: String,
    /// What it would be in this build.
    pub value: Option<String>,
    /// What a comment says about it.
    pub description: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

/// A secret or an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineMount {
    /// Its ID.
    pub id: String,
    /// The step fails without it.
    pub required: bool,
    /// Where it is asked for first.
    pub span: Span,
}

/// What is noted while stages are gone through.
#[derive(Debug, Default)]
pub(super) struct Noted {
    args: Vec<NotedArg>,
    secrets: Vec<OutlineMount>,
    ssh: Vec<OutlineMount>,
}

#[derive(Debug)]
struct NotedArg {
    arg: OutlineArg,
    /// It only takes what is declared before the first `FROM`.
    inherits: bool,
}

impl Noted {
    pub(super) fn arg(&mut self, arg: OutlineArg, inherits: bool) {
        self.args.push(NotedArg { arg, inherits });
    }

    pub(super) fn mounts(&mut self, mounts: &[Mount], span: Span) {
        for mount in mounts {
            let (list, id, required) = match &mount.source {
                MountSource::Secret { id, required, .. } => (&mut self.secrets, id, *required),
                MountSource::Ssh { id, required, .. } => (&mut self.ssh, id, *required),
                _ => continue,
            };
            if !list.iter().any(|known| known.id == *id) {
                list.push(OutlineMount {
                    id: id.clone(),
                    required,
                    span,
                });
            }
        }
    }

    /// With what the `FROM` lines use.
    pub(super) fn into_outline(self, lowering: &Lowering, reachable: &[bool]) -> Outline {
        let globals = global_args(lowering);
        let mut used = used_by_from(lowering, reachable);
        let mut args: BTreeMap<String, OutlineArg> = BTreeMap::new();
        for NotedArg { arg, inherits } in self.args {
            if inherits {
                used.insert(arg.name);
            } else {
                // That of the stage that is gone through last is nearest to the target.
                args.insert(arg.name.clone(), arg);
            }
        }
        let mut open: Vec<String> = used.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let Some((arg, needs)) = globals.get(&name).filter(|_| seen.insert(name.clone()))
            else {
                continue;
            };
            open.extend(needs.iter().cloned());
            args.entry(name).or_insert_with(|| arg.clone());
        }
        let mut args: Vec<OutlineArg> = args.into_values().collect();
        args.sort_by_key(|arg| arg.span);
        let stage = lowering.parsed.stages.get(lowering.wanted.target);
        Outline {
            name: stage.and_then(|stage| stage.name.clone()),
            description: stage.and_then(|stage| stage.description().map(str::to_owned)),
            args,
            secrets: self.secrets,
            ssh: self.ssh,
        }
    }
}

/// What is declared before the first `FROM`, with the names that each default uses.
fn global_args(lowering: &Lowering) -> BTreeMap<String, (OutlineArg, Vec<String>)> {
    let lex = Lex::new(lowering.parsed.directives.escape);
    let env = &lowering.globals.env;
    let mut args = BTreeMap::new();
    for meta in &lowering.parsed.meta_args {
        for arg in &meta.args {
            let default = arg.value.as_deref().unwrap_or_default();
            let needs = match lex.expand(default, env) {
                Ok(word) if lowering.options.build_arg(&arg.key).is_none() => {
                    word.matched.into_iter().map(str::to_owned).collect()
                }
                _ => Vec::new(),
            };
            let outline = OutlineArg {
                name: arg.key.clone(),
                value: env.get(&arg.key).map(str::to_owned),
                description: described(&meta.comments, &arg.key).map(str::to_owned),
                span: meta.span,
            };
            args.insert(arg.key.clone(), (outline, needs));
        }
    }
    args
}

fn used_by_from(lowering: &Lowering, reachable: &[bool]) -> BTreeSet<String> {
    let lex = Lex::new(lowering.parsed.directives.escape);
    let mut used = BTreeSet::new();
    let stages = lowering.parsed.stages.iter().enumerate();
    let is_used = |id: NodeId| reachable[id] && !lowering.table.nodes[id].replaced;
    for (_, stage) in stages.filter(|(id, _)| is_used(*id)) {
        for word in [&stage.base, &stage.platform] {
            if let Ok(word) = lex.expand(word, &lowering.globals.env) {
                used.extend(word.matched.into_iter().map(str::to_owned));
            }
        }
    }
    used
}
