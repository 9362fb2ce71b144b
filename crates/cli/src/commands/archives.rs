//! Where archives go and come from: files, and the standard streams.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::session::Session;
use crate::error::{CliError, Error, io_text};
use crate::ui;

/// Lets `write` write to the file `output`, or to standard output if there is none or it is `-`.
/// A file is there only when it is whole. `purpose` is for errors: `save image`.
pub(super) fn write(
    session: &Session<'_, '_>,
    output: Option<&str>,
    purpose: &str,
    write: impl FnOnce(Box<dyn Write + Send>) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some(output) = output.filter(|output| *output != "-") else {
        if session.environment.terminals.stdout {
            return Err(Error::new(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            ));
        }
        return write(Box::new(ui::stream()));
    };
    let target = session.environment.absolute(Path::new(output));
    let directory = target.parent().unwrap_or(&target);
    if !directory.is_dir() {
        let shown = Path::new(output).parent().unwrap_or(directory).display();
        return Err(Error::new(format!(
            "failed to {purpose}: invalid output path: directory \"{shown}\" does not exist"
        )));
    }
    if target.is_dir() {
        return Err(Error::new(format!(
            "failed to {purpose}: \"{output}\" is a directory"
        )));
    }
    // A device or a pipe is written to.
    if target.exists() && !target.is_file() {
        let file = File::options().write(true).open(&target);
        let file = file.map_err(|source| failed("open", &target, source))?;
        return write(Box::new(file));
    }
    let mut beside = target.clone().into_os_string();
    beside.push(".kiln-new");
    let beside = PathBuf::from(beside);
    let file = File::create(&beside).map_err(|source| failed("create", &beside, source))?;
    let written = write(Box::new(file)).and_then(|()| {
        let renamed = fs::rename(&beside, &target);
        renamed.map_err(|source| failed("write", &target, source).into())
    });
    if written.is_err() {
        // The error that is shown is the one that led here.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The file `input`, or standard input if there is none or it is `-`. `verb` is for errors: `load`.
pub(super) fn read(
    session: &Session<'_, '_>,
    input: Option<&str>,
    verb: &str,
) -> Result<Box<dyn Read + Send>, Error> {
    match input {
        Some(path) if path != "-" => {
            let file = File::open(session.environment.absolute(Path::new(path)));
            let failed = |what: &str, error: &io::Error| {
                Error::new(format!("{what} {path}: {}", io_text(error)))
            };
            let file = file.map_err(|error| failed("open", &error))?;
            if file.metadata().is_ok_and(|found| found.is_dir()) {
                return Err(failed("read", &io::ErrorKind::IsADirectory.into()));
            }
            Ok(Box::new(file))
        }
        _ if session.environment.terminals.stdin => Err(Error::new(format!(
            "requested {verb} from stdin, but stdin is empty"
        ))),
        _ => Ok(Box::new(ui::input())),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CliError {
    let path = path.to_path_buf();
    CliError::File {
        action,
        path,
        source,
    }
}
