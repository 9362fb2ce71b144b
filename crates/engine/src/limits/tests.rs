//! How much is done at once, by what the machine has.

use super::*;

const MEMINFO: &str = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    400 kB\n";

#[test]
fn memory_is_the_least_that_is_allowed() {
    for (files, expected) in [
        (&[][..], None),
        (&[("proc/meminfo", MEMINFO)], Some((1_024_000, 409_600))),
        (
            &[
                ("proc/meminfo", MEMINFO),
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/b/memory.max", "500000\n"),
                ("sys/fs/cgroup/a/b/memory.current", "450000\n"),
                (
                    "sys/fs/cgroup/a/b/memory.stat",
                    "anon 1\ninactive_file 50000\n",
                ),
            ],
            Some((500_000, 100_000)),
        ),
        (
            &[
                ("proc/meminfo", MEMINFO),
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/memory.max", "500000\n"),
                ("sys/fs/cgroup/a/memory.current", "450000\n"),
                ("sys/fs/cgroup/a/b/memory.max", "max\n"),
                ("sys/fs/cgroup/a/b/memory.current", "0\n"),
            ],
            Some((500_000, 50_000)),
        ),
        (
            &[
                ("proc/meminfo", MEMINFO),
                ("proc/self/cgroup", "4:memory:/docker/x\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "600000\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "500000\n"),
                (
                    "sys/fs/cgroup/memory/memory.stat",
                    "inactive_file 1000\ntotal_inactive_file 2000\n",
                ),
            ],
            Some((600_000, 102_000)),
        ),
        (
            &[
                ("proc/meminfo", MEMINFO),
                ("proc/self/cgroup", "5:cpu:/\n4:memory:/x\n0::/\n"),
                ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "600000\n"),
                ("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "700000\n"),
            ],
            Some((600_000, 0)),
        ),
        (
            &[
                ("proc/meminfo", MEMINFO),
                ("proc/self/cgroup", "0::/\n"),
                ("sys/fs/cgroup/memory.max", "max\n"),
            ],
            Some((1_024_000, 409_600)),
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = Memory::of(root.path());
        let expected = expected.map(|(total, available)| Memory { total, available });
        assert_eq!(found, expected);
    }
}

#[test]
fn what_is_scarce() {
    let gib = 1 << 30;
    let memory = |total, available| Some(Memory { total, available });
    for (memory, reserve, expected) in [
        (None, None, false),
        (memory(gib, gib / 10), None, false),
        (memory(gib, gib / 30), None, true),
        (memory(64 * gib, gib), None, false),
        (memory(64 * gib, gib / 4), None, true),
        (memory(64 * gib, gib / 4), Some(0), false),
        (memory(64 * gib, gib), Some(2 * gib), true),
    ] {
        assert_eq!(is_scarce(memory, reserve), expected);
    }
}

#[test]
fn few_descriptors_are_few_steps() {
    for (limit, jobs) in [(Some(10), 1), (Some(256), 10), (Some(1024), 58)] {
        assert_eq!(by_descriptors(limit), jobs);
    }
}
