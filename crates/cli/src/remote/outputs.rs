//! Where what a builder exports goes on this machine. A file is seen when it is whole.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use client::{Output, Sink};
use engine::{EngineError, Owners};

use crate::error::chain;
use crate::ui;

/// A file.
#[derive(Debug)]
pub(super) struct File(pub(super) PathBuf);

/// Standard output.
#[derive(Debug)]
pub(super) struct Stdout;

/// A directory, into which a tar is unpacked. The files are then ours, as when we build.
#[derive(Debug)]
pub(super) struct Unpacked(pub(super) PathBuf);

impl Output for File {
    fn begin(&self) -> io::Result<Box<dyn Sink>> {
        // A device or a pipe cannot be replaced and is written to.
        if self.0.exists() && !self.0.is_file() {
            let file = fs::File::options().write(true).open(&self.0)?;
            return Ok(Box::new(NewFile { file, beside: None }));
        }
        let mut beside = self.0.clone().into_os_string();
        beside.push(".kiln-new");
        let beside = Beside {
            path: PathBuf::from(beside),
            place: self.0.clone(),
        };
        let file = fs::File::create(&beside.path)?;
        let beside = Some(beside);
        Ok(Box::new(NewFile { file, beside }))
    }
}

struct NewFile {
    file: fs::File,
    beside: Option<Beside>,
}

/// A file that is not whole; removed when it never is.
struct Beside {
    path: PathBuf,
    place: PathBuf,
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It is not there any more when it was whole.
        drop(fs::remove_file(&self.path));
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for NewFile {
    fn finish(self: Box<Self>) -> io::Result<()> {
        match &self.beside {
            Some(beside) => fs::rename(&beside.path, &beside.place),
            None => Ok(()),
        }
    }
}

impl Output for Stdout {
    fn begin(&self) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(Stream(ui::stream())))
    }
}

struct Stream(io::Stdout);

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for Stream {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}

impl Output for Unpacked {
    fn begin(&self) -> io::Result<Box<dyn Sink>> {
        fs::create_dir_all(&self.0)?;
        let (reader, writer) = io::pipe()?;
        let directory = self.0.clone();
        let thread = std::thread::Builder::new().name("kiln-unpack".to_owned());
        let unpacking = thread.spawn(move || unpack(reader, &directory))?;
        Ok(Box::new(Unpacking { writer, unpacking }))
    }
}

fn unpack(mut tar: PipeReader, directory: &Path) -> Result<(), EngineError> {
    engine::unpack_files(&mut tar, directory, Owners::Process)?;
    // What comes after the end of the archive is taken too, lest the writer be stopped by it.
    io::copy(&mut tar, &mut io::sink()).map_err(|source| EngineError::Io {
        action: "read the archive",
        source,
    })?;
    Ok(())
}

/// What is written is unpacked by a thread, which ends with this.
struct Unpacking {
    writer: PipeWriter,
    unpacking: JoinHandle<Result<(), EngineError>>,
}

impl Write for Unpacking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Unpacking {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let Self { writer, unpacking } = *self;
        drop(writer);
        let lost = |_| io::Error::other("the archive could not be unpacked");
        let unpacked = unpacking.join().map_err(lost)?;
        unpacked.map_err(|error| io::Error::other(chain(&error)))
    }
}
