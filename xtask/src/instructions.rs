//! `cargo xtask instructions`: how many instructions builds take, counted by callgrind.
//!
//! Times say little on a busy machine; instructions are the same to within a few in a hundred. Each
//! hot path has a budget, and a build that takes a tenth more fails. Steps cannot run under
//! callgrind, so what is counted copies files, or finds its steps done.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::bench::context;
use crate::{binary, command, packages, paths, ui};

/// What a person may ask of the count.
#[derive(Debug, clap::Args)]
pub(crate) struct Wishes {
    /// The kiln binary, instead of building it
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Only these, by name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
}

/// A build whose instructions are counted.
#[derive(Debug)]
struct Guard {
    name: &'static str,
    what: &'static str,
    /// Millions of instructions.
    budget: u64,
    write: fn(&Path) -> Result<()>,
    /// The target that is built before.
    before: Option<&'static str>,
    /// Changes the context before what is counted.
    change: fn(&Path, usize) -> Result<()>,
    /// The attributes of the output, if it is not the store.
    output: Option<&'static str>,
}

const GUARDS: [Guard; 8] = [
    Guard {
        name: "cached",
        what: "five stages, fully cached",
        budget: 6,
        write: context::five_stages,
        before: Some("last"),
        change: context::unchanged,
        output: None,
    },
    Guard {
        name: "no-op",
        what: "2,000 instructions in 100 stages, nothing to do",
        budget: 57,
        write: context::many_instructions,
        before: Some("last"),
        change: context::unchanged,
        output: None,
    },
    Guard {
        name: "no-op-more",
        what: "8,000 instructions in 400 stages, nothing to do",
        budget: 230,
        write: context::four_times_many_instructions,
        before: Some("last"),
        change: context::unchanged,
        output: None,
    },
    Guard {
        name: "context-cached",
        what: "2,000-file context, fully cached",
        budget: 11,
        write: context::small_files,
        before: Some("last"),
        change: context::unchanged,
        output: None,
    },
    Guard {
        name: "context-touched",
        what: "2,000-file context, one file changed",
        budget: 275,
        write: context::small_files,
        before: Some("last"),
        change: context::one_file,
        output: None,
    },
    Guard {
        name: "copy-from",
        what: "COPY --from of 3,000 files",
        budget: 410,
        write: context::copy_of_small_files,
        before: Some("source"),
        change: context::new_nonce,
        output: None,
    },
    Guard {
        name: "export-gzip",
        what: "4 MB file to a gzip OCI archive, nothing stored",
        budget: 530,
        write: context::small_file,
        before: None,
        change: context::unchanged,
        output: Some("compression=gzip"),
    },
    Guard {
        name: "export-zstd",
        what: "4 MB file to a zstd OCI archive, nothing stored",
        budget: 435,
        write: context::small_file,
        before: None,
        change: context::unchanged,
        output: Some("compression=zstd"),
    },
];

/// By how much a budget may be passed, in hundredths.
const TOLERANCE: u64 = 10;
const MILLION: u64 = 1_000_000;

pub(crate) fn run(wishes: &Wishes) -> Result<()> {
    packages::ensure(&[packages::VALGRIND])?;
    let binary = binary::locate(wishes.binary.as_deref())?;
    let mut rows = Vec::new();
    let mut over = Vec::new();
    for guard in &GUARDS {
        if !wishes.only.is_empty() && !wishes.only.iter().any(|name| name == guard.name) {
            continue;
        }
        ui::step(format_args!("{}: {}", guard.name, guard.what));
        let count = guard.count(&binary)?;
        if count > guard.budget * MILLION * (100 + TOLERANCE) / 100 {
            over.push(guard.name);
        }
        rows.push(vec![
            guard.what.to_owned(),
            format!("{:.1}", count as f64 / MILLION as f64),
            guard.budget.to_string(),
        ]);
    }
    ui::say(ui::table(
        &["million instructions", "kiln", "budget"],
        &rows,
    ));
    if over.is_empty() {
        return Ok(());
    }
    bail!("more than {TOLERANCE} % over budget: {}", over.join(", "))
}

impl Guard {
    /// The instructions of all threads of the build.
    fn count(&self, binary: &Path) -> Result<u64> {
        let scratch = TempDir::with_prefix_in("instructions-", paths::target())?;
        let root = scratch.path().join("store");
        let context = scratch.path().join("context");
        std::fs::create_dir(&context)?;
        (self.write)(&context)?;
        let build = |command: &mut Command, target: &str| {
            command
                .arg("--root")
                .arg(&root)
                .args(["build", "--progress", "plain", "--target", target])
                .arg(&context);
        };
        if let Some(target) = self.before {
            let mut before = command::program(binary);
            build(&mut before, target);
            command::quiet(before.args(["-t", "guard"]))?;
            // Files that were new then are looked at once more.
            command::quiet(&mut before)?;
        }
        (self.change)(&context, 0)?;
        let mut counted = command::program("valgrind");
        counted
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(binary);
        build(&mut counted, "last");
        match self.output {
            None => counted.args(["-t", "guard"]),
            Some(attributes) => {
                counted.args(["-o", &format!("type=oci,dest=/dev/null,{attributes}")])
            }
        };
        let output = command::capture(&mut counted)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("{} failed:\n{said}", command::shown(&counted));
        }
        let collected = said
            .lines()
            .find_map(|line| line.split_once("Collected : "));
        let (_, count) = collected.context("callgrind counted nothing")?;
        Ok(count.trim().parse()?)
    }
}
