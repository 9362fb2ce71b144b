//! Limits of a step that need nothing of the kernel's: time, output, what it writes to disk.
//!
//! Time counts from the start of the process to its end. Output is counted as it comes, and what is
//! beyond the limit is not passed on. What is written is looked at: at once, then again and again
//! while the process runs, and when it has ended. So a step may take more for a moment, and what it
//! removes before anybody looks does not count.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use snapshot::{Dir, Kind, Tree};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::EngineError;
use crate::resources::{Exceeded, Resources};

/// How long is waited at least between two looks at the disk.
const LEAST_PAUSE: Duration = Duration::from_millis(200);
/// By how much longer one waits than the last look took.
const PAUSE_FACTOR: u32 = 10;

/// What one process may take.
#[derive(Debug)]
pub(super) struct Bounds {
    time: Option<Duration>,
    disk: Option<Disk>,
    pub(super) meter: Meter,
}

/// Counts what a process writes to its output.
#[derive(Debug)]
pub(super) struct Meter {
    most: u64,
    seen: AtomicU64,
    full: Notify,
}

#[derive(Debug)]
struct Disk {
    most: u64,
    directories: Vec<PathBuf>,
    /// Directories that are not theirs, by device and inode, wherever they are meanwhile.
    others: HashSet<(u64, u64)>,
    /// What they took before the process began.
    before: u64,
}

impl Bounds {
    /// `directories` are those of the file systems that the process may change, and `others` those that
    /// do not count: where nothing is mounted, they are moved into the former for as long as it runs.
    pub(super) async fn new(
        resources: &Resources,
        directories: Vec<PathBuf>,
        others: Vec<PathBuf>,
    ) -> Result<Self, EngineError> {
        let bounded = |value: Option<u64>| value.filter(|value| *value != u64::MAX);
        let disk = match bounded(resources.disk) {
            None => None,
            Some(most) => Some(Disk::new(most, directories, others).await?),
        };
        Ok(Self {
            time: resources.time.filter(|time| *time != Duration::MAX),
            disk,
            meter: Meter {
                most: bounded(resources.output).unwrap_or(u64::MAX),
                seen: AtomicU64::new(0),
                full: Notify::new(),
            },
        })
    }

    /// Waits until the process has taken too much.
    pub(super) async fn exceeded(&self) -> Result<Exceeded, EngineError> {
        tokio::select! {
            exceeded = self.late() => Ok(exceeded),
            exceeded = self.meter.exceeded() => Ok(exceeded),
            exceeded = self.filling() => exceeded,
        }
    }

    /// What the process has taken too much of, now that it has ended.
    pub(super) async fn at_end(&self) -> Result<Option<Exceeded>, EngineError> {
        if self.meter.is_full() {
            return Ok(Some(Exceeded::Output(self.meter.most)));
        }
        match &self.disk {
            Some(disk) => disk.look().await,
            None => Ok(None),
        }
    }

    async fn late(&self) -> Exceeded {
        match self.time {
            Some(time) => {
                tokio::time::sleep(time).await;
                Exceeded::Time(time)
            }
            None => std::future::pending().await,
        }
    }

    async fn filling(&self) -> Result<Exceeded, EngineError> {
        let Some(disk) = &self.disk else {
            return std::future::pending().await;
        };
        loop {
            let began = Instant::now();
            if let Some(exceeded) = disk.look().await? {
                return Ok(exceeded);
            }
            tokio::time::sleep(LEAST_PAUSE.max(began.elapsed() * PAUSE_FACTOR)).await;
        }
    }
}

impl Meter {
    /// What of `bytes` is to be passed on.
    pub(super) fn take(&self, bytes: Bytes) -> Bytes {
        let count = bytes.len() as u64;
        let before = self.seen.fetch_add(count, Ordering::Relaxed);
        let room = self.most.saturating_sub(before);
        if count <= room {
            return bytes;
        }
        self.full.notify_one();
        let room = usize::try_from(room).unwrap_or(bytes.len());
        bytes.slice(..room.min(bytes.len()))
    }

    fn is_full(&self) -> bool {
        self.seen.load(Ordering::Relaxed) > self.most
    }

    async fn exceeded(&self) -> Exceeded {
        self.full.notified().await;
        Exceeded::Output(self.most)
    }
}

impl Disk {
    async fn new(
        most: u64,
        directories: Vec<PathBuf>,
        others: Vec<PathBuf>,
    ) -> Result<Self, EngineError> {
        let others = crate::blocking(move || {
            let stats = others.iter().flat_map(std::fs::symlink_metadata);
            stats.map(|stat| (stat.dev(), stat.ino())).collect()
        });
        let others = others.await?;
        Ok(Self {
            most,
            before: taken(&directories, &others).await?,
            directories,
            others,
        })
    }

    async fn look(&self) -> Result<Option<Exceeded>, EngineError> {
        let taken = taken(&self.directories, &self.others).await?;
        let taken = taken.saturating_sub(self.before);
        Ok((taken > self.most).then_some(Exceeded::Disk(self.most)))
    }
}

async fn taken(directories: &[PathBuf], others: &HashSet<(u64, u64)>) -> Result<u64, EngineError> {
    let (directories, others) = (directories.to_vec(), others.clone());
    crate::blocking(move || {
        let mut seen = HashSet::new();
        let each = directories.iter();
        each.map(|directory| size_of(directory, &others, &mut seen))
            .sum()
    })
    .await
}

/// Bytes on disk of all that is beneath `directory` and in none of `others`, each file once. What vanishes meanwhile is not
/// there, and what cannot be read is not counted. The process may put links in the place of
/// directories while we look, so each is opened from the one that it is in.
fn size_of(directory: &Path, others: &HashSet<(u64, u64)>, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let level = |dir: Dir| Some((dir.entries().ok()?.into_iter(), dir));
    let root = Tree::directory(directory).ok();
    let mut levels: Vec<_> = root
        .and_then(|tree| level(tree.root().clone()))
        .into_iter()
        .collect();
    let mut sum: u64 = 0;
    while let Some((entries, dir)) = levels.last_mut() {
        let Some(entry) = entries.next() else {
            levels.pop();
            continue;
        };
        let Ok(stat) = dir.stat(&entry) else { continue };
        let is_directory = stat.kind == Kind::Directory;
        if is_directory && others.contains(&(stat.device, stat.inode)) {
            continue;
        }
        if is_directory || stat.links == 1 || seen.insert((stat.device, stat.inode)) {
            sum = sum.saturating_add(stat.allocated);
        }
        if is_directory && let Ok(inner) = dir.enter(&entry) {
            levels.extend(level(inner));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(most: u64) -> Meter {
        Meter {
            most,
            seen: AtomicU64::new(0),
            full: Notify::new(),
        }
    }

    #[test]
    fn output_up_to_the_limit() {
        let (five, small) = (meter(5), meter(2));
        let take = |text: &'static str| five.take(Bytes::from_static(text.as_bytes()));
        assert_eq!(take("abc"), "abc");
        assert_eq!(take("de"), "de");
        assert!(!five.is_full());
        assert_eq!(take("f"), "");
        assert!(five.is_full());
        assert_eq!(small.take(Bytes::from_static(b"abc")), "ab");
    }

    #[test]
    fn files_count_once() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a");
        std::fs::create_dir(&inner).unwrap();
        let size = |others| size_of(dir.path(), &others, &mut HashSet::new());
        let empty = size(HashSet::new());
        std::fs::write(inner.join("x"), vec![7; 100_000]).unwrap();
        std::fs::hard_link(inner.join("x"), dir.path().join("y")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        let full = size(HashSet::new()) - empty;
        assert!((100_000..150_000).contains(&full), "{full}");
    }

    #[tokio::test]
    async fn what_is_elsewhere_does_not_count_when_it_is_moved_in() {
        let dir = tempfile::tempdir().unwrap();
        let [root, cache] = ["root", "cache"].map(|name| dir.path().join(name));
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::create_dir(&cache).unwrap();
        let disk = Disk::new(50_000, vec![root.clone()], vec![cache.clone()]);
        let disk = disk.await.unwrap();
        std::fs::rename(&cache, root.join("in/c")).unwrap();
        std::fs::write(root.join("in/c/x"), vec![7; 100_000]).unwrap();
        assert!(disk.look().await.unwrap().is_none());
        std::fs::write(root.join("in/x"), vec![7; 100_000]).unwrap();
        assert!(matches!(
            disk.look().await.unwrap(),
            Some(Exceeded::Disk(50_000))
        ));
    }
}
