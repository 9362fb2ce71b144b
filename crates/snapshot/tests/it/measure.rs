//! How long things take: `cargo test --release -p snapshot measure -- --ignored --nocapture
//! --test-threads 1`. Each prints the best of several runs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use snapshot::checksum::{self, Selection, StoreCache};
use snapshot::copy::{self, Copy, CopyOwner};
use snapshot::diff::{self, HashingWriter};
use snapshot::{Marks, Selector, Tree, Upper, apply};
use store::Store;

use crate::fixture::scratch;

fn pool() -> rayon::ThreadPool {
    let threads = std::thread::available_parallelism().unwrap().get();
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

/// `files` files of `size` bytes, 50 to a directory.
fn many(dir: &Path, files: usize, size: usize) -> PathBuf {
    let root = dir.join("many");
    for n in 0..files {
        let parent = root.join(format!("d{}/e{}", n / 2500, n / 50));
        if n % 50 == 0 {
            std::fs::create_dir_all(&parent).unwrap();
        }
        let mut content = vec![b'x'; size];
        content[..4].copy_from_slice(&u32::try_from(n).unwrap().to_le_bytes());
        std::fs::write(parent.join(format!("file-{n}")), content).unwrap();
    }
    root
}

/// Wall time, and the time that all threads were running.
type Times = (Duration, Duration);

/// A directory for one run. It stays: ext4 is slow to make files where some were removed just now.
fn fresh(dir: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let path = dir.join(format!("layer-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir(&path).unwrap();
    path
}

fn report(what: &str, mut run: impl FnMut() -> Times) {
    let times: Vec<Times> = (0..5).map(|_| run()).collect();
    let wall = times.iter().map(|(wall, _)| *wall).min().unwrap();
    let busy = times.iter().map(|(_, busy)| *busy).min().unwrap();
    println!("{what}: {wall:.1?}, of all threads {busy:.1?}");
}

fn timed<T>(work: impl FnOnce() -> T) -> (Times, T) {
    let (start, busy) = (Instant::now(), busy_time());
    let done = work();
    ((start.elapsed(), busy_time() - busy), done)
}

fn busy_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap()
}

fn all_to(destination: &str) -> Copy {
    Copy {
        destination: destination.into(),
        directory_contents: true,
        create_destination: true,
        ..Copy::default()
    }
}

#[test]
#[ignore = "a measurement"]
fn privileged_measure_copy() {
    let dir = scratch();
    let source = many(dir.path(), 30_000, 2000);
    let pool = pool();
    let layers = Tree::layers(std::slice::from_ref(&source), Marks::Trusted).unwrap();
    let context = Tree::directory(&source).unwrap().owned_by(0, 0);
    let run = |from: &Tree, change: &dyn Fn(&mut Copy), share: bool, pool| {
        let layer = fresh(dir.path());
        let upper = Upper::open(&layer, &[], Marks::Trusted).unwrap();
        let mut copy = all_to("/app");
        change(&mut copy);
        let options = copy::Options {
            share,
            pool,
            earlier: None,
            limits: snapshot::Limits::default(),
        };
        let (time, copied) = timed(|| copy::copy(from, &upper, &copy, &options).unwrap());
        assert_eq!(copied.files, 30_000);
        time
    };
    let pool = Some(&pool);
    report("copy 30,000 files of a stage, shared", || {
        run(&layers, &|_| {}, true, pool)
    });
    report("the same on one thread", || {
        run(&layers, &|_| {}, true, None)
    });
    report("copy 30,000 files with --chown", || {
        let owner = CopyOwner::Fixed(5, 5);
        run(&layers, &|copy| copy.owner = owner, true, pool)
    });
    report("copy 30,000 files of a context", || {
        run(&context, &|_| {}, false, pool)
    });
    report("the same on one thread", || {
        run(&context, &|_| {}, false, None)
    });
}

#[test]
#[ignore = "a measurement"]
fn privileged_measure_checksum() {
    let dir = scratch();
    let source = many(dir.path(), 20_000, 4000);
    let store = Store::open(&dir.path().join("store")).unwrap();
    let pool = pool();
    let tree = Tree::directory(&source).unwrap();
    let selection = [Selection {
        selector: Selector {
            path: "/".into(),
            wildcard: true,
            follow_links: true,
            ..Selector::default()
        },
        directory_contents: true,
    }];
    std::thread::sleep(Duration::from_millis(50));
    #[expect(clippy::disallowed_methods, reason = "a measurement has a clock")]
    let now = SystemTime::now();
    let read_since = || now;
    let cache = StoreCache {
        cache: store.stat_cache(),
        read_since: &read_since,
    };
    let run = |cached: bool, pool| {
        let options = checksum::Options {
            cache: cached.then_some(&cache as &dyn checksum::StatCache),
            pool,
        };
        let (time, outcome) = timed(|| checksum::checksum(&tree, &selection, &options).unwrap());
        (time, outcome)
    };
    report("checksum of 20,000 files, all read", || {
        run(false, Some(&pool)).0
    });
    run(true, Some(&pool));
    assert_eq!(run(true, Some(&pool)).1.hashed, 0);
    report("checksum of 20,000 files, all known", || {
        run(true, Some(&pool)).0
    });
    report("the same on one thread", || run(true, None).0);
    let covered = run(true, Some(&pool)).1.covered;
    report("verify 20,000 files", || {
        timed(|| covered.verify(&tree, &selection, Some(&pool)).unwrap()).0
    });
}

#[test]
#[ignore = "a measurement"]
fn privileged_measure_diff_and_apply() {
    let dir = scratch();
    let big = dir.path().join("big");
    std::fs::create_dir(&big).unwrap();
    let mut file = File::create(big.join("file")).unwrap();
    for n in 0..512u32 {
        let block: Vec<u8> = (0..1u32 << 20)
            .map(|at| (at ^ n).to_le_bytes()[0])
            .collect();
        file.write_all(&block).unwrap();
    }
    let small = many(dir.path(), 30_000, 2000);
    let pool = pool();
    let options = |pool| diff::Options {
        clamp_mtime: None,
        pool,
    };
    for (what, layer) in [("512 MB", &big), ("30,000 files", &small)] {
        for pool in [None, Some(&pool)] {
            let threads = pool.map_or(1, rayon::ThreadPool::current_num_threads);
            report(&format!("diff of {what}, {threads} threads"), || {
                let run = || diff::tar(layer, Marks::Trusted, &options(pool), std::io::sink());
                timed(|| run().unwrap()).0
            });
            report(&format!("diff ID of {what}, {threads} threads"), || {
                let output = HashingWriter::new(std::io::sink());
                let run = || diff::tar(layer, Marks::Trusted, &options(pool), output);
                timed(|| run().unwrap()).0
            });
        }
        let archive = diff::tar(layer, Marks::Trusted, &options(None), Vec::new()).unwrap();
        for hash in [false, true] {
            report(&format!("apply of {what}, hash {hash}"), || {
                let layer = fresh(dir.path());
                let options = apply::Options {
                    below: apply::Below::Nothing,
                    hash,
                    ..apply::Options::default()
                };
                timed(|| apply::tar(&*archive, &layer, &options).unwrap()).0
            });
        }
    }
}
