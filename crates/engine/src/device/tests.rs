//! Files of devices as text: what comes of them.

use super::*;

/// Directories with files, in order.
fn catalogue(directories: &[&[(&str, &str)]]) -> Catalogue {
    let scratch = tempfile::tempdir().unwrap();
    let mut paths = vec![scratch.path().join("missing")];
    for (number, files) in directories.iter().enumerate() {
        let directory = scratch.path().join(number.to_string());
        std::fs::create_dir(&directory).unwrap();
        for (name, text) in *files {
            std::fs::write(directory.join(name), text).unwrap();
        }
        paths.push(directory);
    }
    let mut catalogue = Catalogue::read(Some(&paths));
    let prefix = format!("{}/", scratch.path().display());
    for problem in &mut catalogue.problems {
        *problem = problem.replace(&prefix, "");
    }
    catalogue
}

/// One line for each device, then the problems.
fn shown(directories: &[&[(&str, &str)]]) -> Vec<String> {
    let offered = catalogue(directories).offered(AllowedDevices::default());
    let line = |(name, device): (&String, &RegisteredDevice)| {
        let class = device.class.as_ref().map(|class| format!(" in {class}"));
        let all = if device.is_for_all { " for all" } else { "" };
        let unusable = device.digest.as_ref().err();
        let unusable = unusable.map(|reason| format!(": {reason}"));
        let (class, unusable) = (class.unwrap_or_default(), unusable.unwrap_or_default());
        format!("{name}{class}{all}{unusable}")
    };
    let lines = offered.registered.iter().map(line);
    lines.chain(offered.problems).collect()
}

fn spec(edits: &str) -> String {
    format!(
        r#"{{"cdiVersion": "0.6.0", "kind": "v.org/x", "devices": [{{"name": "a", "containerEdits": {edits}}}]}}"#
    )
}

#[test]
fn yaml_with_classes_and_permissions() {
    let text = "\
cdiVersion: 0.6.0
kind: v.org/x
annotations:
  org.mobyproject.buildkit.device.autoallow: true
devices:
  - name: a
    annotations:
      org.mobyproject.buildkit.device.class: fast
    containerEdits:
      env: [A=1]
  - name: 'b:1'
    annotations:
      org.mobyproject.buildkit.device.autoallow: no
    containerEdits:
      deviceNodes:
        - {path: /dev/b, type: u, major: 1, minor: 3, fileMode: 0600}
";
    assert_eq!(
        shown(&[&[("x.yaml", text), ("notes.txt", "{"), ("x.yml", "{")]]),
        ["v.org/x=a in fast for all", "v.org/x=b:1"]
    );
    let catalogue = catalogue(&[&[("x.yaml", text)]]);
    let [_, edits] = &catalogue.devices["v.org/x=b:1"].edits;
    let node = &edits.device_nodes[0];
    assert_eq!(node.file_mode, Some(0o600));
    assert_eq!(node.kind, Some(NodeKind::Character));
}

#[test]
fn later_directories_win_and_one_directory_must_not_contradict_itself() {
    let (first, second) = (spec(r#"{"env": ["A=1"]}"#), spec(r#"{"env": ["A=2"]}"#));
    let value = |directories: &[&[(&str, &str)]]| {
        let catalogue = catalogue(directories);
        let device = catalogue.devices.get("v.org/x=a");
        device.map(|device| device.edits[1].env.clone())
    };
    assert_eq!(
        value(&[&[("1.json", &first)], &[("2.json", &second)]]),
        Some(vec!["A=2".to_owned()])
    );
    assert_eq!(
        shown(&[&[("1.json", &first), ("2.json", &second)]]),
        ["0/2.json: device v.org/x=a is in 0/1.json too"]
    );
}

#[test]
fn files_that_are_wrong() {
    for (text, expected) in [
        ("[", "0/x.json: "),
        ("{}", "missing field `cdiVersion`"),
        (
            r#"{"cdiVersion": "9.0.0", "kind": "v.org/x", "devices": []}"#,
            "unknown cdiVersion \"9.0.0\"",
        ),
        (
            r#"{"cdiVersion": "0.6.0", "kind": "x", "devices": []}"#,
            "invalid kind \"x\", expected vendor/class",
        ),
        (
            r#"{"cdiVersion": "0.6.0", "kind": "v.org/x", "devices": []}"#,
            "no devices",
        ),
        (
            r#"{"cdiVersion": "0.6.0", "kind": "v.org/x", "devices": [{"name": "-"}]}"#,
            "invalid device name \"-\"",
        ),
        (
            r#"{"cdiVersion": "0.6.0", "kind": "v.org/x", "devices": [{"name": "a"}, {"name": "a"}]}"#,
            "device \"a\" twice",
        ),
        (
            &spec(r#"{"env": ["A"]}"#),
            "invalid environment variable \"A\"",
        ),
        (&spec(r#"{"envs": []}"#), "unknown field `envs`"),
        (
            &spec(r#"{"deviceNodes": [{"path": "/dev/a", "permissions": "rx"}]}"#),
            "device \"/dev/a\": invalid permissions \"rx\"",
        ),
        (
            &spec(r#"{"deviceNodes": [{"path": "/dev/a", "type": "d"}]}"#),
            "unknown variant `d`",
        ),
    ] {
        let shown = shown(&[&[("x.json", text)]]);
        assert!(shown.len() == 1 && shown[0].contains(expected), "{shown:?}");
    }
}

#[test]
fn devices_that_no_step_can_have() {
    for (edits, expected) in [
        (
            r#"{"hooks": [{"hookName": "createContainer", "path": "/usr/bin/x", "args": ["x"]}]}"#,
            "the hook createContainer \"/usr/bin/x\" is not supported: kiln runs nothing outside of a step",
        ),
        (
            r#"{"netDevices": [{"hostInterfaceName": "a", "name": "b"}]}"#,
            "netDevices are not supported: a step has the host's network, or none",
        ),
        (
            r#"{"intelRdt": {"closID": "a"}}"#,
            "intelRdt is not supported: limit kiln itself",
        ),
        (
            r#"{"deviceNodes": [{"path": "/opt/a"}]}"#,
            "device node \"/opt/a\" is not supported: only nodes in /dev work in a step",
        ),
        (
            r#"{"deviceNodes": [{"path": "/dev/shm/a"}]}"#,
            "device node \"/dev/shm/a\" is not supported: only nodes in /dev work in a step",
        ),
        (
            r#"{"deviceNodes": [{"path": "/dev/../a"}]}"#,
            "device node \"/dev/../a\" is not supported: only nodes in /dev work in a step",
        ),
        (
            r#"{"deviceNodes": [{"path": "/dev/a", "permissions": "r"}]}"#,
            "device node \"/dev/a\" with the permissions \"r\" is not supported: a step can read and write its devices",
        ),
        (
            r#"{"mounts": [{"hostPath": "a", "containerPath": "/a", "type": "tmpfs"}]}"#,
            "mount \"/a\" of type \"tmpfs\" is not supported: only files of the host can be mounted",
        ),
        (
            r#"{"mounts": [{"hostPath": "/a", "containerPath": "/a", "options": ["ro", "rslave"]}]}"#,
            "mount \"/a\" with the option \"rslave\" is not supported",
        ),
    ] {
        assert_eq!(
            shown(&[&[("x.json", &spec(edits))]]),
            [format!("v.org/x=a: {expected}")]
        );
    }
}

#[test]
fn what_several_devices_have_in_common_comes_once() {
    let text = r#"{"cdiVersion": "1.1.0", "kind": "v.org/x", "containerEdits": {"env": ["C=1"]},
        "devices": [{"name": "a"}, {"name": "b", "containerEdits": {"env": ["B=1"]}}]}"#;
    let catalogue = catalogue(&[&[("x.json", text)]]);
    let devices: Vec<graph::Device> = catalogue
        .devices
        .iter()
        .map(|(name, device)| graph::Device {
            name: name.clone(),
            digest: device.digest,
        })
        .collect();
    let env = |devices: &[graph::Device]| {
        let edits = catalogue.edits(devices).unwrap();
        let env = edits.iter().flat_map(|edits| edits.env.clone());
        env.collect::<Vec<_>>()
    };
    assert_eq!(env(&devices), ["C=1", "B=1"]);
    assert_ne!(devices[0].digest, devices[1].digest);
    let stale = graph::Device {
        digest: devices[0].digest,
        ..devices[1].clone()
    };
    let error = catalogue.edits(&[stale]).unwrap_err().to_string();
    assert_eq!(error, "device v.org/x=b is no longer registered");
}
