//! Between our standard streams and those of a container: pipes, or a terminal of its own. The
//! container never gets our own descriptors, so that it cannot type into our terminal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use engine::Terminal;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::error::{CliError, Error};
use crate::ui;

/// Our side.
#[derive(Debug)]
pub(super) struct Streams {
    /// Threads that end when the container's side is closed.
    readers: Vec<JoinHandle<()>>,
    /// Our side of the container's terminal.
    master: Option<OwnedFd>,
    raw: Option<RawMode>,
}

/// Our terminal passes every key on; until this is dropped.
#[derive(Debug)]
struct RawMode(Termios);

impl Streams {
    /// Three pipes; standard input is empty unless `interactive`.
    pub(super) fn pipes(interactive: bool) -> Result<(Self, Terminal), Error> {
        let stdin = if interactive {
            let (read, write) = pipe()?;
            copy_input(File::from(write));
            read
        } else {
            let nothing = File::open("/dev/null").map_err(CliError::Runtime)?;
            nothing.into()
        };
        let (stdout_read, stdout) = pipe()?;
        let (stderr_read, stderr) = pipe()?;
        let readers = vec![
            copy_output(File::from(stdout_read), ui::stream()),
            copy_output(File::from(stderr_read), ui::error_stream()),
        ];
        let streams = Self {
            readers,
            master: None,
            raw: None,
        };
        let terminal = Terminal::Files {
            stdin,
            stdout,
            stderr,
        };
        Ok((streams, terminal))
    }

    /// A terminal, as large as ours.
    pub(super) fn terminal(interactive: bool) -> Result<(Self, Terminal), Error> {
        let opened = sandbox::Terminal::open();
        let (terminal, master) = opened.map_err(|error| Error::new(error.to_string()))?;
        let clone = || {
            master
                .try_clone()
                .map(File::from)
                .map_err(CliError::Runtime)
        };
        let readers = vec![copy_output(clone()?, ui::stream())];
        let raw = if interactive {
            copy_input(clone()?);
            RawMode::enter()
        } else {
            None
        };
        let streams = Self {
            readers,
            master: Some(master),
            raw,
        };
        streams.resize();
        Ok((streams, Terminal::Own(terminal)))
    }

    /// Has our terminal pass every key on, to a terminal that is elsewhere.
    pub(super) fn pass_every_key(&mut self) {
        self.raw = RawMode::enter();
    }

    /// Makes the container's terminal as large as ours; there may be none of either.
    pub(super) fn resize(&self) {
        if let Some(master) = &self.master
            && let Ok(size) = tcgetwinsize(ui::stream())
        {
            let _ = tcsetwinsize(master, size);
        }
    }

    /// Waits until all that the container wrote is out, and gives our terminal back.
    pub(super) fn finish(self) {
        let Self {
            readers,
            master,
            raw,
        } = self;
        drop(master);
        for reader in readers {
            // A reader that panicked has said so.
            let _ = reader.join();
        }
        drop(raw);
    }
}

/// Rows and columns of our terminal, if there is one.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(ui::stream()).ok()?;
    Some((size.ws_row, size.ws_col))
}

impl RawMode {
    fn enter() -> Option<Self> {
        let terminal = ui::input();
        let before = tcgetattr(terminal.as_fd()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal.as_fd(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // There is nobody to tell, and nothing else to try.
        let _ = tcsetattr(ui::input().as_fd(), OptionalActions::Now, &self.0);
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), CliError> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|errno| CliError::Runtime(errno.into()))
}

/// Not waited for: it may block in a read until the process ends.
fn copy_input(to: File) {
    std::thread::spawn(move || pass(ui::input(), to));
}

fn copy_output(from: File, to: impl Write + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(move || pass(from, to))
}

/// Copies until either side has gone, which is how it ends.
fn pass(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; 32 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                if to
                    .write_all(&buffer[..read])
                    .and_then(|()| to.flush())
                    .is_err()
                {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
