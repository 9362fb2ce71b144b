//! What one step may take, where the kernel holds it to that: memory, CPUs, processes. Only root's
//! kiln can make control groups on this machine; elsewhere such limits are refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::daemon::context;
use crate::kiln::{Kiln, Project, Ran, command, ended, finish};
use crate::place::{Place, skip};
use crate::serving::Daemon;

/// Whether groups can be made here.
pub(crate) fn can_limit() -> bool {
    let parents = [
        "/sys/fs/cgroup/pids/cgroup.procs",
        "/sys/fs/cgroup/cgroup.subtree_control",
    ];
    let writable = |path: &&str| rustix::fs::access(*path, rustix::fs::Access::WRITE_OK).is_ok();
    if parents.iter().any(writable) {
        return true;
    }
    skip("control groups cannot be made here");
    false
}

/// All groups of the kiln with this number.
fn groups(kiln: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::from("/sys/fs/cgroup")];
    let prefix = format!("kiln-step-{kiln}-");
    while let Some(path) = todo.pop() {
        // Others come and go.
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    found.push(entry.path());
                }
                todo.push(entry.path());
            }
        }
    }
    found
}

fn begin(kiln: &Kiln, project: &Project, resource: &str) -> Child {
    let path = project.path().to_str().unwrap();
    let arguments = ["build", "--progress", "plain", "--resource", resource, path];
    kiln.start(kiln.command().args(arguments))
}

/// Builds with a limit; no group is left.
fn limited(kiln: &Kiln, project: &Project, resource: &str) -> Ran {
    let child = begin(kiln, project, resource);
    let number = child.id();
    let ran = ended(child);
    assert_eq!(groups(number), Vec::<PathBuf>::new());
    ran
}

fn told(ran: Ran, what: &str, key: &str) {
    let error = ran.error();
    let expected = format!(
        " did not complete within its limits: it {what}; --resource {key}=…, or {key} of \
         [limits.step] in kiln.toml, allows it more"
    );
    assert!(error.ends_with(&expected), "{error}");
}

#[test]
fn a_fork_bomb_ends_alone() {
    if !can_limit() {
        return;
    }
    let kiln = Kiln::new();
    let calm = Project::of("FROM alpine\nRUN for i in $(seq 20); do sleep 0.1; ls / >/$i; done\n");
    let bomb = Project::of("FROM alpine\nRUN b() { b | b & b; }; b\n");
    let beside = begin(&kiln, &calm, "pids=100");
    let ran = limited(&kiln, &bomb, "pids=30");
    told(ran, "needs more than 30 processes at once", "pids");
    let (number, ran) = (beside.id(), ended(beside));
    ran.ok();
    assert_eq!(groups(number), Vec::<PathBuf>::new());
    kiln.assert_clean();
}

#[test]
fn a_step_without_memory_is_told_so() {
    if !can_limit() {
        return;
    }
    let kiln = Kiln::new();
    let hog = |size: &str| {
        Project::of(&format!(
            "FROM alpine\nRUN dd if=/dev/zero of=/dev/null bs={size} count=1\n"
        ))
    };
    let ran = limited(&kiln, &hog("200M"), "memory=64m,memory-swap=64m");
    told(ran, "needs more than 67108864 bytes of memory", "memory");
    limited(&kiln, &hog("10M"), "memory=64m").ok();
    // One that does without what was killed has succeeded.
    let other = Project::of(
        "FROM alpine\nRUN dd if=/dev/zero of=/dev/null bs=200M count=1 || echo without >/done\n",
    );
    limited(&kiln, &other, "memory=64m,memory-swap=64m").ok();
    // Without a limit it is the process's own failure.
    let failed = Project::of("FROM alpine\nRUN exit 137\n");
    let error = limited(&kiln, &failed, "memory=64m").error();
    assert!(
        error.ends_with("did not complete successfully: exit code: 137"),
        "{error}"
    );
    kiln.assert_clean();
}

/// Of both versions of control groups, as the step sees its own.
const SHOW: &str = "FROM alpine\n\
    RUN cd /sys/fs/cgroup && if test -e cgroup.controllers; then cat cpu.max pids.max; else \
    cat cpu/cpu.cfs_quota_us pids/pids.max cpuset/cpuset.cpus; fi >/limits; \
    cut -d : -f 3 /proc/self/cgroup | sort -u >>/limits\n";

#[test]
fn a_step_sees_its_limits_and_nothing_above() {
    if !can_limit() {
        return;
    }
    let kiln = Kiln::new();
    let project = Project::of(SHOW);
    let arguments = [
        "-t",
        "show",
        "--resource",
        "cpus=1.5",
        "--resource",
        "pids=77,cpuset-cpus=0",
    ];
    kiln.build(&project, &arguments);
    let seen = kiln.ok(["run", "--rm", "show", "cat", "/limits"]);
    let is_unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let expected = match is_unified {
        true => "150000 100000\n77\n/\n",
        false => "150000\n77\n0\n/\n",
    };
    assert_eq!(seen, expected);
    // Docker's own words are the same limits.
    let arguments = [
        "--no-cache",
        "-t",
        "show",
        "--cpu-period=100000",
        "--cpu-quota=150000",
        "-m",
        "64m",
        "--memory-swap=-1",
        "-c",
        "512",
        "--cpuset-cpus",
        "0",
        "--cpuset-mems",
        "0",
        "--resource",
        "pids=77",
    ];
    kiln.build(&project, &arguments);
    assert_eq!(kiln.ok(["run", "--rm", "show", "cat", "/limits"]), expected);
}

/// A machine has version 2 alone, or version 1 and maybe 2 beside it: this one may have either, and
/// steps run the same in both.
#[test]
fn steps_run_where_there_is_version_2_alone() {
    const ENTER: &str =
        "umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"";
    let project = Project::of(
        "FROM alpine\nRUN cd /sys/fs/cgroup && ! mkdir x 2>/dev/null && ls | grep cgroup.procs\n\
         RUN --network=none ls /sys/fs/cgroup | grep cgroup.procs\n",
    );
    let places = [Some(Place::Root), Place::subordinate(), Place::single()];
    for place in places.into_iter().flatten() {
        let kiln = Kiln::in_place(place);
        let inner = kiln.command();
        let mut outer = command("/usr/bin/unshare");
        outer.args(["--mount", "/bin/sh", "-euc", ENTER, "sh"]);
        outer.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            outer.env(name, value.unwrap_or_default());
        }
        let told = finish(
            outer
                .args(["build", "--progress", "plain"])
                .arg(project.path()),
        );
        assert_eq!(told.code, 0, "{place:?}: {}", told.stderr);
        kiln.assert_clean();
    }
}

/// What Docker's and BuildKit's clients ask for, and a chroot.
#[test]
fn limits_hold_however_they_are_asked_for() {
    if !can_limit() {
        return;
    }
    let daemon = Daemon::new();
    let bomb = Project::of("FROM alpine\nRUN dd if=/dev/zero of=/dev/null bs=200M count=1\n");
    let expected = "it needs more than 67108864 bytes of memory";
    let host = format!("unix://{}", daemon.socket.display());
    let mut through = daemon.kiln.command();
    through.env("KILN_HOST", host).args(["build", "-m", "64m"]);
    let error = finish(through.args(["--memory-swap", "64m"]).arg(bomb.path())).error();
    assert!(error.contains(expected), "{error}");
    let context = context("FROM alpine\nRUN dd if=/dev/zero of=/dev/null bs=200M count=1\n");
    let line = "POST /build?memory=67108864&memswap=67108864&cpushares=0&cpusetcpus=";
    let told = daemon.ask(line, &context).text();
    assert!(told.contains(expected), "{told}");
    let kiln = Kiln::new();
    let mut chroot = kiln.command();
    chroot.env("KILN_ISOLATION", "chroot");
    chroot.args(["build", "--resource", "memory=64m,memory-swap=64m"]);
    let error = finish(chroot.arg(bomb.path())).error();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_the_kernel_does_not_take_is_told() {
    if !can_limit() {
        return;
    }
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN true\n");
    let error = limited(&kiln, &project, "cpuset-cpus=4000").error();
    let expected = "the limit \"cpuset-cpus\" cannot be 4000";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn groups_of_a_killed_kiln_go_with_the_next() {
    if !can_limit() {
        return;
    }
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN sleep 1000 & sleep 1000\n");
    let mut child = begin(&kiln, &project, "pids=50,memory=64m");
    let number = child.id();
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let processes = || -> usize {
        let text = |group: PathBuf| fs::read_to_string(group.join("cgroup.procs"));
        let texts = groups(number)
            .into_iter()
            .filter_map(|group| text(group).ok());
        texts.map(|text| text.lines().count()).sum()
    };
    until("the step does not start", &|| processes() > 2);
    child.kill().unwrap();
    drop(ended(child));
    until("processes are left", &|| processes() == 0);
    let next = Project::of("FROM alpine\nRUN true\n");
    limited(&kiln, &next, "pids=50,memory=64m").ok();
    assert_eq!(groups(number), Vec::<PathBuf>::new());
}

#[test]
fn elsewhere_limits_are_refused() {
    let project = Project::of("FROM alpine\nRUN true\n");
    let places = [Place::subordinate(), Place::single(), Place::container()];
    for place in places.into_iter().flatten() {
        let kiln = Kiln::in_place(place);
        for (resource, limit) in [
            ("memory=64m", "memory"),
            ("cpus=1", "cpus"),
            ("cpuset-cpus=0", "cpuset-cpus"),
            ("time=1m,pids=50", "pids"),
        ] {
            let ran = kiln.try_build(&project, &["--resource", resource]);
            let error = ran.error();
            let expected = format!("the limit {limit:?} cannot be had here: ");
            assert!(error.contains(&expected), "{error}");
            assert!(
                error.contains("start kiln where it may make some"),
                "{error}"
            );
        }
        kiln.build(&project, &["--resource", "time=1m,output=1m,disk=1g"]);
        kiln.assert_clean();
    }
}
