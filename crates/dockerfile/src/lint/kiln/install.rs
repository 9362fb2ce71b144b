//! Package managers of languages: what they download, and when.

use super::script::Script;
use crate::Span;
use crate::instruction::{InstructionKind, Transfer};
use crate::lint::Finding;
use crate::lint::shell::ShellCommand;
use crate::stage::Stage;

/// A package manager.
struct Manager {
    programs: &'static [&'static str],
    /// What installs what files say that the project needs.
    installs: &'static [&'static str],
    /// What installs what is named, or also needs the sources.
    downloads: &'static [&'static str],
    /// Where it keeps what it downloads.
    cache: &'static str,
    /// The files that say what the project needs.
    manifests: &'static str,
    /// A variable that turns the cache off.
    variable: &'static str,
}

const MANAGERS: &[Manager] = &[
    Manager {
        programs: &["npm"],
        installs: &["ci", "install", "i"],
        downloads: &[],
        cache: "/root/.npm",
        manifests: "package.json and package-lock.json",
        variable: "",
    },
    Manager {
        programs: &["yarn"],
        installs: &["install", ""],
        downloads: &["add"],
        cache: "/usr/local/share/.cache/yarn",
        manifests: "package.json and yarn.lock",
        variable: "",
    },
    Manager {
        programs: &["pnpm"],
        installs: &["install", "i"],
        downloads: &["add", "fetch"],
        cache: "/root/.local/share/pnpm/store",
        manifests: "package.json and pnpm-lock.yaml",
        variable: "",
    },
    Manager {
        programs: &["pip", "pip3"],
        installs: &["install"],
        downloads: &["download", "wheel"],
        cache: "/root/.cache/pip",
        manifests: "requirements.txt",
        variable: "PIP_NO_CACHE_DIR",
    },
    Manager {
        programs: &["uv"],
        installs: &["sync"],
        downloads: &["pip"],
        cache: "/root/.cache/uv",
        manifests: "pyproject.toml and uv.lock",
        variable: "UV_NO_CACHE",
    },
    Manager {
        programs: &["poetry"],
        installs: &["install"],
        downloads: &["add"],
        cache: "/root/.cache/pypoetry",
        manifests: "pyproject.toml and poetry.lock",
        variable: "",
    },
    Manager {
        programs: &["bundle"],
        installs: &["install"],
        downloads: &[],
        cache: "/usr/local/bundle/cache",
        manifests: "Gemfile and Gemfile.lock",
        variable: "",
    },
    Manager {
        programs: &["composer"],
        installs: &["install"],
        downloads: &["require"],
        cache: "/root/.composer/cache",
        manifests: "composer.json and composer.lock",
        variable: "",
    },
    Manager {
        programs: &["cargo"],
        installs: &["fetch"],
        downloads: &["build", "install"],
        cache: "/usr/local/cargo/registry",
        manifests: "Cargo.toml and Cargo.lock",
        variable: "",
    },
    Manager {
        programs: &["dotnet"],
        installs: &["restore"],
        downloads: &[],
        cache: "/root/.nuget/packages",
        manifests: "the project files",
        variable: "",
    },
    Manager {
        programs: &["mvn", "mvnw"],
        installs: &["dependency:go-offline"],
        downloads: &["package", "install", "verify"],
        cache: "/root/.m2",
        manifests: "pom.xml",
        variable: "",
    },
    Manager {
        programs: &["gradle", "gradlew"],
        installs: &["dependencies"],
        downloads: &["build", "assemble"],
        cache: "/root/.gradle",
        manifests: "the build files",
        variable: "",
    },
];

/// `go mod download` has two words where others have one.
const GO: Manager = Manager {
    programs: &["go"],
    installs: &["mod"],
    downloads: &[],
    cache: "/go/pkg/mod",
    manifests: "go.mod and go.sum",
    variable: "",
};

/// Options and words that say that nothing is to be kept.
const UNCACHED: &[&str] = &["--no-cache-dir", "--no-cache", "cache", "store", "clean"];

/// A download whose cache is neither mounted nor turned off.
pub(super) fn without_cache(script: &Script<'_>, stage: &Stage) -> Option<Finding> {
    if script.is_offline() || script.has_cache() {
        return None;
    }
    script.commands.iter().find_map(|command| {
        let (manager, _) = find(command)?;
        let turned_off = script.removes(manager.cache)
            || is_set(stage, manager.variable)
            || script.commands.iter().any(|other| {
                other.program() == command.program() && UNCACHED.iter().any(|word| other.has(word))
            });
        (!turned_off).then(|| Finding::CacheMountMissing {
            command: title(command),
            cache: manager.cache,
        })
    })
}

/// Copies of everything before dependencies are installed, by stage.
pub(super) fn before(stage: &Stage) -> Vec<(Span, &[String], Finding)> {
    let mut found = Vec::new();
    // Where everything was copied, until that is found to be too early.
    let mut copied: Option<(Span, &[String], &str)> = None;
    let mut installed: Vec<&str> = Vec::new();
    for instruction in &stage.instructions {
        match &instruction.kind {
            InstructionKind::Copy(transfer, options) if options.from.is_empty() => {
                let source = everything(transfer);
                copied = copied.or(source
                    .map(|source| (instruction.span, instruction.comments.as_slice(), source)));
            }
            InstructionKind::Add(transfer, _) => {
                let source = everything(transfer);
                copied = copied.or(source
                    .map(|source| (instruction.span, instruction.comments.as_slice(), source)));
            }
            _ => {}
        }
        let Some(script) = Script::of(instruction).filter(|script| !script.has_cache()) else {
            continue;
        };
        for command in &script.commands {
            let Some((manager, true)) = find(command) else {
                continue;
            };
            if copied.is_none() {
                installed.push(manager.manifests);
            } else if !installed.contains(&manager.manifests)
                && let Some((span, comments, source)) = copied.take()
            {
                let finding = Finding::CopyBeforeInstall {
                    source: source.to_owned(),
                    command: title(command),
                    manifests: manager.manifests,
                };
                found.push((span, comments, finding));
            }
        }
    }
    found
}

/// The manager that a command calls to download something, and whether that is all that the
/// project needs.
fn find(command: &ShellCommand) -> Option<(&'static Manager, bool)> {
    let program = command.program();
    let mut operands = command.operands();
    let (first, second) = (operands.next().unwrap_or_default(), operands.next());
    if program == "go" && first == "mod" {
        return (second == Some("download")).then_some((&GO, true));
    }
    let python = matches!(program, "python" | "python3") && command.has("-m");
    let (program, first, second) = match python {
        true => (first, second.unwrap_or_default(), operands.next()),
        false => (program, first, second),
    };
    let manager = MANAGERS
        .iter()
        .find(|manager| manager.programs.contains(&program))?;
    if first.is_empty() && (command.has("--version") || command.has("--help")) {
        return None;
    }
    if manager.installs.contains(&first) {
        let named = match first {
            // `pip install -r file`: the file is an operand.
            "install" if program.starts_with("pip") => {
                !command.has("-r") && !command.has("--requirement")
            }
            "install" | "i" => second.is_some(),
            _ => false,
        };
        return Some((manager, !named));
    }
    manager
        .downloads
        .contains(&first)
        .then_some((manager, false))
}

/// As people call it.
fn title(command: &ShellCommand) -> String {
    let words: Vec<&str> = std::iter::once(command.program())
        .chain(command.words.iter().skip(1).map(String::as_str))
        .collect();
    let short = words.join(" ");
    match short.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &short[..at]),
        None => short,
    }
}

/// The source that is the whole context.
fn everything(transfer: &Transfer) -> Option<&str> {
    let mut sources = transfer.sources.iter().map(String::as_str);
    sources.find(|source| matches!(*source, "." | "./" | "/" | "*" | "./*"))
}

fn is_set(stage: &Stage, variable: &str) -> bool {
    stage.instructions.iter().any(|instruction| {
        let InstructionKind::Env(pairs) = &instruction.kind else {
            return false;
        };
        pairs.iter().any(|pair| pair.key == variable)
    })
}
