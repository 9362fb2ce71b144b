//! Several processes on one store, and processes that are killed.
//!
//! The test program runs itself again with the name of one test and a role in the environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use oci::{Descriptor, Digest, MediaType, Reference};
use store::{
    Blob, Depth, Ingest, LayerId, Lease, NewLayer, NewRecord, Sharing, Store, StoreError, Synced,
};
use testkit::Scratch;

use crate::{at, record, scratch};

const ROLE: &str = "STORE_TEST_ROLE";
const ROOT: &str = "STORE_TEST_ROOT";
const SEED: &str = "STORE_TEST_SEED";

/// Starts this program again in a role.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tests start a process"
)]
fn start(role: &str, root: &Path, seed: u32) -> Child {
    std::process::Command::new(std::env::current_exe().expect("our own program"))
        .args(["--exact", "processes::child", "--nocapture"])
        .env(ROLE, role)
        .env(ROOT, root)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("start our own program")
}

#[expect(clippy::disallowed_methods, reason = "how the parent says what to do")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Not a test of its own: what the other processes do.
#[test]
fn child() {
    let Some(role) = variable(ROLE) else {
        return;
    };
    let root = variable(ROOT).expect("a root");
    let seed = variable(SEED)
        .and_then(|seed| seed.parse().ok())
        .expect("a seed");
    match role.as_str() {
        "contend" => contend(Path::new(&root)),
        "work" => work(Path::new(&root), seed),
        other => panic!("unknown role {other}"),
    }
}

fn say(text: &str) {
    // One write, so that a line is whole or not there.
    let line = format!("@{text}\n");
    std::io::stdout()
        .write_all(line.as_bytes())
        .expect("say something");
}

/// The next line that the child said; none when it is dead.
fn hear(output: &mut BufReader<ChildStdout>) -> Option<String> {
    loop {
        let mut line = String::new();
        output.read_line(&mut line).expect("hear the child");
        match line.strip_suffix('\n') {
            None => return None,
            Some(line) => {
                // The test runner talks too, on the same line even.
                if let Some(at) = line.find('@') {
                    return Some(line[at + 1..].to_owned());
                }
            }
        }
    }
}

const BLOBS: u32 = 20;
const TURNS: u32 = 200;

fn content(number: u32) -> Vec<u8> {
    format!("content {number} ")
        .repeat(100 + number as usize)
        .into_bytes()
}

/// Wants the same as its siblings, all at once.
fn contend(root: &Path) {
    let store = Store::open(root).unwrap();
    let lease = store.lease(at(0)).unwrap();
    for number in 0..BLOBS {
        let bytes = content(number);
        let blob = Blob {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
        };
        if let Ingest::Open(mut download) = store.blobs().ingest(&lease, blob).unwrap() {
            let from = usize::try_from(download.offset()).unwrap();
            download.write_all(&bytes[from..]).unwrap();
            download.finish().unwrap();
            say("downloaded");
        }
        let reference: Reference = format!("app:{number}").parse().unwrap();
        let descriptor = Descriptor::new(
            MediaType::Other("text/plain".into()),
            blob.digest,
            blob.size,
        );
        store.images().put(&reference, &descriptor, at(0)).unwrap();
    }
    for turn in 0..TURNS {
        let key = [u8::try_from(turn % 3).unwrap(); 32];
        let _guard = store.lock_key(&key).unwrap();
        let path = root.with_extension(format!("counter-{}", key[0]));
        let count: u32 = std::fs::read_to_string(&path).map_or(0, |text| text.parse().unwrap());
        std::fs::write(&path, (count + 1).to_string()).unwrap();
        let value = turn.to_le_bytes();
        store
            .records()
            .put(&lease, Digest::of(&value).as_bytes(), record(&value))
            .unwrap();
    }
}

#[test]
fn siblings_share_a_store() {
    let scratch = Scratch::new();
    let root = scratch.join("store");
    // They make the store, too.
    let mut children: Vec<_> = (0..3).map(|seed| start("contend", &root, seed)).collect();
    let mut downloaded = 0;
    for child in &mut children {
        let mut output = BufReader::new(child.stdout.take().unwrap());
        while hear(&mut output).is_some() {
            downloaded += 1;
        }
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(downloaded, BLOBS, "each blob by one of them");
    let counted: u32 = (0..3)
        .map(|key| root.with_extension(format!("counter-{key}")))
        .map(|path| {
            std::fs::read_to_string(path)
                .unwrap()
                .parse::<u32>()
                .unwrap()
        })
        .sum();
    assert_eq!(counted, 3 * TURNS, "one at a time under a key");
    let store = Store::open(&root).unwrap();
    assert_eq!(store.fsck(Depth::Deep).unwrap(), []);
    assert_eq!(store.images().list().unwrap().len(), BLOBS as usize);
    assert!(crate::names(&store, "locks/keys").is_empty());
    for turn in 0..TURNS {
        let value = turn.to_le_bytes();
        let record = store.records().get(Digest::of(&value).as_bytes()).unwrap();
        assert_eq!(record.unwrap().value, value);
    }
}

/// Writes all kinds of things until it is killed, and says what is finished.
fn work(root: &Path, seed: u32) {
    let store = Store::open(root).unwrap();
    let lease = store.lease(at(u64::from(seed))).unwrap();
    say("open");
    for turn in 0_u32.. {
        let number = seed * 1000 + turn;
        match (seed + turn) % 7 {
            0 | 1 => tag(&store, &lease, number),
            2 | 3 => remember(&store, &lease, number),
            4 => {
                let seed = |path: &Path| {
                    std::fs::write(path.join("seed"), "seed").map_err(|source| StoreError::Io {
                        action: "seed",
                        path: path.to_owned(),
                        source,
                    })
                };
                let key = format!("mount {}", number % 5);
                let sharing = [Sharing::Shared, Sharing::Locked, Sharing::Private];
                let sharing = sharing[number as usize % 3];
                let mount = store
                    .cache_mounts()
                    .acquire(&lease, &key, sharing, seed)
                    .unwrap();
                assert!(mount.path().join("seed").exists());
            }
            5 => {
                let untagged: Reference = format!("work:{}", number.saturating_sub(14))
                    .parse()
                    .unwrap();
                // Said first: it may be gone when it is not.
                say(&format!("untag {untagged}"));
                store.images().remove(&untagged).unwrap();
            }
            _ => {
                let bytes = content(number);
                let blob = Blob {
                    digest: Digest::of(&bytes),
                    size: bytes.len() as u64,
                };
                let Ingest::Open(mut download) = store.blobs().ingest(&lease, blob).unwrap() else {
                    continue;
                };
                for part in bytes.chunks(700) {
                    download.write_all(part).unwrap();
                }
                download.finish().unwrap();
            }
        }
    }
}

fn tag(store: &Store, lease: &Lease, number: u32) {
    let mut writer = store.blobs().writer(lease, None).unwrap();
    writer.write_all(&content(number)).unwrap();
    let blob = writer.commit().unwrap();
    let reference: Reference = format!("work:{number}").parse().unwrap();
    let descriptor = Descriptor::new(
        MediaType::Other("text/plain".into()),
        blob.digest,
        blob.size,
    );
    store.images().put(&reference, &descriptor, at(0)).unwrap();
    say(&format!("tag {reference}"));
}

fn remember(store: &Store, lease: &Lease, number: u32) {
    let temporary = store.snapshots().allocate(lease).unwrap();
    for file in 0..5 {
        std::fs::write(temporary.path().join(file.to_string()), content(number)).unwrap();
    }
    let new = NewLayer::default();
    let layer = store
        .snapshots()
        .publish_new(temporary, &new, Synced::No)
        .unwrap();
    let key = *Digest::of(&content(number)).as_bytes();
    let layers = [layer];
    let new = NewRecord {
        layers: &layers,
        ..record(b"value")
    };
    store.records().put(lease, &key, new).unwrap();
    say(&format!("record {number}"));
}

/// Checks that all is there that the child finished.
fn check_finished(store: &Store, said: &[String]) {
    let untagged: Vec<_> = said
        .iter()
        .filter_map(|line| line.strip_prefix("untag "))
        .collect();
    for line in said {
        match line.split_once(' ') {
            Some(("tag", reference)) if !untagged.contains(&reference) => {
                let image = store
                    .images()
                    .get(&reference.parse().unwrap())
                    .unwrap()
                    .unwrap();
                assert!(
                    store
                        .blobs()
                        .read(&image.descriptor.digest, 1 << 20)
                        .is_ok()
                );
            }
            Some(("record", number)) => {
                let bytes = content(number.parse().unwrap());
                let record = store
                    .records()
                    .get(Digest::of(&bytes).as_bytes())
                    .unwrap()
                    .unwrap();
                let layer: LayerId = record.layers[0];
                let row = store.layers().get(layer).unwrap().unwrap();
                let snapshot = row.snapshot.unwrap();
                for file in 0..5 {
                    assert_eq!(
                        std::fs::read(snapshot.join(file.to_string())).unwrap(),
                        bytes
                    );
                }
            }
            _ => {}
        }
    }
}

#[test]
fn what_was_finished_survives_the_kill() {
    let scratch = Scratch::new();
    let root = scratch.join("store");
    let bystander = Store::open(&root).unwrap();
    for round in 0..60_u32 {
        let mut child = start("work", &root, round);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        // Somewhere in what comes after a number of finished things.
        let mut said: Vec<_> = (0..=round * 7 % 11)
            .map_while(|_| hear(&mut output))
            .collect();
        (0..(round % 10) * 20_000).for_each(|_| std::hint::spin_loop());
        if round % 3 == 0 {
            // Others collect garbage meanwhile.
            bystander.prune(&store::PruneRequest::new(at(0))).unwrap();
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        said.extend(
            rest.lines()
                .filter_map(|line| line.strip_prefix('@'))
                .map(str::to_owned),
        );

        let store = Store::open(&root).unwrap();
        let problems = store.fsck(Depth::Deep).unwrap();
        assert!(
            problems.iter().all(store::Problem::is_harmless),
            "{problems:?}"
        );
        check_finished(&store, &said);
        store.clean(at(0)).unwrap();
        assert_eq!(store.fsck(Depth::Shallow).unwrap(), [], "round {round}");
        check_finished(&store, &said);
    }
    assert!(bystander.images().list().unwrap().len() > 60);
}

#[test]
fn slots_are_as_many_as_there_are_and_go_in_order() {
    let (_directory, store) = scratch();
    let plenty = || false;
    let slots = store.slots(2);
    let first = slots.attempt(plenty).unwrap();
    let second = slots.attempt(plenty).unwrap();
    assert!(first.is_some() && second.is_some());
    assert!(slots.attempt(plenty).unwrap().is_none());
    // Another process that is allowed more takes a further one.
    assert!(store.slots(3).attempt(plenty).unwrap().is_some());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| slots.wait(plenty, || true).unwrap());
        while store.slots(9).attempt(plenty).unwrap().is_some() {
            std::thread::yield_now();
        }
        // Nobody goes before who waits, though there is room for others.
        drop(first);
        assert!(waiting.join().unwrap().is_some());
    });
    let unwanted = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| slots.wait(|| true, || false).unwrap());
        waiting.join().unwrap()
    });
    assert!(unwanted.is_none());
}

/// Each waits with a file of its own, as processes do.
#[test]
fn slots_go_round() {
    const WAITING: usize = 12;
    const ROUNDS: usize = 20;
    let (_directory, store) = scratch();
    let slots = store.slots(2);
    let slots_directory = store.root().join("locks/slots");
    let waiting = || {
        let entries = std::fs::read_dir(&slots_directory).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with("queue-") && name != "queue-0")
            .count()
    };
    let held = [(); 2].map(|()| slots.attempt(|| false).unwrap().unwrap());
    // Whoever died while it waited is in nobody's way.
    std::fs::write(slots_directory.join("queue-0"), "").unwrap();
    let order = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..WAITING {
            let order = &order;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let slot = match slots.attempt(|| false).unwrap() {
                        Some(slot) => slot,
                        None => slots.wait(|| false, || true).unwrap().unwrap(),
                    };
                    order.lock().unwrap().push(number);
                    std::thread::sleep(Duration::from_micros(300));
                    drop(slot);
                }
            });
        }
        while waiting() < WAITING {
            std::thread::yield_now();
        }
        drop(held);
    });
    let order = order.into_inner().unwrap();
    assert_eq!(order.len(), WAITING * ROUNDS);
    for (turn, number) in order.iter().enumerate() {
        let had = order[..=turn]
            .iter()
            .filter(|other| *other == number)
            .count();
        let least = (0..WAITING).map(|other| order[..turn].iter().filter(|o| **o == other).count());
        // The two that hold slots at a time may note it in either order, and one may ask again
        // before the other does.
        assert!(had <= least.min().unwrap() + 2, "{order:?}");
    }
    assert_eq!(waiting(), 0);
}

#[test]
fn while_memory_is_scarce_one_step_runs() {
    let (_directory, store) = scratch();
    let slots = store.slots(4);
    let scarce = || true;
    let only = slots.attempt(scarce).unwrap();
    assert!(only.is_some());
    assert!(slots.attempt(scarce).unwrap().is_none());
    drop(only);
    assert!(slots.attempt(scarce).unwrap().is_some());
}
