//! How much at a time: steps on this machine, steps of one build, memory that stays free.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use snapshot::{Bound, ExtractError};
use store::{Slot, Store};

use crate::config::LimitsConfig;
use crate::error::EngineError;

/// Steps wait more than they compute: more of them than CPUs run well at once.
const STEPS_PER_CPU: usize = 16;
/// What a step takes, when nothing is known of it.
const STEP_MEMORY: u64 = 128 << 20;
/// Descriptors that a running step takes, and that everything else takes.
const STEP_DESCRIPTORS: u64 = 16;
const OTHER_DESCRIPTORS: u64 = 96;
/// Memory that stays free, when the configuration does not say: a part, and no more than this.
const FREE_PART: u64 = 20;
const MOST_FREE: u64 = 512 << 20;

/// What all builds of one process have in common.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// One step of a process waits for a slot at a time, so that processes get slots by turns
    /// however many steps each has.
    turn: tokio::sync::Mutex<()>,
    /// How many steps run at a time, found out once.
    steps: OnceLock<u32>,
}

/// Memory of the machine, or of the group of processes that we are confined to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    total: u64,
    available: u64,
}

/// Says that nobody waits any more, when it is dropped.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Limits {
    /// Waits until the machine has room for one more step. None when there is no limit.
    pub(crate) async fn admit(
        &self,
        store: &Store,
        config: &LimitsConfig,
    ) -> Result<Option<Slot>, EngineError> {
        let count = *self.steps.get_or_init(|| steps_on_machine(config));
        if count == 0 {
            return Ok(None);
        }
        let reserve = config.free_memory.map(|bytes| bytes.0);
        let scarce = move || is_scarce(Memory::now(), reserve);
        let _turn = self.turn.lock().await;
        if let Some(slot) = store.slots(count).attempt(scarce)? {
            return Ok(Some(slot));
        }
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let (store, is_wanted) = (store.clone(), Arc::clone(&wanted.0));
        let slot = crate::blocking(move || {
            let wanted = || is_wanted.load(Ordering::Relaxed);
            store.slots(count).wait(scarce, wanted)
        });
        Ok(slot.await??)
    }
}

/// The key of `[limits]` that would let an archive be, if that is what `error` is about.
#[must_use]
pub fn limit_key(error: &EngineError) -> Option<&'static str> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(ExtractError::Limit { bound, .. }) = error.downcast_ref() {
            return key_of(*bound);
        }
        let wrapped = error.downcast_ref::<std::io::Error>();
        next = match wrapped.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

const fn key_of(bound: Bound) -> Option<&'static str> {
    match bound {
        Bound::Entries => Some("archive-entries"),
        Bound::Bytes => Some("archive-size"),
        Bound::Depth => Some("archive-depth"),
        Bound::Names => Some("archive-names"),
        Bound::Ratio => Some("archive-ratio"),
        // No file system has longer ones.
        Bound::Name => None,
    }
}

/// How many steps run on this machine at a time; 0 is no limit.
fn steps_on_machine(config: &LimitsConfig) -> u32 {
    config.parallel_steps.unwrap_or_else(|| {
        let by_cpu = cpus() * STEPS_PER_CPU;
        let total = Memory::now().map_or(u64::MAX, |memory| memory.total);
        let by_memory = usize::try_from(total / STEP_MEMORY).unwrap_or(usize::MAX);
        u32::try_from(by_cpu.min(by_memory).max(2)).unwrap_or(u32::MAX)
    })
}

/// How many steps of one build run at a time unless somebody says so: what CPUs and descriptors
/// allow.
pub(crate) fn default_jobs() -> NonZeroUsize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let jobs = cpus() * STEPS_PER_CPU;
    let jobs = jobs.min(by_descriptors(limit.current));
    NonZeroUsize::new(jobs).unwrap_or(NonZeroUsize::MIN)
}

fn by_descriptors(limit: Option<u64>) -> usize {
    let free = limit.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS);
    usize::try_from((free / STEP_DESCRIPTORS).max(1)).unwrap_or(usize::MAX)
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Too little is left for one more step.
fn is_scarce(memory: Option<Memory>, reserve: Option<u64>) -> bool {
    memory.is_some_and(|memory| {
        let default = (memory.total / FREE_PART).min(MOST_FREE);
        memory.available < reserve.unwrap_or(default)
    })
}

impl Memory {
    /// None when the kernel does not tell.
    fn now() -> Option<Self> {
        Self::of(Path::new("/"))
    }

    /// The least of what the machine and the control groups have, as files beneath `root` say.
    fn of(root: &Path) -> Option<Self> {
        let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let text = read("proc/meminfo")?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            kilobytes.checked_mul(1024)
        };
        let mut memory = Self {
            total: field("MemTotal:")?,
            available: field("MemAvailable:")?,
        };
        let groups = read("proc/self/cgroup").unwrap_or_default();
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            let (base, limit, used) = match controllers {
                "" => ("sys/fs/cgroup", "memory.max", "memory.current"),
                "memory" => (
                    "sys/fs/cgroup/memory",
                    "memory.limit_in_bytes",
                    "memory.usage_in_bytes",
                ),
                _ => continue,
            };
            // What bounds a group bounds those in it.
            for group in Path::new(path.trim_start_matches('/')).ancestors() {
                let group = Path::new(base).join(group);
                memory.confine(|file| read(group.join(file).to_str()?), limit, used);
            }
        }
        Some(memory)
    }

    /// To what a control group has, whose files `limit` and `used` tell.
    fn confine(&mut self, read: impl Fn(&str) -> Option<String>, limit: &str, used: &str) {
        let number = |file: &str| -> Option<u64> { read(file)?.trim().parse().ok() };
        let (Some(limit), Some(used)) = (number(limit), number(used)) else {
            return;
        };
        // What files take there goes when it is needed. The first hierarchy's own word counts the
        // groups within too, as the second's only one does.
        let stat = read("memory.stat").unwrap_or_default();
        let field = |name| stat.lines().find_map(|line| line.strip_prefix(name));
        let inactive = field("total_inactive_file ").or_else(|| field("inactive_file "));
        let inactive: u64 = inactive.and_then(|n| n.parse().ok()).unwrap_or_default();
        let free = limit.saturating_sub(used.saturating_sub(inactive));
        self.total = self.total.min(limit);
        self.available = self.available.min(free);
    }
}

#[cfg(test)]
mod tests;
