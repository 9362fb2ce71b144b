//! Groups of steps, and what the kernel counts in them.

use super::*;

#[test]
fn only_groups_of_steps_are_swept() {
    let parent = tempfile::tempdir().unwrap();
    let others = [
        "kiln-test-17",
        "kiln-17-3",
        "kiln-step-",
        "kiln-step-17",
        "kiln-step-17-",
        "kiln-step-17-3.scope",
        "kiln",
    ];
    for name in others.iter().chain(&["kiln-step-17-3", "kiln-self-17"]) {
        std::fs::create_dir(parent.path().join(name)).unwrap();
    }
    let locked = parent.path().join("kiln-step-17-4");
    std::fs::create_dir(&locked).unwrap();
    let held = lock(&locked);
    sweep(parent.path());
    let entries = std::fs::read_dir(parent.path()).unwrap().flatten();
    let mut left: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    let mut expected = [&others[..], &["kiln-step-17-4"]].concat();
    left.sort_unstable();
    expected.sort_unstable();
    assert_eq!(left, expected);
    drop(held);
}

#[test]
fn what_the_kernel_counts() {
    let check = |version, limited, files: &[(&str, &str)], expected| {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        let part = Part {
            path: dir.path().to_owned(),
            version,
            limited: vec![limited],
            _lock: File::open(dir.path()).unwrap().into(),
        };
        assert_eq!(part.exceeded(), expected, "{files:?}");
    };
    let killed = ("memory.oom_control", "under_oom 0\noom_kill 2\n");
    let limit = ("memory.limit_in_bytes", "67108864\n");
    let most = |bytes| ("memory.max_usage_in_bytes", bytes);
    let one = Version::One;
    let memory = Controller::Memory;
    check(one, memory, &[], None);
    check(one, memory, &[killed, limit, most("1000000\n")], None);
    let met = Some(Exceeded::Memory);
    check(one, memory, &[killed, limit, most("67104768\n")], met);
    check(one, memory, &[limit, most("67104768\n")], None);
    check(
        one,
        Controller::Cpu,
        &[killed, limit, most("67108864\n")],
        None,
    );
    let both = [
        killed,
        limit,
        most("1000000\n"),
        ("memory.memsw.limit_in_bytes", "67108864\n"),
        ("memory.memsw.max_usage_in_bytes", "67108864\n"),
    ];
    check(one, memory, &both, met);
    let events = |text| [("memory.events", text)];
    let two = Version::Two;
    check(two, memory, &events("max 3\noom 1\noom_kill 1\n"), met);
    check(two, memory, &events("max 3\noom 0\noom_kill 1\n"), None);
    let full = Some(Exceeded::Processes);
    check(two, Controller::Pids, &[("pids.events", "max 1\n")], full);
    check(one, Controller::Pids, &[("pids.events", "max 0\n")], None);
}
