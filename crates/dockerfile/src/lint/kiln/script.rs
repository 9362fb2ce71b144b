//! What a `RUN` does, for checks: its commands and what is mounted meanwhile.

use crate::instruction::{Instruction, InstructionKind, Run, RunNetwork};
use crate::lint::shell::{ShellCommand, commands};

/// What a `RUN` does.
pub(super) struct Script<'a> {
    pub(super) commands: Vec<ShellCommand>,
    pub(super) is_heredoc: bool,
    run: &'a Run,
}

impl<'a> Script<'a> {
    /// None when it is another instruction.
    pub(super) fn of(instruction: &'a Instruction) -> Option<Self> {
        let InstructionKind::Run(run) = &instruction.kind else {
            return None;
        };
        let bodies: Vec<&str> = run.heredocs.iter().map(|doc| doc.body.as_str()).collect();
        let commands = if run.command.shell {
            let text = run.command.words.join(" ");
            let script = [&[text.as_str()], bodies.as_slice()].concat();
            commands(&script.join("\n"))
        } else {
            vec![ShellCommand {
                words: run.command.words.clone(),
                nested: false,
            }]
        };
        Some(Self {
            commands,
            is_heredoc: !run.heredocs.is_empty(),
            run,
        })
    }

    /// Nothing can be downloaded.
    pub(super) fn is_offline(&self) -> bool {
        self.run.network == RunNetwork::None
    }

    /// There is a cache mount, wherever it is.
    pub(super) fn has_cache(&self) -> bool {
        self.run.mounts.iter().any(|mount| is_kind(mount, "cache"))
    }

    /// What is written to `path` does not end in the layer.
    pub(super) fn is_mounted(&self, path: &str) -> bool {
        let mounts = self.run.mounts.iter();
        let mut outside = mounts.filter(|mount| is_kind(mount, "cache") || is_kind(mount, "tmpfs"));
        outside.any(|mount| {
            target(mount).is_some_and(|target| {
                let target = target.trim_end_matches('/');
                // The path of a variable is taken to be the right one.
                target.contains('$') || is_beneath(path, target)
            })
        })
    }

    /// A command removes the path, or what is in it.
    pub(super) fn removes(&self, path: &str) -> bool {
        self.commands.iter().any(|command| {
            matches!(command.program(), "rm" | "find")
                && command
                    .operands()
                    .any(|operand| is_beneath(operand, path) || is_beneath(path, operand))
        })
    }
}

fn is_kind(mount: &str, kind: &str) -> bool {
    mount
        .split(',')
        .any(|field| field.trim().strip_prefix("type=") == Some(kind))
}

fn target(mount: &str) -> Option<&str> {
    let fields = mount.split(',').filter_map(|field| field.split_once('='));
    let mut targets =
        fields.filter(|(key, _)| matches!(key.trim(), "target" | "dst" | "destination"));
    targets.next().map(|(_, path)| path)
}

fn is_beneath(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches(['*', '/']);
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
