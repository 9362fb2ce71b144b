//! kiln and the real engine, asked the same by the real client: a script of commands runs against
//! both, and what they print and return must be the same but for identifiers, times and sizes.
//! Needs the engine of `cargo xtask test --peers`; without it there is nothing to run.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::Scratch;

use crate::kiln::{Ran, command, finish, variable};
use crate::serving::Daemon;

/// One command a line, run by a shell in a directory of its own. What a line makes is there for
/// those after it.
const SCRIPT: &str = include_str!("as_docker.script");

/// Lines of the script whose answers differ, and why they do.
const DIFFERENCES: &str = include_str!("as_docker.differences");

/// One of the two.
struct Side {
    root: PathBuf,
    socket: PathBuf,
    scratch: Scratch,
    registry: String,
}

impl Side {
    fn new(root: &Path, socket: &Path) -> Self {
        let scratch = Scratch::new();
        fs::write(
            scratch.join("Dockerfile"),
            "FROM alpine\nLABEL made=here\nRUN echo content >/file\nCMD [\"cat\", \"/file\"]\n",
        )
        .unwrap();
        fs::write(scratch.join("note"), "a note\n").unwrap();
        Self {
            root: root.to_path_buf(),
            socket: socket.to_path_buf(),
            scratch,
            registry: variable("KILN_TEST_SCRATCH_REGISTRY")
                .unwrap()
                .display()
                .to_string(),
        }
    }

    fn run(&self, line: &str) -> Ran {
        let place = self.scratch.path().display();
        finish(
            command("chroot")
                .arg(&self.root)
                .args(["sh", "-c", &format!("cd {place} && {line}")])
                .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
                .env("DOCKER_CONFIG", self.scratch.join("client"))
                .env("DOCKER_BUILDKIT", "0")
                .env("DOCKER_CLI_HINTS", "false")
                .env("REGISTRY", &self.registry)
                .stdin(std::process::Stdio::null()),
        )
    }

    /// What a line comes to, with what no two runs have in common masked.
    fn answer(&self, line: &str) -> String {
        let Ran {
            code,
            stdout,
            stderr,
        } = self.run(line);
        let place = self.scratch.path().display().to_string();
        let masked = |text: &str| {
            mask(
                &text
                    .replace(&place, "HERE")
                    .replace(&self.registry, "REGISTRY"),
            )
        };
        format!("{code}\n{}--\n{}", masked(&stdout), masked(&stderr))
    }
}

/// Words that stand for identifiers, times and sizes, one for each kind.
fn mask(text: &str) -> String {
    let mut lines = String::new();
    // The engine of the peers runs where networks cannot be made, and says so each time.
    let said = |line: &&str| !line.starts_with("WARNING: IPv4 forwarding is disabled");
    for line in text.lines().filter(said) {
        let words: Vec<String> = line.split_whitespace().map(masked_word).collect();
        let line = words.join(" ");
        lines.push_str(&masked_ages(&line));
        lines.push('\n');
    }
    lines
}

fn masked_word(word: &str) -> String {
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let mut parts = String::new();
    for part in word.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let end = &part[bare.len()..];
        match bare.len() {
            64 if is_hex(bare) => parts.push_str("ID"),
            12 if is_hex(bare) => parts.push_str("ID"),
            _ => parts.push_str(bare),
        }
        parts.push_str(end);
    }
    let units = ["kB", "MB", "GB", "B"];
    let is_size = units.iter().any(|unit| {
        let number = parts.strip_suffix(unit);
        number.is_some_and(|number| number.parse::<f64>().is_ok())
    });
    let is_time = parts.len() >= 19
        && parts.as_bytes()[4] == b'-'
        && parts.as_bytes()[10] == b'T'
        && !parts.starts_with("0001");
    if is_size {
        "SIZE".to_owned()
    } else if is_time {
        "TIME".to_owned()
    } else {
        parts
    }
}

/// `2 seconds ago`, `Less than a second ago`, `Up About a minute`.
fn masked_ages(line: &str) -> String {
    let mut line = line.to_owned();
    for words in [
        "Less than a second",
        "About a minute",
        "About an hour",
        "About a minute",
    ] {
        line = line.replace(words, "AGE");
    }
    let words: Vec<&str> = line.split(' ').collect();
    let mut masked: Vec<&str> = Vec::new();
    let units = ["second", "minute", "hour", "day", "week", "month", "year"];
    for word in words {
        let is_unit = units.iter().any(|unit| word.trim_end_matches('s') == *unit);
        let is_number = masked
            .last()
            .is_some_and(|last| last.parse::<u64>().is_ok());
        if is_unit && is_number {
            masked.pop();
            masked.push("AGE");
        } else {
            masked.push(word);
        }
    }
    masked.join(" ")
}

/// Reasons by line: a line, and below it, indented, why the answers differ.
fn differences() -> Vec<(&'static str, &'static str)> {
    let lines: Vec<&str> = DIFFERENCES
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    let pairs = lines.chunks(2);
    pairs
        .map(|pair| match pair {
            [line, reason] if reason.starts_with("    ") => (*line, reason.trim()),
            other => panic!("a line and its reason: {other:?}"),
        })
        .collect()
}

#[test]
fn the_same_commands_say_the_same() {
    let (Some(root), Some(socket)) = (variable("KILN_TEST_PEERS"), variable("KILN_TEST_DOCKER"))
    else {
        return;
    };
    let daemon = Daemon::with_config(&variable("KILN_TEST_CONFIG").unwrap());
    let (kiln, docker) = (Side::new(&root, &daemon.socket), Side::new(&root, &socket));
    // Others leave images in the engine, and kiln's daemon has none.
    let _held = crate::peers::hold();
    docker.answer("docker system prune --all --force");
    let commands: Vec<&str> = SCRIPT
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert!(commands.len() >= 80, "only {} commands", commands.len());
    let differences = differences();
    let mut wrong = String::new();
    for line in &commands {
        let (ours, theirs) = (kiln.answer(line), docker.answer(line));
        let reason = differences.iter().find(|(known, _)| known == line);
        match (ours == theirs, reason) {
            (true, None) | (false, Some(_)) => {}
            (false, None) => {
                wrong.push_str(&format!("\n$ {line}\n=== kiln: {ours}=== docker: {theirs}"));
            }
            (true, Some((_, reason))) => {
                wrong.push_str(&format!("\n$ {line}\nno longer differs: {reason}\n"));
            }
        }
    }
    for (line, _) in &differences {
        assert!(commands.contains(line), "not in the script: {line}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}
