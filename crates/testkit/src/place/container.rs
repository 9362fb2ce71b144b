//! The container that unprivileged builds run in: Docker's default rights, filter and mounts, and a
//! root that nothing can be written to.

use std::path::Path;

use serde_json::{Value, json};

use super::Needs;

/// What Docker gives to a container that asks for nothing.
const CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// The facts of Docker's default filter; the file's head says how it reads.
const SYSCALLS: &str = include_str!("../../../sandbox/src/seccomp/syscalls.txt");

/// What of the machine a container has: its programs, and what the tests share with it.
const SHARED: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"];

/// The configuration of a container that runs the script `@RUN@`.
pub(super) fn config(needs: Needs<'_>) -> String {
    let capabilities: Vec<String> = CAPABILITIES.map(|name| format!("CAP_{name}")).to_vec();
    let machine = SHARED.iter().map(|path| bind(Path::new(path), "ro"));
    let readable = needs.readable.iter().map(|path| bind(path, "ro"));
    let writable = needs.writable.iter().map(|path| bind(path, "rw"));
    let mounts: Vec<Value> = kernel()
        .into_iter()
        .chain(machine)
        .chain(readable)
        .chain(writable)
        .collect();
    let namespaces = ["pid", "ipc", "uts", "mount", "cgroup"];
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "@RUN@"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
            },
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": mounts,
        "linux": {
            "namespaces": namespaces.map(|name| json!({"type": name})),
            "seccomp": seccomp(),
            "resources": {"devices": devices()},
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    })
    .to_string()
}

/// Nodes of any device may be made, those that every container has may be used.
fn devices() -> Value {
    let may = |kind: &str, major: Option<u32>, minor: Option<u32>, access: &str| json!({"allow": true, "type": kind, "major": major, "minor": minor, "access": access});
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    rules.extend(["c", "b"].map(|kind| may(kind, None, None, "m")));
    let usual = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)];
    rules.extend(usual.map(|(major, minor)| may("c", Some(major), Some(minor), "rwm")));
    json!(rules)
}

fn kernel() -> Vec<Value> {
    let mount = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
    let closed = ["nosuid", "noexec", "nodev"];
    vec![
        mount("/proc", "proc", &closed),
        mount("/dev", "tmpfs", &["nosuid", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666"],
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777"],
        ),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ]
}

fn bind(path: &Path, access: &str) -> Value {
    json!({
        "destination": path,
        "type": "bind",
        "source": path,
        "options": ["rbind", "nosuid", access],
    })
}

/// What is listed is allowed, always or for one of the capabilities above; all else fails.
fn seccomp() -> Value {
    let mut allowed = Vec::new();
    for line in SYSCALLS.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (name, when) = (
            words.next().unwrap_or_default(),
            words.next_back().unwrap_or_default(),
        );
        let is_held = |name: &str| CAPABILITIES.contains(&name);
        if when == "*" || when.split('|').any(is_held) {
            allowed.push(name);
        }
    }
    let rule = |names: Value, arguments: Value| json!({"names": names, "action": "SCMP_ACT_ALLOW", "args": arguments});
    let first =
        |value: u64, operation: &str| json!([{"index": 0, "value": value, "op": operation}]);
    // No new namespace: those are these bits, and none may be set.
    let plain = json!([{
        "index": 0, "value": 0x7e02_0000_u64, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ",
    }]);
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            rule(json!(allowed), json!([])),
            rule(json!(["clone"]), plain),
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            rule(json!(["socket"]), first(40, "SCMP_CMP_NE")),
            rule(json!(["personality"]), first(0, "SCMP_CMP_EQ")),
            rule(json!(["personality"]), first(0xffff_ffff, "SCMP_CMP_EQ")),
        ],
    })
}
