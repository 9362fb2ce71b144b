//! Files of builders, as buildx writes them, as kiln does, and as nobody should.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::{Group, Node, NodeChange, Store};
use crate::environment::{Environment, Terminals};

/// As buildx 0.29 writes it.
const WRITTEN: &str = r#"{"Name":"Both","Driver":"remote","Nodes":[{"Name":"both0","Endpoint":"unix:///a.sock","Platforms":[{"architecture":"arm64","os":"linux","variant":"v8"}],"DriverOpts":null,"Flags":null,"Files":null},{"Name":"both1","Endpoint":"tcp://b:1","Platforms":null,"DriverOpts":{"cacert":"/ca.pem"},"Flags":["--debug"],"Files":{"buildkitd.toml":"YQ=="}}],"Dynamic":false}"#;

struct Place {
    directory: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let buildx = directory.path().join("buildx");
        let environment = Environment {
            arguments: Vec::new(),
            variables: BTreeMap::from([("BUILDX_CONFIG".into(), buildx.into())]),
            working_directory: "/".into(),
            is_root: false,
            terminals: Terminals::default(),
            now,
        };
        Self {
            store: Store::of(&environment).unwrap(),
            directory,
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join("buildx").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join("buildx").join(name)).unwrap()
    }

    fn group(&self, name: &str) -> Result<Option<Group>, String> {
        let found = self.store.group(name);
        found.map_err(|error| {
            error
                .to_string()
                .replace(self.directory.path().to_str().unwrap(), "")
        })
    }

    fn current(&self, endpoint: &str) -> Option<String> {
        self.store
            .current(endpoint)
            .unwrap()
            .map(|group| group.name)
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5)
}

#[test]
fn a_builder_of_buildx() {
    let place = Place::new();
    assert_eq!(place.group("both"), Ok(None));
    assert!(place.store.groups().unwrap().is_empty());
    place.write("instances/both", WRITTEN);
    let group = place.group("BOTH").unwrap().unwrap();
    assert_eq!((&*group.name, &*group.driver), ("Both", "remote"));
    let [first, second] = group.nodes.as_slice() else {
        panic!("{group:?}");
    };
    assert_eq!(first.platforms[0].to_string(), "linux/arm64");
    assert!(first.driver_opts.is_empty() && second.platforms.is_empty());
    assert_eq!(second.driver_opts["cacert"], "/ca.pem");
    assert_eq!(second.flags, ["--debug"]);
    assert_eq!(second.files["buildkitd.toml"], "YQ==");

    // What is written again has all of it, for its owner alone.
    let change = place.store.change().unwrap();
    change.save(&group, now()).unwrap();
    assert_eq!(place.group("both").unwrap().unwrap(), group);
    let path = place.directory.path().join("buildx/instances/both");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(place.read("activity/both"), "2023-11-14T22:13:20Z");
    let at = place.store.last_activity("both").unwrap();
    assert_eq!(now().duration_since(at).unwrap(), Duration::from_nanos(5));
    // What others put there is no builder.
    place.write("instances/.tmp-both1", "{");
    assert_eq!(place.store.groups().unwrap(), [group]);

    place.write("refs/both/both0/id", "{}");
    change.remove("Both").unwrap();
    assert!(place.store.groups().unwrap().is_empty());
    assert!(!place.directory.path().join("buildx/refs/both").exists());
    change.remove("both").unwrap();
}

#[test]
fn what_is_no_builder() {
    let place = Place::new();
    let long = format!(r#"{{"Name":"a","Driver":"{}"}}"#, "x".repeat(4 << 20));
    let nodes = vec![r#"{"Name":"n"}"#; 101].join(",");
    let many = format!(r#"{{"Name":"a","Nodes":[{nodes}]}}"#);
    let deep = format!(r#"{{"Name":"a","Nodes":{}"#, "[".repeat(100_000));
    for (text, message) in [
        ("", "EOF while parsing"),
        ("{}", "missing field `Name`"),
        (r#"{"Name":"b"}"#, "it is of the builder \"b\""),
        (r#"{"Name":"../a"}"#, "it is of the builder \"../a\""),
        (r#"{"Name":"a","Nodes":{}}"#, "expected a sequence"),
        (
            r#"{"Name":"a","Nodes":[{"Endpoint":"x"}]}"#,
            "missing field `Name`",
        ),
        (&long, "more than 4194304 bytes"),
        (&many, "more than 100 nodes"),
        (&deep, "invalid type"),
    ] {
        place.write("instances/a", text);
        let error = place.group("a").unwrap_err();
        assert!(error.contains(message), "{error}");
        assert!(error.starts_with("/buildx/instances/a"), "{error}");
    }
    for name in ["../a", "", "a/b", ".a"] {
        assert!(place.group(name).unwrap_err().starts_with("invalid name"));
    }
    let directory = place.directory.path().join("buildx/instances/d");
    fs::create_dir(directory).unwrap();
    assert!(place.group("d").is_err());
}

#[test]
fn which_one_is_chosen() {
    let place = Place::new();
    let (here, there) = ("unix:///here", "unix:///there");
    assert_eq!(place.current(here), None);
    let change = place.store.change().unwrap();
    for name in ["one", "two"] {
        let group = Group {
            name: name.to_owned(),
            ..Group::default()
        };
        change.save(&group, now()).unwrap();
    }
    change.choose(here, "one", (false, false)).unwrap();
    assert_eq!(
        place.read("current"),
        r#"{"Key":"unix:///here","Name":"one","Global":false}"#
    );
    assert_eq!(place.current(here).as_deref(), Some("one"));
    assert_eq!(place.current(there), None);
    change.choose(there, "two", (true, false)).unwrap();
    assert_eq!(place.current(here).as_deref(), Some("two"));
    // A docker's own is its own again when another's is chosen.
    change.choose(here, "one", (false, true)).unwrap();
    change.choose(there, "two", (false, false)).unwrap();
    assert_eq!(place.current(here).as_deref(), Some("one"));
    assert_eq!(place.current(there).as_deref(), Some("two"));
    change.choose(there, "", (false, false)).unwrap();
    assert_eq!(place.current(there), None);
    change.remove("one").unwrap();
    assert_eq!(place.current(here), None);
    place.write("current", "{\"Name\":1}");
    assert!(place.store.current(here).is_err());
}

#[test]
fn nodes_change() {
    let change = |name: &str, endpoint: &str, platforms: &[&str], appended| NodeChange {
        name: name.to_owned(),
        endpoint: endpoint.to_owned(),
        platforms: platforms.iter().map(|text| text.parse().unwrap()).collect(),
        driver_opts: None,
        appended,
    };
    let mut group = Group {
        name: "Both".to_owned(),
        ..Group::default()
    };
    let mut done = |one: NodeChange| group.change(one).map_err(|error| error.to_string());
    let arms = ["linux/arm64", "linux/arm"];
    assert_eq!(done(change("", "a", &arms, false)), Ok(false));
    let missing = "node x not found, did you mean to append?".to_owned();
    assert_eq!(done(change("x", "b", &[], false)), Err(missing));
    let double = "invalid duplicate endpoint a".to_owned();
    assert_eq!(
        group
            .clone()
            .change(change("", "a", &[], true))
            .map_err(|e| e.to_string()),
        Err(double)
    );
    // What is another's from now on is not the first's.
    assert!(!group.change(change("", "b", &["linux/arm"], true)).unwrap());
    assert!(group.change(change("Both1", "c", &[], false)).is_err());
    assert!(group.change(change("both1", "c", &[], false)).unwrap());
    let nodes = group.nodes.iter().map(
        |Node {
             name,
             endpoint,
             platforms,
             ..
         }| {
            let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            format!("{name} {endpoint} {}", platforms.join(" "))
        },
    );
    assert_eq!(
        nodes.collect::<Vec<_>>(),
        ["both0 a linux/arm64", "both1 c linux/arm/v7"]
    );
    let mut leave = |name| group.leave(name).map_err(|error| error.to_string());
    assert!(leave("x").unwrap_err().contains("node \"x\" not found"));
    assert_eq!(leave("both0"), Ok(()));
    assert!(leave("both1").unwrap_err().contains("last node"));
    group.dynamic = true;
    assert!(
        group
            .leave("both1")
            .unwrap_err()
            .to_string()
            .contains("driver")
    );
}

#[test]
fn names_that_nobody_has() {
    let place = Place::new();
    let first = place.store.unused_name(&[7; 16]).unwrap();
    assert_eq!(first, "celadon_crucible");
    let group = Group {
        name: first.clone(),
        ..Group::default()
    };
    place.store.change().unwrap().save(&group, now()).unwrap();
    let second = place.store.unused_name(&[7; 16]).unwrap();
    assert!(second.starts_with(&first) && second != first, "{second}");
}
