//! Many builds at once on one store: all finish, what they share runs once, each gets its turn, and
//! none takes more than its part.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use testkit::Scratch;

use crate::kiln::{Kiln, Project, ended};
use crate::standin;

const BUILDS: usize = 40;
/// Steps at once on the machine.
const SLOTS: usize = 6;
/// Steps of one build after the one that all share.
const STEPS: usize = 3;
/// Descriptors that a build may open.
const DESCRIPTORS: u64 = 128;

/// Each step notes that it begins and how many run then, and takes some time; those that begin first
/// wait until all others have asked for a slot.
fn dockerfile() -> String {
    let mut text = "FROM alpine\n\
        RUN --mount=type=cache,target=/c echo ran >>/c/shared; \
         until test -e /c/go; do usleep 10000; done\n\
        ARG BUILD\n"
        .to_owned();
    for step in 1..=STEPS {
        text.push_str(&format!(
            "RUN --mount=type=cache,target=/c touch /c/run-$BUILD; \
             echo $BUILD {step} $(ls /c | grep -c run-) >>/c/order; \
             until test -e /c/asked; do usleep 10000; done; sleep 0.1; \
             rm /c/run-$BUILD\n"
        ));
    }
    text
}

/// What a process took at most, as long as somebody looked.
#[derive(Debug, Default, Clone, Copy)]
struct Peak {
    memory: u64,
    descriptors: u64,
}

impl Peak {
    fn look(&mut self, process: u32) {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/status")) else {
            return;
        };
        let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = high.and_then(|text| text.trim().strip_suffix(" kB"));
        let bytes = kilobytes.and_then(|text| text.parse::<u64>().ok());
        self.memory = self.memory.max(bytes.unwrap_or_default() << 10);
        let open = std::fs::read_dir(format!("/proc/{process}/fd"));
        let open = open.map_or(0, |open| open.count() as u64);
        self.descriptors = self.descriptors.max(open);
    }
}

fn start(kiln: &Kiln, project: &Project, build: usize) -> Child {
    let mut shell = kiln.shell(&format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\""));
    shell
        .args(["build", "-q", "-t"])
        .arg(format!("crowd:{build}"))
        .args(["--build-arg", &format!("BUILD={build}")])
        .arg(project.path());
    kiln.start(&mut shell)
}

/// Waits for all; what each took.
fn watch(mut children: Vec<Child>) -> Vec<Peak> {
    let mut peaks = vec![Peak::default(); children.len()];
    while children
        .iter_mut()
        .any(|child| child.try_wait().unwrap().is_none())
    {
        for (child, peak) in children.iter().zip(&mut peaks) {
            peak.look(child.id());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for child in children {
        let ran = ended(child);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    peaks
}

/// The cache mount that all steps see, once there is one.
fn shared(kiln: &Kiln) -> Option<PathBuf> {
    let mounts = std::fs::read_dir(kiln.root().join("cache-mounts")).ok()?;
    let data = mounts.flatten().map(|mount| mount.path().join("data"));
    data.into_iter().find(|data| data.join("shared").exists())
}

/// Ends the step that all wait for, when all builds have begun.
fn let_go(kiln: &Kiln) {
    let leases = kiln.root().join("leases");
    let begun = || std::fs::read_dir(&leases).map_or(0, Iterator::count);
    until("all have begun", || {
        begun() == BUILDS && shared(kiln).is_some()
    });
    std::fs::write(shared(kiln).unwrap().join("go"), "").unwrap();
}

/// Ends the first steps with a slot, when all other builds wait for one: from there on, who comes
/// when is up to kiln alone, and not to how fast each of the processes gets to its step.
fn give_slots(kiln: &Kiln) {
    let slots = kiln.root().join("locks/slots");
    until("all have asked", || {
        let entries = std::fs::read_dir(&slots).unwrap().flatten();
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
        let places = entries.map(name).filter(|name| name.starts_with("queue-"));
        places.count() == BUILDS - SLOTS
    });
    std::fs::write(shared(kiln).unwrap().join("asked"), "").unwrap();
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "not yet: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn forty_builds_at_once() {
    let scratch = Scratch::new();
    let host = standin::registry().host();
    let config = scratch.file(
        "kiln.toml",
        format!(
            "[registry.\"docker.io\"]\nmirrors = [\"{host}\"]\n[registry.\"{host}\"]\nhttp = true\n\
             [limits]\nparallel-steps = {SLOTS}\n"
        ),
    );
    let kiln = Kiln::with_config(&config);
    let project = Project::of(&dockerfile());
    let children = (0..BUILDS).map(|build| start(&kiln, &project, build));
    let children = children.collect();
    let_go(&kiln);
    give_slots(&kiln);
    let peaks = watch(children);
    for peak in &peaks {
        assert!(peak.memory < 200 << 20, "{peaks:?}");
        assert!(peak.descriptors < DESCRIPTORS, "{peaks:?}");
    }

    let data = shared(&kiln).unwrap();
    let read = |name: &str| std::fs::read_to_string(data.join(name)).unwrap();
    assert_eq!(read("shared"), "ran\n");
    let order = read("order");
    let lines: Vec<Vec<usize>> = order
        .lines()
        .map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect())
        .collect();
    assert_eq!(lines.len(), BUILDS * STEPS, "{order}");
    let most = lines.iter().map(|line| line[2]).max();
    assert!(most.is_some_and(|most| most <= SLOTS), "{order}");
    // By turns: all asked before anybody's second step began, so that nobody has a last one before
    // each has had its first.
    let last = lines.iter().position(|line| line[1] == STEPS);
    let first: BTreeSet<usize> = lines[..last.unwrap()].iter().map(|line| line[0]).collect();
    assert_eq!(first.len(), BUILDS, "{order}");
    kiln.assert_clean();
    let leases = std::fs::read_dir(kiln.root().join("leases")).unwrap();
    assert_eq!(leases.count(), 0);
    let listed = kiln.ok(["history", "ls", "--filter", "status=completed", "-q"]);
    assert_eq!(listed.lines().count(), BUILDS);
}
