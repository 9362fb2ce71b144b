//! `cargo xtask instructions`: how many instructions builds take, counted by callgrind.
//!
//! Times say little on a busy machine; instructions are the same to within a few in a hundred. Each
//! hot path has a budget, and a build that takes a tenth more fails. Steps cannot run under
//! callgrind, so what is counted copies files, or finds its steps done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::bench::context;
use crate::{binary, command, packages, paths, server, ui};

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
    /// A daemon builds, and what its client takes is counted.
    by_daemon: bool,
    /// Of what another one takes it takes no more than this many hundredths.
    at_most: Option<(&'static str, u64)>,
}

const GUARDS: [Guard; 9] = [
    Guard {
        name: "cached",
        what: "five stages, fully cached",
        budget: 6,
        write: context::five_stages,
        before: Some("last"),
        change: context::unchanged,
        output: None,
        by_daemon: false,
        at_most: None,
    },
    Guard {
        name: "cached-client",
        what: "the same through a daemon, its client alone",
        budget: 9,
        write: context::five_stages,
        before: Some("last"),
        change: context::unchanged,
        output: None,
        by_daemon: true,
        at_most: Some(("cached", 150)),
    },
    Guard {
        name: "no-op",
        what: "2,000 instructions in 100 stages, nothing to do",
        budget: 57,
        write: context::many_instructions,
        before: Some("last"),
        change: context::unchanged,
        output: None,
        by_daemon: false,
        at_most: None,
    },
    Guard {
        name: "no-op-more",
        what: "8,000 instructions in 400 stages, nothing to do",
        budget: 230,
        write: context::four_times_many_instructions,
        before: Some("last"),
        change: context::unchanged,
        output: None,
        by_daemon: false,
        at_most: None,
    },
    Guard {
        name: "context-cached",
        what: "2,000-file context, fully cached",
        budget: 11,
        write: context::small_files,
        before: Some("last"),
        change: context::unchanged,
        output: None,
        by_daemon: false,
        at_most: None,
    },
    Guard {
        name: "context-touched",
        what: "2,000-file context, one file changed",
        budget: 275,
        write: context::small_files,
        before: Some("last"),
        change: context::one_file,
        output: None,
        by_daemon: false,
        at_most: None,
    },
    Guard {
        name: "copy-from",
        what: "COPY --from of 3,000 files",
        budget: 410,
        write: context::copy_of_small_files,
        before: Some("source"),
        change: context::new_nonce,
        output: None,
        by_daemon: false,
        at_most: None,
    },
    Guard {
        name: "export-gzip",
        what: "4 MB file to a gzip OCI archive, nothing stored",
        budget: 530,
        write: context::small_file,
        before: None,
        change: context::unchanged,
        output: Some("compression=gzip"),
        by_daemon: false,
        at_most: None,
    },
    Guard {
        name: "export-zstd",
        what: "4 MB file to a zstd OCI archive, nothing stored",
        budget: 435,
        write: context::small_file,
        before: None,
        change: context::unchanged,
        output: Some("compression=zstd"),
        by_daemon: false,
        at_most: None,
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
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for guard in GUARDS.iter().filter(|guard| wishes.want(guard)) {
        ui::step(format_args!("{}: {}", guard.name, guard.what));
        let count = guard.count(&binary)?;
        counts.insert(guard.name, count);
        if count > guard.budget * MILLION * (100 + TOLERANCE) / 100 {
            over.push(format!(
                "{}: more than {TOLERANCE} % over budget",
                guard.name
            ));
        }
        if let Some((other, hundredths)) = guard.at_most
            && count * 100 > counts[other] * hundredths
        {
            over.push(format!(
                "{}: more than {hundredths} % of {other}",
                guard.name
            ));
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
    bail!("{}", over.join(", "))
}

impl Wishes {
    /// Whether it is counted: it is asked for, or what is asked for is compared with it.
    fn want(&self, guard: &Guard) -> bool {
        let named = |name: &str| self.only.iter().any(|only| only == name);
        let compared = GUARDS.iter().any(|other| {
            let with = other.at_most.is_some_and(|(with, _)| with == guard.name);
            with && named(other.name)
        });
        self.only.is_empty() || named(guard.name) || compared
    }
}

impl Guard {
    /// The instructions of all threads of the build.
    fn count(&self, binary: &Path) -> Result<u64> {
        let scratch = TempDir::with_prefix_in("instructions-", paths::target())?;
        let root = scratch.path().join("store");
        let context = scratch.path().join("context");
        std::fs::create_dir(&context)?;
        (self.write)(&context)?;
        let daemon = match self.by_daemon {
            true => Some(Daemon::start(binary, scratch.path())?),
            false => None,
        };
        let build = |command: &mut Command, target: &str| {
            match &daemon {
                Some(daemon) => command.env("KILN_HOST", &daemon.host),
                None => command.arg("--root").arg(&root),
            };
            command
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

/// A daemon on a store of its own, until it is dropped.
struct Daemon {
    host: String,
    process: Child,
}

impl Daemon {
    /// In the directory `place`.
    fn start(binary: &Path, place: &Path) -> Result<Self> {
        let (socket, log) = (place.join("kiln.sock"), place.join("log"));
        let host = format!("unix://{}", socket.display());
        let mut serve = command::program(binary);
        serve.arg("--root").arg(place.join("store"));
        serve.args(["serve", "--host", &host]);
        serve.stderr(std::fs::File::create(&log)?);
        let process = serve.spawn().context("cannot start the daemon")?;
        let mut daemon = Self { host, process };
        server::until_it_listens(&mut daemon.process, &socket, &log)?;
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let process = self.process.id();
        server::end(&mut self.process, process);
    }
}
