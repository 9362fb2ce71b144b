//! What `kiln doctor` says where it runs.

use serde_json::Value;

use crate::kiln::{Kiln, finish};
use crate::place::Place;

fn diagnosis(kiln: &Kiln) -> Value {
    serde_json::from_str(&kiln.ok(["doctor", "--format", "json"])).unwrap()
}

#[test]
fn each_place_is_known() {
    let places = [
        (Some(Place::Root), "root", Value::Null),
        (Place::subordinate(), "subordinate", Value::Null),
        (Place::single(), "single", "subordinate".into()),
        (Place::container(), "chroot", "root".into()),
    ];
    for (place, name, next) in places {
        let Some(place) = place else { continue };
        let kiln = Kiln::in_place(place);
        let found = diagnosis(&kiln);
        assert_eq!(found["place"], name, "{found:#}");
        assert_eq!(found["next"]["place"], next, "{found:#}");
        let checks = found["checks"].as_array().unwrap();
        let states = |name: &str| {
            let named = checks.iter().filter(|check| check["name"] == name);
            named
                .map(|check| check["state"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(states("store"), ["ok"], "{found:#}");
        // The registry of the tests sends no date.
        assert_eq!(states("clock"), ["warning"], "{found:#}");
        assert_eq!(checks.len(), 7, "{found:#}");
        // Only root's kiln can make control groups on this machine, and only a chroot has no networks.
        let expected = |is_well: bool| if is_well { "ok" } else { "warning" };
        let limits = std::path::Path::new("/sys/fs/cgroup/memory").exists();
        assert_eq!(
            states("limits"),
            [expected(name == "root" && limits)],
            "{found:#}"
        );
        let can_connect = crate::network::can_connect().is_ok();
        let is_connected = can_connect && name != "chroot";
        assert_eq!(states("network"), [expected(is_connected)], "{found:#}");
        assert_eq!(states("emulators").len(), 1, "{found:#}");
    }
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let kiln = Kiln::new();
    let mut command = kiln.command();
    command.env("KILN_ISOLATION", "chroot").arg("doctor");
    let text = finish(&mut command).ok();
    let expected = "place: root without namespaces and mounts: steps run in a chroot\n  \
                    because KILN_ISOLATION or build.isolation says so\n\
                    better: root, with namespaces and mounts\n  \
                    unset KILN_ISOLATION and build.isolation\nstore: ok: ";
    assert!(text.starts_with(expected), "{text}");
    kiln.configure("[registry.\"127.0.0.1:1\"]\nhttp = true\n");
    let text = kiln.ok(["doctor"]);
    let told = "registry 127.0.0.1:1: warning: ask 127.0.0.1:1: ";
    assert!(text.contains(told), "{text}");
    kiln.configure("[build]\nnetwork = \"pasta\"\n");
    let mut command = kiln.command();
    let ran = finish(command.env("PATH", "/nowhere").arg("doctor"));
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    let told = "network: error: steps are to have one of their own, and cannot: ";
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
    let kiln = Kiln::configured("[build]\nnetwork = \"cni\"\n[build.cni]\nconfig = \"/nowhere\"\n");
    let ran = kiln.run(["doctor"]);
    let told = "cannot: CNI configuration /nowhere: No such file or directory (os error 2)\n";
    assert!(ran.code == 1 && ran.stdout.contains(told), "{}", ran.stdout);
    let kiln = Kiln::configured("[build]\nnetwork = \"cni\"\n[build.cni]\nbridge = \"tests3\"\n");
    kiln.configure("plugins = [\"/nowhere\"]\n");
    let ran = kiln.run(["doctor"]);
    let told = "cannot: CNI plugin \"bridge\" of network \"tests3\" is not in /nowhere\n  install the \
                plugins (Debian: containernetworking-plugins)";
    assert!(ran.code == 1 && ran.stdout.contains(told), "{}", ran.stdout);
    let error = kiln.run(["doctor", "--format", "yaml"]).error();
    let expected = "ERROR: invalid argument \"yaml\" for \"--format\" flag: must be json";
    assert_eq!(error, expected);
}
