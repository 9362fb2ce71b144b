//! `cargo xtask demo`: the main job on real input, from a fresh clone.
//!
//! The href-counter example is built both ways, by the builder pattern and in stages, each in a
//! store of its own so that neither gains from the other. The image is run against a page that this
//! process serves, and the table at the end says how long each took and how large the images are.

mod page;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::base_images::{self, Served};
use crate::{binary, command, packages, paths, ui};
use page::Page;

/// The program within the image that holds the compiler.
const PROGRAM: &str = "/go/src/example.org/href-counter/app";

/// By how much the image that is shipped must be smaller than the one that holds the compiler.
const SMALLER: u64 = 20;

/// Builds and runs the example with the binary at `given`, else with one built now.
pub(crate) fn run(given: Option<&Path>) -> Result<()> {
    let binary = binary::locate(given)?;
    let images = base_images()?;
    let page = Page::serve()?;
    let scratch = TempDir::with_prefix_in("demo-", paths::target())?;
    let kiln = |store: &str| Kiln {
        binary: binary.clone(),
        root: scratch.path().join(store),
        config: images.as_ref().map(Served::kiln_config),
    };
    let mut report = Report::default();
    builder_pattern(&kiln("pattern"), scratch.path(), &mut report)?;
    stages(&kiln("stages"), &page, &mut report)?;
    finish(&binary, &report)
}

/// Docker Hub's own images when it answers, else stand-ins.
fn base_images() -> Result<Option<Served>> {
    packages::ensure(&[packages::SKOPEO])?;
    let mut ask = command::program("timeout");
    ask.args([
        "10",
        "skopeo",
        "inspect",
        "--raw",
        "docker://docker.io/library/alpine:latest",
    ]);
    if command::quiet(&mut ask).is_ok() {
        ui::step("base images come from Docker Hub");
        return Ok(None);
    }
    ui::step("Docker Hub does not answer: base images are stand-ins made of Debian packages");
    base_images::serve(&["alpine", "golang", "nginx"], &[]).map(Some)
}

/// Two Dockerfiles; the program is carried from one image to the other.
fn builder_pattern(kiln: &Kiln, scratch: &Path, report: &mut Report) -> Result<()> {
    let folder = paths::workspace().join("examples/href-counter");
    let pattern = folder.join("builder-pattern");
    let context = scratch.join("context");
    std::fs::create_dir(&context)?;
    std::fs::copy(pattern.join("Dockerfile"), context.join("Dockerfile"))?;

    let compiler = "href-counter:build";
    let file = pattern.join("Dockerfile.build");
    let mut build = kiln.build(compiler, &folder);
    let time = timed(build.arg("-f").arg(file))?;
    report.add(
        "builder pattern: the image with the compiler",
        time,
        Some(kiln.size(compiler)?),
    );

    let begun = Instant::now();
    command::run(
        kiln.command()
            .args(["container", "create", "--name", "extract", compiler]),
    )?;
    let from = format!("extract:{PROGRAM}");
    command::run(
        kiln.command()
            .args(["container", "cp", &from])
            .arg(context.join("app")),
    )?;
    command::run(kiln.command().args(["container", "rm", "-f", "extract"]))?;
    report.add(
        "builder pattern: the program, copied out",
        begun.elapsed(),
        None,
    );

    let shipped = "href-counter:pattern";
    let time = timed(kiln.build(shipped, &context).arg("--no-cache"))?;
    report.add(
        "builder pattern: the image that is shipped",
        time,
        Some(kiln.size(shipped)?),
    );
    ui::step("kiln images");
    command::run(kiln.command().arg("images"))
}

/// One Dockerfile with two stages.
fn stages(kiln: &Kiln, page: &Page, report: &mut Report) -> Result<()> {
    let folder = paths::workspace().join("examples/href-counter");
    let name = "href-counter";
    let time = timed(&mut kiln.build(name, &folder))?;
    report.add("in stages", time, Some(kiln.size(name)?));
    let time = timed(&mut kiln.build(name, &folder))?;
    report.add("in stages, again: nothing has changed", time, None);
    let time = timed(
        kiln.build("href-counter:nginx", &folder)
            .arg("-f")
            .arg(folder.join("Dockerfile.nginx")),
    )?;
    report.add(
        "with a file out of another image",
        time,
        Some(kiln.size("href-counter:nginx")?),
    );

    ui::step("kiln run --rm href-counter");
    let mut run = kiln.command();
    run.args(["run", "--rm", "-e"])
        .arg(format!("url={}", page.url()))
        .arg(name);
    let begun = Instant::now();
    let printed = command::read(&mut run)?;
    report.add("the image, run", begun.elapsed(), None);
    ui::say(&printed);
    if printed != page::COUNTED {
        bail!("{} did not print {}", command::shown(&run), page::COUNTED);
    }
    Ok(())
}

fn finish(binary: &Path, report: &Report) -> Result<()> {
    let sizes: Vec<u64> = report.rows.iter().filter_map(|row| row.size).collect();
    let (Some(largest), Some(smallest)) = (sizes.iter().max(), sizes.iter().min()) else {
        bail!("no image was built");
    };
    ui::say("");
    ui::say(report.table());
    let kiln = std::fs::metadata(binary)?.len();
    ui::say(format_args!("kiln itself: one file of {}", megabytes(kiln)));
    let times = largest / smallest.max(&1);
    ui::say(format_args!(
        "the image in stages is {times} times smaller than the one with the compiler"
    ));
    if times < SMALLER {
        bail!("it should be {SMALLER} times smaller at least");
    }
    Ok(())
}

/// The binary, with a store of its own.
#[derive(Debug)]
struct Kiln {
    binary: PathBuf,
    root: PathBuf,
    config: Option<PathBuf>,
}

impl Kiln {
    fn command(&self) -> Command {
        let mut command = command::program(&self.binary);
        command.arg("--root").arg(&self.root);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command
    }

    fn build(&self, name: &str, context: &Path) -> Command {
        let mut build = self.command();
        build
            .args(["build", "--progress", "plain", "-t", name])
            .arg(context);
        build
    }

    /// The size of the image unpacked, in bytes.
    fn size(&self, image: &str) -> Result<u64> {
        let mut inspect = self.command();
        inspect.args(["inspect", "--type", "image", "--format", "{{.Size}}", image]);
        let size = command::read(&mut inspect)?;
        size.parse()
            .with_context(|| format!("the size of {image}: {size}"))
    }
}

/// Shows the command as it is, and runs it.
fn timed(command: &mut Command) -> Result<Duration> {
    ui::step(command::shown(command));
    let begun = Instant::now();
    command::run(command)?;
    Ok(begun.elapsed())
}

/// What was done.
#[derive(Debug, Default)]
struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: &'static str,
    time: Duration,
    size: Option<u64>,
}

impl Report {
    fn add(&mut self, what: &'static str, time: Duration, size: Option<u64>) {
        self.rows.push(Row { what, time, size });
    }

    fn table(&self) -> String {
        let cells = |row: &Row| {
            vec![
                row.what.to_owned(),
                ui::time(row.time),
                row.size.map(megabytes).unwrap_or_default(),
            ]
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(cells).collect();
        ui::table(&["what", "time", "image"], &rows)
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}
