//! Starting other programs: the one place in this crate that does.
//!
//! Arguments are never joined into a shell line. A program that fails is an error that shows the
//! command as a person would type it and what it printed.

use std::ffi::OsStr;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};

/// A program to start, found on the path unless named by one.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts programs"
)]
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    Command::new(name)
}

/// Whether a program of this name is on the path.
pub(crate) fn exists(name: &str) -> bool {
    let Some(path) = crate::environment::path("PATH") else {
        return false;
    };
    // `sbin` holds the container runtimes, and is not on every user's path.
    let system = ["/usr/sbin", "/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(path.as_os_str())
        .chain(system)
        .any(|folder| folder.join(name).is_file())
}

/// Runs the program with this process's own input and output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs the program and returns what it wrote to standard output, trimmed.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = capture(command)?;
    if !output.status.success() {
        let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let said = said.join("\n");
        bail!(
            "{} failed: {}\n{}",
            shown(command),
            output.status,
            last_lines(&said, 30)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// Runs the program quietly; what it printed is shown only when it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    read(command).map(drop)
}

/// Runs the program to its end and returns all it printed, whether it succeeded or not.
pub(crate) fn capture(command: &mut Command) -> Result<Output> {
    command
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The last `count` lines that are not blank.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::{program, shown};

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = program("docker");
        command.args([
            "build",
            "-t",
            "app:build",
            "--label",
            "who=a person",
            "it's",
        ]);
        assert_eq!(
            shown(&command),
            r"docker build -t app:build --label 'who=a person' 'it'\''s'"
        );
    }
}
