//! Drives a renderer: reads what happens, tells it the time, and writes what it gives back.

use std::io::Write;
use std::time::{Duration, SystemTime};

use engine::events::{Progress, ProgressReceiver};

use super::tty::Size;
use super::{Plain, RawJson, Summary, Tty, explain};

/// How often a renderer is told the time.
const TICK: Duration = Duration::from_millis(100);

/// Shows a build.
#[derive(Debug)]
pub struct Display {
    /// How.
    pub renderer: Renderer,
    /// Also why steps run.
    pub explains: bool,
}

/// One of the renderers.
#[derive(Debug)]
pub enum Renderer {
    /// In place.
    Tty(Tty),
    /// As lines.
    Plain(Plain),
    /// As JSON lines.
    RawJson(RawJson),
    /// Not at all.
    Quiet,
}

impl Display {
    /// Shows what `receiver` tells on `out` until there is nothing more to come; gives back what
    /// is to be said at the end. What cannot be written is lost, and the build goes on.
    pub async fn run(
        mut self,
        receiver: &mut ProgressReceiver,
        out: &mut (impl Write + ?Sized),
        now: impl Fn() -> SystemTime,
    ) -> Summary {
        let mut summary = Summary::default();
        let mut write = |text: &str| {
            if !text.is_empty() {
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
        };
        loop {
            match tokio::time::timeout(TICK, receiver.recv()).await {
                Ok(Some(progress)) => {
                    self.update(&progress, &mut summary);
                    while let Some(more) = receiver.try_recv() {
                        self.update(&more, &mut summary);
                    }
                    write(&self.text(now()));
                }
                Ok(None) => break,
                Err(_) => {
                    self.tick(now());
                    write(&self.text(now()));
                }
            }
        }
        write(&self.finish(now()));
        summary
    }

    fn update(&mut self, progress: &Progress, summary: &mut Summary) {
        summary.update(progress);
        let is_cached = matches!(progress, Progress::Cached { .. });
        // Elsewhere a line for each would hide what runs.
        let says = !is_cached || matches!(self.renderer, Renderer::Plain(_));
        if let Some(line) = explain::line(progress).filter(|_| self.explains && says) {
            self.render(&line);
        }
        if !matches!(
            progress,
            Progress::Explained { .. } | Progress::Shared { .. }
        ) {
            self.render(progress);
        }
    }

    fn render(&mut self, progress: &Progress) {
        match &mut self.renderer {
            Renderer::Tty(tty) => tty.update(progress),
            Renderer::Plain(plain) => plain.update(progress),
            Renderer::RawJson(json) => json.update(progress),
            Renderer::Quiet => {}
        }
    }

    fn tick(&mut self, now: SystemTime) {
        if let Renderer::Plain(plain) = &mut self.renderer {
            plain.tick(now);
        }
    }

    fn text(&mut self, now: SystemTime) -> String {
        match &mut self.renderer {
            Renderer::Tty(tty) => tty.draw(now, terminal_size()),
            Renderer::Plain(plain) => plain.take(),
            Renderer::RawJson(json) => json.take(),
            Renderer::Quiet => String::new(),
        }
    }

    fn finish(&mut self, now: SystemTime) -> String {
        match &mut self.renderer {
            Renderer::Tty(tty) => tty.finish(now, terminal_size()),
            Renderer::Plain(plain) => {
                plain.finish(now);
                plain.take()
            }
            Renderer::RawJson(json) => json.take(),
            Renderer::Quiet => String::new(),
        }
    }
}

/// The terminal's size, asked each time since people change it.
fn terminal_size() -> Size {
    match crossterm::terminal::size() {
        Ok((width, height)) if width > 0 && height > 0 => Size {
            width: usize::from(width),
            height: usize::from(height),
        },
        _ => Size {
            width: 80,
            height: 24,
        },
    }
}
