//! What a process sees.

use std::collections::BTreeSet;
use std::io::Read;

use sandbox::{Limit, Network, Resource, Security, Stdio, Terminal};
use sys::mount::{Mount, MountFlags, MountKind};

use crate::fixture::Fixture;

#[test]
fn privileged_process() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.check(
        "echo $$; hostname; pwd; echo $HOME; umask",
        "1\nbox\n/\n/root\n0022\n",
    );
    // A session of its own, which it leads.
    fixture.check("read -r pid name state parent group session rest < /proc/self/stat; echo $pid $group $session", "1 1 1\n");
}

#[test]
fn privileged_rights() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let status = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status | tr -d '\\t'";
    fixture.check(
        status,
        "CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapEff:00000000a80425fb\n\
         CapBnd:00000000a80425fb\nCapAmb:0000000000000000\nNoNewPrivs:0\nSeccomp:2\n",
    );
    let mut spec = fixture.shell(status);
    spec.process.no_new_privileges = true;
    assert!(fixture.output(&spec).contains("NoNewPrivs:1\nSeccomp:2\n"));
    spec.security = Security::Insecure;
    let held = sys::capability::CapabilitySet::held().unwrap().bits();
    let all = fixture.output(&spec);
    assert!(all.contains(&format!("CapEff:{held:016x}")), "{all}");
    assert!(all.contains(&format!("CapAmb:{held:016x}")), "{all}");
    assert!(all.contains("Seccomp:0\n"), "{all}");
}

#[test]
fn privileged_denied() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    for script in [
        "mount -t tmpfs x /tmp",
        "unshare -m true",
        "unshare -U true",
        "umount /proc",
        "hostname other",
        "mknod /tmp/disk b 254 0 && cat /tmp/disk",
        "mknod /dev/disk b 254 0 && cat /dev/disk",
        "echo 1 > /proc/sys/kernel/panic",
        "echo 1 > /proc/irq/default_smp_affinity",
        "echo x > /sys/fs/cgroup/x",
    ] {
        let outcome = fixture.run(&fixture.shell(script)).unwrap();
        let denied = ["not permitted", "denied", "ead-only file system"];
        assert!(
            denied.iter().any(|text| outcome.stderr.contains(text)),
            "{script}: {outcome:?}"
        );
    }
    // What package scripts do still works.
    fixture.check(
        "mknod /tmp/n c 1 3; mkdir -p /tmp/r 2>/dev/null; chroot / true; echo ok",
        "ok\n",
    );
}

#[test]
fn privileged_devices() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    fixture.check(
        "cd /dev; ls; for link in fd stdin stdout stderr ptmx core; do readlink $link; done",
        "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n\
         /proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n/proc/kcore\n",
    );
    fixture.check(
        "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; \
         stat -c %a /dev/null /dev/shm /dev/pts/ptmx; touch /dev/shm/x",
        "3\n3\n666\n1777\n666\n",
    );
    // What it does to its nodes, it does to no other's.
    fixture.check("chmod 600 /dev/null; stat -c %a /dev/null", "600\n");
    fixture.check("stat -c %a /dev/null", "666\n");
    let mut spec = fixture.shell("ls /dev/kmsg /dev/net/tun /dev/loop0");
    spec.security = Security::Insecure;
    assert_eq!(
        fixture.output(&spec),
        "/dev/kmsg\n/dev/loop0\n/dev/net/tun\n"
    );
}

#[test]
fn privileged_mounts() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let table = fixture.output(&fixture.shell("cat /proc/self/mounts"));
    let mounts: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    let find = |target: &str, fs_type: &str| {
        let found = mounts
            .iter()
            .find(|mount| mount[1] == target && mount[2] == fs_type);
        found.unwrap_or_else(|| panic!("{fs_type} at {target} in\n{table}"))[3]
    };
    for (target, fs_type, flags) in [
        ("/", "overlay", "rw,nodev"),
        ("/proc", "proc", "rw,nosuid,nodev,noexec"),
        ("/dev", "tmpfs", "rw,nosuid,nodev"),
        ("/dev/pts", "devpts", "rw,nosuid,noexec"),
        ("/dev/shm", "tmpfs", "rw,nosuid,nodev,noexec"),
        ("/dev/mqueue", "mqueue", "rw,nosuid,nodev,noexec"),
        ("/sys", "sysfs", "ro,nosuid,nodev,noexec"),
        ("/proc/sys", "proc", "ro,nosuid,nodev,noexec"),
        ("/proc/keys", "tmpfs", "rw,nosuid"),
        ("/sys/firmware", "tmpfs", "ro"),
    ] {
        assert!(
            find(target, fs_type).starts_with(flags),
            "{target}: {}",
            find(target, fs_type)
        );
    }
    let groups: Vec<_> = mounts
        .iter()
        .filter(|mount| mount[2].starts_with("cgroup"))
        .collect();
    assert!(
        groups
            .iter()
            .all(|mount| mount[3].starts_with("ro,nosuid,nodev,noexec")),
        "{table}"
    );
    let host = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let count = host.lines().filter(|line| {
        line.split(' ')
            .nth(2)
            .is_some_and(|t| t.starts_with("cgroup"))
    });
    assert_eq!(groups.len(), count.count());
    // The host is nowhere.
    assert!(
        !table.contains("/dev/vda") && !table.contains("ext4"),
        "{table}"
    );
    fixture.check("wc -c < /proc/keys; ls /sys/firmware | wc -l; ls /sys/kernel | wc -l | grep -v '^0$' | wc -l", "0\n0\n1\n");
}

#[test]
fn privileged_own_mounts() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let source = fixture.dir.path().join("source");
    std::fs::create_dir_all(source.join("sub")).unwrap();
    std::fs::write(source.join("sub/file"), "from outside\n").unwrap();
    let mut spec = fixture.shell(
        "cat /deep/new/place/sub/file /etc/one; touch /deep/new/place/x; echo a > /fresh/a; cat /fresh/a; \
         stat -c %a /fresh; cat /deep/new/place/inner/file",
    );
    let bind = |path: &str| MountKind::Bind {
        source: source.join(path),
        recursive: true,
    };
    let mount = |kind, target: &str, flags| Mount {
        kind,
        target: target.into(),
        flags,
    };
    spec.mounts = vec![
        // Beneath another one, and given first.
        mount(bind("sub"), "/deep/new/place/inner", MountFlags::READ_ONLY),
        mount(bind("sub/file"), "/etc/one", MountFlags::READ_ONLY),
        mount(bind(""), "/deep/new/../new/place", MountFlags::NONE),
        mount(
            MountKind::Tmpfs {
                size: Some(1 << 20),
                mode: 0o710,
            },
            "/fresh",
            MountFlags::NONE,
        ),
    ];
    assert_eq!(
        fixture.output(&spec),
        "from outside\nfrom outside\na\n710\nfrom outside\n"
    );
    assert!(source.join("x").exists());
    assert!(!source.join("inner").exists());
    // Nothing of it stays in the root.
    assert_eq!(walk(&fixture.upper()), Vec::<String>::new());
    spec.mounts = vec![mount(bind("sub"), "relative", MountFlags::NONE)];
    let error = fixture.run(&spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "mount target must be an absolute path: \"relative\""
    );
    spec.mounts = vec![mount(bind("missing"), "/x", MountFlags::NONE)];
    let error = fixture.run(&spec).unwrap_err();
    assert_eq!(error.to_string(), "mount /x");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("mount: open_tree "), "{source}");
}

#[test]
fn privileged_no_network() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let names =
        "ls /sys/class/net; cat /proc/net/if_inet6 | wc -l; cat /sys/class/net/lo/operstate";
    let host: BTreeSet<String> = std::fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let shown = fixture.output(&fixture.shell("ls /sys/class/net"));
    assert_eq!(
        shown.lines().map(str::to_owned).collect::<BTreeSet<_>>(),
        host
    );
    let mut spec = fixture.shell(names);
    spec.network = Network::None;
    let shown = fixture.output(&spec);
    assert!(
        shown.starts_with("lo\n") && shown.ends_with("unknown\n"),
        "{shown}"
    );
    spec.process.args[2] = "ip addr show lo".into();
    assert!(fixture.output(&spec).contains("127.0.0.1/8"));
}

#[test]
fn privileged_no_leaked_descriptors() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    // One that the program would inherit from us if nobody closed it.
    let leak = std::fs::File::open("/etc/hosts").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    // 3 is the directory being listed.
    fixture.check("exec ls /proc/self/fd", "0\n1\n2\n3\n");
    drop(leak);
}

#[test]
fn privileged_limits() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut spec = fixture.shell("ulimit -Sn; ulimit -Sc; ulimit -Hc");
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    spec.limits = vec![Limit {
        resource: Resource::Core,
        soft: 0,
        hard: 0,
    }];
    let soft = most.unwrap_or(u64::MAX).min(1024);
    assert_eq!(fixture.output(&spec), format!("{soft}\n0\n0\n"));
}

#[test]
fn privileged_terminal() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let (terminal, master) = Terminal::open().unwrap();
    let script =
        "tty; ls -1 /dev/pts; echo hello > /dev/tty; echo there > /dev/console; ls /dev/console";
    let mut running = fixture
        .sandbox
        .start(&fixture.shell(script), Stdio::Terminal(terminal))
        .unwrap();
    let mut shown = Vec::new();
    // Reading fails once the last process with the terminal has ended.
    let _ = std::fs::File::from(master).read_to_end(&mut shown);
    running.wait().unwrap();
    assert_eq!(
        String::from_utf8(shown).unwrap().replace('\r', ""),
        "/dev/pts/0\n0\nptmx\nhello\nthere\n/dev/console\n"
    );
}

#[test]
fn privileged_root_that_lies() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let outside = fixture.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for (target, link) in [
        (outside.to_str().unwrap(), "proc"),
        ("../../../..", "sys"),
        ("/", "dev"),
    ] {
        std::os::unix::fs::symlink(target, fixture.lower().join(link)).unwrap();
    }
    let _ = fixture.run(&fixture.spec(&["true"]));
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}
