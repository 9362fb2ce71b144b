//! `docs/performance.md`: the tables, with the machine and the method.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};

use super::{Report, Table};
use crate::{command, paths};

const METHOD: &str = "\
# Performance

`cargo xtask bench --document` writes this page.

## Method

- Every builder builds the same context in turn, round after round. The tables hold medians of the
  times of whole client processes, from start to end, and how many times as long as kiln the others
  take. A builder that was at a scenario for 25 seconds gets no further round.
- Each builder has an ext4 file system of its own, in an image file on a loop device, which holds its
  store and the context. It is written out before each measurement, so that nobody waits for what was
  written before, or by others.
- Steps run a static busybox on an image that is otherwise empty, with the host's network. Registries
  are Debian's `docker-registry` on loopback; what is pushed goes to an empty one.
- Builders compress at the levels that they have without being told. The budget of the gzip archive
  is a third of BuildKit's time, of the same run.
- A step's time is by how much twenty more steps lengthen a build, divided by twenty. It includes the
  process itself.
- Memory is the largest resident size. Where there is no daemon it is that of the client's largest
  process, and many clients' are summed, though they share the pages of their program. Else it is
  that of the daemons, without the processes that they start.
";

/// The whole page.
pub(super) fn text(report: &Report<'_>, notes: &str) -> Result<String> {
    let mut text = METHOD.to_owned();
    writeln!(text, "\n## Builders and machine\n")?;
    let mut git = command::program("git");
    let commit =
        command::read(
            git.current_dir(paths::workspace())
                .args(["rev-parse", "--short", "HEAD"]),
        )?;
    for line in notes.lines() {
        writeln!(text, "- {line}")?;
    }
    writeln!(text, "- kiln is commit {commit}, without a daemon.")?;
    writeln!(text, "- {}", machine()?)?;
    writeln!(text, "\n## Times\n\n{}", markdown(&report.times()))?;
    writeln!(
        text,
        "## Memory\n\n{}",
        markdown(&report.memory()).trim_end()
    )?;
    Ok(text)
}

/// The table as Markdown has it: text left, figures right.
fn markdown(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let columns = table.head.len().saturating_sub(1);
    let mut text = line(&table.head);
    text.push_str(&format!("|---|{}\n", "---:|".repeat(columns)));
    for row in &table.rows {
        text.push_str(&line(row));
    }
    text
}

fn machine() -> Result<String> {
    let field = |file: &str, name: &str| -> Result<String> {
        let text = fs::read_to_string(file).with_context(|| file.to_owned())?;
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        Ok(value
            .map_or("unknown", |(_, value)| value.trim())
            .to_owned())
    };
    let processors = std::thread::available_parallelism()?;
    let memory = field("/proc/meminfo", "MemTotal")?;
    let kilobytes: u64 = memory.trim_end_matches(" kB").parse()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "The machine has {processors} processors ({}), {} GB of memory and Linux {}.",
        field("/proc/cpuinfo", "model name")?,
        kilobytes * 1024 / 1_000_000_000,
        release.trim()
    ))
}
