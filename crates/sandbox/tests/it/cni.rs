//! Networks that plugins set up, by plugins that only note what they are told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sandbox::network::cni::{Cni, NetworkList, sweep};
use sandbox::{Exit, Isolation, Network, Sandbox, Spec};

use crate::fixture::Fixture;

/// Notes its name and what it is told, then answers with its name; or fails with the text of the file
/// `COMMAND-NAME` beside it.
const PLUGIN: &str = r#"#!/bin/sh
here=$(dirname "$0") name=$(basename "$0")
cd "$here"
[ "$CNI_COMMAND" = DEL ] && id=$(cat id) || { id=$CNI_CONTAINERID; echo "$id" >id; }
[ "$CNI_CONTAINERID" = "$id" ] || echo "another network" >>log
[ "$CNI_NETNS" = "" ] && kept=gone || kept=$(stat -f -c %T "$CNI_NETNS")
{
    echo "$CNI_COMMAND $name $CNI_IFNAME $kept $CNI_PATH $PATH $CNI_ARGS"
    cat
    echo
} >>log
if [ -e "$CNI_COMMAND-$name" ]; then
    cat "$CNI_COMMAND-$name"
    exit 1
fi
echo "{\"cniVersion\": \"1.0.0\", \"by\": \"$name\"}"
"#;

struct Plugins {
    fixture: Fixture,
    directory: PathBuf,
}

impl Plugins {
    fn new() -> Option<Plugins> {
        let fixture = Fixture::new()?;
        let directory = fixture.dir.path().join("plugins");
        fs::create_dir(&directory).unwrap();
        for name in ["one", "two"] {
            let path = directory.join(name);
            fs::write(&path, PLUGIN).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Some(Plugins { fixture, directory })
    }

    fn records(&self) -> PathBuf {
        self.fixture.dir.path().join("networks")
    }

    fn count(&self) -> usize {
        fs::read_dir(self.records()).map_or(0, Iterator::count)
    }

    /// Sweeps until there was something to say or nothing is left. A process that another test is
    /// about to start may have a copy of a record's lock until it runs.
    fn swept(&self) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let left = sweep(&self.records(), &["/bin".into()]);
            if !left.is_empty() || self.count() == 0 || Instant::now() > end {
                return left.iter().map(ToString::to_string).collect();
            }
            sleep(Duration::from_millis(10));
        }
    }

    fn spec(&self, script: &str, configuration: &str) -> Spec {
        let path = self.directory.join("net.conflist");
        fs::write(&path, configuration).unwrap();
        let mut spec = self.fixture.shell(script);
        spec.network = Network::Cni(Arc::new(Cni {
            list: NetworkList::read(&path).unwrap(),
            plugins: vec!["/nowhere".into(), self.directory.clone()],
            programs: vec!["/usr/bin".into(), "/bin".into()],
            records: self.records(),
            hostname: Some("box".into()),
        }));
        spec
    }

    /// What plugins have noted since the last time.
    fn log(&self) -> Vec<String> {
        let path = self.directory.join("log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        let here = format!("/nowhere:{}", self.directory.display());
        let lines = text.lines().map(|line| line.replace(&here, "HERE"));
        lines.collect()
    }

    fn set(&self, name: &str, text: &str) {
        fs::write(self.directory.join(name), text).unwrap();
    }
}

const BOTH: &str = r#"{"cniVersion":"1.0.0","name":"net","plugins":
    [{"type":"one","x":1},{"type":"two","capabilities":{"portMappings":true}}]}"#;
const TOLD: &str = "eth0 nsfs HERE /usr/bin:/bin K8S_POD_NAME=box;IgnoreUnknown=1";

#[test]
fn privileged_plugins_are_called_in_order_and_back() {
    let Some(plugins) = Plugins::new() else {
        return;
    };
    let spec = plugins.spec("ip link | grep -c UP", BOTH);
    assert_eq!(plugins.fixture.output(&spec), "1\n");
    let by = r#""prevResult":{"by":"two","cniVersion":"1.0.0"}"#;
    let expected = [
        format!("ADD one {TOLD}"),
        r#"{"cniVersion":"1.0.0","name":"net","type":"one","x":1}"#.to_owned(),
        format!("ADD two {TOLD}"),
        r#"{"cniVersion":"1.0.0","name":"net","prevResult":{"by":"one","cniVersion":"1.0.0"},"type":"two"}"#.to_owned(),
        format!("DEL two {TOLD}"),
        format!(r#"{{"cniVersion":"1.0.0","name":"net",{by},"type":"two"}}"#),
        format!("DEL one {TOLD}"),
        format!(r#"{{"cniVersion":"1.0.0","name":"net",{by},"type":"one","x":1}}"#),
    ];
    assert_eq!(plugins.log(), expected);
    assert_eq!(plugins.count(), 0);
}

#[test]
fn privileged_what_was_begun_is_taken_down() {
    let Some(plugins) = Plugins::new() else {
        return;
    };
    plugins.set("ADD-two", r#"{"code":11,"msg":"no","details":"try later"}"#);
    let spec = plugins.spec("true", BOTH);
    let error = plugins.fixture.start(&spec).unwrap_err().to_string();
    let expected = "CNI plugin \"two\" of network \"net\": ADD: no; try later";
    assert_eq!(error, expected);
    let calls = |log: Vec<String>| -> Vec<String> {
        let calls = log.iter().filter(|line| !line.starts_with('{'));
        let words = calls.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
        words.collect()
    };
    let all = ["ADD one", "ADD two", "DEL two", "DEL one"];
    assert_eq!(calls(plugins.log()), all);
    assert_eq!(plugins.count(), 0);
    fs::remove_file(plugins.directory.join("ADD-two")).unwrap();
    // A program that is not there is found out when the network is.
    let mut spec = plugins.spec("true", BOTH);
    spec.process.args = vec!["/nothing".into()];
    plugins.fixture.start(&spec).unwrap_err();
    assert_eq!(calls(plugins.log()), all);
    let spec = plugins.spec("exec sleep 100", BOTH);
    let running = plugins.fixture.start(&spec).unwrap();
    assert_eq!(plugins.count(), 1);
    drop(running);
    assert_eq!(calls(plugins.log()), all);
    assert_eq!(plugins.count(), 0);
}

#[test]
fn privileged_who_drops_a_process_need_not_wait() {
    let Some(plugins) = Plugins::new() else {
        return;
    };
    let (heir, left) = std::sync::mpsc::channel();
    let spec = plugins.spec("exec sleep 100", BOTH);
    let mut running = plugins.fixture.start(&spec).unwrap();
    running.leave_network_to(move |network| heir.send(network).unwrap());
    let pid = running.pid();
    plugins.log();
    drop(running);
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
    let network = left.try_recv().unwrap();
    assert_eq!((plugins.log(), plugins.count()), (vec![], 1));
    // Nobody else takes it down meanwhile.
    assert_eq!(sweep(&plugins.records(), &["/bin".into()]).len(), 0);
    assert_eq!((plugins.log(), plugins.count()), (vec![], 1));
    drop(network);
    assert!(plugins.log()[0].starts_with("DEL two eth0 nsfs"));
    assert_eq!(plugins.count(), 0);
}

#[test]
fn privileged_what_is_left_is_swept() {
    let Some(plugins) = Plugins::new() else {
        return;
    };
    let (records, programs) = (plugins.records(), [PathBuf::from("/bin")]);
    assert_eq!(sweep(&records, &programs).len(), 0);
    plugins.set("DEL-two", "out of order");
    let mut running = plugins
        .fixture
        .start(&plugins.spec("read line <&2 || exit 0", BOTH))
        .unwrap();
    // Nobody else takes down what is in use.
    assert_eq!(sweep(&records, &programs).len(), 0);
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    let told = running.unreleased().map(ToString::to_string);
    let expected = "CNI plugin \"two\" of network \"net\": DEL: out of order";
    assert_eq!(told.as_deref(), Some(expected));
    assert_eq!(plugins.count(), 1);
    drop(running);
    assert_eq!(plugins.swept(), [expected]);
    assert_eq!(plugins.count(), 1);
    fs::remove_file(plugins.directory.join("DEL-two")).unwrap();
    plugins.log();
    assert!(plugins.swept().is_empty());
    let log = plugins.log();
    assert!(log[0].starts_with("DEL two eth0 nsfs"), "{log:?}");
    assert!(log[1].contains("\"prevResult\":{\"by\":\"two\""), "{log:?}");
    assert_eq!((log.len(), plugins.count()), (4, 0));
    // One that can never be taken down.
    plugins.set("DEL-one", "never");
    drop(plugins.fixture.start(&plugins.spec("true", BOTH)).unwrap());
    for _ in 0..2 {
        let left = plugins.swept();
        assert!(left[0].ends_with("DEL: never"), "{left:?}");
        assert_eq!(plugins.count(), 1);
    }
    let left = plugins.swept();
    assert!(left[0].starts_with("what is left of a network is not tried again: "));
    assert_eq!(plugins.count(), 0);
    // One that was killed before it had written what it was about.
    fs::create_dir(records.join("begun")).unwrap();
    fs::write(records.join("begun/new"), "{").unwrap();
    assert!(plugins.swept().is_empty());
    assert_eq!(plugins.count(), 0);
}

#[test]
fn privileged_what_is_missing_is_named() {
    let Some(plugins) = Plugins::new() else {
        return;
    };
    let spec = plugins.spec("true", r#"{"name":"net","type":"three"}"#);
    let error = plugins.fixture.start(&spec).unwrap_err().to_string();
    let here = plugins.directory.display();
    let expected = format!("CNI plugin \"three\" of network \"net\" is not in /nowhere:{here}");
    assert_eq!(error, expected);
    // Of what nothing was set up nothing is kept, though the first plugin is there.
    let spec = plugins.spec(
        "true",
        r#"{"name":"net","plugins":[{"type":"one"},{"type":"three"}]}"#,
    );
    let error = plugins.fixture.start(&spec).unwrap_err().to_string();
    assert_eq!((error, plugins.count()), (expected, 0));
    let spec = plugins.spec(
        "true",
        r#"{"name":"net","type":"one","ipam":{"type":"four"}}"#,
    );
    let error = plugins.fixture.start(&spec).unwrap_err().to_string();
    assert!(error.starts_with("CNI plugin \"four\" of "), "{error}");
    assert_eq!((plugins.log(), plugins.count()), (vec![], 0));
    // What cannot be taken down is kept.
    let running = plugins.fixture.start(&plugins.spec("true", BOTH)).unwrap();
    let [there, away] = ["two", "three"].map(|name| plugins.directory.join(name));
    fs::rename(&there, &away).unwrap();
    drop(running);
    assert_eq!(plugins.count(), 1);
    fs::rename(&away, &there).unwrap();
    assert!(plugins.swept().is_empty());
    assert_eq!(plugins.count(), 0);
}

#[test]
fn privileged_not_in_a_chroot() {
    let Some(plugins) = Plugins::new() else {
        return;
    };
    let sandbox = Sandbox::new(Some(Isolation::Chroot)).unwrap();
    let spec = plugins.spec("true", BOTH);
    let error = Fixture::start_in(&sandbox, &spec).unwrap_err().to_string();
    assert!(error.contains("cannot be had in a chroot"), "{error}");
    assert_eq!(plugins.log(), [""; 0]);
}
