//! `kiln history logs`: a build's progress once more.

use std::time::SystemTime;

use engine::events::Progress;

use super::Session;
use super::kept::Kept;
use crate::args::history::Logs;
use crate::error::{Error, choice};
use crate::progress::{Plain, RawJson, explain};
use crate::ui::Ui;

/// Prints the log of a build.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Logs) -> Result<(), Error> {
    let mut log = match args.progress.as_deref() {
        None | Some("auto" | "plain") => Log::Plain(Plain::default()),
        Some("rawjson") => Log::RawJson(RawJson::default()),
        Some(other) => return Err(choice("--progress", other, "expected plain or rawjson")),
    };
    let kept = Kept::of(session)?;
    if args.explain {
        kept.refuse_there("--explain", "ask there: kiln history logs --explain")?;
    }
    let build = kept.build(args.build.as_deref().unwrap_or_default())?;
    let room = kept.room();
    let mut printer = Printer {
        ui: session.ui,
        text: String::new(),
        failed: None,
    };
    kept.replay(&build, |progress| {
        if let Some(line) = explain::line(&progress).filter(|_| args.explain) {
            log.update(&line);
        }
        if !matches!(
            progress,
            Progress::Explained { .. } | Progress::Shared { .. }
        ) {
            log.update(&progress);
        }
        printer.add(&log.take(), room);
    })?;
    log.finish(session.environment.now);
    printer.add(&log.take(), 0);
    printer.failed.map_or(Ok(()), Err)
}

enum Log {
    Plain(Plain),
    RawJson(RawJson),
}

impl Log {
    fn update(&mut self, progress: &Progress) {
        match self {
            Self::Plain(plain) => plain.update(progress),
            Self::RawJson(json) => json.update(progress),
        }
    }

    fn take(&mut self) -> String {
        match self {
            Self::Plain(plain) => plain.take(),
            Self::RawJson(json) => json.take(),
        }
    }

    fn finish(&mut self, now: fn() -> SystemTime) {
        if let Self::Plain(plain) = self {
            plain.finish(now());
        }
    }
}

/// Prints what has been collected when it is more than some; colours that steps wrote, too.
struct Printer<'a, 'ui> {
    ui: &'a mut Ui<'ui>,
    text: String,
    failed: Option<Error>,
}

impl Printer<'_, '_> {
    fn add(&mut self, text: &str, room: usize) {
        self.text.push_str(text);
        if self.text.len() > room && self.failed.is_none() {
            self.failed = self.ui.bytes(self.text.as_bytes()).err();
            self.text.clear();
        }
    }
}
