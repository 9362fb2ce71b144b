//! Package managers of distributions, and the lists that they leave behind.

use std::borrow::Cow;

use super::script::Script;
use crate::lint::Finding;
use crate::lint::shell::ShellCommand;

/// A package manager.
struct Manager {
    programs: &'static [&'static str],
    /// What brings the lists.
    brings: &'static [&'static str],
    /// What keeps them out of the layer, as an option.
    option: Option<&'static str>,
    /// What removes them, as a command of its own.
    cleans: &'static [&'static str],
    /// Where they are.
    paths: &'static [&'static str],
    /// How people remove them.
    remove: &'static str,
    /// What to mount.
    cache: &'static str,
}

const MANAGERS: &[Manager] = &[
    Manager {
        programs: &["apt", "apt-get", "aptitude"],
        brings: &["update"],
        option: None,
        cleans: &["distclean"],
        paths: &["/var/lib/apt/lists"],
        remove: "add `rm -rf /var/lib/apt/lists/*` to the same RUN",
        cache: "/var/lib/apt/lists",
    },
    Manager {
        programs: &["apk"],
        brings: &["update"],
        option: Some("--no-cache"),
        cleans: &["cache"],
        paths: &["/var/cache/apk", "/etc/apk/cache"],
        remove: "use apk add --no-cache without an update",
        cache: "/var/cache/apk",
    },
    Manager {
        programs: &["dnf", "yum", "microdnf"],
        brings: &["install", "update", "upgrade", "makecache"],
        option: None,
        cleans: &["clean"],
        paths: &["/var/cache/dnf", "/var/cache/yum", "/var/cache/libdnf5"],
        remove: "add `dnf clean all` to the same RUN",
        cache: "/var/cache/dnf",
    },
    Manager {
        programs: &["zypper"],
        brings: &["install", "in", "refresh", "ref", "update", "up"],
        option: None,
        cleans: &["clean", "cc"],
        paths: &["/var/cache/zypp"],
        remove: "add `zypper clean --all` to the same RUN",
        cache: "/var/cache/zypp",
    },
];

/// What leaves its lists in the layer.
pub(super) fn kept_lists(script: &Script<'_>) -> Option<Finding> {
    MANAGERS.iter().find_map(|manager| {
        let mut commands = script.commands.iter();
        let command = commands.find(|command| manager.is_bringing(command))?;
        let cleans = |command: &ShellCommand| manager.is_doing(command, manager.cleans);
        let gone = script.commands.iter().any(cleans)
            || manager
                .paths
                .iter()
                .any(|path| script.is_mounted(path) || script.removes(path));
        (!gone).then(|| Finding::PackageListsKept {
            command: unprivileged(command).title(),
            remove: manager.remove,
            cache: manager.cache,
        })
    })
}

impl Manager {
    fn is_bringing(&self, command: &ShellCommand) -> bool {
        if self.option.is_some_and(|option| command.has(option)) {
            return false;
        }
        let updates = self.programs == ["apk"]
            && ["-U", "--update", "--update-cache"]
                .iter()
                .any(|option| command.has(option));
        self.is_doing(command, self.brings) || updates && self.programs.contains(&command.program())
    }

    fn is_doing(&self, command: &ShellCommand, what: &[&str]) -> bool {
        let command = unprivileged(command);
        let mut operands = command.operands();
        self.programs.contains(&command.program())
            && operands
                .next()
                .is_some_and(|operand| what.contains(&operand))
    }
}

/// What sudo runs, or the command itself.
fn unprivileged(command: &ShellCommand) -> Cow<'_, ShellCommand> {
    if command.program() != "sudo" {
        return Cow::Borrowed(command);
    }
    let words = command.words.iter().skip(1);
    Cow::Owned(ShellCommand {
        words: words
            .skip_while(|word| word.starts_with('-'))
            .cloned()
            .collect(),
        nested: command.nested,
    })
}
