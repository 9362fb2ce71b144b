//! A daemon that is killed in the middle of builds, and one that many clients use for long.

use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::daemon::context;
use crate::kiln::tool;
use crate::serving::Daemon;

/// The last digits of how long steps sleep, by which these processes are told from all others.
const NAP: &str = "271828";

/// Two stages that work at the same time, and a last one that needs both. Everything is unlike in
/// builds of different numbers.
fn dockerfile(number: usize) -> String {
    let nap = |salt: usize| format!("sleep 0.{:02}{NAP}", (number * 37 + salt * 13) % 20);
    format!(
        "FROM alpine AS one\nRUN {} && echo one {number} >/one\n\
         FROM alpine AS two\nRUN {} && echo two {number} >/two\n\
         FROM alpine\nCOPY --from=one /one /\nCOPY --from=two /two /\nRUN {} && cat /one /two >/both\n",
        nap(1),
        nap(2),
        nap(3)
    )
}

/// What a client was told, to the end or until the daemon was gone.
fn build(daemon: &Daemon, number: usize) -> String {
    heard(begin(daemon, number))
}

fn begin(daemon: &Daemon, number: usize) -> UnixStream {
    let request = context(&dockerfile(number));
    daemon.send(&format!("POST /build?t=app:{number}"), &request)
}

fn heard(mut stream: UnixStream) -> String {
    let mut told = Vec::new();
    // A connection that is reset tells the same as one that ends.
    drop(stream.read_to_end(&mut told));
    String::from_utf8_lossy(&told).into_owned()
}

fn is_built(told: &str, number: usize) -> bool {
    told.contains(&format!("Successfully tagged app:{number}\\n")) && told.ends_with("0\r\n\r\n")
}

/// Steps whose results were there before.
fn cached(told: &str) -> usize {
    told.matches("Using cache").count()
}

/// Mounts beneath the store, and processes whose command line has `mark`.
fn left(root: &Path, mark: &str) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mounts
        .lines()
        .filter(|line| line.contains(root.to_str().unwrap()));
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    let lines = lines.filter(|line| line.contains(mark));
    mounts.map(str::to_owned).chain(lines).collect()
}

/// Builds these numbers at once, and runs `meanwhile`.
fn build_all(
    daemon: &Daemon,
    numbers: std::ops::Range<usize>,
    meanwhile: impl FnOnce(),
) -> Vec<(usize, String)> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = numbers
            .map(|number| {
                let asked = begin(daemon, number);
                (number, scope.spawn(move || heard(asked)))
            })
            .collect();
        meanwhile();
        clients
            .into_iter()
            .map(|(number, client)| (number, client.join().unwrap()))
            .collect()
    })
}

#[test]
fn killed_during_fifty_builds_it_loses_nothing_that_was_finished() {
    const ROUNDS: usize = 10;
    const AT_ONCE: usize = 5;
    let mut daemon = Daemon::new();
    let mut cut = 0;
    for round in 0..ROUNDS {
        let numbers = round * AT_ONCE..(round + 1) * AT_ONCE;
        let told = build_all(&daemon, numbers, || {
            std::thread::sleep(Duration::from_millis((30 + round * 71 % 500) as u64));
            tool("kill", &["-KILL", &daemon.pid().to_string()]);
        });
        daemon.crash();
        daemon.begin();
        for (number, told) in told {
            let again = build(&daemon, number);
            assert!(is_built(&again, number), "{again}");
            if is_built(&told, number) {
                assert_eq!(cached(&again), again.matches("\"Step ").count(), "{again}");
            } else {
                cut += 1;
                assert!(!told.ends_with("0\r\n\r\n"), "it looks whole: {told}");
                assert!(cached(&again) >= cached(&told), "{told}\n{again}");
            }
        }
    }
    assert!(cut > 0, "no build was cut off");
    let root = daemon.kiln.root();
    daemon.stop();
    assert_eq!(left(&root, NAP), Vec::<String>::new());
}

/// What the daemon holds: kilobytes of memory that is its own, descriptors, children.
fn held(daemon: &Daemon) -> (u64, usize, usize) {
    let process = format!("/proc/{}", daemon.pid());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let memory = memory.unwrap().trim().trim_end_matches(" kB");
    let children = fs::read_to_string(format!("{process}/task/{}/children", daemon.pid()));
    (
        memory.parse().unwrap(),
        fs::read_dir(format!("{process}/fd")).unwrap().count(),
        children.unwrap().split_whitespace().count(),
    )
}

/// `KILN_SOAK` is for how many seconds; ten minutes without.
#[test]
#[ignore = "slow: ten minutes"]
fn forty_clients_build_for_long_and_nothing_grows() {
    const CLIENTS: usize = 40;
    let seconds = crate::kiln::variable("KILN_SOAK");
    let seconds = seconds.map_or(600, |text| text.to_str().unwrap().parse().unwrap());
    let daemon = Daemon::new();
    let ends = Instant::now() + Duration::from_secs(seconds);
    let work = |client: usize, until: Instant| {
        let mut number = client;
        while Instant::now() < until {
            // Every third build is one that another client makes too.
            number += if number.is_multiple_of(3) { 1 } else { CLIENTS };
            let told = build(&daemon, number);
            assert!(is_built(&told, number), "{told}");
        }
    };
    let all = |until: Instant| {
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || work(client, until));
            }
        });
    };
    all(Instant::now() + Duration::from_secs(seconds / 6));
    let warm = held(&daemon);
    all(ends);
    let after = held(&daemon);
    assert!(
        after.0 < warm.0 + warm.0 / 4,
        "memory: {warm:?} to {after:?}"
    );
    assert!(after.1 <= warm.1 + 4, "descriptors: {warm:?} to {after:?}");
    assert!(after.2 <= warm.2, "children: {warm:?} to {after:?}");
    let root = daemon.kiln.root();
    daemon.stop();
    assert_eq!(left(&root, NAP), Vec::<String>::new());
}

/// A budget, without the pages of the program itself.
#[test]
fn idle_it_takes_little_memory() {
    let daemon = Daemon::new();
    assert_eq!(daemon.ask("GET /_ping", b"").status, 200);
    let (kilobytes, ..) = held(&daemon);
    assert!(kilobytes <= 15 << 10, "{kilobytes} kB");
}
