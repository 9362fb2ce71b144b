//! Files that are written for a client, in its own directories.
//!
//! Each is there whole or not at all. Whoever waits for one and goes away takes what there was of it
//! along: the thread that writes is not waited for, since it may have gigabytes to go, but it finds
//! its file gone.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use crate::error::EngineError;

/// What the names begin with of files that are not whole yet.
pub(crate) const PREFIX: &str = ".kiln-";

/// Runs `work` on a thread that may block; what it writes is removed when the caller goes away
/// before it is whole.
pub(crate) async fn writing<T, F>(work: F) -> Result<T, EngineError>
where
    F: FnOnce(&Draft) -> Result<T, EngineError> + Send + 'static,
    T: Send + 'static,
{
    let draft = Draft::default();
    let _held = Held(draft.clone());
    crate::blocking(move || work(&draft)).await?
}

/// Where files are written, one after another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// Into this file.
    Writing(PathBuf),
    /// Nobody waits for more.
    Abandoned,
}

impl Draft {
    /// Writes a file that is there whole or not at all.
    pub(crate) fn replace(
        &self,
        path: &Path,
        write: impl FnOnce(&mut File) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let failed = |source| EngineError::WriteFile {
            path: path.to_owned(),
            source,
        };
        let is_special = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
        if is_special {
            // A pipe or a device is written to, not replaced.
            let mut file = File::options().write(true).open(path).map_err(failed)?;
            return write(&mut file);
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut file = self.begin(directory, failed)?;
        store::fail::point("write a result").map_err(failed)?;
        write(file.as_file_mut())?;
        store::fail::point("put a result in its place").map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// A file that goes with whoever waits, from the moment that it has a name.
    fn begin(
        &self,
        directory: &Path,
        failed: impl FnOnce(std::io::Error) -> EngineError,
    ) -> Result<NamedTempFile, EngineError> {
        let mut state = self.state();
        if matches!(*state, State::Abandoned) {
            return Err(EngineError::Cancelled);
        }
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(std::fs::Permissions::from_mode(0o644))
            .tempfile_in(directory)
            .map_err(failed)?;
        *state = State::Writing(file.path().to_owned());
        Ok(file)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever waits.
struct Held(Draft);

impl Drop for Held {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.0.state(), State::Abandoned);
        if let State::Writing(path) = state {
            // One that is whole has another name by now.
            drop(std::fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::sync::mpsc;

    use futures_util::FutureExt as _;

    use super::{Draft, writing};
    use crate::error::EngineError;

    fn names(directory: &std::path::Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// Another result failed, or the client cancelled, while one was written.
    #[tokio::test]
    async fn who_goes_away_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result");
        let (begun, is_begun) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        let to = path.clone();
        let mut work = Box::pin(writing(move |draft: &Draft| {
            let write = |draft: &Draft| {
                draft.replace(&to, |file| {
                    file.write_all(b"half").unwrap();
                    begun.send(()).unwrap();
                    goes_on.recv().unwrap();
                    Ok(())
                })
            };
            let first = write(draft);
            ended.send((first, write(draft))).unwrap();
            Ok(())
        }));
        assert!((&mut work).now_or_never().is_none());
        is_begun.recv().unwrap();
        assert_eq!(names(directory.path()).len(), 1);
        drop(work);
        assert_eq!(names(directory.path()), Vec::<String>::new());
        go_on.send(()).unwrap();
        let (first, second) = end.recv().unwrap();
        assert!(
            matches!(first, Err(EngineError::WriteFile { .. })),
            "{first:?}"
        );
        assert!(matches!(second, Err(EngineError::Cancelled)), "{second:?}");
        assert_eq!(names(directory.path()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_is_whole_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result");
        let to = path.clone();
        let done = writing(move |draft: &Draft| {
            draft.replace(&to, |file| {
                file.write_all(b"whole").unwrap();
                Ok(())
            })
        });
        done.await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(directory.path()), ["result"]);
    }
}
