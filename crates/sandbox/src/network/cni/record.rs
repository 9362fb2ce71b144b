//! What is kept of a network in a directory of its own while it is set up: by which plugins, and what
//! they answered. So it can be taken down by whoever comes after us, if we are killed.
//!
//! What always holds: the record is there before a plugin is called, and goes when all plugins have
//! taken down what they had set up. Its directory is locked by who uses the network.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Cni;
use super::error::CniError;
use super::list::NetworkList;
use super::plugin::{Caller, Command};

/// How often others try to take down what is left of a network.
const TRIES: usize = 3;

/// Where in its directory a network is kept.
const PLACE: &str = "netns";

/// What plugins are told of a network.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    id: String,
    list: NetworkList,
    plugins: Vec<PathBuf>,
    hostname: Option<String>,
}

/// A network, and its directory.
#[derive(Debug)]
pub(super) struct Record {
    directory: PathBuf,
    told: Told,
    programs: Vec<PathBuf>,
    /// Released when it is closed.
    _lock: File,
}

impl Record {
    /// Makes the directory, in which the network has its place.
    pub(super) fn begin(cni: &Cni) -> Result<Record, CniError> {
        let id = random_id()?;
        let directory = cni.records.join(&id);
        create(&cni.records, true)?;
        let all = lock(&cni.records)?;
        create(&directory, false)?;
        let lock = lock(&directory)?;
        drop(all);
        let record = Record {
            told: Told {
                id,
                list: cni.list.clone(),
                plugins: cni.plugins.clone(),
                hostname: cni.hostname.clone(),
            },
            directory,
            programs: cni.programs.clone(),
            _lock: lock,
        };
        let told = serde_json::to_vec(&record.told);
        let told = told.map_err(|error| record.failed("write")(error.into()));
        let written = told.and_then(|told| record.write("network.json", &told));
        let placed = written.and_then(|()| {
            File::create(record.place()).map_err(record.failed("make a network's place in"))
        });
        match placed {
            Ok(_) => Ok(record),
            Err(error) => {
                record.forget();
                Err(error)
            }
        }
    }

    /// Takes it away again before a plugin was called: nothing has been set up. What cannot be removed
    /// now is removed by the next one.
    pub(super) fn forget(self) {
        let _ = self.clear();
    }

    /// Records in `records` that nobody holds.
    pub(super) fn left(
        records: &Path,
        programs: &[PathBuf],
    ) -> Result<Vec<Result<Record, CniError>>, CniError> {
        let entries = match std::fs::read_dir(records) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", records))?,
        };
        // Who makes one has it locked before others see it.
        let _all = lock(records)?;
        let left = entries.map(|entry| match entry {
            Ok(entry) => Self::leftover(entry.path(), programs),
            Err(error) => Err(failed("read", records)(error)),
        });
        Ok(left.filter_map(Result::transpose).collect())
    }

    fn leftover(directory: PathBuf, programs: &[PathBuf]) -> Result<Option<Record>, CniError> {
        let file = match File::open(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed("open", &directory))?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &directory)(error)),
        }
        let told = match std::fs::read(directory.join("network.json")) {
            // It had not come to its plugins, or has just been removed.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                remove(&directory).map_err(failed("remove", &directory))?;
                return Ok(None);
            }
            told => told.map_err(failed("read", &directory))?,
        };
        let told = match serde_json::from_slice(&told) {
            Ok(told) => told,
            // Nobody will ever know more, so it is told once and not with every step.
            Err(error) => {
                let place = directory.join(PLACE);
                let released = sys::network::release(&place);
                released.map_err(failed("take away the network of", &directory))?;
                remove(&directory).map_err(failed("remove", &directory))?;
                let error = failed("read", &directory)(error.into());
                return Err(CniError::GivenUp(Box::new(error)));
            }
        };
        Ok(Some(Record {
            told,
            directory,
            programs: programs.to_vec(),
            _lock: file,
        }))
    }

    /// Where the network is kept.
    pub(super) fn place(&self) -> PathBuf {
        self.directory.join(PLACE)
    }

    /// Has all plugins set the network up, each with what the one before it has answered.
    pub(super) fn add(&self) -> Result<(), CniError> {
        let place = self.place();
        let (caller, list) = (self.caller(Some(&place)), &self.told.list);
        let mut result = None;
        for (number, plugin) in list.plugins().enumerate() {
            let request = list.request(number, result.as_ref());
            result = caller.call(Command::Add, plugin, &request)?;
        }
        let result = result.unwrap_or_default();
        self.write("result.json", result.to_string().as_bytes())
    }

    /// Has all plugins take down what they have set up, and forgets the network; the first error, if
    /// one does not, but none is passed over.
    pub(super) fn delete(&self) -> Result<(), CniError> {
        let place = self.place();
        let place = sys::network::is_kept(&place).then_some(place);
        let (caller, list) = (self.caller(place.as_deref()), &self.told.list);
        let result = self.result().filter(|_| list.tells_at_end());
        let mut deleted = Ok(());
        for (number, plugin) in list.plugins().enumerate().rev() {
            let request = list.request(number, result.as_ref());
            let one = caller.call(Command::Delete, plugin, &request);
            deleted = deleted.and(one.map(drop));
        }
        deleted?;
        self.clear()
    }

    /// The same for one that was left. After some vain tries it is forgotten: what its plugins need has
    /// gone for good.
    pub(super) fn sweep(&self) -> Result<(), CniError> {
        let Err(error) = self.delete() else {
            return Ok(());
        };
        let before = std::fs::read(self.directory.join("tries")).unwrap_or_default();
        let tries = before.len() + 1;
        if tries >= TRIES {
            self.clear()?;
            return Err(CniError::GivenUp(Box::new(error)));
        }
        self.write("tries", &vec![b'.'; tries])?;
        Err(error)
    }

    fn caller<'a>(&'a self, place: Option<&'a Path>) -> Caller<'a> {
        Caller {
            network: self.told.list.name(),
            id: &self.told.id,
            place,
            hostname: self.told.hostname.as_deref(),
            plugins: &self.told.plugins,
            programs: &self.programs,
        }
    }

    /// What the last plugin has answered, if it came to that.
    fn result(&self) -> Option<Value> {
        let text = std::fs::read(self.directory.join("result.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The network is gone then, unless a process is in it.
    fn clear(&self) -> Result<(), CniError> {
        let released = sys::network::release(&self.place());
        released.map_err(self.failed("take away the network of"))?;
        remove(&self.directory).map_err(self.failed("remove"))
    }

    /// Whoever reads it sees all of it, or nothing.
    fn write(&self, name: &str, text: &[u8]) -> Result<(), CniError> {
        let (new, path) = (self.directory.join("new"), self.directory.join(name));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(text)?;
            // What plugins keep on disk outlives the machine's power, and so does who made it.
            file.sync_all()?;
            std::fs::rename(&new, path)
        });
        written.map_err(self.failed("write to"))
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> CniError {
        failed(action, &self.directory)
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CniError {
    let path = path.to_owned();
    move |source| CniError::Record {
        action,
        path,
        source,
    }
}

fn create(directory: &Path, all: bool) -> Result<(), CniError> {
    let mut builder = DirBuilder::new();
    let created = builder.mode(0o700).recursive(all).create(directory);
    created.map_err(failed("create", directory))
}

fn lock(directory: &Path) -> Result<File, CniError> {
    let file = File::open(directory).map_err(failed("open", directory))?;
    file.lock().map_err(failed("lock", directory))?;
    Ok(file)
}

/// The directory may be gone already.
fn remove(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn random_id() -> Result<String, CniError> {
    let mut bytes = [0_u8; 16];
    let read = getrandom(&mut bytes, GetRandomFlags::empty());
    read.map_err(|errno| failed("read", Path::new("random numbers"))(errno.into()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
